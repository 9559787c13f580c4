"""The chooser: many figures in one block, small, complete, and alike in Python and in the page."""

import base64
import io
import json
import math
import os
import re
import shutil
import urllib.parse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import playwright.sync_api
import pytest

from reporting.figures import chooser, lines
from reporting.figures.interactive import plot
from reporting.figures.layout import key

ROOT = Path(__file__).parents[1]
WORDS = {"provenance": {"run": "a1 b2", "model": "tiny <model>"}}
SPACES = ("embedding", "logit", "probability", "dense")


def made(layer, steps=5, **options):
    """Four panels of three lines each, with a missing value and a name to be escaped."""
    numbers = np.random.default_rng(layer)
    rows = [
        {
            "panel": f"Panel {space}",
            "series": series,
            "x": step,
            "mean": math.nan if step == 2 else float(numbers.integers(1, 999)) * 1e-6,
            "low": 1e-6 * (1 + step) if quantity == "measured" and step != 3 else math.nan,
            "high": 2e-3 * (1 + layer) if quantity == "measured" else math.nan,
            "n": 3 + step % 2,
            "space": space,
            "quantity": quantity,
        }
        for space in SPACES
        for series, quantity in (
            ("measured", "measured"),
            ("a <&> b", "theorem"),
            ('the "c", d', "exact"),
        )
        for step in range(steps)
    ]
    return lines(
        pd.DataFrame(rows),
        name=f"layer-{layer}",
        title=f"Finding <{layer}>",
        caption=f"Layer {layer} & no other.",
        x_label="decoding step",
        y_label="1 − cos",
        **(WORDS | {"y_scale": "log"} | options),
    )


def few(output):
    """The same figure with one panel less."""
    return replace(output.figure, panels=output.figure.panels[1:])


def block(count=3, steps=5, **options):
    figures = {f"layer {index}": made(index, steps) for index in range(count)}
    return chooser(figures, **({"name": "layers", "label": "Layer"} | options))


def content(output):
    text = re.findall(r'<script type="application/json">(.*?)</script>', output.html, re.DOTALL)
    assert len(text) == 1
    return json.loads(text[0], parse_constant=lambda word: pytest.fail(word))


def test_the_page_gets_one_figure_with_labelled_controls_and_one_picture():
    html = block(default="layer 1").html
    assert html.count("<figure") == html.count('class="book-figure ') == 1
    assert html.count('class="figure-picture"') == 1
    assert '<label for="layers-choice">Layer</label> <select id="layers-choice"' in html
    assert '<option value="1" selected>layer 1</option>' in html
    assert re.findall(r'<button type="button"[^>]*aria-label="([^"]+)"', html) == [
        "previous layer",
        "next layer",
    ]
    assert "Finding &lt;1&gt;</p>" in html
    assert "Layer 1 &amp; no other." in html
    assert not re.search(r"\bnan\b", html, re.IGNORECASE)
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert block(default="layer 1").html == html


def test_every_choice_is_whole_again():
    stored = content(block(default="layer 2"))
    choices = stored["choices"]
    assert stored["default"] == 2
    assert [choice["choice"] for choice in choices] == ["layer 0", "layer 1", "layer 2"]
    assert [choice["title"] for choice in choices] == ["Finding <0>", "Finding <1>", "Finding <2>"]
    for index, choice in enumerate(choices):
        figure = made(index).figure
        assert choice["alt"] == figure.alt
        assert choice["plot"]["data"] == plot(figure)["data"]


def test_one_y_range_for_all_choices_unless_told_otherwise():
    def ranges(output):
        choices = content(output)["choices"]
        return [choice["plot"]["layout"]["yaxis"]["range"] for choice in choices]

    shared, own = ranges(block()), ranges(block(shared_y=False))
    assert len({tuple(limits) for limits in shared}) == 1
    assert len({tuple(limits) for limits in own}) > 1
    assert shared[0][1] == pytest.approx(max(high for _, high in own))


def test_several_lists_offer_every_combination():
    figures = {
        (way, size): made(3 * at + step)
        for at, way in enumerate("ab")
        for step, size in enumerate("123")
    }
    given = {"name": "ways", "label": ("Way", "Size"), "default": ("b", "2")}
    html = chooser(figures, **given).html
    assert re.findall(r'<label for="([^"]+)">([^<]+)</label>', html) == [
        ("ways-choice", "Way"),
        ("ways-2-choice", "Size"),
    ]
    assert html.count("data-step") == 2  # of the longer list alone
    stored = content(chooser(figures, **given))
    assert [choice["choice"] for choice in stored["choices"]][3:] == ["b, 1", "b, 2", "b, 3"]
    assert stored["default"] == 4
    shuffled = chooser(dict(reversed(figures.items())), **given)
    assert {one["choice"]: one["title"] for one in content(shuffled)["choices"]} == {
        ", ".join(names): each.figure.title for names, each in figures.items()
    }
    with pytest.raises(ValueError, match="a combination of Way, Size has no figure"):
        chooser(dict(list(figures.items())[1:]), **given)


