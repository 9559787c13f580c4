"""Around the parting, and survival: the figures draw the numbers of their frames."""

import math

import pandas as pd

from chapters.multi_scale_effects.figure_writing import around_parting, survival_curves

WORDS = {"name": "f", "title": "t", "caption": "c", "provenance": {"run": "a1"}}


def frame(column, names, steps, banded=True):
    return pd.DataFrame(
        [
            {
                "panel": panel,
                column: each,
                "step": step,
                "mean": number + step / 10,
                "low": number if banded else math.nan,
                "high": number + 1.0 if banded else math.nan,
                "n": 9 - abs(step),
            }
            for panel in ("Drop-8A", "Wanda 50%")
            for number, each in enumerate(names)
            for step in reversed(steps)
        ]
    )


def test_around_parting_draws_both_readings_and_the_unpruned_level():
    data = frame("decoding", ("free", "forced"), range(-2, 4))
    made = around_parting(data, 1.5, y_label="KL", **WORDS).figure
    assert [panel.title for panel in made.panels] == ["Drop-8A", "Wanda 50%"]
    for panel in made.panels:
        assert [guide.y for guide in panel.references] == [(1.5, 1.5)]
        for line, number in zip(panel.lines, (0, 1), strict=True):
            assert line.x == tuple(range(-2, 4))
            assert line.mean == tuple(number + step / 10 for step in range(-2, 4))
            assert list(line.n) == [7, 8, 9, 8, 7, 6]
            assert line.banded
        free, forced = (line.look for line in panel.lines)
        assert free.colour == forced.colour
        assert (free.marker, free.dash) != (forced.marker, forced.dash)


def test_no_level_without_a_number():
    data = frame("decoding", ("free", "forced"), range(2))
    made = around_parting(data, math.nan, y_label="KL", **WORDS).figure
    assert not any(panel.references for panel in made.panels)


def test_survival_curves_have_a_band_only_where_there_is_an_interval():
    for banded in (True, False):
        data = frame("series", ("greedy", "sampled"), range(4), banded)
        for panel in survival_curves(data, **WORDS).figure.panels:
            assert [line.label for line in panel.lines] == ["greedy", "sampled"]
            assert [line.banded for line in panel.lines] == [banded, banded]
            looks = [line.look for line in panel.lines]
            assert looks[0].dash != looks[1].dash
