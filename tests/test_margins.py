"""Margin-and-noise laws on simulated noise, where the right answer is known."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import VOCABULARY
from hypothesis import given, settings
from hypothesis import strategies as st

from chapters.decisions import margins
from measurements.decisions import decisions

PROMPTS, STEPS = 40, 100


def world(noise, rivals=0.0, seed=0):
    """Steps of forty prompts: exponential margins, and noise as ``noise(margin, generator)``. With
    probability ``rivals`` a third token comes first whatever the runner-up does."""
    generator = np.random.default_rng(seed)
    margin = generator.exponential(2.0, PROMPTS * STEPS)
    added = noise(margin, generator)
    overtaken = margin + added < 0
    flip = overtaken | (generator.random(len(margin)) < rivals)
    return pd.DataFrame(
        {
            "prompt": np.repeat([f"P{number:02}" for number in range(PROMPTS)], STEPS),
            "seed": 0,
            "step": np.tile(np.arange(STEPS), PROMPTS),
            "margin": margin,
            "noise": added,
            "flip": flip.astype(float),
            "overtaken": overtaken.astype(float),
        }
    )


def gaps(found):
    """Prediction minus measured overtaking, for each law."""
    full = margins.predicted(found)
    return {law: margins.mean(full, law, 0, "overtaken").value for law in margins.LAWS}


@pytest.mark.parametrize(("centre", "spread"), [(0.0, 1.0), (-0.5, 2.0), (0.3, 0.4)])
def test_gaussian_noise_is_predicted_and_calibrated(centre, spread):
    found = world(lambda m, g: g.normal(centre, spread, len(m)))
    assert margins.moments(found) == pytest.approx((centre, spread), abs=0.06)
    assert max(map(abs, gaps(found).values())) < 0.012
    assert margins.beyond(found) == pytest.approx(margins.GAUSSIAN_FAR, abs=0.002)
    assert abs(margins.growth(found, 0).value) < 0.05
    full = margins.predicted(found)
    exact = margins.gaussian(full, full["margin"].to_numpy())
    bins = margins.binned(full.assign(exact=exact), "Gaussian", ("overtaken", "exact"), 8)
    assert bins["n"].sum() == len(full)
    assert bins["n"].max() - bins["n"].min() <= 1
    assert (bins["overtaken"] - bins["x"]).abs().max() < 0.05
    assert (bins["exact"] - bins["x"]).abs().max() < 0.01


def test_heavy_tails_break_the_gaussian_law_alone():
    found = world(lambda m, g: g.standard_t(1.5, len(m)).clip(-60, 60))
    seen = gaps(found)
    assert seen["Gaussian"] > 0.05
    assert abs(seen["any shape"]) < 0.012
    assert margins.beyond(found) > 2 * margins.GAUSSIAN_FAR


def test_noise_that_grows_with_the_margin_breaks_both_laws():
    found = world(lambda m, g: g.normal(-0.3 * m, 0.1 + 0.5 * m))
    assert min(map(abs, gaps(found).values())) > 0.02
    assert margins.growth(found, 0).value > 0.3


def test_rivals_are_what_is_left_after_the_runner_up():
    found = margins.predicted(world(lambda m, g: g.normal(0, 1, len(m)), rivals=0.2))
    rivals = margins.mean(found, "flip", 0, "overtaken").value
    assert rivals == pytest.approx(0.2 * (1 - found["overtaken"].mean()), abs=0.02)
    assert margins.mean(found, "Gaussian", 0, "flip").value < -0.1


def test_predictions_do_not_see_their_own_prompt():
    found = world(lambda m, g: g.normal(0, 1, len(m))).iloc[: 3 * STEPS]
    changed = found.assign(noise=found["noise"].where(found["prompt"] != "P01", 50.0))
    own = found["prompt"].eq("P01")
    for law in margins.LAWS:
        before, after = margins.predicted(found)[law], margins.predicted(changed)[law]
        assert before[own].equals(after[own])
        assert not before[~own].equals(after[~own])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 5))
def test_predictions_are_probabilities_of_any_small_table(seed, prompts, steps):
    """Also where nothing varies: one prompt, one step, equal margins, no noise."""
    found = world(lambda m, g: g.choice([-1.0, 0.0, 1.0], len(m)), seed=seed)
    found = found[found["step"].lt(steps)].iloc[: prompts * steps]
    found = found.assign(margin=found["margin"].round())
    full = margins.predicted(found)
    if prompts == 1:
        assert full[list(margins.LAWS)].isna().all(axis=None)
    else:
        assert full[list(margins.LAWS)].apply(lambda p: p.between(0, 1 + 1e-9)).all(axis=None)
    assert margins.weights(found).sum() == pytest.approx(1.0)


def test_steps_of_real_decisions():
    """The table against plain sorting of logits."""
    generator = torch.Generator().manual_seed(2)
    dense = torch.randn(12, VOCABULARY, generator=generator)
    pruned = dense + 0.3 * torch.randn(12, VOCABULARY, generator=generator)
    found = decisions(dense, pruned)
    rows = [
        {
            "prompt": "P",
            "seed": 0,
            "step": step,
            "decoding": "forced",
            "metric": name,
            "value": float(values[step]),
        }
        for name, values in found.items()
        for step in range(12)
    ]
    table = margins.steps(pd.DataFrame(rows))
    for row in table.itertuples():
        z, after = dense[row.step], pruned[row.step]
        first, second = z.argsort(descending=True)[:2].tolist()
        assert row.flip == float(int(after.argmax()) != first)
        assert row.overtaken == float(after[second] > after[first])
        assert row.margin == pytest.approx(float(z[first] - z[second]), abs=1e-5)
        assert row.noise == pytest.approx(
            float(after[first] - after[second]) - row.margin, abs=1e-5
        )
    assert 0 < table["flip"].sum() < 12
