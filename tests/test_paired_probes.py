"""The figure of the paired probes draws the numbers of its frame, and the frame those of items."""

import math

import pandas as pd
import pytest

from chapters.probes import story
from chapters.probes.figure_paired_probes import FORMS, paired_probes
from helpers.evaluation.paired import score_interval
from reporting import forms
from reporting.figures.interactive import plot, script_text
from reporting.figures.layout import key
from reporting.figures.style import STYLES
from runs.parameters import RunParameters
from runs.settings import named

COLUMNS = ["panel", "model", "form", "value", "low", "high", "n"]
GIVEN, NOTHING = (words.capitalize() for words in story.ASKED.values())
WORDS = {"name": "f", "title": "t", "caption": "c", "provenance": {"run": "a1"}}
MODELS = ("Dense", "Drop-8A", "Wanda 50%")


def frame(models=MODELS, banded=True):
    rows = [
        (panel, model, form, 0.9 - 0.1 * place - shift, low, high, 60 + place)
        for panel in ("with", "without")
        for place, model in enumerate(models)
        for form, shift in (("choice", 0.0), ("generation", 0.3))
        for low, high in [(0.05 * place, 0.95) if banded else (math.nan, math.nan)]
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def made(data):
    return paired_probes(data, **WORDS).figure


def drawn(line):
    """The marks of a line: places that are not gaps."""
    return [(x, y) for x, y in zip(line.x, line.mean, strict=True) if math.isfinite(y)]


def test_every_number_stands_in_the_row_of_its_model():
    data = frame()
    for panel in made(data).panels:
        names = {name: height for height, name in panel.y_ticks}
        assert list(names) == list(MODELS)
        assert sorted(names.values(), reverse=True) == list(names.values())  # dense at the top
        for form, (label, look, _) in FORMS.items():
            (marks,) = (line for line in panel.lines if line.label == label and drawn(line))
            wanted = data[data["panel"].eq(panel.title) & data["form"].eq(form)]
            assert [x for x, _ in drawn(marks)] == pytest.approx(wanted["value"].tolist())
            for (_, y), model in zip(drawn(marks), wanted["model"], strict=True):
                assert abs(y - names[model]) < 0.3
            usual = STYLES["choosing" if form == "choice" else "generating"]
            assert (look.colour, look.marker) == (usual.colour, usual.marker)


def test_marks_are_apart_and_one_line_joins_the_two_of_a_model():
    panel = made(frame()).panels[0]
    joined = panel.lines[0]
    marks = [line for line in panel.lines[1:] if drawn(line)]
    assert sorted(drawn(joined)) == sorted(mark for line in marks for mark in drawn(line))
    for line in marks:  # gaps between marks, so that models are not joined
        assert [math.isfinite(y) for y in line.mean] == [True, False] * len(MODELS)
    runs = [math.isfinite(y) for y in joined.mean]
    assert runs == [True, True, False] * len(MODELS)


def test_intervals_are_bars_along_the_row():
    data = frame()
    panel = made(data).panels[0]
    for form, (label, _, _) in FORMS.items():
        (bars,) = (line for line in panel.lines if line.label == label and line.banded)
        wanted = data[data["panel"].eq("with") & data["form"].eq(form)]
        ends = [x for x, low in zip(bars.x, bars.low, strict=True) if math.isfinite(low)]
        assert ends[::2] == pytest.approx(wanted["low"].tolist())
        assert ends[1::2] == pytest.approx(wanted["high"].tolist())
    assert not any(line.banded for line in made(frame(banded=False)).panels[0].lines)


def test_both_pictures_name_the_rows_and_tell_the_numbers():
    output = paired_probes(frame(), **WORDS)
    layout = plot(output.figure)["layout"]
    assert layout["yaxis"]["ticktext"] == layout["yaxis2"]["ticktext"] == list(MODELS)
    picture = output._repr_html_().partition('<div class="figure-static">')[2]
    assert all(picture.count(f">{model}</text>") == 2 for model in MODELS)
    text = script_text(plot(output.figure))
    assert "0.50 [0.05 to 0.95], n = 61" in text
    assert "nan" not in text.lower()


def test_key_names_each_form_once():
    entries = key(made(frame()))
    assert [entry.text for entry in entries] == [
        "same questions",
        "best of four",
        "written",
        "guessing",
    ]


def test_alternative_text_tells_every_mark():
    alt = made(frame()).alt
    assert "with: Dense best of four 0.90; Dense written 0.60; Drop-8A best of four 0.80" in alt


def test_many_models_keep_all_their_marks():
    names = tuple(f"M{number}" for number in range(33))
    panel = made(frame(names)).panels[0]
    for label, _, _ in FORMS.values():
        lines = [line for line in panel.lines if line.label == label and drawn(line)]
        assert sum(len(drawn(line)) for line in lines) == len(names)
        assert all(line.markers == -1 for line in lines)


def items(pruned_right):
    """Eight questions of one family that counts and of one that does not, as a chapter has
    them."""
    rows = [
        {
            "setting": setting,
            "form": f"{form}, {asked}",
            "family": family,
            "item": f"{family}-{number}",
            "chance": chance,
            "dense": float(number < (7 if family == "easy" else 2)),
            "pruned": float(number < pruned_right),
        }
        for setting in ("Drop-2M", "Drop-4M")
        for asked in ("prefix", "plain")
        for form, chance in (("choice", 0.25), ("generation", 0.0))
        for family in ("easy", "hard")
        for number in range(8)
    ]
    return pd.DataFrame(rows)


def test_levels_are_corrected_for_guessing_over_families_that_count():
    found = story.levels(items(4))
    assert list(found.columns) == COLUMNS
    assert found["panel"].unique().tolist() == [GIVEN, NOTHING]
    assert found["model"].unique().tolist() == ["Dense", "Drop-2M", "Drop-4M"]
    assert set(found["n"]) == {8}
    one = found.set_index(["panel", "model", "form"])["value"].loc[NOTHING]
    assert one["Dense", "generation"] == pytest.approx(7 / 8)
    assert one["Dense", "choice"] == pytest.approx((7 / 8 - 0.25) / 0.75)
    assert one["Drop-4M", "choice"] == pytest.approx((4 / 8 - 0.25) / 0.75)
    low, high = score_interval([1] * 4 + [0] * 4)
    row = found[found["model"].eq("Drop-2M") & found["form"].eq("choice")].iloc[0]
    assert (row["low"], row["high"]) == pytest.approx(((low - 0.25) / 0.75, (high - 0.25) / 0.75))


def test_no_family_counts_and_nothing_is_left():
    rows = items(4)
    hard = rows[rows["family"].eq("hard")]
    assert story.levels(hard).empty
    assert story.levels(rows.iloc[:0]).empty
    assert story.family_tables(hard) == {}
    half = rows[~(rows["family"].eq("easy") & rows["form"].str.endswith("plain"))]
    assert story.levels(half)["panel"].unique().tolist() == [GIVEN]


def test_families_stand_before_the_whole_that_the_line_tells():
    tables = story.family_tables(items(0))
    line = next(each for each in tables if each.startswith("Drop-2M"))
    assert line.endswith("choice loses more")  # 7/8 − 1/6 of generation, a third more of choice
    table = tables[line]
    assert table["family"].tolist() == ["easy", "hard", "all that count"]
    assert table["counts"].tolist() == ["yes", "no", "1"]


def test_claims_go_by_what_was_pruned():
    models = named(RunParameters(), "Drop-2M,Drop-4M,Wanda 50%")
    wanda = items(2).query("setting == 'Drop-2M'").assign(setting="Wanda 50%")
    given = pd.concat([items(2), wanda])
    effects = {way: forms.effects(given, way) for way in story.ASKED}
    found = {one.claim: one for one in story.claims(effects, models)}
    assert len(found) == 4
    mlps = found["The form decides: MLPs dropped, nothing given"]
    assert mlps.measured.count("Drop-") == 2
    assert mlps.verdict == found["The form decides: weights removed, nothing given"].verdict
    assert story.claims({"prefix": {}, "plain": {}}, models) == []
