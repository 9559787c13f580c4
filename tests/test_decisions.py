"""Decisions in tables: partings of tiny models, slopes, what follows a parting, and verdicts."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
from conftest import tiny_batch, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st

from chapters.decisions import story
from chapters.decisions.story import Seen
from helpers.models.architecture import Decoder
from helpers.pruning.drop import drop
from measurements.generation import LOGIT, PROBABILITY, Pairing
from reporting import claims, figures, parting, trends
from reporting.statistics import Estimate

STEPS = 12
SPACES = {"choice": PROBABILITY, "agreement": PROBABILITY, "kl": PROBABILITY}
SPACES |= dict.fromkeys(("margin", "margin_noise", "margin_pruned"), LOGIT)


def seen(seed=0):
    """Tables of a tiny dense and a pruned model, without the store."""
    model = tiny_model("llama", seed)
    pruned = drop(Decoder.of(copy.deepcopy(model)), ((1, "attention"),))
    pairing = Pairing(Decoder.of(model), pruned, *tiny_batch())
    pairing.run(STEPS, 1.0)
    rows = [
        {
            "prompt": f"P{row}",
            "seed": 0,
            "step": step,
            "decoding": decoding,
            "metric": name,
            "quantity": "measured",
            "centred": False,
            "value": float(numbers[pairing.kinds.index((space, name, "measured"))]),
        }
        for decoding in ("free", "forced")
        for (row, step), numbers in zip(
            pairing.rows[decoding], pairing.values[decoding], strict=True
        )
        for name, space in SPACES.items()
    ]
    tokens = []
    for writer, own, other in zip(
        ("dense", "pruned"), pairing.written, pairing.written[::-1], strict=True
    ):
        for row, text in enumerate(own):
            tokens += [
                {
                    "prompt": f"P{row}",
                    "seed": 0,
                    "writer": writer,
                    "every": 0,
                    "step": step,
                    "token": token,
                    "parted": text[: step + 1] != other[row][: step + 1],
                    "value": -float(token) / 100,
                }
                for step, token in enumerate(text)
            ]
    found = Seen("Drop-1A", "Attention dropped", pd.DataFrame(rows), pd.DataFrame(tokens), 0)
    return found, pairing


@pytest.mark.parametrize("seed", [0, 1])
def test_parting_is_the_first_forced_mismatch_and_the_first_unlike_token(seed):
    found, pairing = seen(seed)
    forced = parting.partings(found.matches)
    free = parting.partings(parting.matches_of_texts(found.tokens))
    parted = 0
    for row, (ours, theirs) in enumerate(zip(*pairing.written, strict=True)):
        unlike = [step for step in range(STEPS) if ours[step] != theirs[step]]
        for table in (forced, free):
            first = table.set_index("prompt").loc[f"P{row}", "parting"]
            assert (unlike or [None])[0] == (None if math.isnan(first) else first)
        parted += bool(unlike)
    assert parted


def test_tokens_since_the_parting():
    found, pairing = seen()
    rows = found.text
    first = parting.partings(found.matches).set_index("prompt")["parting"]
    for row, texts in enumerate(zip(*pairing.written, strict=True)):
        if math.isnan(first[f"P{row}"]):
            continue
        cut = int(first[f"P{row}"])
        for writer, text in zip(("dense", "pruned"), texts, strict=True):
            own = story.written(rows[rows["prompt"] == f"P{row}"], writer)
            parts = [story.stage(own, name)["token"].tolist() for name in story.STAGES]
            assert parts == [text[:cut], text[cut : cut + 1], text[cut + 1 :]]
    own, dense = found.after("pruned"), found.after("dense")
    plain = own.groupby("prompt")["value"].mean().mean()
    assert story.likelihood(own, 0).value == pytest.approx(plain)
    difference = plain - dense.groupby("prompt")["value"].mean().mean()
    assert story.likelihood(own, 0, dense).value == pytest.approx(difference)
    same = [
        np.mean([a == b for a, b in list(zip(*texts, strict=True))[int(first[f"P{row}"]) + 1 :]])
        for row, texts in enumerate(zip(*pairing.written, strict=True))
        if first[f"P{row}"] < STEPS - 1
    ]
    assert story.same_place(own, dense, 0).value == pytest.approx(np.mean(same))


def test_helped_tokens_are_left_out():
    rows = pd.DataFrame(
        [
            {
                "prompt": "P",
                "seed": 0,
                "writer": writer,
                "every": every,
                "step": step,
                "token": 1,
                "parted": step >= 3,
                "value": -1.0,
            }
            for writer, every in (("dense", 0), ("pruned", 0), ("pruned", 4), ("control", 4))
            for step in range(9)
        ]
    )
    found = story.since(rows)
    assert story.written(found, "pruned", 4)["step"].tolist() == [0, 1, 2, 4, 5, 6, 8]
    assert story.written(found, "control", 4)["step"].tolist() == [0, 1, 2, 4, 5, 6, 8]
    assert len(story.written(found, "pruned")) == len(story.written(found, "dense")) == 9
    assert found.loc[found["every"] == 4, "lag"].tolist() == [*range(-3, 6)] * 2


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.integers(0, 99))
def test_slopes_equal_least_squares_with_one_level_a_text(lengths, seed):
    """Oracle: numpy's least squares with one column for each text and one for the step."""
    generator = np.random.default_rng(seed)
    rows = pd.DataFrame(
        [
            {"prompt": f"P{text}", "seed": 0, "step": step, "value": generator.normal()}
            for text, length in enumerate(lengths)
            for step in range(length)
        ]
    )
    found = trends.Trend.of(rows, 0)
    assert found.mean.value == pytest.approx(rows.groupby("prompt")["value"].mean().mean())
    if max(lengths) == 1:
        assert math.isnan(found.slope.value)
        return
    design = pd.get_dummies(rows["prompt"]).astype(float).assign(step=rows["step"])
    plain = np.linalg.lstsq(design.to_numpy(), rows["value"].to_numpy(), rcond=None)[0][-1]
    assert found.slope.value == pytest.approx(plain, abs=1e-9)
    growth = plain * (max(lengths) - 1) / abs(found.mean.value)
    assert found.growth.value == pytest.approx(growth, rel=1e-6)


