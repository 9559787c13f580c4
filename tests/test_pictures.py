"""One picture of each kind of figure, as Chromium draws it at two widths, beside a stored one.

The stored pictures in ``tests/pictures`` are small and grey: they hold where things stand, not how
letters are drawn. ``pytest tests/test_pictures.py --keep`` writes them anew; look at them.
"""

import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import plotly
import pytest
from PIL import Image
from test_browser import browser  # noqa: F401

from chapters.inconsistent_effects.score_matrix import score_matrix
from chapters.probes.figure_paired_probes import paired_probes
from chapters.pruning_by_hand.matrices import Matrix, matrices
from reporting.figures import Reference, chooser, lines

ROOT = Path(__file__).parents[1]
PICTURES = Path(__file__).parent / "pictures"
FILES = ("figures.css", "book.css", "pictures.js", "figures.js")
WIDTHS = (1280, 390)
CELL = 4  # pixels of the page in a pixel of a stored picture, across and down
SHADE = 30  # of 255: less is a letter that another machine draws otherwise
MOST = 0.01  # share of pixels that may differ by more
WORDS = {"title": "What is found", "caption": "What was done.", "provenance": {"run": "a1"}}


def curves(**changes):
    """Two panels of three spaces with bands, and a reported line in each."""
    x = np.arange(12)
    frame = pd.concat(
        pd.DataFrame(
            {
                **{"panel": panel, "series": space, "space": space, "x": x},
                "mean": size * (1.5 + np.sin(x / 2 + place)),
            }
        )
        for panel in ("Attention", "MLP")
        for place, (space, size) in enumerate(
            {"embedding": 1e-3, "logit": 1e-2, "probability": 0.1}.items()
        )
    )
    frame = frame.assign(low=0.8 * frame["mean"], high=1.3 * frame["mean"])
    frame.loc[frame["series"].eq("logit") & frame["x"].eq(4), ["mean", "low"]] = 0.0
    printed = frame[frame["space"].eq("embedding")].assign(series="reported, 7B")
    printed = printed.assign(mean=2 * printed["mean"], quantity="reported")
    axes = {"x_label": "layer", "y_label": "1 − cosine (log scale)", "y_scale": "log"}
    return lines(pd.concat([frame, printed]), name="curves", **WORDS, **axes | changes)


def cloud():
    numbers = np.random.default_rng(0)
    x = 10 ** numbers.uniform(-4, 0, 60)
    frame = pd.DataFrame({"panel": "Estimates", "series": "MLP", "space": "probability", "x": x})
    frame = frame.assign(mean=x * 10 ** numbers.normal(0, 0.2, len(x)))
    diagonal = [Reference(x=(1e-6, 10), y=(1e-6, 10), label="estimate = truth")]
    axes = {"x_label": "truth", "y_label": "estimate", "x_scale": "log", "y_scale": "log"}
    return lines(frame, name="cloud", cloud=True, references=diagonal, **axes, **WORDS)


def choices():
    figures = {
        (prompt, scale): curves(y_scale=scale)
        for prompt in ("MC1", "MC2", "MC3")
        for scale in ("log", "linear")
    }
    return chooser(figures, name="choices", label=("Prompt", "Scale"))


def grid():
    values = np.linspace(-2, 2, 32).reshape(4, 8)
    keep = np.abs(values) > 1
    steps = [Matrix("Before", values), Matrix("After", values * keep, keep)]
    return matrices({"Magnitude 50%": steps, "Wanda 50%": steps[::-1]}, name="grid", **WORDS)


def matrix():
    rows = [
        {
            **{"group": "Multiple choice", "task": task, "dense": "dense 0.70", "part": "MLP"},
            **{"setting": f"Drop-{dropped}M", "kept": 1 - dropped * place / 20},
            **{"low": 0.9 - dropped * place / 10, "high": 1.05 - dropped * place / 20},
            "state": "" if place < 3 else "at the dense model's floor",
        }
        for place, task in enumerate(("PIQA", "BoolQ", "MMLU", "ASDiv"))
        for dropped in (1, 2, 4)
    ]
    return score_matrix(pd.DataFrame(rows), name="matrix", **WORDS)


def rows():
    found = [
        {
            **{"panel": "With the beginning", "model": model, "form": form, "n": 40},
            **{"value": value - down, "low": value - down - 0.1, "high": value - down + 0.05},
        }
        for model, value in (("Dense", 0.95), ("Drop-2M", 0.9), ("Drop-4M", 0.8))
        for form, down in (("choice", 0.0), ("generation", 1.5 * (1 - value)))
    ]
    return paired_probes(pd.DataFrame(found), name="rows", **WORDS)


