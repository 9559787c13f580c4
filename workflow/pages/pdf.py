"""The whole book as one PDF: the pages of a built site in the order of its contents, for paper.

Chromium prints one document that is put together from the pages, so that page numbers, bookmarks
and links go through the whole book; it prints twice, since only the first print tells on which
sheet a chapter begins. Figures are their static pictures. The code at the end of each page is left
out. Folds are open, but for those that hold more rows or texts of the same.

    PYTHONPATH=src:workflow .venv/bin/python -m pages.pdf --profile default
"""

import argparse
import mimetypes
import os
import posixpath
import re
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from helpers.errors import InputError
from pages import citation
from pages.points import Grid
from runs import profiles
from runs.files import write_whole
from runs.profiles import ROOT

ADDRESS = "http://book.invalid/"  # where Chromium finds the site, which is read from the disk
FIRST = "book/index"
ONLY_ON_SCREEN = (
    "script, noscript, button, .headerlink, .point-switcher, .figure-interactive, .figure-chooser, "
    ".panel-live, .figure-download, .all-results, .book-pdf, .page-code"
)
LEFT_OUT = "left-out"
STYLE = Path(__file__).with_name("pdf.css")
REFERS = re.compile(r"url\(#([^)]+)\)")  # to an id, in a drawing
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
# What is wider than a page is made smaller, after the formulas are set.
FIT = """async () => {
  if (window.MathJax?.startup) await MathJax.startup.promise;
  await document.fonts.ready;
  const wide = "table, .highlight pre, mjx-container[display], .figure-static > svg, .matrix-step";
  for (const one of document.querySelectorAll(wide)) {
    const room = one.parentElement.closest("div, figure, section, td").clientWidth;
    const ratio = room / Math.max(one.scrollWidth, one.getBoundingClientRect().width);
    if (ratio < 1 && !one.parentElement.closest(wide)) one.style.zoom = Math.max(ratio, 0.35);
  }
}"""


@dataclass(frozen=True)
class Page:
    """A page of the site: its name without suffix, and the part of the contents it stands in."""

    name: str
    part: str = ""

    @property
    def id(self) -> str:
        """What its ids begin with in the whole document."""
        return re.sub(r"\W", "-", self.name)


def pages(site: Path) -> list[Page]:
    """Every page in the order of the contents, read from the site's own sidebar."""
    start = BeautifulSoup((site / f"{FIRST}.html").read_text(encoding="utf-8"), "html.parser")
    found, part = [Page(FIRST)], ""
    for node in start.select("nav.bd-links p.caption, nav.bd-links a.reference.internal"):
        if node.name == "p":
            part = node.get_text().strip()
        elif (target := inside(FIRST, str(node["href"]))) and target[0] != FIRST:
            found.append(Page(target[0], part))
    return found


def inside(page: str, href: str) -> tuple[str, str] | None:
    """The page of the site and the id there that a link on ``page`` leads to; nothing if it leads
    to another file or another host."""
    link = urlsplit(href)
    if link.scheme or link.netloc:
        return None
    name = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(link.path)))
    stem, suffix = posixpath.splitext(page + ".html" if not link.path else name)
    return (stem, unquote(link.fragment)) if suffix == ".html" else None


def article(site: Path, page: Page, known: Mapping[str, Page]) -> Tag:
    """What a page says, made ready to stand beside the others."""
    soup = BeautifulSoup((site / f"{page.name}.html").read_text(encoding="utf-8"), "html.parser")
    found = soup.find("article")
    if not isinstance(found, Tag):
        raise InputError(f"{page.name}.html has no article: build the book again")
    for node in found.select(ONLY_ON_SCREEN):
        node.decompose()
    for fold in found.select("details.text-more"):
        _leave_out(fold)
    for line in found.select(".figure-provenance"):
        summary = line.find("summary")
        line.string = summary.get_text() if summary else ""
    for drawn in found.select(".figure-static svg[viewbox]"):
        width, height = map(float, str(drawn["viewbox"]).split()[2:])
        if height > 1.9 * width:  # many panels, one under the other: a sheet of their own
            drawn["class"] = "tall"
    for fold in found.find_all("details"):
        fold["open"] = ""
    for node in found.find_all(True):
        _rename(node, page, known)
    return found