def test_long_texts_unlike_short_ones_make_no_trend():
    rows = [
        {"prompt": f"P{text}", "seed": 0, "step": step, "value": float(length)}
        for text, length in enumerate((2, 20, 3, 25, 4, 30))
        for step in range(length)
    ]
    found = trends.Trend.of(pd.DataFrame(rows), 0)
    assert found.slope.value == pytest.approx(0.0)
    assert found.slope.low == found.slope.high == pytest.approx(0.0)


def test_windows_average_within_prompts_first():
    rows = pd.DataFrame(
        {
            "prompt": ["a", "a", "a", "b", "b"],
            "seed": 0,
            "step": [0, 1, 4, 1, 2],
            "value": [1.0, 3.0, 9.0, 6.0, 50.0],
        }
    )
    found = trends.windows(rows, [0, 2, 4], 0)
    assert found["mean"].tolist() == [4.0, 50.0, 9.0]
    assert found["n"].tolist() == [2, 1, 1]
    assert found["point"].tolist() == ["steps 0 to 1", "step 2", "step 4"]
    assert trends.windows(rows, [2], 0)["mean"].tolist() == [29.5]


def test_verdicts_leave_out_models_at_the_floor_and_need_whole_intervals():
    found, _ = seen()
    tokens = story.since(found.tokens)
    verdicts = {one.claim: one.verdict for one in story.claims({"A": found}, {"A": tokens}, 0)}
    assert set(verdicts.values()) == {claims.TOO_FEW}  # of three prompts
    gone = found.deviations.assign(
        value=found.deviations["value"].where(found.deviations["metric"].ne("agreement"), 0.0)
    )
    floor = Seen("B", "MLP dropped", gone, found.tokens, 0)
    assert story.alive({"A": found, "B": floor}) == {"A": found}
    weak = [one.verdict for one in story.claims({"B": floor}, {}, 0)]
    assert weak == [claims.TOO_FEW] * 2 + [claims.TOO_WEAK] * 8


def test_change_is_ten_times_the_slope_with_its_interval():
    rows = pd.DataFrame(
        [
            {"prompt": f"P{text}", "seed": 0, "step": step, "value": -0.1 * step - text}
            for text in range(6)
            for step in range(4)
        ]
    )
    assert story.change(rows, 0) == Estimate(*[pytest.approx(-1.0)] * 3, 6)
    assert math.isnan(story.change(rows.iloc[:0], 0).value)


def test_frames_and_numbers_of_a_tiny_model_hold_no_nan():
    found, _ = seen()
    by_name = {"Drop-1A": found}
    numbers = figures.by_name(
        by_name,
        "pruned model",
        {
            "law": lambda one: one.law("flip"),
            "shared": lambda one: one.shared("product"),
            "first": lambda one: one.first_step,
            "before": lambda one: one.likelihood("before"),
            "loops": lambda one: story.in_loops(one.after("pruned"), 0),
        },
    )
    assert not numbers.map(lambda text: "nan" in text).any(axis=None)
    words = {"title": "t", "caption": "c", "provenance": {}, "x_label": "x", "y_label": "y"}
    for frame in (
        story.by_margin(found),
        story.calibration(by_name),
        story.survival(by_name),
        story.along(found),
        story.since_parting(by_name),
    ):
        assert frame["mean"].notna().all()
        output = figures.lines(frame, name="one", **words)
        assert [panel.title for panel in output.figure.panels] == list(
            dict.fromkeys(frame["panel"])
        )
    sure = copy.copy(found)
    sure.__dict__["steps"] = found.steps.assign(Gaussian=0.0)  # so many that bins share a place
    assert figures.lines(story.by_margin(sure), name="one", **words).figure.panels
    bins = story.by_margin(found).query("series == 'choice flipped'")
    total = (bins["mean"] * bins["n"]).groupby(bins["panel"]).sum()
    assert total.to_numpy() == pytest.approx(found.steps["flip"].sum())
    drawn = figures.lines(story.survival(by_name), name="one", **words).figure.panels[0]
    assert drawn.lines[0].mean[0] == pytest.approx(1 - found.first_step.value)