KINDS = {
    "curves": curves,
    "cloud": cloud,
    "choices": choices,
    "grid": grid,
    "matrix": matrix,
    "rows": rows,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a page of the site has beside it."""
    made = tmp_path_factory.mktemp("pictures")
    for name in FILES:
        shutil.copy(ROOT / "book" / "_static" / name, made)
    shutil.copy(Path(plotly.__file__).parent / "package_data" / "plotly.min.js", made)
    return made


@pytest.fixture
def seen(browser, folder):  # noqa: F811
    """The open page that shows a figure alone, at a width."""
    pages = []

    def opened(output, width):
        styles = "".join(f'<link rel="stylesheet" href="{each}">' for each in FILES[:2])
        scripts = "".join(f'<script src="{each}"></script>' for each in FILES[2:])
        (folder / "page.html").write_text(
            '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
            f'{styles}<body style="margin:16px;font-family:sans-serif;'
            f'--pst-sidebar-secondary:0px">{output._repr_html_()}{scripts}'
        )
        page = browser.new_page(viewport={"width": width, "height": 900})
        pages.append(page)
        page.goto(f"file://{folder}/page.html")
        if page.locator(".figure-interactive").count():
            page.wait_for_selector("html.figures-ready")
        return page

    yield opened
    for page in pages:
        page.close()


def small(shot: bytes) -> Image.Image:
    """A screenshot, grey, each pixel the mean of a few."""
    image = Image.open(io.BytesIO(shot)).convert("L")
    return image.resize((image.width // CELL, image.height // CELL), Image.Resampling.BOX)


def apart(one: Image.Image, other: Image.Image) -> float:
    """The share of pixels that differ; all of them if one is higher by more than a line."""
    if one.width != other.width or abs(one.height - other.height) > 24 / CELL:
        return 1.0
    height = min(one.height, other.height)
    a, b = (np.asarray(each, dtype=int)[:height] for each in (one, other))
    return float((np.abs(a - b) > SHADE).mean())


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_figure_looks_as_it_did(kind, width, seen, request):
    found = small(seen(KINDS[kind](), width).locator(".book-figure").screenshot())
    stored = PICTURES / f"{kind}-{width}.png"
    if request.config.getoption("--keep"):
        PICTURES.mkdir(exist_ok=True)
        found.save(stored, optimize=True)
        pytest.skip(f"{stored.name} is written anew")
    assert apart(found, Image.open(stored)) <= MOST


@pytest.mark.browser
@pytest.mark.parametrize(
    "changed",
    [
        lambda figure: replace(figure, panels=figure.panels[:1]),
        lambda figure: replace(figure, panels=[wider(each) for each in figure.panels]),
        lambda figure: replace(figure, panels=[fewer(each) for each in figure.panels]),
    ],
    ids=["a panel less", "another range", "a line less"],
)
def test_a_real_change_is_seen(changed, seen):
    stored = Image.open(PICTURES / "curves-1280.png")
    figure = replace(curves(), figure=changed(curves().figure))
    assert apart(small(seen(figure, 1280).locator(".book-figure").screenshot()), stored) > MOST


def wider(panel):
    return replace(panel, y_range=(1e-4, 1.0))


def fewer(panel):
    return replace(panel, lines=panel.lines[1:])


@pytest.mark.browser
def test_panels_stand_side_by_side_from_900_pixels_on(seen):
    def corners(width):
        return seen(curves(), width).evaluate(
            "() => { const { layout: l } = document.querySelector('.js-plotly-plot');"
            "return [l.xaxis, l.xaxis2].map((x) => x.domain[0]).concat("
            "[l.yaxis, l.yaxis2].map((y) => y.domain[1])); }"
        )

    left, right, above, beside = corners(940)
    assert (left < right, above == beside) == (True, True)
    left, right, above, below = corners(920)  # 32 of them around the figure
    assert (left == right, above > below) == (True, True)


@pytest.mark.browser
def test_lists_of_one_name_go_together_and_keys_work(seen):
    class Two:
        def _repr_html_(self):
            second = {(text,): curves() for text in ("log", "linear")}
            other = chooser(
                {text: each for (text,), each in second.items()}, name="other", label="Scale"
            )
            return choices().html + other.html

    page = seen(Two(), 1280)
    page.focus("#choices-2-choice")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.querySelector('#other-choice').selectedIndex === 1")
    page.select_option("#choices-choice", label="MC3")
    assert page.get_attribute(".figure-download", "download") == "choices-mc3-linear-a1.csv"
    page.select_option("#other-choice", label="log")
    page.wait_for_function("document.querySelector('#choices-2-choice').selectedIndex === 0")
    assert page.get_attribute(".figure-download", "download") == "choices-mc3-log-a1.csv"


@pytest.mark.browser
@pytest.mark.parametrize("form", ["svg", "png"])
def test_a_figure_is_kept_as_a_picture_with_its_title_and_key(form, seen):
    page = seen(choices(), 390)
    page.select_option("#choices-choice", label="MC2")
    with page.expect_download() as waiting:
        page.click(f'.figure-save[data-as="{form}"]')
    assert waiting.value.suggested_filename == f"choices-mc2-log-a1.{form}"
    content = Path(waiting.value.path()).read_bytes()
    if form == "png":
        image = Image.open(io.BytesIO(content))
        assert image.width == 2000
        assert image.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 24)}
        assert {(0, 114, 178), (213, 94, 0)} <= colours
        return
    text = content.decode()
    for word in ("What", "found", "probability", "reported,", "Attention", "MLP"):
        assert word in text
    shown = seen(Inline(text), 1280).locator("svg").first
    assert shown.bounding_box()["width"] == 1000


class Inline:
    def __init__(self, text):
        self.text = text

    def _repr_html_(self):
        return self.text
