"""From questions to what the chapters on scores show: shares, curves and claims by hand."""

import numpy as np
import pandas as pd
import pytest

from chapters.g_more_models import story as more_models
from chapters.introduction import story as introduction
from reporting import forms, scores
from reporting.reported.scores import figure_1
from reporting.scores import CHOSEN, WRITTEN
from reporting.statistics import Estimate
from runs.parameters import RunParameters
from runs.settings import named

N = 40  # questions of each family and form


def rows(setting, task, kind, form, family, chance, dense, pruned, verdict="ok"):
    """``N`` questions, of which the first ``dense`` and the first ``pruned`` are right."""
    return pd.DataFrame(
        {
            "setting": setting,
            "task": task,
            "kind": kind,
            "form": form,
            "metric": "acc",
            "item": [f"{family or task}-{number:02d}" for number in range(N)],
            "family": family,
            "chance": chance,
            "dense": [float(number < dense) for number in range(N)],
            "pruned": [float(number < pruned) for number in range(N)],
            "verdict": verdict,
        }
    )


def probes(written):
    """Probes of a family that counts and of one that does not, by model: right when written."""
    parts = [rows("", "probes", "probe", "letter", "", 0.25, 0, 0).head(0)]
    for setting, right in written.items():
        for family, able in (("capitals", 30), ("sums", 4)):
            parts += [
                rows(setting, "probes", "probe", "choice, prefix", family, 0.25, 40, 35),
                rows(setting, "probes", "probe", "generation, prefix", family, 0.0, able, right),
                rows(setting, "probes", "probe", "generation, plain", family, 0.0, able, 0),
            ]
    return pd.concat(parts, ignore_index=True)


def tasks(names):
    parts = [rows(name, "piqa", "multiple_choice", "", "", 0.5, 32, 26) for name in names]
    parts += [
        rows(name, "mmlu", "multiple_choice", "", "", 0.25, 11, 11, "at_floor") for name in names
    ]
    return pd.concat(parts, ignore_index=True)


MODELS = named(RunParameters(), "Drop-4M,Drop-2B,Drop-2A,Drop-8A,Drop-1M")


def kept_of(models=MODELS, written=12):
    return scores.kept_series(tasks(models), probes(dict.fromkeys(models, written)))


def share(kept, setting, series):
    return scores.shares(kept, series)[setting]


def test_shares_by_hand_of_what_counts():
    """Chosen: from 1 to 35/40 above a quarter; written: 12 of 30; PIQA: (26 − 20) of (32 − 20)."""
    kept = kept_of()
    assert set(kept["setting"]) == set(MODELS)
    assert kept["series"].unique().tolist() == [CHOSEN, WRITTEN, "PIQA"]
    wanted = {CHOSEN: (35 / 40 - 0.25) / 0.75, WRITTEN: 12 / 30, "PIQA": 6 / 12}
    for row in kept.itertuples():
        assert row.share.value == pytest.approx(wanted[row.series])
        assert row.share.low < row.share.value < row.share.high
        assert row.share.n == N
    assert scores.series_of(kept, "choosing") == [CHOSEN, "PIQA"]


def test_tasks_of_a_kind_count_alike():
    both = pd.concat(
        [tasks(["Drop-2A"]), rows("Drop-2A", "mathqa", "multiple_choice", "", "", 0.25, 40, 10)]
    )
    kept = scores.kept_series(both, probes({}), by="kind")
    dense, pruned = ((32 - 20) / 20 + 1) / 2, (6 / 20 + 0) / 2
    assert kept["series"].tolist() == [scores.CHOOSING]
    assert share(kept, "Drop-2A", scores.CHOOSING).value == pytest.approx(pruned / dense)


def test_intervals_are_those_of_a_plain_bootstrap():
    """The same questions drawn for both models, by another generator and a loop."""
    own = share(kept_of({"Drop-2A": MODELS["Drop-2A"]}), "Drop-2A", WRITTEN)
    dense, pruned = np.arange(N) < 30, np.arange(N) < 12
    draws = np.random.default_rng(5).integers(N, size=(20_000, N))
    ratios = [pruned[draw].mean() / dense[draw].mean() for draw in draws]
    low, high = np.percentile(ratios, (2.5, 97.5))
    assert own.low == pytest.approx(low, abs=0.02)
    assert own.high == pytest.approx(high, abs=0.02)


