"""Which pages does the site have? Its table of contents, and the check that all are there."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

SHORTEST_PAGE = 200  # characters of text in the article
ERRORS = ".cell_output .traceback, .cell_output .stderr, .system-message, .problematic"
NESTED = ("parts", "chapters", "sections")  # lists of entries in the table of contents


class SiteError(Exception):
    """The site could not be built; the message is the one line that the user reads."""


def contents(toc: Any) -> list[str]:
    """Every document that the table of contents names, without suffix."""
    if isinstance(toc, list):
        return [name for item in toc for name in contents(item)]
    if isinstance(toc, dict):
        own = [toc[key] for key in ("root", "file") if key in toc]
        nested = [value for value in toc.values() if isinstance(value, list)]
        return own + contents(nested)
    return []


def without(toc: Any, absent: Collection[str]) -> Any:
    """The table of contents without some documents, and without parts that had no other."""
    if isinstance(toc, list):
        kept = [without(item, absent) for item in toc if item.get("file") not in absent]
        return [item for item in kept if not any(item.get(key) == [] for key in NESTED[:2])]
    nested = {key: without(toc[key], absent) for key in NESTED if key in toc}
    return {**toc, **nested}


def check_pages(site: Path, pages: Iterable[str]) -> None:
    """Raise :class:`SiteError` if a page of the site is missing, has no text, or shows a cell's
    error. The page of a run that failed says so in words, and is no error of the site."""
    from bs4 import BeautifulSoup

    for name in pages:
        page = site / f"{name}.html"
        if not page.is_file():
            raise SiteError(f"the site has no page {name}.html, which it should have")
        article = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").find("article")
        if article is None or len(article.get_text().strip()) < SHORTEST_PAGE:
            raise SiteError(f"page {name}.html is empty")
        if shown := article.select_one(ERRORS):
            last = shown.get_text().strip().splitlines()[-1]
            raise SiteError(f"page {name}.html shows an error: {last}")
