"""Figures of outputs side by side and of sets of tokens."""

import json
import math
import re

import pandas as pd
import pytest

from chapters.multi_scale_effects import figure_outputs, letters
from chapters.subspace import figure_subsets
from reporting import figures, reported


@pytest.fixture
def table():
    """A `choices` table of one prompt in two forms: A stays with a template, changes without."""
    rows = []
    for template, pruned in ((True, (-1.5, -2.5)), (False, (-3.0, -2.0))):
        for output, values in (("dense", (-1.0, -2.0)), ("pruned", pruned)):
            for token, (text, value) in enumerate(zip("AB", values, strict=True)):
                for role in ("option", "top"):
                    rows.append(
                        {"prompt": "MC1", "template": template, "prefix": False, "output": output}
                        | {"role": role, "token": token, "text": text, "value": value}
                    )
    return pd.DataFrame(rows)


def test_chooser_offers_every_prompt_setting_and_form(table):
    shown = figure_outputs.option_chooser(
        {"Drop-1A": table, "Drop-2A": table}, {"MC1": "B"}, name="f", size="1k", provenance={}
    )
    assert re.findall(r"<option [^>]*>([^<]*)</option>", shown.html) == [
        f"MC1, {setting}, {form}"
        for setting in ("Drop-1A", "Drop-2A")
        for form in ("chat template", "plain text")
    ]
    assert "A stays A; right is B" in shown.html
    assert "A becomes B; right is B" in shown.html


def test_every_number_of_an_output_is_drawn(table):
    choice = letters.Choice.of(table[table["template"]])
    drawn = figure_outputs.option_outputs(
        choice, "B", name="f", title="T", caption="C", provenance={}
    )
    top, options = drawn.figure.panels
    assert [line.label for line in options.lines] == ["A", "B"]
    assert [line.mean for line in options.lines] == [(-1.0, -1.5), (-2.0, -2.5)]
    assert all(line.x == (0.0, 1.0) for panel in (top, options) for line in panel.lines)
    looks = [line.look for line in options.lines]
    assert looks[1].colour == figures.style_of("probability").colour != looks[0].colour


def test_many_tokens_look_different():
    values = pd.DataFrame({"dense": range(0, -16, -1), "pruned": range(-15, 1)}, dtype=float)
    values.index = [f"t{number}" for number in range(16)]
    options = values.iloc[:4].set_axis(list("ABCD"))
    choice = letters.Choice(options, values)
    drawn = figure_outputs.option_outputs(
        choice, "A", name="f", title="T", caption="C", provenance={}
    )
    top = drawn.figure.panels[0]
    assert len(top.lines) == 8  # four of each model
    assert len({(line.look.dash, line.look.marker) for line in top.lines}) == 8


def test_reported_figure_is_thin_and_names_its_source():
    drawn = figure_outputs.reported_options(name="reported")
    assert all(line.reported for panel in drawn.figure.panels for line in panel.lines)
    assert "stays A" in drawn.figure.title
    assert reported.FIGURE_8.model in drawn.figure.caption
    assert "Run:" not in drawn._repr_html_()


def test_curves_break_where_there_is_no_interval():
    frame = pd.DataFrame(
        {
            "series": ["options", "options", "random tokens"],
            "x": [0.5, 1.5, 1.0],
            "mean": [0.5, 0.9, 0.7],
            "low": [0.3, math.nan, math.nan],
            "high": [0.7, math.nan, math.nan],
            "n": [9, 3, 4],
        }
    )
    drawn = figure_subsets.gap_curves(
        {"Asked by word": frame}, name="f", title="T", caption="C", provenance={}
    )
    (panel,) = drawn.figure.panels
    assert [line.label for line in panel.lines] == ["options", "random tokens"]
    assert [line.banded for line in panel.lines] == [True, False]
    payload = re.search(r'application/json">(.*?)</script>', drawn._repr_html_(), re.S).group(1)
    assert "NaN" not in payload
    json.loads(payload)
    law = panel.references[0]
    assert (law.x[0], law.y[0]) == (0.0, 0.5)
    assert law.y[20] == pytest.approx(0.5 * (1 + math.erf(1.0)))  # x = 2, Φ(√2)


def test_bands_have_a_panel_for_logits_and_one_for_probabilities():
    frame = pd.DataFrame(
        [
            {
                "setting": setting,
                "band": band,
                "metric": metric,
                "rank": rank,
                "mean": value,
                "n": 9,
            }
            for setting in ("one", "two")
            for metric, value in (("noise", 0.9), ("moved", 1e-5))
            for band, rank in (("1–9", 3.0), ("10–99", 31.0))
        ]
    )
    drawn = figure_subsets.band_profile(frame, name="f", title="T", caption="C", provenance={})
    noise, moved = drawn.figure.panels
    assert (noise.y_scale, moved.y_scale) == ("linear", "log")
    assert [line.label for line in noise.lines] == ["one", "two"]
    assert moved.lines[0].mean == (1e-5, 1e-5)