def test_an_interval_has_width_where_no_answer_changes():
    """The rule of three, by hand: 3 of 40 questions, above a quarter, of all the dense score."""
    same = rows("Drop-2A", "piqa", "multiple_choice", "", "", 0.25, 40, 40)
    found = share(scores.kept_series(same, probes({})), "Drop-2A", "PIQA")
    room = 3 / 40 / 0.75
    assert (found.value, found.low, found.high) == pytest.approx((1, 1 - room, 1 + room))


def test_points_stand_at_the_number_dropped_after_the_dense_model():
    frame = introduction.curves(kept_of(), MODELS).query("quantity != 'reported'")
    assert list(dict.fromkeys(frame["panel"])) == list(introduction.PANELS.values())
    lines = {
        panel: sorted(part.loc[part["series"].eq(WRITTEN), ["x", "point"]].to_numpy().tolist())
        for panel, part in frame.groupby("panel")
    }
    assert lines == {
        "Attention dropped": [[0, "dense"], [2, "Drop-2A"], [8, "Drop-8A"]],
        "MLPs dropped": [[0, "dense"], [1, "Drop-1M"], [4, "Drop-4M"]],
        "Blocks dropped": [[0, "dense"], [2, "Drop-2B"]],
    }
    assert (frame.loc[frame["x"].eq(0), ["mean", "low", "high"]] == 1).all(axis=None)


def test_too_few_questions_give_no_band():
    kept = kept_of()
    few = kept.assign(share=[Estimate(one.value) for one in kept["share"]])
    frame = introduction.curves(few, MODELS).query("quantity != 'reported'")
    assert frame[["low", "high"]].isna().all(axis=None)
    left = dict.fromkeys(MODELS, 135_000_000)
    table = scores.kept_table(few, [CHOSEN, "ASDiv"], left, {})
    assert table.iloc[0].tolist() == ["Drop-4M", "135M", "83%", "model too weak", "–"]


def test_patterns_stand_after_shares_the_strictest_last():
    names = "Wanda 2:4,Wanda 50%,SparseGPT 25%,Wanda 4:8,SparseGPT 2:4,Wanda 1:4"
    models = named(RunParameters(), names)
    frame, ticks = scores.against_sparsity(kept_of(models), models)
    names = ["dense", "25%", "50%", "4:8", "2:4", "1:4"]
    assert ticks == [(float(place), name) for place, name in enumerate(names)]
    wanda = frame[frame["panel"].eq("Wanda") & frame["series"].eq(CHOSEN)]
    assert dict(zip(wanda["point"], wanda["x"], strict=True)) == {
        "dense": 0,
        "Wanda 50%": 2,
        "Wanda 4:8": 3,
        "Wanda 2:4": 4,
        "Wanda 1:4": 5,
    }


def test_wide_bands_end_at_the_edge_and_no_point_does():
    """An interval of a score just above guessing can be many times as wide as all points are: wider
    than the whole score, it is told alone."""
    frame = introduction.curves(kept_of(), MODELS).assign(low=0.4, high=1.35)
    words = {"name": "f", "title": "t", "caption": "c", "provenance": {}, "x_label": "x"}
    panel = scores.draw(frame, **words).figure.panels[0]
    assert panel.y_range == pytest.approx((-0.1, 1.15))
    chosen, written, piqa, *theirs = (line.look for line in panel.lines)
    assert chosen.colour == piqa.colour != written.colour
    assert (chosen.marker, chosen.dash) != (piqa.marker, piqa.dash)
    assert all(line.banded for line in panel.lines[:3])
    assert [look.hollow for look in theirs] == [True, True]
    wide = frame["series"].eq("PIQA") & frame["x"].gt(0)
    swamped = scores.draw(frame.assign(low=frame["low"].mask(wide, -9.0)), **words).figure.panels[0]
    assert [line.banded for line in swamped.lines[:3]] == [True, True, False]
    assert min(swamped.lines[2].low) == -9
    assert swamped.y_range == panel.y_range
    higher = scores.draw(frame.assign(mean=3.0), **words).figure.panels[0]
    assert higher.y_range == pytest.approx((-0.1, 3.05))


