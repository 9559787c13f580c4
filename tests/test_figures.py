"""Figures: both pictures draw the numbers of the frame, repeatable, escaped, citable, for all."""

import base64
import io
import json
import math
import re

import matplotlib
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from reporting.figures import STYLES, Figure, Line, Panel, badge, cosine_range, lines, table
from reporting.figures.interactive import plot, script_text
from reporting.figures.layout import HEADER, PANEL_HEIGHT, key, laid_out
from reporting.figures.static import WIDTH, svg

RUN = {"run": "a1b2c3", "model": "tiny <model>", "versions": {"torch": "2.13.0"}}
COLOURS = {"embedding": "#0072b2", "logit": "#009e73", "probability": "#d55e00"}


def frame(layers=6):
    """Made-up cosines of every sublayer and space, some of them missing, and reported ones."""
    numbers = np.random.default_rng(0)
    data = pd.DataFrame(
        [
            {"panel": panel, "series": space, "space": space, "x": layer, "n": 12}
            for panel in ("Attention", "MLP")
            for space in COLOURS
            for layer in range(layers)
        ]
    ).assign(quantity="measured", point=lambda each: [f"layer <{layer}>" for layer in each["x"]])
    data["mean"] = numbers.uniform(0.3, 0.9, len(data))
    data.loc[2, "mean"] = math.nan
    data["low"], data["high"] = data["mean"] - 0.2, data["mean"] + 0.1
    data.loc[3, "low"] = math.nan
    printed = data.assign(series="reported (Other-7B)", quantity="reported", low=None, high=None)
    printed["mean"] += 0.05
    return pd.concat([data, printed.assign(n=None)], ignore_index=True)


def made(name="hierarchy", data=None, **changes):
    words = {"title": "The probability space moves most", "caption": "One sublayer at a time."}
    words |= {"provenance": RUN, "x_label": "layer", "y_label": "cosine"} | changes
    return lines(frame() if data is None else data, name=name, **words)


def page(output):
    return str(output._repr_mimebundle_()["text/html"])


def part(data, panel, line):
    """The rows of the frame behind a line."""
    kind = "reported" if line["reported"] else "measured"
    rows = data[(data["panel"] == panel) & (data["quantity"] == kind)]
    return rows[rows["space"] == line["space"]] if "space" in line else rows


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_plotly_draws_the_numbers_of_the_frame(scale):
    data = frame()
    drawn = plot(made(y_scale=scale).figure)
    traces = [trace for trace in drawn["data"] if "meta" in trace]
    assert len(traces) == 12
    for trace in traces:
        space = next(key for key, hue in COLOURS.items() if trace["line"]["color"].lower() == hue)
        rows = part(data, trace["meta"]["panel"], trace["meta"] | {"space": space})
        assert trace["x"] == rows["x"].tolist()
        values = np.array([math.nan if y is None else y for y in trace["y"]])
        np.testing.assert_allclose(values, rows["mean"], rtol=1e-5)
        for told, row in zip(trace.get("customdata", []), rows.itertuples(), strict=False):
            values = [math.nan if value is None else value for value in told[:3]]
            expected = [12, row.low, row.high]
            assert values == pytest.approx(expected, rel=1e-5, nan_ok=True)
    bands = [trace for trace in drawn["data"] if trace.get("fill") == "toself"]
    assert len(bands) == 6
    outline = pd.DataFrame({"x": bands[0]["x"], "y": bands[0]["y"]})
    assert outline["x"].dropna().tolist() == [0, 1, 1, 0, 4, 5, 5, 4]  # 2 and 3 lack a value
    low, high = data["low"], data["high"]
    expected = [low[0], low[1], high[1], high[0], low[4], low[5], high[5], high[4]]
    np.testing.assert_allclose(outline["y"].dropna(), expected, rtol=1e-5)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_the_static_picture_draws_the_numbers_of_the_frame(scale):
    data, figure = frame(), made(y_scale=scale).figure
    layout = laid_out(figure)
    wide = WIDTH - layout.left - layout.right
    paths = re.findall(
        r'<path d="([^"]+)" [^>]*style="fill: none; [^"]*?stroke: (#\w+);', svg(figure)
    )
    paths = [(d, hue) for d, hue in paths if hue in COLOURS.values()]
    for number, (panel, axes) in enumerate(zip(figure.panels, layout.axes, strict=True)):
        top = HEADER + number * (PANEL_HEIGHT + layout.gap)
        (left, right), (low, high) = axes.x_range, axes.y_range
        if scale == "log":
            low, high = math.log10(low), math.log10(high)
        for space, hue in COLOURS.items():
            points = np.array(
                [
                    [float(value) for value in pair]
                    for d, colour in paths
                    if colour == hue
                    for pair in re.findall(r"([\d.]+) ([\d.]+)", d)
                    if top <= float(pair[1]) <= top + PANEL_HEIGHT
                ]
            )
            x = left + (points[:, 0] - layout.left) / wide * (right - left)
            y = high - (points[:, 1] - top) / PANEL_HEIGHT * (high - low)
            rows = pd.concat(
                part(data, panel.title, {"reported": told, "space": space})
                for told in (True, False)
            ).dropna(subset="mean")
            np.testing.assert_allclose(x, rows["x"], atol=1e-4)
            means = np.log10(rows["mean"]) if scale == "log" else rows["mean"]
            np.testing.assert_allclose(y, means, atol=1e-5)


