"""Appendix F: what is measured of weights, and what is made of it."""

import pandas as pd
import pytest

from chapters.f_quantization import story
from chapters.f_quantization.measure import grid_errors, rotation_check, weight_store
from helpers.models.load import load
from helpers.pruning.weights import prunable
from reporting import reported
from reporting.claims import OURS, Claim
from runs.parameters import RunParameters
from runs.settings import named


@pytest.fixture
def run(tiny_folder, little_text, tmp_path):
    return RunParameters(
        model=str(tiny_folder),
        results=str(tmp_path / "results"),
        calibration=little_text,
        calibration_samples=3,
        calibration_length=16,
        group_size=16,
        prompts="MC2,Math1",
        max_new_tokens=3,
        device="cpu",
    )


def _of(run, name):
    (one,) = named(run, name).values()
    return one


def test_bytes_and_errors_of_weights_are_those_of_the_models(run, tiny_folder):
    dense = [one.matrix for layer in prunable(load(str(tiny_folder)).decoder) for one in layer]
    sizes = [weight.numel() for weight in dense]
    store = weight_store(_of(run, "RTN 4")).table("stored_weights")
    assert store["size"].tolist() == sizes == store["kept"].tolist()
    # 4-bit integers, and 20 bits for every group of 16
    assert store["bytes"].tolist() == [(4 * size + 20 * size // 16) // 8 for size in sizes]
    both = weight_store(_of(run, "Magnitude 50% + RTN 4")).table("stored_weights")
    assert both["unmasked"].tolist() == store["bytes"].tolist()
    assert (both["bytes"] < both["unmasked"]).all()
    pruned = weight_store(_of(run, "Magnitude 50%")).table("stored_weights")
    assert pruned["kept"].tolist() == [size - size // 2 for size in sizes]
    assert pruned["bytes"].tolist() == [(size - size // 2) * 2 + size // 8 for size in sizes]
    for weight, error in zip(dense, pruned["error"], strict=True):
        lost = weight.abs().flatten().sort().values[: weight.numel() // 2]
        assert error == pytest.approx(float(lost.norm() / weight.norm()), rel=1e-5)


def test_what_is_dropped_takes_nothing_and_packed_weights_take_what_they_take(run):
    dropped = weight_store(_of(run, "Drop-1M")).table("stored_weights")
    gone = dropped[dropped["bytes"].eq(0)]
    assert gone["weight"].str.startswith("mlp").all()
    assert len(gone) == 3
    packed = weight_store(_of(run, "NF4")).table("stored_weights")
    # half a byte each, and four bytes for every 64
    assert packed["bytes"].tolist() == [size // 2 + size // 16 for size in packed["size"]]
    assert packed["error"].isna().all()


def test_rounding_errors_fall_with_bits_and_a_copy_is_the_same_function(run):
    errors = grid_errors(run).table("grids").groupby(["whole_zero", "bits"])["error"].mean()
    for whole in (True, False):
        assert errors[whole].sort_index(ascending=False).is_monotonic_increasing
    rows = rotation_check(run).table("rotation")
    assert rows["same_text"].all()
    assert (rows["largest"] < 1e-4 * rows["logit_size"]).all()


def _deviations(values):
    """One prompt, one number at each step, in the columns of the table."""
    return pd.DataFrame(
        {
            "prompt": "P",
            "decoding": "free",
            "step": range(len(values)),
            "quantity": "measured",
            "space": "probability",
            "metric": "kl",
            "centred": False,
            "value": values,
        }
    )


def test_smoothing_is_exponential_with_the_first_value_as_it_is(monkeypatch):
    monkeypatch.setattr(story, "PANELS", {"KL": ("kl", "probability", "nats")})
    values = [1.0, 3.0, 2.0, 5.0]
    tables = {"one": _deviations(values)}
    assert story.figure_9(tables, smoothed=False)["mean"].tolist() == values
    expected = [values[0]]
    for value in values[1:]:
        expected.append(story.SMOOTHING * value + (1 - story.SMOOTHING) * expected[-1])
    assert story.figure_9(tables, smoothed=True)["mean"].tolist() == pytest.approx(expected)


def test_size_of_a_change_is_made_of_both_its_parts():
    parts = [_deviations([0.3]).assign(metric="parallel", space="logit")]
    parts += [_deviations([0.4]).assign(metric="orthogonal", space="logit")]
    found = story._cells(pd.concat(parts), "magnitude", "logit")
    assert found["value"].tolist() == pytest.approx([0.5])


def test_the_printed_figure_has_three_curves_in_five_panels():
    printed = story.printed_9(reported.figure_9(), 190)
    assert printed.groupby(["panel", "series"]).size().eq(190).all()
    assert printed["panel"].nunique() == 5
    cosine = printed[printed["panel"].eq("(a) Embedding")].groupby("series")["mean"].mean()
    assert cosine.idxmax() == "Quantization, 7B"


def test_verdicts_on_both_weights_stand_side_by_side_by_claim():
    def claim(words, met):
        return Claim(words, OURS, "1", "above 0", [met])

    here = [claim("a", True), claim("b", False)]
    found = story.both_ways(here, [claim("b", True)])
    assert found[["claim", "rotated", "as released"]].to_numpy().tolist() == [
        ["b", "✗ contradicted", "✓ supported"]
    ]


def test_scores_are_above_guessing_and_never_certain():
    """Of 30 questions with two answers, 24 right and none: a score at its floor is left out."""
    answers = pd.DataFrame({"dense": [1] * 24 + [0] * 6, "pruned": 0, "chance": 0.5})
    rows = [
        answers.assign(setting="RTN 2", task=task, verdict=verdict)
        for task, verdict in (("piqa", "lost"), ("mmlu", "at_floor"))
    ]
    probes = pd.DataFrame(columns=["setting", "form", "family", "item", "dense", "pruned"])
    found = story.kept_scores(probes, pd.concat(rows), seed=0)
    assert {name: list(kept) for name, kept in found.items()} == {
        "Dense": ["PIQA"],
        "RTN 2": ["PIQA"],
    }
    dense, pruned = found["Dense"]["PIQA"], found["RTN 2"]["PIQA"]
    assert dense.value == pytest.approx(0.8 * 2 - 1)
    assert dense.low < dense.value < dense.high
    assert (pruned.value, pruned.low) == (-1, -1)
    assert pruned.high == pytest.approx(-1 + 2 * 3 / 30)
    (level,) = story.dense_levels(found)["PIQA"]
    assert set(level.y) == {dense.value}
    assert story.score_table(found)["model"].tolist() == ["Dense", "RTN 2"]
