"""Figures of sets of tokens."""

import json
import math
import re

import pandas as pd
import pytest

from chapters.subspace import figure_subsets


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
