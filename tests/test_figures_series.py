"""Series over decoding steps and clouds of estimates."""

import json
import math
import re

import pandas as pd
import pytest

from reporting.figures import QUANTITIES, SPACES, quantity_style, step_series
from reporting.figures.interactive import plot, script_text
from reporting.figures.layout import key, laid_out
from reporting.figures.static import svg

WORDS = {"title": "t", "caption": "c", "provenance": {"run": "a1"}}


def frame(steps=5):
    """Three panels, each with a measured line and two estimates."""
    return pd.DataFrame(
        [
            {
                "panel": space.title(),
                "series": label,
                "step": step,
                "mean": 10.0 ** -(step + number + 1) * factor,
                "low": 10.0 ** -(step + number + 2) if quantity == "measured" else math.nan,
                "high": 10.0 ** -(step + number) if quantity == "measured" else math.nan,
                "n": 7,
                "space": space,
                "quantity": quantity,
            }
            for number, space in enumerate(SPACES)
            for label, quantity, factor in (
                ("measured", "measured", 1.0),
                ("Theorem 2", "theorem", 1.1),
                ("identity", "exact", 1.0),
            )
            for step in reversed(range(steps))
        ]
    )


def series(data, **options):
    return step_series(data, name="steps", **(WORDS | {"y_labels": "1 − cos"} | options)).figure


def test_panels_lines_and_numbers_are_those_of_the_frame():
    data = frame()
    made = series(data, y_scale="log")
    assert [panel.title for panel in made.panels] == ["Embedding", "Logit", "Probability"]
    for panel in made.panels:
        assert [line.label for line in panel.lines] == ["measured", "Theorem 2", "identity"]
        assert [line.banded for line in panel.lines] == [True, False, False]
        for line in panel.lines:
            rows = data[(data["panel"] == panel.title) & (data["series"] == line.label)]
            expected = dict(zip(rows["step"], rows["mean"], strict=True))
            assert line.x == tuple(sorted(expected))
            assert line.mean == tuple(expected[step] for step in line.x)
            assert line.points == [f"step {step}" for step in sorted(expected)]
    assert len(made.data) == len(data)


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


def test_estimates_differ_from_the_measured_line_in_both_pictures():
    made = series(frame(), y_scale="log")
    lines = [trace for trace in plot(made)["data"] if trace.get("meta")]
    seen = {
        name: {
            (trace["line"]["width"], trace["line"]["dash"], trace["marker"]["symbol"])
            for trace in lines
            if trace["name"] == name
        }
        for name in ("measured", "Theorem 2", "identity")
    }
    assert not seen["measured"] & seen["Theorem 2"]
    assert not seen["Theorem 2"] & seen["identity"]
    widths = set(re.findall(r"stroke-width: ([\d.]+)", svg(made)))
    assert {"2.04", "1.275"} <= widths  # 2.4 and 1.5 pixels, at the picture's scale
    entries = {entry.text: entry.style for entry in key(made)}
    assert entries["Theorem 2"].dash
    assert entries["Theorem 2"].colour == "#767676"  # its lines have three hues


def test_labels_share_or_part_the_y_axes():
    shared = series(frame())
    assert len({shared.y_range(panel) for panel in shared.panels}) == 1
    labels = {space.title(): f"deviation, {space}" for space in SPACES}
    own = series(frame(), y_labels=labels, y_scale={"Logit": "log"})
    assert len({own.y_range(panel) for panel in own.panels}) == 3
    assert [panel.y_scale for panel in own.panels] == ["linear", "log", "linear"]
    chosen = series(frame(), panels=["Probability", "Logit"])
    assert [panel.title for panel in chosen.panels] == ["Probability", "Logit"]
    assert set(chosen.data["panel"]) == {"Probability", "Logit"}


def test_lines_alike_get_shades_and_dashes():
    data = frame().query("quantity == 'measured' and space == 'logit'")
    both = pd.concat([data, data.assign(series="other", mean=data["mean"] * 2)])
    looks = [line.look for line in series(both).panels[0].lines]
    assert looks[0].dash != looks[1].dash
    assert not any(line.banded for line in series(both).panels[0].lines)


@pytest.mark.parametrize("steps", [1, 2, 64])
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_any_number_of_steps_without_nan(steps, scale):
    data = frame(min(steps, 5))
    data = pd.concat([data.assign(step=data["step"] + 5 * part) for part in range(-(-steps // 5))])
    data.loc[data["step"] == 0, "mean"] = math.nan
    made = series(data[data["step"] < steps], y_scale=scale)
    text = script_text(plot(made))
    json.loads(text, parse_constant=lambda word: pytest.fail(word))
    assert not re.search(r"\bnan\b", text + svg(made) + made.alt, re.IGNORECASE)
    values = plot(made)["layout"]["xaxis"]["tickvals"]
    assert values == [int(value) for value in values]


def test_only_four_columns_are_needed_and_long_names_stand_in_the_key():
    bare = frame()[["panel", "series", "step", "mean"]].query("series == 'measured'")
    bare["series"] = "a name that is far too long for the line's end"
    made = series(bare)
    assert laid_out(made).axes[0].end_labels == []
    assert not key(made)[0].direct
    assert made.panels[0].lines[0].look.colour == "#767676"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.drop(columns="step"), "lacks the columns step"),
        (lambda data: data.assign(space="latent"), "unknown space 'latent'"),
        (lambda data: data.assign(quantity="guess"), "unknown quantity 'guess'"),
        (lambda data: pd.concat([data, data]), "more than one row for a step"),
        (lambda data: data.iloc[:0], "no rows"),
    ],
)
def test_bad_series_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        series(change(frame()))


def test_missing_words_are_refused():
    with pytest.raises(ValueError, match="y_labels has no entry for the panel 'Logit'"):
        series(frame(), y_labels={"Embedding": "a"})
    with pytest.raises(ValueError, match="no rows for the panel 'Other'"):
        series(frame(), panels=["Other"])
