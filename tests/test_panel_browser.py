"""The panel in Chromium: what it shows, against the theory in Python, while its sliders move."""

import functools
import http.server
import re
import shutil
import threading
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from test_browser import Silent, Visit, browser  # noqa: F401 (a fixture)

from chapters.representation_analysis.panel import sentences, softmax_panel
from chapters.representation_analysis.panel_model import (
    SIZES,
    TEMPERATURES,
    direction,
    outline,
    readings,
    touched_choices,
)
from reporting.figures import STYLES, Figure, FigureOutput, Line, Panel

pytestmark = pytest.mark.browser

STATIC = Path(__file__).parents[1] / "book" / "_static"
SCRIPTS = ("figures.js", "panel-model.js", "panel.js")
VOCABULARY = 3000
TOUCHED = touched_choices(VOCABULARY)
STATE = outline(
    torch.from_numpy(10 + 4 * np.random.default_rng(5).standard_normal(VOCABULARY)), 64, 64
)
TOKENS = ["Ja", " the", "<b>", "\n", "A", "B", "C", "D"]
READINGS = ("angular", "theorem_2", "bounded", "kl", "theorem_3", "logit", "logit_centred")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A server over one page for each theme: a panel, and a figure beside it on one of them."""
    folder = tmp_path_factory.mktemp("panel")
    for name in (*SCRIPTS, "figures.css", "panel.css"):
        shutil.copy(STATIC / name, folder)
    shutil.copy(str(resources.files("plotly") / "package_data" / "plotly.min.js"), folder)
    panel = softmax_panel(
        STATE, name="my-panel", title="T", caption="C", provenance={"run": "r"}, tokens=TOKENS
    )
    drawn = Panel(
        title="P",
        lines=[Line(x=[0, 1], mean=[0, 1], look=STYLES["logit"], label="l")],
        x_label="x",
        y_label="y",
    )
    data = readings(STATE, sizes=[1.0])
    figure = FigureOutput(
        Figure(name="other", title="T", caption="C", alt="a", panels=[drawn], data=data)
    )
    scripts = "".join(f'<script src="{name}"></script>' for name in SCRIPTS)
    for theme, ground, ink in (("light", "#fff", "#323232"), ("dark", "#14181e", "#ced6dd")):
        for name, extra in ((theme, ""), (f"{theme}-both", figure._repr_html_())):
            (folder / f"{name}.html").write_text(
                f'<!doctype html><html lang="en" data-theme="{theme}"><meta charset="utf-8">'
                f'<meta name="viewport" content="width=device-width, initial-scale=1">'
                f'<title>t</title><link rel="icon" href="data:,">'
                f'<link rel="stylesheet" href="figures.css">'
                f'<link rel="stylesheet" href="panel.css">'
                f"<style>html {{ --pst-color-text-base: {ink}; background: {ground} }}</style>"
                f"{scripts}{extra}{panel._repr_html_()}</html>"
            )
    handler = functools.partial(Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def wait_until_drawn(page, size, touched, temperature, seed):
    wanted = f"{seed} {touched} {temperature:g} {size:g}"
    page.wait_for_selector(f'figure.book-panel[data-drawn="{wanted}"]')


def check(page, size=1.0, touched=VOCABULARY, temperature=1.0, seed=0):
    """Everything that the panel shows for one setting is what Python computes."""
    wait_until_drawn(page, size, touched, temperature, seed)
    truth = readings(STATE, sizes=[size], touched=touched, temperature=temperature, seed=seed).iloc[
        0
    ]
    for name in READINGS:
        shown = page.locator(f'.panel-words [data-reading="{name}"]')
        value = float(shown.get_attribute("value"))
        assert value == pytest.approx(truth[name], rel=1e-6, abs=1e-13), name
    words = page.locator(".panel-words p").all_inner_texts()
    assert words == [re.sub("<[^>]*>", "", sentence) for sentence in sentences(truth.to_dict())]
    z = STATE.logits()
    moved = z + size * direction(VOCABULARY, touched, seed)
    before, after = (torch.softmax(x / temperature, -1)[:8] for x in (z, moved))
    rows = page.locator(".panel-tokens li").all_inner_texts()
    shares = [[float(part) for part in re.findall(r"([\d.]+)%", row)] for row in rows]
    expected = torch.stack((before, after), dim=-1)
    expected = torch.cat((expected, 1 - expected.sum(0, keepdim=True)))
    assert np.array(shares) == pytest.approx(100 * expected.numpy(), abs=0.051)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_sliders_move_truth_and_estimates(browser, address, theme):  # noqa: F811
    with Visit(browser, address, f"{theme}.html", 390) as visit:
        page = visit.page
        check(page)
        size, spread, heat = (
            page.get_by_role("slider", name=name)
            for name in ("Size of Δz", "Spread of Δz", "Temperature T")
        )
        size.focus()
        page.keyboard.press("ArrowRight")
        check(page, size=SIZES[SIZES.index(1.0) + 1])
        page.keyboard.press("End")
        check(page, size=10.0)
        assert size.get_attribute("aria-valuetext") == "10 in logits"
        page.keyboard.press("Tab")
        page.keyboard.press("Home")
        check(page, size=10.0, touched=1)
        assert spread.get_attribute("aria-valuetext") == "1 of 3,000 tokens"
        page.keyboard.press("Tab")
        page.keyboard.press("Home")
        check(page, size=10.0, touched=1, temperature=0.25)
        assert heat.get_attribute("aria-valuetext") == "T = 0.25"
        page.get_by_role("button", name="Another Δz").press("Enter")
        check(page, size=10.0, touched=1, temperature=0.25, seed=1)
        for step, touched in ((0, 10), (12, 100), (25, 1000), (47, VOCABULARY)):
            for temperature in (TEMPERATURES[0], 1.0, TEMPERATURES[-1]):
                size.fill(str(step))
                spread.fill(str(TOUCHED.index(touched)))
                heat.fill(str(TEMPERATURES.index(temperature)))
                check(page, SIZES[step], touched, temperature, seed=1)
        page.get_by_role("button", name="Another Δz").click()
        check(page, SIZES[47], VOCABULARY, TEMPERATURES[-1], seed=2)
        assert page.locator(".panel-draw output").inner_text() == "draw 3"
        assert visit.complaints == []
        assert visit.foreign == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1000])
def test_panel_fits_the_screen_and_the_theme(browser, address, width, theme):  # noqa: F811
    with Visit(browser, address, f"{theme}.html", width) as visit:
        page = visit.page
        check(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        titles = page.locator(".panel-plot .g-xtitle, .panel-plot .g-x2title")
        assert titles.all_text_contents() == ["size of Δz (logit units)"] * 2
        heights = [titles.nth(index).bounding_box()["y"] for index in range(2)]
        side_by_side = heights[0] == pytest.approx(heights[1], abs=40)
        assert side_by_side == (width == 1000)
        label = page.locator(".panel-plot").get_attribute("aria-label")
        assert label.startswith("Two charts")
        for slider in page.locator("input[type=range]").all():
            assert slider.bounding_box()["height"] >= 44
        colour = (
            page.locator(".panel-plot .xtick text")
            .first.evaluate("node => getComputedStyle(node).fill")
            .strip("rgb()")
        )
        brightness = sum(int(part) for part in colour.split(",")[:3]) / 3
        assert (brightness > 140) == (theme == "dark")
        assert page.locator(".panel-static").is_hidden()
        page.evaluate("document.documentElement.style.setProperty('--pst-color-text-base', '#fff')")
        page.evaluate("document.documentElement.dataset.theme = 'other'")
        page.wait_for_function(
            "getComputedStyle(document.querySelector('.panel-plot .xtick text')).fill"
            " === 'rgb(255, 255, 255)'"
        )
        assert visit.complaints == []


def test_touch_moves_a_slider(browser, address):  # noqa: F811
    with Visit(browser, address, "light.html", 390, has_touch=True) as visit:
        check(visit.page)
        slider = visit.page.get_by_role("slider", name="Size of Δz")
        box = slider.bounding_box()
        slider.tap(position={"x": box["width"] - 10, "y": box["height"] / 2})
        check(visit.page, size=10.0)


def test_plotly_is_loaded_once_beside_figures(browser, address):  # noqa: F811
    with Visit(browser, address, "light-both.html") as visit:
        check(visit.page)
        visit.page.wait_for_selector("html.figures-ready")
        assert visit.page.locator('script[src*="plotly"]').count() == 1
        assert visit.complaints == []


def test_without_scripts_and_in_print_the_picture_stands(browser, address):  # noqa: F811
    with Visit(browser, address, "light.html", 390, java_script_enabled=False) as visit:
        assert visit.page.locator(".panel-static svg.figure-picture").is_visible()
        assert visit.page.locator("input[type=range]").first.is_hidden()
        assert "KL(p‖q) is" in visit.page.locator(".panel-static").inner_text()
    with Visit(browser, address, "light.html") as visit:
        check(visit.page)
        visit.page.emulate_media(media="print")
        assert visit.page.locator(".panel-static svg.figure-picture").is_visible()
        assert visit.page.locator("input[type=range]").first.is_hidden()


def test_broken_data_leaves_the_picture(browser, address):  # noqa: F811
    with Visit(browser, address, "light.html") as visit:
        check(visit.page)
        visit.page.route(
            "**/light.html",
            lambda route: route.fulfill(
                body=route.fetch().text().replace('"ranks"', '"broken"'), content_type="text/html"
            ),
        )
        visit.page.reload()
        visit.page.wait_for_load_state("networkidle")
        assert visit.page.locator(".panel-static svg.figure-picture").is_visible()
        assert visit.page.locator("input[type=range]").first.is_hidden()
        assert visit.complaints == []