def test_the_plot_is_strict_json_that_plotly_knows():
    text = script_text(plot(made(y_scale="log").figure))
    content = json.loads(text, parse_constant=lambda word: pytest.fail(word))
    go.Figure(content)
    evil = ["</script>", "<!-- <SCRIPT>", "</Script >"]
    assert not re.search("</?script|<!--", script_text(evil), re.IGNORECASE)
    assert json.loads(script_text(evil)) == evil


def test_two_renders_are_equal_byte_for_byte_and_leave_matplotlib_alone():
    before = dict(matplotlib.rcParams)
    assert page(made()) == page(made())
    assert dict(matplotlib.rcParams) == before
    assert not re.search(r"<dc:date>|matplotlib\.org|<style|\bDate\b", page(made()))


def test_ids_differ_between_two_figures_and_references_resolve():
    first, second = page(made("first")), page(made("second"))
    ids = [set(re.findall(r'\sid="([^"]+)"', text)) for text in (first, second)]
    assert not ids[0] & ids[1]
    for text, known in zip((first, second), ids, strict=True):
        assert len(re.findall(r'\sid="', text)) == len(known)
        assert {*re.findall(r"url\(#([^)]+)\)", text), *re.findall(r'href="#(.+?)"', text)} <= known


def test_everything_from_outside_is_escaped():
    evil = '</script><script>alert("x")</script>&$\\frac$'
    data = frame().assign(series=evil)
    text = page(made(data=data, title=evil, caption=evil, alt=evil, provenance={"a": evil}))
    assert "<script>alert" not in text
    assert text.count("</script>") == 1
    assert "javascript:" not in page(made(provenance={"notebook": "javascript:alert(1)"}))
    assert 'href="../a.html#b"' in page(made(provenance={"notebook": "../a.html#b"}))


def test_alternative_text_is_on_both_pictures_and_tells_the_numbers():
    text = page(made())
    assert len(re.findall(r'role="(?:img|group)" aria-label="2 panels', text)) == 2
    lowest = frame().query("series == 'probability' and panel == 'MLP'")["mean"].min()
    assert f"probability lies between {lowest:.2f}" in made().figure.alt


def test_download_carries_the_run_and_gives_the_frame_back():
    text = page(made())
    name, content = re.findall(r'download="([^"]+)" href="data:text/csv;base64,([^"]+)"', text)[0]
    assert name == "hierarchy-a1b2c3.csv"
    csv = base64.b64decode(content).decode()
    assert "# run: a1b2c3\n" in csv
    assert "# versions: torch 2.13.0\n" in csv
    back = pd.read_csv(io.StringIO(csv), comment="#")
    pd.testing.assert_frame_equal(
        back[["x", "mean", "low"]], frame()[["x", "mean", "low"]].astype({"low": float}), rtol=1e-14
    )


