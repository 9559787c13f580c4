"""From questions to the lines of a score figure, and the words about them: shares by hand."""

import numpy as np
import pandas as pd
import pytest

from chapters.g_more_models import more_models_words
from reporting import figure_1_words, figures, introduction_words, score_frames
from reporting.probe_effects import MORE
from reporting.reported.scores import figure_1
from reporting.score_claims import claim_table
from reporting.score_frames import CHOSEN, WRITTEN, by_model
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
    parts = []
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


def kept_of(models=MODELS):
    written = dict.fromkeys(models, 12)
    return score_frames.kept_series(tasks(models), probes(written)), probes(written)


def test_shares_by_hand_of_what_counts():
    """Chosen: from 1 to 35/40 above a quarter; written: 12 of 30; PIQA: (26 − 20) of (32 − 20)."""
    kept, asked = kept_of()
    assert score_frames.probe_families(asked) == ("capitals",)
    found = by_model(kept)
    assert set(found) == set(MODELS)
    for one in found.values():
        assert list(one) == [CHOSEN, WRITTEN, "PIQA"]
        assert one[CHOSEN].value == pytest.approx((35 / 40 - 0.25) / 0.75)
        assert one[WRITTEN].value == pytest.approx(12 / 30)
        assert one["PIQA"].value == pytest.approx(6 / 12)
        assert all(each.low < each.value < each.high for each in one.values())
    assert set(kept["n"]) == {N}


def test_intervals_are_those_of_a_plain_bootstrap():
    """The same questions drawn for both models, by another generator and a loop."""
    kept, _ = kept_of({"Drop-2A": MODELS["Drop-2A"]})
    own = by_model(kept)["Drop-2A"][WRITTEN]
    dense, pruned = np.arange(N) < 30, np.arange(N) < 12
    draws = np.random.default_rng(5).integers(N, size=(20_000, N))
    shares = [pruned[draw].mean() / dense[draw].mean() for draw in draws]
    low, high = np.percentile(shares, (2.5, 97.5))
    assert own.low == pytest.approx(low, abs=0.02)
    assert own.high == pytest.approx(high, abs=0.02)


def test_an_interval_has_width_where_no_answer_changes():
    """The rule of three, by hand: 3 of 40 questions, above a quarter, of all the dense score."""
    same = rows("Drop-2A", "piqa", "multiple_choice", "", "", 0.25, 40, 40)
    one = by_model(score_frames.kept_series(same, probes({"Drop-2A": 0}).head(0)))
    found = one["Drop-2A"]["PIQA"]
    room = 3 / 40 / 0.75
    assert (found.value, found.low, found.high) == pytest.approx((1, 1 - room, 1 + room))


def test_points_stand_at_the_number_dropped_after_the_dense_model():
    kept, _ = kept_of()
    frame = score_frames.against_dropped(kept, MODELS)
    assert list(dict.fromkeys(frame["panel"])) == list(score_frames.TARGETS.values())
    lines = {
        panel: part.loc[part["series"].eq(WRITTEN), ["x", "point"]].to_numpy().tolist()
        for panel, part in frame.groupby("panel")
    }
    assert lines == {
        "Attention dropped": [[0, "dense"], [2, "Drop-2A"], [8, "Drop-8A"]],
        "MLPs dropped": [[0, "dense"], [1, "Drop-1M"], [4, "Drop-4M"]],
        "Blocks dropped": [[0, "dense"], [2, "Drop-2B"]],
    }
    assert (frame.loc[frame["x"].eq(0), ["mean", "low", "high"]] == 1).all(axis=None)


def test_too_few_questions_give_no_band():
    kept, _ = kept_of()
    few = kept.assign(kept=[type(one)(one.value) for one in kept["kept"]])
    frame = score_frames.against_dropped(few, MODELS)
    assert frame[["low", "high"]].isna().all(axis=None)
    assert (
        "nan"
        not in introduction_words.kept_table(
            by_model(few), dict.fromkeys(MODELS, 135_000_000), {}
        ).to_string()
    )


def test_patterns_stand_after_shares_the_strictest_last():
    names = "Wanda 2:4,Wanda 50%,SparseGPT 25%,Wanda 4:8,SparseGPT 2:4,Wanda 1:4"
    models = named(RunParameters(), names)
    kept, _ = kept_of(models)
    frame, ticks = score_frames.against_pattern(kept, models)
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
    assert figures.score_curves(
        frame, x_label="x", x_ticks=ticks, name="f", title="t", caption="c", provenance={}
    )


