import pandas as pd
import pytest

from reporting.figures import (
    QUANTITIES,
    SPACES,
    STYLES,
    Reference,
    lines,
    quantity_style,
    ramp,
    style_of,
)
from reporting.figures.layout import key

WORDS = {
    "name": "f",
    "title": "T",
    "caption": "C",
    "provenance": {},
    "x_label": "x",
    "y_label": "y",
}


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "panel": ["a", "a", "a", "b"],
            "series": ["one", "one", "two", "one"],
            "space": ["logit", "logit", "probability", "logit"],
            "quantity": ["measured", "measured", "reported", "measured"],
            "x": [2, 1, 1, 3],
            "mean": [0.2, 0.1, 0.3, 0.4],
            "low": [0.1, 0.0, None, 0.3],
            "high": [0.3, 0.2, None, 0.5],
            "n": [5, 5, None, 5],
        }
    )


def test_panels_and_lines_in_order_with_points_sorted(frame):
    figure = lines(frame, **WORDS).figure
    assert [panel.title for panel in figure.panels] == ["a", "b"]
    one, two = figure.panels[0].lines
    assert (one.label, one.x, one.mean, one.low) == ("one", (1.0, 2.0), (0.1, 0.2), (0.0, 0.1))
    assert (two.label, two.low, two.n, two.reported) == ("two", None, None, True)
    assert one.look.colour != two.look.colour


def test_what_is_shared_or_the_panels_own(frame):
    guide = Reference(x=(0, 1), y=(0, 1), label="equal")
    figure = lines(
        frame,
        **(WORDS | {"y_label": {"a": "cosine", "b": "nats"}}),
        y_scale={"b": "log"},
        references={"a": [guide]},
    ).figure
    first, second = figure.panels
    assert (first.y_label, second.y_label) == ("cosine", "nats")
    assert (first.y_scale, second.y_scale) == ("linear", "log")
    assert (first.references, second.references) == ((guide,), ())


def test_only_needed_columns(frame):
    drawn = lines(frame[["panel", "series", "x", "mean"]], **WORDS, cloud=True).figure
    line = drawn.panels[0].lines[0]
    assert (line.cloud, line.low, line.points) == (True, None, None)
    assert list(drawn.data) == ["panel", "series", "x", "mean", "space", "quantity", "point"]


def test_every_kind_of_number_looks_different_without_colour():
    for space in (*SPACES, "dense"):
        looks = [quantity_style(space, quantity) for quantity in QUANTITIES]
        assert len({(look.marker, look.dash, look.size, look.thin) for look in looks}) == len(looks)
        assert len({look.colour for look in looks}) == 1
        measured, *others = looks
        assert not measured.hollow
        assert all(look.hollow and look.width < measured.width / 1.5 for look in others)
        # an estimate that falls on the measured line shows around its markers
        assert all(look.marker_size > measured.marker_size for look in others[:-1])
    with pytest.raises(ValueError, match="unknown quantity 'guess'"):
        quantity_style("logit", "guess")


def test_series_of_one_space_differ_in_dashes_and_end_in_its_hue(frame):
    styles = ramp("probability", 5)
    assert styles[-1].colour == style_of("probability").colour
    assert len({style.dash for style in styles}) == 5
    same = frame.assign(space="logit", quantity="measured")
    one, two = lines(same, **WORDS).figure.panels[0].lines
    assert one.look.dash != two.look.dash
    assert not one.banded
    assert [entry.direct for entry in key(lines(same, **WORDS).figure)] == [False, False]


def test_long_names_and_those_of_several_hues_stand_in_the_key(frame):
    long = frame.assign(series="a name that is far too long for the line's end")
    (entry,) = key(lines(long.drop(columns="quantity"), **WORDS).figure)
    assert not entry.direct
    assert entry.style.colour == "#767676"  # its lines have two hues


def test_series_of_one_kind_of_task_keep_its_hue_and_band(frame):
    tasks = frame.assign(space="choosing", quantity="measured", low=0.0, high=1.0)
    one, two = lines(tasks, **WORDS).figure.panels[0].lines
    assert one.look.colour == two.look.colour == STYLES["choosing"].colour
    assert (one.look.marker, one.look.dash) != (two.look.marker, two.look.dash)
    assert one.banded
    assert two.banded


@pytest.mark.parametrize("ground", ["#FFFFFF", "#14181E"])
def test_hues_stand_out_on_both_themes(ground):
    """Contrast of WCAG, at least 3 for graphics."""

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for style in STYLES.values():
        low, high = sorted((luminance(style.colour), luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="mean"), "lacks the columns mean"),
        (lambda f: f.iloc[:0], "no rows to draw"),
        (lambda f: f.assign(space="hidden"), "unknown space 'hidden'"),
        (lambda f: f.assign(quantity="guessed"), "unknown quantity 'guessed'"),
        (lambda f: pd.concat([f, f]), "more than one row for x"),
    ],
)
def test_bad_tables_are_refused(frame, change, message):
    with pytest.raises(ValueError, match=message):
        lines(change(frame), **WORDS)