def test_views_on_other_scales_keep_their_own_ranges():
    views = {"log": made(0), "linear": made(1, y_scale="linear"), "log too": made(2)}
    axes = [
        each["plot"]["layout"]["yaxis"]
        for each in content(chooser(views, name="a", label="A"))["choices"]
    ]
    assert [axis["type"] for axis in axes] == ["log", "linear", "log"]
    assert axes[0]["range"] == axes[2]["range"]


def test_what_a_log_axis_has_no_place_for_is_marked_and_downloaded_in_every_choice():
    zero = made(0)
    frame = zero.figure.data.assign(mean=lambda each: each["mean"].where(each["x"] > 0, 0.0))
    axes = {"x_label": "step", "y_label": "y", "y_scale": "log", "title": "t", "caption": "c"}
    figures = {"a": lines(frame, name="zero", **axes, **WORDS), "b": zero}
    output = chooser(figures, name="zero", label="Figure")
    axis = content(output)["choices"][0]["plot"]["layout"]["yaxis"]
    assert axis["ticktext"][0] == "≤ 0"
    text = re.findall(r'href="data:text/csv;base64,([^"]+)"', output.html)[0]
    back = pd.read_csv(io.StringIO(base64.b64decode(text).decode()), comment="#")
    assert set(back.loc[back["x"].eq(0), "y"]) == {0.0}


def test_sixty_layers_stay_below_three_megabytes():
    few, more = (len(block(count, 64).html.encode()) for count in (2, 6))
    assert few + (more - few) / 4 * 58 < 3_000_000


