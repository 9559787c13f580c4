"""Scores against what is removed: the figure draws the numbers of its frame, and refuses others."""

import math

import pandas as pd
import pytest

from reporting.figures import score_curves
from reporting.figures.interactive import plot
from reporting.figures.layout import key
from reporting.figures.score_curves import COLUMNS, KINDS
from reporting.figures.style import STYLES

WORDS = {"name": "f", "title": "t", "caption": "c", "provenance": {"run": "a1"}}
SERIES = (
    ("probes, chosen", "choosing", "measured"),
    ("piqa", "choosing", "measured"),
    ("probes, written", "generating", "measured"),
    ("reported: GSM8K", "generating", "reported"),
)


def frame(banded=True):
    rows = [
        {
            "panel": panel,
            "series": series,
            "kind": kind,
            "source": source,
            "x": float(x),
            "point": f"Drop-{x}",
            "mean": number + x / 10,
            "low": number - 0.1 if banded and source == "measured" else math.nan,
            "high": number + 0.5 if banded and source == "measured" else math.nan,
            "n": None if source == "reported" else 30 + x,
        }
        for panel in ("Attention", "MLP")
        for number, (series, kind, source) in enumerate(SERIES)
        for x in (4, 0, 2)
    ]
    return pd.DataFrame(rows)


def made(data, **more):
    return score_curves(data, x_label="dropped", **WORDS, **more).figure


def test_draws_every_number_in_order():
    found = made(frame())
    assert [panel.title for panel in found.panels] == ["Attention", "MLP"]
    for panel in found.panels:
        assert [line.label for line in panel.lines] == [series for series, _, _ in SERIES]
        for number, line in enumerate(panel.lines):
            assert line.x == (0.0, 2.0, 4.0)
            assert line.mean == (number, number + 0.2, number + 0.4)
            assert line.points == ["Drop-0", "Drop-2", "Drop-4"]
            measured = not line.reported
            assert line.banded == measured
            assert line.n == ([30, 32, 34] if measured else None)


def test_kinds_are_hues_and_reported_is_hollow():
    chosen, piqa, written, gsm = (line.look for line in made(frame()).panels[0].lines)
    assert chosen.colour == piqa.colour == KINDS["choosing"].colour
    assert written.colour == gsm.colour == KINDS["generating"].colour
    assert (chosen.marker, chosen.dash) != (piqa.marker, piqa.dash)
    assert [look.hollow for look in (chosen, piqa, written, gsm)] == [False, False, False, True]
    assert len({style.colour for style in (*KINDS.values(), *STYLES.values())}) == 7
    assert len({(style.marker, style.dash) for style in KINDS.values()}) == len(KINDS)


@pytest.mark.parametrize("ground", ["#FFFFFF", "#14181E"])
def test_hues_stand_out_on_both_themes(ground):
    """Contrast of WCAG, at least 3 for graphics."""

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for style in KINDS.values():
        low, high = sorted((luminance(style.colour), luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 3


def test_no_band_without_an_interval():
    assert not any(line.banded for line in made(frame(banded=False)).panels[0].lines)


def test_places_have_names_in_both_pictures():
    ticks = [(0.0, "dense"), (2.0, "50%"), (4.0, "2:4")]
    output = score_curves(frame(), x_label="pattern", x_ticks=ticks, **WORDS)
    axis = plot(output.figure)["layout"]["xaxis2"]
    assert (axis["tickvals"], axis["ticktext"]) == ([0.0, 2.0, 4.0], ["dense", "50%", "2:4"])
    picture = output._repr_html_().partition('<div class="figure-static">')[2]
    assert all(f">{text}</text>" in picture for _, text in ticks)


def test_wide_bands_end_at_the_edge_and_no_point_does():
    """An interval of a score just above guessing can be many times as wide as all points are."""
    wide = frame().assign(low=-9.0, high=9.0)
    assert made(wide).panels[0].y_range == pytest.approx((-0.1, 3.45))
    few = wide[wide["series"].eq("probes, chosen")]
    assert made(few).panels[0].y_range == pytest.approx((-0.1, 1.15))
    assert made(few, y_range=(0, 2)).panels[0].y_range == (0, 2)


def test_key_names_every_line_once():
    assert [entry.text for entry in key(made(frame()))] == [series for series, _, _ in SERIES]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.drop(columns="kind"), "lacks the columns kind"),
        (lambda data: data.iloc[:0], "without a row"),
        (lambda data: data.assign(kind="reading"), "unknown kind 'reading': use one of choosing"),
        (lambda data: data.assign(source="guessed"), "unknown source 'guessed'"),
    ],
)
def test_other_tables_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        made(change(frame()))


def test_columns_are_the_data_to_download():
    assert tuple(made(frame()).data.columns) == COLUMNS
