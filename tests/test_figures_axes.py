"""Logarithmic axes, clouds of points, reference lines and labels: both pictures say the same."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reporting.figures import Reference, lines
from reporting.figures.interactive import plot, script_text
from reporting.figures.layout import LABEL_HEIGHT, PANEL_HEIGHT, key, laid_out, spread
from reporting.figures.scales import placed, short, ticks
from reporting.figures.static import svg

RAISED = {sign: digit for digit, sign in zip("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹", strict=True)}
LOGS = {"x_scale": "log", "y_scale": "log"}


def figure(series, **options):
    """One panel with a line for each name of `series`, over 0, 1, ... or the given x."""
    parts = [
        pd.DataFrame({"mean": mean, "x": range(len(mean)), "series": name, "panel": "P"})
        for name, mean in series.items()
    ]
    frame = pd.concat(parts, ignore_index=True).assign(**options.pop("columns", {}))
    words = {"name": "axes", "title": "t", "caption": "c", "provenance": {}}
    return lines(frame, **words, x_label="x", y_label="y", **options).figure


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
    assert [text for _, text in ticks((-0.1, 1.03), most=6)] == [
        "0",
        "0.2",
        "0.4",
        "0.6",
        "0.8",
        "1",
    ]
    assert (short(0.000012), short(-1234.5), short(0.25)) == ("1.2×10⁻⁵", "-1234", "0.25")


def test_what_is_not_positive_is_missing_on_a_log_axis_only():
    series = {"a": [0.1, 0.0, -1.0, 10.0]}
    columns = {"low": [0.0, 0, -2, 1.0], "high": [1.0, 1, 1, 100.0]}
    drawn = [
        figure(series, columns=columns, **scales).panels[0].lines[0]
        for scales in ({}, {"y_scale": "log"}, LOGS)
    ]
    assert drawn[0].mean == (0.1, 0.0, -1.0, 10.0)
    assert np.isnan(drawn[1].mean).tolist() == [False, True, True, False]
    assert np.isnan(drawn[1].low).tolist() == [True, True, True, False]
    assert math.isnan(drawn[2].mean[0])  # its x is zero
    both = figure(series, columns=columns, **LOGS)
    assert laid_out(both).axes[0].x_range[0] > 0
    text = script_text(plot(both)) + svg(both) + both.alt
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_nothing_but_missing_values_and_single_points_are_drawn(scale):
    for mean in ([math.nan], [1.0], [math.nan, math.nan, 2.0]):
        made = figure({"a": mean}, y_scale=scale)
        text = script_text(plot(made)) + svg(made) + made.alt
        assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_what_is_not_positive_stands_at_the_lower_edge_of_a_log_axis_and_says_its_number():
    made = figure({"a": [0.1, 0.0, -2e-9, 10.0]}, y_scale="log")
    (axes,) = laid_out(made).axes
    drawn = plot(made)["data"]
    assert axes.y_ticks[0] == (axes.y_range[0], "≤ 0")
    assert axes.y_range[0] < laid_out(figure({"a": [0.1, 10.0]}, y_scale="log")).axes[0].y_range[0]
    line, ground = drawn
    assert line["y"] == [0.1, None, None, 10]
    assert line["meta"]["grounded"] == {"1": 0.0, "2": -2e-9}  # what is downloaded
    assert (ground["x"], ground["text"]) == ([1, 2], ["0", "-2×10⁻⁹"])
    assert ground["y"] == pytest.approx([axes.y_range[0]] * 2, rel=1e-5)
    assert "2 at or below 0" in made.alt
    assert "≤ 0" in svg(made)
    assert "≤ 0" not in svg(figure({"a": [0.1, 10.0]}, y_scale="log"))


def test_log_margins_multiply_and_ranges_are_in_data_units():
    low, high = laid_out(figure({"a": [1e-4, 1.0]}, y_scale="log")).axes[0].y_range
    assert 1e-4 / low == pytest.approx(high / 1.0)
    axis = plot(figure({"a": [1e-4, 1.0]}, y_scale="log", y_range=(1e-5, 10.0)))["layout"]["yaxis"]
    assert (axis["type"], axis["range"]) == ("log", [-5, 1])


def test_both_renderers_show_the_same_ticks():
    made = figure({"a": [3e-7, 2e-2]}, y_scale="log", x_whole=True)
    layout = plot(made)["layout"]
    for axis in ("xaxis", "yaxis"):
        texts = layout[axis]["ticktext"]
        assert len(texts) >= 2
        for text in texts:
            assert f">{text}</text>" in svg(made)
    assert "10⁻⁶" in layout["yaxis"]["ticktext"]
    named = figure({"a": [1, 2]}, x_ticks=[(0, "zero"), (1, "one")])
    assert list(plot(named)["layout"]["xaxis"]["ticktext"]) == ["zero", "one"]
    assert ">zero</text>" in svg(named)


def heights(made, labels):
    """Where labels stand, in pixels above the lower edge."""
    (axes,) = laid_out(made).axes
    scale = made.panels[0].y_scale
    low, high = (placed(limit, scale) for limit in axes.y_range)
    share = [(placed(label.y, scale) - low) / (high - low) for label in labels]
    return [at * PANEL_HEIGHT + label.up for at, label in zip(share, labels, strict=True)]


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_end_labels_keep_their_distance_inside_the_panel(scale):
    series = {f"l{value}": [1.0, value] for value in (1e-6, 1.1e-6, 1e-5, 1.0, 1.01, 50.0)}
    made = figure(series, y_scale=scale, y_range=(1e-6, 10.0), columns={"space": "logit"})
    labels = laid_out(made).axes[0].end_labels
    found = heights(made, labels)
    assert [label.text for label in labels] == list(series)
    assert min(np.diff(sorted(found))) >= LABEL_HEIGHT * 0.999
    assert min(found) >= LABEL_HEIGHT / 2 - 0.01
    assert max(found) <= PANEL_HEIGHT - LABEL_HEIGHT / 2 + 0.01
    notes = plot(made)["layout"]["annotations"]
    assert [note["yshift"] for note in notes if note.get("name")] == [each.up for each in labels]


@pytest.mark.parametrize(("count", "every"), [(40, True), (41, False), (200, False)])
def test_long_lines_carry_few_markers(count, every):
    def marks(count):
        made = figure({"a": np.linspace(0, 1, count)}, columns={"space": "logit"})
        return plot(made)["data"][0]["marker"], svg(made).count("<use ")

    assert ("maxdisplayed" not in marks(count)[0]) == every
    drawn = marks(count)[1] - marks(2)[1] + 2
    assert drawn == count if every else 5 <= drawn <= 15


def test_points_are_markers_without_a_line_or_a_label():
    made = figure({"a": [1.0, 2.0, 3.0]}, cloud=True, columns={"space": "logit"})
    trace = plot(made)["data"][0]
    assert (trace["mode"], trace["marker"]["opacity"] < 1) == ("markers", True)
    assert not laid_out(made).axes[0].end_labels
    assert [(entry.text, entry.cloud, entry.direct) for entry in key(made)] == [("a", True, False)]
    assert "3 points" in made.alt


def test_references_are_neutral_named_and_do_not_move_the_axes():
    half = Reference(x=(1e-9, 10.0), y=(5e-10, 5.0), label="y = x/2")
    short_one = Reference(x=(1e-9, 1e-8), y=(0.5, 0.5), label="elsewhere")
    options = {"cloud": True, "columns": {"x": [1e-4, 1e-1]}} | LOGS
    plain = figure({"a": [1e-4, 1.0]}, **options)
    made = figure({"a": [1e-4, 1.0]}, references=(half, short_one), **options)
    (before,), (axes,) = laid_out(plain).axes, laid_out(made).axes
    assert (axes.x_range, axes.y_range) == (before.x_range, before.y_range)
    (label,) = axes.end_labels
    assert (label.text, label.y) == ("y = x/2", pytest.approx(label.x / 2))
    entries = {entry.text: entry for entry in key(made)}
    assert (entries["y = x/2"].direct, entries["elsewhere"].direct) == (True, False)
    assert entries["y = x/2"].style.dash != entries["elsewhere"].style.dash
    assert [trace["line"]["color"] for trace in plot(made)["data"][:2]] == ["#767676"] * 2
    assert "the line y = x/2" in made.alt
    zero = Reference(x=(0, 1), y=(0, 1), label="r")
    with pytest.raises(ValueError, match="not above zero"):
        figure({"a": [1.0]}, references=[zero], **LOGS)
    with pytest.raises(ValueError, match="at least two points"):
        Reference(x=(1,), y=(1,), label="r")


def test_texts_beside_points_are_apart_and_in_both_pictures():
    numbers = np.random.default_rng(0)
    calls = [f"call {index}" if index < 4 else "" for index in range(40)]
    columns = {"x": 10 ** numbers.uniform(-6, 0, 40), "call": calls}
    made = figure({"a": 10 ** numbers.normal(0, 0.2, 40)}, cloud=True, columns=columns, **LOGS)
    found = heights(made, laid_out(made).axes[0].callouts)
    assert len(found) == 4
    assert min(np.diff(sorted(found))) >= LABEL_HEIGHT * 0.999
    notes = [note for note in plot(made)["layout"]["annotations"] if note.get("showarrow")]
    assert [note["text"] for note in notes] == calls[:4]
    assert all(f">{text}</text>" in svg(made) for text in calls[:4])
    opacity = plot(made)["data"][0]["marker"]["opacity"]
    assert min(opacity[:4]) > max(opacity[4:])


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
        figure({"a": [1.0, 2.0]}, **options)