def test_download_without_scripts_holds_the_default_choice():
    html = block(default="layer 1").html
    name, text = re.findall(r'download="([^"]+)" href="data:text/csv;base64,([^"]+)"', html)[0]
    assert name == "layers-layer-1-a1-b2.csv"
    lines = base64.b64decode(text).decode()
    assert "# title: Finding <1>\n" in lines
    back = pd.read_csv(io.StringIO(lines), comment="#")
    assert len(back) == 4 * 3 * 5
    expected = made(1).figure.data
    np.testing.assert_allclose(
        np.sort(back["y"].dropna()), np.sort(expected["mean"].dropna()), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: block(default="layer 9"), "'layer 9' is not among the choices"),
        (lambda: chooser({}, name="a", label="A"), "not among the choices"),
        (
            lambda: chooser({"a": made(0), "b": few(made(1))}, name="a", label="A"),
            "differ in their panels",
        ),
        (
            lambda: chooser({"a": made(0), "b": made(1, provenance={})}, name="a", label="A"),
            "different runs",
        ),
    ],
)
def test_bad_choices_are_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with the chooser alone, in Chromium, from a folder without a server."""
    import plotly
    from playwright.sync_api import sync_playwright

    folder = tmp_path_factory.mktemp("page")
    for name in ("figures.js", "figures.css"):
        shutil.copy(ROOT / "book" / "_static" / name, folder)
    shutil.copy(Path(plotly.__file__).parent / "package_data" / "plotly.min.js", folder)
    (folder / "page.html").write_text(
        '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        '<link rel="stylesheet" href="figures.css"><body>'
        f'{block(default="layer 1").html}<script src="figures.js"></script>'
    )
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not found:
        pytest.fail("no Chromium: install the package chromium, or set CHROMIUM")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which(found), args=["--no-sandbox", "--disable-gpu"]
        )
        yield lambda **options: opened(chromium, folder, options)
        chromium.close()


def opened(chromium, folder, options):
    width = options.pop("width", 1000)
    shown = chromium.new_page(viewport={"width": width, "height": 900}, **options)
    shown.complaints = []
    shown.on("pageerror", lambda error: shown.complaints.append(str(error)))
    shown.on("console", lambda message: shown.complaints.append(message.text))
    shown.goto(f"file://{folder}/page.html")
    if options.get("java_script_enabled", True):
        shown.wait_for_selector("html.figures-ready")
    return shown


def drawn(shown):
    return shown.evaluate("document.querySelector('.js-plotly-plot').data")


def wait_for_title(shown, title):
    shown.wait_for_function(
        "title => document.querySelector('.figure-title').textContent === title", arg=title
    )


@pytest.mark.browser
def test_the_page_rebuilds_what_python_would_have_drawn(page):
    shown = page()
    for index in (1, 0):
        shown.select_option("#layers-choice", str(index))
        wait_for_title(shown, f"Finding <{index}>")
        shown.wait_for_function(
            "value => document.querySelector('.js-plotly-plot').data[1].y[0] === value",
            arg=plot(made(index).figure)["data"][1]["y"][0],
        )
        expected = plot(made(index).figure)["data"]
        for have, want in zip(drawn(shown), expected, strict=True):
            for name in ("x", "y", "mode", "line", "marker", "xaxis", "yaxis", "customdata"):
                assert have.get(name) == want.get(name), (want.get("name"), name)
    assert shown.complaints == []


@pytest.mark.browser
def test_keyboard_and_buttons_change_all_the_words(page):
    shown = page(width=390)
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390
    shown.focus("#layers-choice")
    shown.keyboard.press("ArrowDown")
    wait_for_title(shown, "Finding <2>")
    figure = made(2).figure
    assert shown.inner_text(".figure-note") == figure.caption
    assert shown.get_attribute(".figure-interactive", "aria-label") == figure.alt
    assert [text.strip() for text in shown.locator(".figure-key li").all_inner_texts()] == [
        entry.text for entry in key(figure)
    ]
    assert shown.get_attribute("[data-step='1']", "aria-disabled") == "true"
    shown.keyboard.press("Tab")
    shown.keyboard.press("Enter")  # previous
    wait_for_title(shown, "Finding <1>")
    assert shown.input_value("#layers-choice") == "1"
    shown.click("[data-step='1']")
    shown.click("[data-step='1']", force=True)  # there is no next one any more
    wait_for_title(shown, "Finding <2>")
    name = shown.get_attribute(".figure-download", "download")
    assert name == "layers-layer-2-a1-b2.csv"
    address = shown.get_attribute(".figure-download", "href")
    text = urllib.parse.unquote(address.split(",", 1)[1])
    back = pd.read_csv(io.StringIO(text), comment="#")
    assert text.startswith("# figure: layers\n# title: Finding <2>\n# run: a1 b2\n")
    assert set(back["choice"]) == {"layer 2"}
    assert set(back["series"]) == {"measured", "a <&> b", 'the "c", d'}
    np.testing.assert_allclose(
        np.sort(back["y"].dropna()), np.sort(figure.data["mean"].dropna()), rtol=1e-5
    )
    assert shown.complaints == []


@pytest.mark.browser
def test_download_is_the_same_with_and_without_scripts(page):
    html = block(default="layer 1").html
    stored = re.findall(r"data:text/csv;base64,([^\"]+)", html)[0]
    address = page().get_attribute(".figure-download", "href")
    texts = [base64.b64decode(stored).decode(), urllib.parse.unquote(address.split(",", 1)[1])]
    first, second = (pd.read_csv(io.StringIO(text), comment="#") for text in texts)
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.browser
def test_on_paper_and_without_scripts_stands_the_default(page):
    shown = page()
    shown.click("[data-step='1']")
    wait_for_title(shown, "Finding <2>")
    shown.emulate_media(media="print")
    wait_for_title(shown, "Finding <1>")
    assert shown.locator(".figure-static svg").is_visible()
    assert shown.locator(".figure-interactive").is_hidden()
    assert shown.locator(".figure-chooser").is_hidden()
    shown.emulate_media(media="screen")
    wait_for_title(shown, "Finding <2>")
    plain = page(java_script_enabled=False)
    assert plain.locator(".figure-static svg").is_visible()
    assert plain.locator(".figure-chooser").is_hidden()
    assert plain.inner_text(".figure-title") == "Finding <1>"


@pytest.mark.browser
def test_the_plot_follows_the_theme_and_the_width(page):
    shown = page()
    tick, labels = shown.locator(".xtick text").first, shown.locator(".annotation-text")
    wide = labels.count()
    shown.evaluate(
        "() => { document.querySelector('.book-figure').style.color = 'rgb(200, 10, 20)';"
        "document.documentElement.dataset.theme = 'dark'; }"
    )
    playwright.sync_api.expect(tick).to_have_css("fill", "rgb(200, 10, 20)")
    shown.set_viewport_size({"width": 390, "height": 900})
    playwright.sync_api.expect(labels).to_have_count(4)  # the headings alone
    assert shown.locator(".figure-key li").first.is_visible()
    assert wide > 4
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390
    assert shown.complaints == []


@pytest.mark.browser
def test_a_point_tells_its_numbers_and_what_it_lacks(page):
    shown = page()
    for point, words in ((1, "low 2×10⁻⁶, high 0.004"), (3, "no low and high")):
        shown.evaluate(
            "point => { const plot = document.querySelector('.js-plotly-plot');"
            "const curve = plot.data.findIndex((trace) => trace.name === 'measured');"
            "window.Plotly.Fx.hover(plot, [{ curveNumber: curve, pointNumber: point }], 'xy'); }",
            point,
        )
        playwright.sync_api.expect(shown.locator(".hoverlayer")).to_contain_text(words)
        shown.wait_for_timeout(300)  # Plotly leaves out what comes too soon after another
    assert shown.complaints == []
