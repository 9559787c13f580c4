"""Logarithmic axes, clouds of points and reference lines: both renderers say the same."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reporting.figures import Figure, FigureOutput, Line, Panel, Reference, describe
from reporting.figures.interactive import payload, plot
from reporting.figures.labels import callouts, end_labels, key, spread
from reporting.figures.scales import short, ticks
from reporting.figures.static import svg
from reporting.figures.template import LABEL_HEIGHT, PANEL_HEIGHT

RAISED = {sign: digit for digit, sign in zip("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹", strict=True)}


def figure(*panels: Panel) -> Figure:
    return Figure(
        name="axes",
        title="t",
        caption="c",
        alt=describe(panels),
        panels=panels,
        data=pd.DataFrame({"a": [1]}),
    )


def panel(*lines: Line, **options) -> Panel:
    return Panel(title="P", lines=lines, x_label="x", y_label="y", **options)


def line(mean, label="a", **options) -> Line:
    return Line(
        x=options.pop("x", range(len(mean))), mean=mean, style="logit", label=label, **options
    )


def read(text: str) -> float:
    """The number that a tick's text stands for."""
    text = text.replace("−", "-")
    parts = re.fullmatch(r"(?:([-\d.]+)×)?10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]*)", text)
    if not parts or not (parts[1] or parts[2]):
        return float(text)
    exponent = "".join(RAISED[sign] for sign in parts[2]) or "1"
    return float(parts[1] or 1) * 10.0 ** int(exponent)


@settings(max_examples=150, deadline=None)
@given(
    st.floats(-12, 6),
    st.floats(0.02, 14),
    st.sampled_from(["log", "linear"]),
    st.integers(4, 7),
)
def test_ticks_lie_in_the_range_and_read_as_their_values(low, span, scale, most):
    limits = (10**low, 10 ** (low + span))
    found = ticks(limits, scale, most=most)
    values = [value for value, _ in found]
    assert 2 <= len(values) <= most + 2
    assert values == sorted(values)
    room = 1e-6 * (limits[0] if scale == "log" else limits[1] - limits[0])
    assert limits[0] - room <= values[0]
    assert values[-1] <= limits[1] * (1 + 1e-6)
    for value, text in found:
        assert read(text) == pytest.approx(value, rel=1e-3)
        assert "e" not in text


def test_powers_of_ten_are_plain_where_they_are_short():
    assert [text for _, text in ticks((1e-3, 1.0), "log")] == ["0.001", "0.01", "0.1", "1"]
    assert [text for _, text in ticks((1e-6, 1.0), "log")] == ["10⁻⁶", "10⁻⁴", "10⁻²", "1"]
    assert [text for _, text in ticks((-0.1, 2.1), whole=True)] == ["0", "1", "2"]
    assert [text for _, text in ticks((-0.1, 1.03), most=6)] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert (short(0.000012), short(-1234.5), short(0.25)) == ("1.2×10⁻⁵", "-1234", "0.25")


def test_what_is_not_positive_is_missing_on_a_log_axis_only():
    drawn = line([0.1, 0.0, -1.0, 10.0], low=[0.0, 0, -2, 1.0], high=[1.0, 1, 1, 100.0])
    whole = panel(drawn).lines[0]
    assert whole.mean == (0.1, 0.0, -1.0, 10.0)
    logged = panel(drawn, y_scale="log")
    assert np.isnan(logged.lines[0].mean).tolist() == [False, True, True, False]
    assert np.isnan(logged.lines[0].low).tolist() == [True, True, True, False]
    both = panel(drawn, x_scale="log", y_scale="log")
    assert math.isnan(both.lines[0].mean[0])  # its x is zero
    assert figure(both).x_range(both)[0] > 0
    text = payload(figure(both)) + svg(figure(both)) + figure(both).alt
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_log_margins_multiply_and_ranges_are_in_data_units():
    logged = panel(line([1e-4, 1.0]), y_scale="log")
    low, high = figure(logged).y_range(logged)
    assert 1e-4 / low == pytest.approx(high / 1.0)
    given_range = panel(line([1e-4, 1.0]), y_scale="log", y_range=(1e-5, 10.0))
    axis = plot(figure(given_range))["layout"]["yaxis"]
    assert (axis["type"], axis["range"]) == ("log", [-5.0, 1.0])
    # one label, two scales: two axes
    other = panel(line([5.0, 6.0]))
    assert figure(logged, other).y_range(other)[0] > 4


def test_both_renderers_show_the_same_ticks():
    made = figure(panel(line([3e-7, 2e-2]), y_scale="log", x_whole=True))
    layout = plot(made)["layout"]
    for axis in ("xaxis", "yaxis"):
        texts = layout[axis]["ticktext"]
        assert len(texts) >= 2
        for text in texts:
            assert f">{text}</text>" in svg(made)
    assert "10⁻⁶" in layout["yaxis"]["ticktext"]


def test_end_labels_keep_their_distance_in_decades():
    lines = [line([1.0, value], label=f"l{value}") for value in (1e-6, 1.1e-6, 1e-5, 1.0)]
    logged = panel(*lines, y_scale="log")
    labels = end_labels(figure(logged), logged)
    heights = sorted(math.log10(label.at) for label in labels)
    low, high = (math.log10(limit) for limit in figure(logged).y_range(logged))
    assert min(np.diff(heights)) >= (high - low) * LABEL_HEIGHT / PANEL_HEIGHT * 0.999
    notes = [note for note in plot(figure(logged))["layout"]["annotations"] if note.get("name")]
    assert sorted(note["y"] for note in notes) == pytest.approx(heights, abs=1e-4)


