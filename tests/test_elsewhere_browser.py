"""The book elsewhere, in Chromium: what is copied, downloaded, searched and printed."""

import json
import re
import sys
from io import BytesIO
from pathlib import Path
from urllib.parse import urljoin

import pytest
from test_browser import ROOT, SITES, Visit, address, browser

sys.path.insert(0, str(ROOT / "workflow"))

from pages import citation, pdf

__all__ = ["address", "browser"]  # fixtures
pytestmark = pytest.mark.browser
PAGE = "book/cite-and-download.html"
LAUNCHED = ".dropdown-launch-buttons a"


def test_bibtex_is_copied_with_a_button(browser, address):
    granted = ["clipboard-read", "clipboard-write"]
    with Visit(browser, address, PAGE, permissions=granted) as visit:
        for block in visit.page.locator("div.highlight-bibtex").all():
            block.hover()
            block.locator("button.copybtn").click()
            copied = visit.page.evaluate("navigator.clipboard.readText()")
            assert copied.strip() == block.locator("pre").inner_text().strip()
            assert copied.startswith("@")
        assert "arXiv" in copied
        assert visit.complaints == visit.foreign == []


def test_every_chapter_can_be_downloaded(browser, address):
    with Visit(browser, address, PAGE) as visit:
        links = visit.page.locator("article a[download]:visible")
        found = [urljoin(visit.page.url, str(link.get_attribute("href"))) for link in links.all()]
        assert len([link for link in found if link.endswith(".ipynb")]) >= 20
        for link in found:
            answer = visit.page.request.get(link)
            assert answer.ok, link
            if link.endswith(".ipynb"):
                node = json.loads(answer.text())
                assert node["metadata"]["edition"].startswith("profile ")
                assert any(cell.get("outputs") for cell in node["cells"])
            elif link.endswith(".md"):
                assert answer.text().startswith("---\njupytext:")


@pytest.mark.parametrize("word", ["perplexity", "Wanda"])
def test_the_site_is_searched_without_another_host(browser, address, word):
    with Visit(browser, address, f"search.html?q={word}") as visit:
        results = visit.page.locator("#search-results li a")
        results.first.wait_for()
        assert results.count() >= 3
        assert visit.complaints == visit.foreign == []


def test_buttons_lead_to_the_chapter_or_are_not_there(browser, address):
    """A site that does not know its repository has none; else each chapter has all."""
    with Visit(browser, address, PAGE) as visit:
        known = visit.page.locator("article a", has_text="Colab").count() > 0
    for name in ("ladder", "05-hierarchical-effects"):
        with Visit(browser, address, f"notebooks/{name}.html") as visit:
            links = visit.page.locator(LAUNCHED).evaluate_all("all => all.map(one => one.href)")
            assert len(links) == (2 if known else 0)
            assert all(link.endswith(f"notebooks/{name}.ipynb") for link in links)
            assert visit.page.locator(".btn-source-repository-button").count() == known
            assert visit.foreign == []


def test_a_book_is_printed_with_numbers_links_and_bookmarks(browser, tmp_path):
    """A site of three pages, each of another length; what is on a sheet is read back from it."""
    pypdf = pytest.importorskip("pypdf")
    (tmp_path / "book").mkdir()
    nav = (
        '<nav class="bd-links"><p class="caption">Part one</p>'
        '<a class="reference internal" href="one.html">1</a>'
        '<a class="reference internal" href="two.html">2</a></nav>'
    )
    for name, words in (("index", "start"), ("one", "first " * 2500), ("two", "second " * 900)):
        (tmp_path / "book" / f"{name}.html").write_text(
            f"<html><body>{nav}<article>"
            f'<h1 id="top">Title of {name}<a class="headerlink">#</a></h1>'
            f"<p>{words}</p><details><summary>Fold</summary>within {name}</details>"
            '<div class="figure-interactive">only on screen</div>'
            f'<h2 id="end">End of {name}</h2><a href="two.html#end">to the end</a>'
            '<a href="gone.zip">to a file</a></article></body></html>'
        )
    about = {"title": "A title", "authors": "Somebody"}
    first = pdf.printed(browser, tmp_path, pdf.document(tmp_path, about, {}))
    numbers = pdf.begins(first)
    html = pdf.document(tmp_path, about, numbers)
    reader = pypdf.PdfReader(BytesIO(pdf.named(pdf.printed(browser, tmp_path, html), html, about)))
    sheets = [sheet.extract_text() for sheet in reader.pages]
    for name in ("index", "one", "two"):
        begin = numbers[f"book-{name}"]
        assert f"Title of {name}" in sheets[begin - 1]
        assert re.search(rf"Title of {name}\s+{begin}\b", sheets[1]), "contents"
        assert re.search(rf"^{begin}$", sheets[begin - 1], re.MULTILINE), "number at the foot"
        assert any(f"within {name}" in sheet for sheet in sheets), "folds are open"
    assert numbers["book-two"] > numbers["book-one"] + 1
    assert "only on screen" not in "".join(sheets)
    marks = [mark.title for mark in reader.outline if not isinstance(mark, list)]
    assert marks == ["Title of index", "Title of one", "Title of two"]
    assert reader.metadata.title == "A title"
    linked = [note.get_object() for sheet in reader.pages for note in sheet.get("/Annots", ())]
    assert {str(note.get("/Dest", "")) for note in linked} >= {"/book-one", "/book-two--end"}
    assert not any("gone.zip" in str(note) for note in linked)


@pytest.mark.parametrize("site", SITES.values(), ids=SITES)
def test_a_printed_book_is_linked_and_holds_every_page(site: Path):
    pypdf = pytest.importorskip("pypdf")
    printed = site / citation.PDF
    shown = '<p class="book-pdf" hidden' not in (site / PAGE).read_text()
    assert printed.is_file() == shown
    if not printed.is_file():
        pytest.skip("not printed: make pdf")
    reader = pypdf.PdfReader(printed)
    marks = [mark.title for mark in reader.outline if not isinstance(mark, list)]
    assert len(marks) == len(pdf.pages(site))
    assert "\\(" not in "".join(sheet.extract_text() for sheet in reader.pages)