def test_a_model_without_a_score_gives_no_rows_but_the_papers():
    nothing = tasks(["Drop-2A"]).head(0)
    kept = score_frames.kept_series(nothing, probes({"Drop-2A": 0}).head(0))
    assert kept.empty
    assert score_frames.form_effects(nothing) == {}
    theirs = score_frames.reported_drops()
    ours = score_frames.against_dropped(kept, MODELS)
    assert score_frames.stacked(ours, theirs).equals(theirs)
    assert score_frames.against_pattern(kept, MODELS)[1] == [(0.0, "dense")]
    assert "nothing can be said" in introduction_words.told({}, {})
    assert claim_table(introduction_words.claims(kept, {}, {}))["verdict"].tolist() == ["at floor"]


def test_the_papers_points_are_those_of_figure_1():
    each, mean = score_frames.reported_tasks(), score_frames.reported_drops()
    assert len(each) == len(figure_1()) == 2 * len(mean)
    at = mean[mean["point"].eq("Drop-5B") & mean["kind"].eq("choosing")]["mean"].item()
    assert at == pytest.approx(((68 - 25) / (82 - 25) + (40 - 25) / (72 - 25)) / 2)
    assert set(mean["source"]) == {"reported"}


def test_the_introduction_says_what_the_numbers_do():
    kept, asked = kept_of()
    effects = score_frames.form_effects(asked)
    panels = score_frames.drop_panels(MODELS)
    assert list(panels) == ["Drop-2A", "Drop-8A", "Drop-1M", "Drop-4M", "Drop-2B"]
    assert {one.verdict for one in effects.values()} == {MORE["generation"]}
    told = introduction_words.told(by_model(kept), effects)
    assert "writing loses more than choosing under Drop-4M" in told
    assert "40% [" in told
    assert introduction_words.figure_title(effects, panels).endswith(
        "2 of 2 with attention dropped, 2 of 2 with MLPs dropped, 1 of 1 with blocks dropped"
    )
    table = claim_table(introduction_words.claims(kept, panels, effects)).set_index("claim")
    verdicts = table["verdict"].to_dict()
    assert verdicts[
        "… because they generate: the same questions lose more when written (ours)"
    ] == ("held")
    assert verdicts["Tasks that choose keep their score (PIQA)"] == "open"
    assert set(table["measured"].str.count("Drop-")) == {3}  # one for each panel, the last


def test_steps_are_differences_on_the_same_questions():
    models = named(RunParameters(), "SparseGPT 25%,SparseGPT 50%,SparseGPT 2:4")
    written = dict(zip(models, (24, 12, 12), strict=True))
    kept = score_frames.kept_series(tasks(models), probes(written))
    found = more_models_words.sparse(models, "SparseGPT")
    fall = more_models_words.steps(kept, WRITTEN, found)
    assert list(fall) == ["25% to 50%", "50% to 2:4"]
    assert fall["25% to 50%"].value == pytest.approx(12 / 30)
    assert fall["25% to 50%"].above(0)
    same = fall["50% to 2:4"]
    # no answer differs, so 3 in 30 might, under either model
    assert (same.value, same.low, same.high) == pytest.approx((0, -0.2, 0.2))
    claims = more_models_words.claims(kept, {}, models)
    verdicts = {one.claim: one.verdict for one in claims}
    assert verdicts[f"… the more, the stricter ({WRITTEN})"] == "partly"
    sharp = f"Generation loses sharply where half of the weights go ({WRITTEN})"
    assert [list(one.answers) for one in claims if one.claim == sharp] == [
        ["SparseGPT 50%", "SparseGPT 2:4"]
    ]


def test_the_papers_figure_in_words():
    """Read off by hand: six attention sublayers end both writing tasks, GSM8K at 0 of 75.6."""
    assert figure_1_words.puzzle().startswith("With 6 attention sublayers dropped, HellaSwag keeps")
    assert "GSM8K keeps 0% and HumanEval 6%" in figure_1_words.puzzle()
    assert "at 8 blocks, HellaSwag 53% and MMLU 6%" in figure_1_words.limits()
    assert figure_1_words.other_starts().startswith("HellaSwag (82 where")