def _leave_out(fold: Tag) -> None:
    """A line instead of a fold that holds more texts or rows of the same, one for all in a row."""
    said = fold.summary.get_text(" ", strip=True) if fold.summary else "more"
    before = fold.find_previous_sibling()
    if before and before.get("class") == LEFT_OUT:
        before.append(f" · {said}")
        fold.decompose()
    else:
        fold.clear()
        fold.name, fold["class"] = "p", LEFT_OUT
        fold.append(f"On the site only: {said}")


def _rename(node: Tag, page: Page, known: Mapping[str, Page]) -> None:
    """Make ids and what refers to them one page's own; links to what is no page lose their aim."""
    for key in ("id", "aria-labelledby", "aria-describedby", "for", "headers"):
        if value := node.get(key):
            node[key] = " ".join(f"{page.id}--{one}" for one in str(value).split())
    for key, value in list(node.attrs.items()):
        if isinstance(value, str) and "url(#" in value:
            node[key] = REFERS.sub(rf"url(#{page.id}--\1)", value)
    if node.name == "use":  # of a drawing
        for key in ("href", "xlink:href"):
            if str(node.get(key, "")).startswith("#"):
                node[key] = f"#{page.id}--{str(node[key])[1:]}"
    elif node.name == "a" and node.get("href"):
        href = str(node["href"])
        target = inside(page.name, href)
        if target and target[0] in known:
            begin = known[target[0]].id
            node["href"] = f"#{begin}--{target[1]}" if target[1] else f"#{begin}"
        elif not href.startswith(("https://", "http://")):
            del node["href"]
    elif node.name == "img" and not str(node.get("src", "")).startswith(("data:", "http")):
        node["src"] = posixpath.join(ADDRESS, posixpath.dirname(page.name), str(node.get("src")))


def document(site: Path, about: Mapping[str, str], numbers: Mapping[str, int]) -> str:
    """The whole book as one HTML document; ``numbers`` are the sheets on which pages begin."""
    every = pages(site)
    known = {page.name: page for page in every}
    body, rules, entries, part = [], [], [], ""
    for page in every:
        found = article(site, page, known)
        title = re.sub(r"\s+", " ", found.h1.get_text()).strip() if found.h1 else page.name
        over = f'<p class="part">{escape(page.part)}</p>' if page.part else ""
        body.append(f'<section class="page" id="{page.id}">{over}{found}</section>')
        head = title.replace("\\", "").replace('"', "'")
        rules.append(f"#{page.id} {{page: {page.id}}}")
        rules.append(f'@page {page.id} {{@top-left {{content: "{head}"}}}}')
        if page.part != part:
            entries.append(f'<li class="part">{escape(page.part)}</li>')
            part = page.part
        number = numbers.get(page.id, "")
        entries.append(
            f'<li><a href="#{page.id}"><span>{escape(title)}</span> <span>{number}</span></a></li>'
        )
    facts = "".join(f"<p>{escape(text)}</p>" for text in about.values())
    return f"""<!doctype html>
<html lang="en" data-theme="light" data-mode="light">
<head><meta charset="utf-8"><title>{escape(about["title"])}</title>{_head(site)}
<style>{STYLE.read_text(encoding="utf-8")}{" ".join(rules)}</style></head>
<body><div class="title-page">{facts}</div>
<nav class="book-contents"><p class="contents-title">Contents</p><ol>{"".join(entries)}</ol></nav>
<main class="bd-content">{"".join(body)}</main></body>
</html>
"""


def _head(site: Path) -> str:
    """Styles of the site, and what sets its formulas."""
    start = BeautifulSoup((site / f"{FIRST}.html").read_text(encoding="utf-8"), "html.parser")
    kept = []
    for node in start.select("link[rel=stylesheet], script"):
        address = str(node.get("href") or node.get("src") or "")
        if node.name == "link" or "mathjax" in address or "window.MathJax" in node.get_text():
            for key in ("href", "src"):
                if node.get(key):
                    node[key] = posixpath.normpath(posixpath.join("/book", address))
            kept.append(str(node))
    return "".join(kept)


def printed(browser: Any, site: Path, html: str) -> bytes:
    """The document as PDF."""
    context = browser.new_context(viewport={"width": 690, "height": 1000}, color_scheme="light")
    page = context.new_page()

    def serve(route: Any) -> None:
        path = unquote(urlsplit(route.request.url).path)
        file = site / path.lstrip("/")
        if path == "/whole-book":
            route.fulfill(body=html, content_type="text/html; charset=utf-8")
        elif file.is_file():
            kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            route.fulfill(body=file.read_bytes(), content_type=kind)
        else:
            route.abort()

    page.route("**/*", serve)
    page.set_default_timeout(300_000)
    page.goto(f"{ADDRESS}whole-book")
    page.emulate_media(media="print")
    page.evaluate(FIT)
    result: bytes = page.pdf(
        prefer_css_page_size=True, print_background=True, outline=True, tagged=True
    )
    context.close()
    return result


