import pandas as pd
import pytest

from reporting.figures import Reference, lines

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
    assert (line.mode, line.low, line.points) == ("points", None, None)
    assert list(drawn.data) == ["panel", "series", "x", "mean", "space", "quantity", "point"]


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