@pytest.mark.parametrize(("count", "every"), [(40, True), (41, False), (200, False)])
def test_long_lines_carry_few_markers(count, every):
    made = figure(panel(line(np.linspace(0, 1, count).tolist())))
    marker = plot(made)["data"][0]["marker"]
    assert ("maxdisplayed" not in marker) == every
    drawn = svg(made).count("<use ") - svg(figure(panel(line([0.0] * 2)))).count("<use ") + 2
    assert drawn == count if every else 5 <= drawn <= 15


def test_points_are_markers_without_a_line_or_a_label():
    cloud = line([1.0, 2.0, 3.0], mode="points")
    made = figure(panel(cloud))
    trace = plot(made)["data"][0]
    assert trace["mode"] == "markers"
    assert trace["marker"]["opacity"] < 1
    assert end_labels(made, made.panels[0]) == []
    assert [(entry.text, entry.cloud, entry.direct) for entry in key(made)] == [("a", True, False)]
    assert "3 points" in made.alt
    with pytest.raises(ValueError, match="mode 'dots'"):
        line([1.0], mode="dots")


def test_references_are_neutral_named_and_do_not_move_the_axes():
    half = Reference(x=(1e-9, 10.0), y=(5e-10, 5.0), label="y = x/2")
    short_one = Reference(x=(1e-9, 1e-8), y=(0.5, 0.5), label="elsewhere")
    options = {"x_scale": "log", "y_scale": "log"}
    cloud = line([1e-4, 1.0], x=[1e-4, 1e-1], mode="points")
    plain = panel(cloud, **options)
    made = figure(panel(cloud, references=(half, short_one), **options))
    ranges = (figure(plain).x_range(plain), figure(plain).y_range(plain))
    assert (made.x_range(made.panels[0]), made.y_range(made.panels[0])) == ranges
    (label,) = end_labels(made, made.panels[0])
    assert label.text == "y = x/2"
    assert label.at == pytest.approx(label.x / 2)
    entries = {entry.text: entry for entry in key(made)}
    assert (entries["y = x/2"].direct, entries["elsewhere"].direct) == (True, False)
    assert entries["y = x/2"].style.dash != entries["elsewhere"].style.dash
    traces = [trace for trace in plot(made)["data"] if trace["name"] == "y = x/2"]
    assert traces[0]["line"]["color"] == "#767676"
    assert "the line y = x/2" in made.alt
    with pytest.raises(ValueError, match="not above zero"):
        panel(cloud, references=(Reference(x=(0, 1), y=(0, 1), label="r"),), **options)
    with pytest.raises(ValueError, match="at least two points"):
        Reference(x=(1,), y=(1,), label="r")


def test_texts_beside_points_are_apart_and_in_both_pictures():
    numbers = np.random.default_rng(0)
    x, y = 10 ** numbers.uniform(-6, 0, 40), 10 ** numbers.normal(0, 0.2, 40)
    calls = [f"call {index}" if index < 4 else "" for index in range(40)]
    logs = {"x_scale": "log", "y_scale": "log"}
    made = figure(panel(line(y.tolist(), x=x.tolist(), mode="points", calls=calls), **logs))
    low, high = (math.log10(limit) for limit in made.y_range(made.panels[0]))
    heights = [(math.log10(call.at) - low) / (high - low) for call in callouts(made, made.panels[0])]
    assert len(heights) == 4
    assert min(np.diff(sorted(heights))) >= LABEL_HEIGHT / PANEL_HEIGHT * 0.999
    assert 0 < min(heights) < max(heights) < 1
    arrows = [note for note in plot(made)["layout"]["annotations"] if note.get("showarrow")]
    assert [note["text"] for note in arrows] == calls[:4]
    assert all(f">{text}</text>" in svg(made) for text in calls[:4])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_labels_keep_their_order_their_distance_and_the_limits(positions):
    moved = np.array(spread(positions, 0.1, (0.0, 1.0)))
    order = np.argsort(positions, kind="stable")
    assert (np.diff(moved[order]) >= 0.1 - 1e-9).all()
    assert -1e-9 <= moved.min() <= moved.max() <= 1 + 1e-9
    if len(positions) == 1 or min(np.diff(sorted(positions))) >= 0.1:
        np.testing.assert_allclose(moved, positions, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"y_scale": "square"}, "y scale 'square'"),
        ({"x_scale": "log", "x_range": (0.0, 1.0)}, "on a log axis"),
        ({"y_range": (1.0, 1.0)}, "is empty"),
    ],
)
def test_bad_axes_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        panel(line([1.0, 2.0]), **options)


def test_a_log_figure_is_valid_for_plotly_and_repeats():
    made = figure(panel(line([1e-5, 0.0, 1.0]), y_scale="log"))
    graph_objects = pytest.importorskip("plotly.graph_objects")
    graph_objects.Figure(json.loads(payload(made)))
    assert FigureOutput(made)._repr_html_() == FigureOutput(made)._repr_html_()