def test_a_model_without_a_score_gives_no_rows_but_the_papers():
    nothing = tasks(["Drop-2A"]).head(0)
    kept = scores.kept_series(nothing, probes({}))
    assert kept.empty
    assert introduction.curves(kept, MODELS)["quantity"].unique().tolist() == ["reported"]
    assert scores.against_sparsity(kept, MODELS)[1] == [(0.0, "dense")]
    assert [one.verdict for one in introduction.claims(kept, {}, MODELS)] == ["model too weak"]


def test_the_papers_points_are_those_of_figure_1():
    paper = figure_1()
    assert len(introduction.reported(paper.assign(name=paper["task"]))) == len(paper)
    found = introduction.curves(kept_of(), MODELS)
    mean, ours = (found[found["quantity"].eq("reported") == flag] for flag in (True, False))
    assert 2 * len(mean) == (paper["dropped"] <= ours["x"].max()).sum() < len(paper)
    at = mean[mean["point"].eq("Drop-5B") & mean["space"].eq("choosing")]["mean"].item()
    assert at == pytest.approx(((68 - 25) / (82 - 25) + (40 - 25) / (72 - 25)) / 2)


def test_the_papers_figure_by_hand():
    """Six attention sublayers end both writing tasks, GSM8K at 0 of 75.6; eight blocks do."""
    attention, block = introduction.ended("attention"), introduction.ended("block")
    assert (attention.name, block.name) == (6, 8)
    assert (attention["GSM8K"], round(attention["HumanEval"], 2)) == (0, 0.06)
    assert block["HellaSwag"] == pytest.approx(0.53, abs=0.005)
    assert len(introduction.choosing_at_the_end()) == 6
    assert len(introduction.choosing_ahead()) == 36
    starts = introduction.starts().set_index("task")
    assert (starts.loc["HellaSwag", "block"], starts.loc["MMLU", "Table 1(b)"]) == (82, 62.1)


def test_section_1_asks_the_model_with_most_parts_dropped():
    effects = forms.effects(probes(dict.fromkeys(MODELS, 12)))
    assert {one.verdict for one in effects.values()} == {"generation loses more"}
    found = {one.claim: one for one in introduction.claims(kept_of(), effects, MODELS)}
    form = found["… because they generate: the same questions lose more when written"]
    assert form.verdict == "supported"
    assert found["Tasks that choose keep their score (PIQA)"].verdict == "too few data"
    assert {one.measured.count("Drop-") for one in found.values()} == {3}  # the last of each panel


def test_steps_are_differences_on_the_same_questions():
    models = named(RunParameters(), "SparseGPT 2:4,SparseGPT 25%,SparseGPT 50%")
    written = {"SparseGPT 25%": 24, "SparseGPT 50%": 12, "SparseGPT 2:4": 12}
    kept = scores.kept_series(tasks(models), probes(written))
    names = more_models.pruned_by(models)
    fall = more_models.steps(kept, WRITTEN, names)
    assert list(fall) == ["25% to 50%", "50% to 2:4"]
    assert fall["25% to 50%"].value == pytest.approx(12 / 30)
    assert fall["25% to 50%"].above(0)
    same = fall["50% to 2:4"]
    # no answer differs, so 3 in 30 might, under either model
    assert (same.value, same.low, same.high) == pytest.approx((0, -0.2, 0.2))
    claims = {one.claim: one for one in more_models.claims(kept, {}, models)}
    assert claims[f"… the more, the stricter ({WRITTEN})"].verdict == "in some (1 of 2)"
    sharp = claims[f"Generation loses sharply where half of the weights go ({WRITTEN})"]
    assert sharp.measured.count("SparseGPT") == 2