def test_what_was_reported_is_thin_hollow_and_in_the_key():
    traces = [trace for trace in plot(made().figure)["data"] if "meta" in trace]
    reported = [trace for trace in traces if trace["meta"]["reported"]]
    measured = [trace for trace in traces if not trace["meta"]["reported"]]
    assert max(t["line"]["width"] for t in reported) < min(t["line"]["width"] for t in measured) / 2
    assert all(trace["marker"]["color"] == "rgba(0,0,0,0)" for trace in reported)
    entries = [entry.text for entry in key(made().figure)]
    assert entries == [*COLOURS, "reported (Other-7B)"]


def test_panels_with_one_label_share_their_axis():
    first, second = laid_out(made().figure).axes
    assert first.y_range == second.y_range
    assert (first.x_title, second.x_title) == ("", "layer")
    own = laid_out(made(y_label={"Attention": "a", "MLP": "b"}).figure).axes
    assert own[0].y_range != own[1].y_range


def test_cosines_run_from_minus_a_tenth_to_one_unless_a_point_lies_beyond():
    assert cosine_range([0.1, 1.0, math.nan]) == (-0.1, 1.03)
    assert cosine_range([-0.4, 0.5])[0] < -0.4


def test_text_takes_the_colour_of_the_page():
    picture = svg(made().figure)
    assert "fill: currentColor" in picture
    assert "font-family" not in picture
    assert not re.search(r"(fill|stroke): (#000000|#262626|black)", picture)
    layout = plot(made().figure)["layout"]
    assert "color" not in {*layout.get("font", {}), *layout["template"]["layout"]["font"]}


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (
            lambda: Line(x=[0, 1], mean=[1], look=STYLES["logit"], label="a"),
            "mean has 1 values, x 2",
        ),
        (
            lambda: Line(x=[0], mean=[1], low=[0], look=STYLES["logit"], label="a"),
            "low and high together",
        ),
        (lambda: Line(x=[], mean=[], look=STYLES["logit"], label="a"), "no points"),
        (lambda: Panel(title="a", lines=[], x_label="x", y_label="y"), "no lines"),
        (lambda: made("Bad name"), "figure name 'Bad name'"),
        (lambda: made(title=" "), "empty title"),
        (lambda: Figure(name="a", title="t", caption="c", alt="a", panels=[], data=0), "no panels"),
        (lambda: badge("latent"), "unknown space"),
        (lambda: table(frame(), "a", {"nothing": ".1f"}), "nothing"),
    ],
)
def test_errors_are_one_line(build, words):
    with pytest.raises(ValueError) as caught:
        build()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_table_is_accessible_and_escaped():
    data = pd.DataFrame({"task": ["<b>"], "space": ["logit"], "score": [0.12345], "gone": [None]})
    html = table(data, "Scores & more", {"score": ".2f"})._repr_html_()
    assert "Scores &amp; more</p>" in html
    assert '<table aria-label="Scores &amp; more">' in html
    assert html.count('scope="col"') == 4
    assert '<th scope="row">&lt;b&gt;</th>' in html
    assert ">0.12<" in html
    assert "■" in html
    assert 'tabindex="0"' in html
    assert '<td class="number" data-label="score">0.12</td>' in html


def test_a_table_says_what_its_look_depends_on():
    data = pd.DataFrame(
        {"task": ["PIQA"], "low": [-1.5e-7], "high": [-2], "day": ["2026-01-02"], "as": ["-0.5"]}
    )
    html = table(data, "Few").html
    assert '<table aria-label="Few">' in html
    for shown in ("−1.5e−07", "−2", "2026-01-02", "−0.5"):
        assert f">{shown}<" in html
    assert ">a &lt; b<br>c<" in table(data.assign(day="a < b\nc"), "Lines").html
    words = data.assign(criterion="at least 80% of the score above guessing")
    assert '<table aria-label="Words" class="cards">' in table(words, "Words").html
    wide = pd.DataFrame([range(7)], columns=list("abcdefg"))
    assert '<table aria-label="Wide" class="many">' in table(wide, "Wide").html
    long = table(pd.concat([data] * 26), "Long").html
    assert long.startswith('<details class="text-more"><summary>Long (26 rows)</summary><div')
    assert "table-caption" not in long


def test_text_form_is_title_and_caption():
    assert made()._repr_mimebundle_()["text/plain"] == (
        "The probability space moves most\nOne sublayer at a time."
    )
