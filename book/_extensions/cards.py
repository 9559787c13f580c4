"""Sphinx extension: tables of pages become cards on a phone, as those of notebooks do.

Each cell of such a table carries the name of its column; `tables.css` does the rest.
"""

import re
from typing import Any

from bs4 import BeautifulSoup

from reporting.figures.tables import looks

TABLE = re.compile(r'<table class="table">.*?</table>', re.DOTALL)


def labelled(found: re.Match[str]) -> str:
    """A table of a page, with the names of its columns in its cells if its rows become cards."""
    page: Any = BeautifulSoup(found.group(), "html.parser")
    heads = [" ".join(head.get_text().split()) for head in page.select("thead th")]
    cells = page.select("tbody td")
    page.table["class"] += looks(len(heads), max((len(one.get_text()) for one in cells), default=0))
    if "cards" not in page.table["class"]:
        return str(page)
    for row in page.select("tbody tr"):
        for cell, head in zip(row.find_all("td", recursive=False), heads, strict=False):
            cell["data-label"] = head
    return str(page)


def label_tables(
    app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Change the tables in a page's body."""
    if "body" in context:
        context["body"] = TABLE.sub(labelled, context["body"])


def setup(app: Any) -> dict[str, Any]:
    """Before the theme reads the body."""
    app.connect("html-page-context", label_tables, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