def begins(pdf: bytes) -> dict[str, int]:
    """On which sheet, from 1, each page of the site begins."""
    from pypdf import PdfReader

    reader = PdfReader(BytesIO(pdf))
    places = {name.lstrip("/"): each for name, each in reader.named_destinations.items()}
    sheets = {name: reader.get_destination_page_number(each) for name, each in places.items()}
    return {name: sheet + 1 for name, sheet in sheets.items() if sheet is not None}


def name_bookmarks(writer: Any, html: str) -> None:
    """Give each bookmark the text of its heading, which Chromium joins without blanks where a line
    ends, and fold those below chapters."""
    from pypdf.generic import NameObject, NumberObject, TextStringObject

    headings = BeautifulSoup(html, "html.parser").select("h1, h2, h3, h4, h5, h6")
    texts = iter([" ".join(one.get_text().split()) for one in headings])

    def walk(item: Any, depth: int) -> None:
        while item is not None:
            node = item.get_object()
            said = "".join(str(node["/Title"]).split())
            text = next((one for one in texts if "".join(one.split()) in said), None)
            if text is None:
                raise InputError(f"bookmark {node['/Title']!r} belongs to no heading of the book")
            node[NameObject("/Title")] = TextStringObject(text)
            if "/Count" in node and depth:
                node[NameObject("/Count")] = NumberObject(-abs(node["/Count"]))
            if "/First" in node:
                walk(node["/First"], depth + 1)
            item = node.get("/Next")

    walk(writer.root_object["/Outlines"]["/First"], 1)


def named(pdf: bytes, html: str, about: Mapping[str, str]) -> bytes:
    """The PDF of the document ``html`` with the texts of its headings as bookmarks, its title and
    its authors."""
    from pypdf import PdfWriter

    writer, output = PdfWriter(clone_from=BytesIO(pdf)), BytesIO()
    name_bookmarks(writer, html)
    writer.add_metadata({"/Title": about["title"], "/Author": about["authors"]})
    writer.write(output)
    return output.getvalue()


def make(site: Path, output: Path, about: Mapping[str, str], chromium: str) -> int:
    """Print the book of a built site into ``output``; the number of its sheets."""
    from playwright.sync_api import sync_playwright
    from pypdf import PdfReader

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        first = printed(browser, site, document(site, about, {}))
        html = document(site, about, begins(first))
        finished = named(printed(browser, site, html), html, about)
        browser.close()
    part = output.with_name(f".{output.name}")
    part.write_bytes(finished)
    part.replace(output)
    return len(PdfReader(BytesIO(finished)).pages)


def show_link(site: Path) -> None:
    """Let the page *Cite and download* show its link to the PDF."""
    page = site / "book" / "cite-and-download.html"
    text = page.read_text(encoding="utf-8")
    write_whole(page, text.replace('<p class="book-pdf" hidden', '<p class="book-pdf"'))


def main() -> int:
    """Command line: the PDF of one profile's built site, inside it."""
    from site_builder import site_folder

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="default", help="a name, or a file PATH.yaml")
    given = parser.parse_args()
    begin = time.perf_counter()
    try:
        profile = profiles.read(given.profile)
        site = site_folder(profile.name)
        if not (site / f"{FIRST}.html").is_file():
            raise InputError(f"no site in {site}: build it first, make book PROFILE={profile.name}")
        wanted = (os.environ.get("CHROMIUM"), *BROWSERS)
        chromium = next(filter(None, (shutil.which(name) for name in wanted if name)), None)
        if not chromium:
            raise InputError("no Chromium: install the package chromium, or set CHROMIUM")
        book = citation.cited()
        about = {
            "title": book["title"],
            "authors": ", ".join(one["name"] for one in book["authors"]),
            "about": " ".join(book["abstract"].split()),
            "edition": citation.edition(Grid(profile, ROOT / "results" / profile.name, {})),
        }
        sheets = make(site, site / citation.PDF, about, chromium)
        show_link(site)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{sheets} pages in {time.perf_counter() - begin:.0f} s: {site / citation.PDF}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
