"""What a page of the site loads: only what it shows."""

import json
import re
import shutil
import sys
from importlib import resources
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "workflow"), str(ROOT / "book" / "_extensions")]

import cards  # noqa: E402

from pages import lighter  # noqa: E402
from reporting import figures  # noqa: E402
from reporting.figures.interactive import plot  # noqa: E402

FRAME = pd.DataFrame(
    {"panel": "MLP", "series": "logit", "space": "logit", "x": [0, 1, 2], "mean": [1 / 3, 0.5, 1.0]}
)
ABOUT = {"title": "A <title>", "caption": "Drawn.", "y_label": "y", "provenance": {"run": "r-1"}}


def drawn(scale):
    words = ABOUT | {"x_label": "layer", "name": "layers"}
    return figures.lines(FRAME.assign(mean=FRAME["mean"] * scale), **words)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Two pages under the theme's real scripts, styles and fonts, made lighter."""
    site = tmp_path_factory.mktemp("site")
    theme = resources.files("pydata_sphinx_theme") / "theme" / "pydata_sphinx_theme" / "static"
    shutil.copytree(str(theme), site / "_static")
    chosen = {f"times {scale}": drawn(scale) for scale in (1, 2)}
    block = figures.chooser(chosen, name="layers", label="Scale", default="times 2").html
    head = (
        '<script src="../_static/searchtools.js"></script>\n<script src="../searchindex.js">'
        '</script><script src="../_static/ledger.js?v=1"></script><script src="../_static/mine.js">'
        '</script><i class="fa-solid fa-sun"></i>'
    )
    (site / "notebooks").mkdir()
    for name in ("notebooks/a", "search"):
        (site / f"{name}.html").write_text(f"<!doctype html>{head}{block}")
    lighter.lighten(site)
    return site


@pytest.fixture(scope="module")
def page(site):
    return BeautifulSoup((site / "notebooks" / "a.html").read_text(), "html.parser")


def test_plotted_values_become_a_file_with_the_same_values(site, page):
    link = page.select_one("a.figure-download")
    data = (site / "notebooks" / link["href"]).resolve()
    assert data.name == link["download"]
    values = pd.read_csv(StringIO(data.read_text()), comment="#")
    assert values["y"].tolist() == pytest.approx((FRAME["mean"] * 2).tolist(), rel=1e-5)


def test_plots_of_other_choices_are_in_a_script_of_their_own(site, page):
    stored = json.loads(page.select_one("script[type='application/json']").string)
    assert [("plot" in one) for one in stored["choices"]] == [False, True]
    script = (site / "notebooks" / stored["more"]).read_text()
    assert script.startswith('bookFigures.more("layers",[')
    assert script.endswith("]);")
    every = json.loads(script.removeprefix('bookFigures.more("layers",').removesuffix(");"))
    assert every[1] == stored["choices"][1]["plot"]
    first = json.loads(json.dumps(plot(drawn(1).figure)))["data"]
    assert [one["y"] for one in every[0]["data"]] == [one["y"] for one in first]


def test_scripts_are_on_the_pages_that_need_them(site, page):
    named = [one["src"] for one in page.select("script[src]")]
    assert named == ["../_static/mine.js"]
    assert "searchindex" in (site / "search.html").read_text()


def test_the_icons_that_are_shown_stay(site):
    script = (site / "_static/scripts/fontawesome.js").read_text()
    style = (site / "_static/styles/pydata-sphinx-theme.css").read_text()
    for name, stays in {"sun": True, "xmark": True, "ghost": False}.items():
        assert (f"{name}:[" in script or f'"{name}":[' in script) == stays
    assert ".fa-sun:before" in style
    assert ".fa-ghost" not in style
    assert "woff2" not in style
    font = TTFont(site / "_static/vendor/fontawesome/webfonts/fa-solid-900.ttf")
    assert 0xF105 in font.getBestCmap()  # the theme's angle
    assert len(font.getBestCmap()) < 40


def test_numbers_of_a_picture_are_rounded_where_they_are_places(page):
    picture = str(page.select_one(".figure-static svg"))
    assert not re.search(r' (?:d|x|y)="[^"]*\.\d\d', picture)
    assert "stroke-opacity: 0." in picture


def test_tables_of_pages_become_cards_where_cells_are_roomy():
    row = "<tr><td><p>h</p></td><td><p>{}</p></td><td>3</td></tr>"
    made = (
        '<table class="table"><thead><tr><th>symbol</th><th>stands\nfor</th><th>in</th></tr>'
        "</thead><tbody>{}</tbody></table>"
    )
    roomy = made.format(row.format("the state at one position of one text"))
    table = BeautifulSoup(cards.TABLE.sub(cards.labelled, f"<p>{roomy}</p>"), "html.parser").table
    assert table["class"] == ["table", "cards"]
    labels = [cell["data-label"] for cell in table.select("td")]
    assert labels == ["symbol", "stands for", "in"]
    short = made.format(row.format("the state"))
    assert cards.TABLE.sub(cards.labelled, short) == short
