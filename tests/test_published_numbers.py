"""Checks of what the paper printed: each finds what is there, and nothing where nothing is."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chapters.published_numbers import story
from reporting import reported

FACTORS = np.arange(20, 51) / 100


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 40), st.floats(0, 8), st.floats(-6, 1), st.integers(0, 10**6))
def test_cosine_is_never_below_its_bound(size, spread, scale, seed):
    generator = np.random.default_rng(seed)
    logits = spread * generator.standard_normal(size)
    other = logits + 10**scale * generator.standard_normal(size)
    p, q = (np.exp(z - z.max()) / np.exp(z - z.max()).sum() for z in (logits, other))
    kl = float((p * np.log(p / q)).sum())
    cosine = p @ q / np.linalg.norm(p) / np.linalg.norm(q)
    assert cosine >= story.least_cosine(kl, size) - 1e-9


def test_bound_leaves_nothing_at_zero_and_all_at_large_divergence():
    assert story.least_cosine(0.0, 1000) == 1.0
    assert story.least_cosine(5.0, 1000) == 0.0


def test_what_the_printed_figure_7_says():
    values = reported.figure_7().pivot(index="step", columns=["metric", "space"], values="value")
    cosines = values["cosine"]
    apart = story.impossible(values["kl", "probability"], cosines["probability"])
    assert apart["step"].tolist() == [4, 5]
    assert apart["cosine"].tolist() == pytest.approx([0.0873, 0.2595], abs=1e-4)
    memory = {space: story.memory(cosines[space][1:]) for space in cosines}
    assert memory["embedding"] > 0.9 > 0.5 > memory["probability"]
    assert math.isnan(story.memory(cosines["logit"][:2]))


def test_no_script_that_adds_its_constant_gives_more_than_the_bound():
    """The worst case: all of p where q has nothing."""
    p, q = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    kl = float((p * (np.log(p + 1e-12) - np.log(q + 1e-12))).sum())
    assert kl == pytest.approx(story.MOST)
    assert kl <= story.MOST + 1e-9


@pytest.mark.parametrize("factor", [0.25, 0.3, 0.4])
def test_the_factor_of_a_smoothed_curve_is_found_again(factor):
    """A series that jumps between the ends of its range gives every smaller factor away."""
    raw = pd.Series(np.random.default_rng(0).integers(0, 2, 200).astype(float))
    drawn = raw.ewm(alpha=factor, adjust=False).mean()
    assert np.allclose(story.undone(drawn, factor), raw)
    found = story.extremes(drawn.round(5).to_frame("A"), FACTORS)
    assert story.smallest(found, 0, 1) == factor


def test_a_curve_that_was_not_smoothed_shows_no_factor_below_one():
    raw = pd.Series(np.random.default_rng(0).integers(0, 2, 200).astype(float)).to_frame("A")
    assert math.isnan(story.smallest(story.extremes(raw, FACTORS), 0, 1))


def test_tracking_by_hand():
    truth = pd.Series([1.0, 2.0, 4.0])
    found = story.tracking(truth, pd.Series([1.05, 3.0, 6.0]))
    assert found["median ratio"] == 1.5
    assert found["within a tenth"] == pytest.approx(1 / 3)
    assert found["correlation"] == pytest.approx(truth.corr(pd.Series([1.05, 3.0, 6.0])))
