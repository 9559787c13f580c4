"""The code of a chapter's page: in one fold at its end, each piece under the heading it served."""

import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
PYTHON = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}


def cell(code, shows="", tag="hide-input"):
    printed = [nbformat.v4.new_output("display_data", {"text/markdown": shows})] if shows else []
    return nbformat.v4.new_code_cell(code, outputs=printed, metadata={"tags": [tag]})


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Sphinx's page of a small notebook, and what it offers as the notebook."""
    folder = tmp_path_factory.mktemp("page")
    text = nbformat.v4.new_markdown_cell
    cells = [
        text("# Title"),
        cell("parameter = 1"),
        cell("first", "**The answer**"),
        text("## Part $x$"),
        cell("second", "a figure"),
        cell("third", "a table"),
        cell("taught", tag="show-input"),
    ]
    source = folder / "index.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=PYTHON), source)
    sys.path.insert(0, str(ROOT / "book" / "_extensions"))
    settings = {
        "extensions": ["myst_nb", "page_code"],
        "nb_execution_mode": "off",
        "myst_enable_extensions": ["dollarmath"],
        "html_sourcelink_suffix": "",
    }
    places = (str(folder), None, str(folder / "out"), str(folder / "trees"), "html")
    Sphinx(*places, settings, status=None, warning=None).build()
    sys.path.remove(str(ROOT / "book" / "_extensions"))
    page = BeautifulSoup((folder / "out" / "index.html").read_text(), "html.parser")
    offered = folder / "out" / "_sources" / "index.ipynb"
    return page.select_one("[role=main]"), source.read_text(), offered.read_text()


def test_the_code_stands_at_the_end_in_order_with_links_to_its_headings(built):
    page, *_ = built
    fold = page.select_one("details#page-code")
    assert fold.find_next("h2") is None
    assert [each.get_text().split() for each in fold.select("pre")] == [
        ["parameter", "=", "1"], ["first"], ["second"], ["third"],
    ]  # fmt: skip
    title, part = fold.select("p > a")
    assert page.select_one(title["href"]).h1
    assert page.select_one(part["href"]).h2
    assert part.select_one(".math")
    assert part.find_next("pre").get_text().strip() == "second"


def test_what_cells_show_stays_and_code_that_is_taught_too(built):
    page, *_ = built
    fold = page.select_one("details#page-code").extract()
    assert [pre.get_text().strip() for pre in page.select("pre")] == ["taught"]
    shown = page.get_text()
    assert shown.index("The answer") < shown.index("Part") < shown.index("a figure")
    assert not fold.select(".cell_output")
    assert all(each.get_text().strip() for each in page.select("div.cell"))


def test_the_notebook_that_the_page_offers_is_unchanged(built):
    _, source, offered = built
    assert offered == source


def test_the_book_moves_its_code():
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert settings["sphinx"]["local_extensions"]["page_code"] == "book/_extensions"
