"""The effect of form at fixed content: differences of differences, and what they support."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reporting.forms import (
    above_chance,
    counted_families,
    effect,
    effect_table,
    effects,
    form_decides,
    tally,
)

right = st.integers(0, 1)
asked_twice = st.lists(st.tuples(right, right, right, right), min_size=5, max_size=30)
FORMS = ("choice", "generation")


def answered(families, asked="prefix", setting="Drop-2M"):
    """Answers as of a chapter, from (dense choice, dense generation, pruned choice, pruned
    generation) by item of each family."""
    rows = [
        {
            "setting": setting,
            "form": f"{form}, {asked}",
            "item": f"{family}-{number}",
            "family": family,
            "chance": 0.25 if form == "choice" else 0.0,
            "dense": float(values[place]),
            "pruned": float(values[place + 2]),
        }
        for family, asked_of in families.items()
        for number, values in enumerate(asked_of)
        for place, form in enumerate(FORMS)
    ]
    return pd.DataFrame(rows)


def one_effect(items, families=None):
    chosen = counted_families(items) if families is None else families
    return effect(above_chance(items, "prefix"), chosen)


def both(quadruples):
    """Items of a family as given, and of one beside it that always counts."""
    return answered({"a": quadruples, "sure": [(1, 1, 1, 1)] * 5})


def test_three_questions_by_hand():
    one = one_effect(answered({"capitals": [(1, 1, 1, 0), (1, 1, 0, 0), (1, 0, 1, 0)]}))
    # choice: from 1 to (1 - 1/3 + 1)/3 = 5/9 above chance, as a wrong answer scores -1/3
    # generation: from 2/3 to 0
    assert one.dense == pytest.approx({"choice": 1, "generation": 2 / 3})
    assert one.pruned == pytest.approx({"choice": 5 / 9, "generation": 0})
    assert one.lost["choice"].value == pytest.approx(4 / 9)
    assert one.lost["generation"].value == pytest.approx(2 / 3)
    assert one.effect.value == pytest.approx(2 / 9)
    assert one.effect.low is None
    assert (one.n, one.families, one.verdict) == (3, ("capitals",), "too few data")


def test_families_count_where_the_dense_model_has_both_forms():
    items = answered(
        {
            "both": [(1, 1, 0, 0), (1, 0, 0, 0)],
            "choice only": [(1, 0, 0, 0), (1, 0, 0, 0)],
            "writing only": [(1, 1, 0, 0), (0, 1, 0, 0)],  # choice: (1 - 1/3)/2 = 1/3 above chance
        }
    )
    assert counted_families(items) == ("both",)
    assert counted_families(items, "plain") == counted_families(items.head(0)) == ()
    assert effects(items)["Drop-2M"].families == ("both",)
    assert effects(items, "plain") == {}


def test_interval_against_every_sample_there_is():
    """Two families of 3 and 2 questions: 27 × 4 equally likely samples."""
    lost = {"a": [(1, 1, 1, 0), (1, 1, 1, 1), (1, 1, 0, 1)], "b": [(1, 1, 1, 0), (1, 1, 1, 1)]}
    gaps = {"a": [1, 0, -4 / 3], "b": [1, 0]}
    every = [
        (sum(gaps["a"][row] for row in first) + sum(gaps["b"][row] for row in second)) / 5
        for first in product(range(3), repeat=3)
        for second in product(range(2), repeat=2)
    ]
    one = one_effect(answered(lost))
    assert one.effect.value == pytest.approx((1 + 0 - 4 / 3 + 1 + 0) / 5)
    low, high = np.quantile(every, (0.025, 0.975))
    assert one.effect.low == pytest.approx(low, abs=0.15)
    assert one.effect.high == pytest.approx(high, abs=0.15)


def test_what_many_questions_show():
    kept = (1, 1, 1, 1)
    models = {
        "lost": [(1, 1, 1, 0)] * 15 + [kept] * 5,
        "mirrored": [(1, 1, 0, 1)] * 15 + [kept] * 5,
        "same": [kept] * 20,
        "wide": [(1, 1, 0, 0)] * 10 + [kept] * 10,
    }
    items = pd.concat(
        answered(dict.fromkeys("abcdef", answers), setting=name) for name, answers in models.items()
    )
    found = effects(items) | {"few": one_effect(answered({"a": [kept] * 20}))}
    assert {name: one.verdict for name, one in found.items()} == {
        "lost": "generation loses more",
        "mirrored": "choice loses more",
        "same": "no effect",
        "wide": "choice loses more",  # a wrong choice scores below guessing
        "few": "too few data",  # 20 questions of which none flips do not exclude 3 in 20
    }
    assert tally(found).startswith("generation loses more: 1; choice loses more: 2; ")
    table = effect_table(found)
    assert table["model"].tolist() == list(found)
    assert table.loc[0, "generation, dense → pruned"] == "1.00 → 0.25"
    claim = form_decides("c", found, ["lost", "mirrored", "Drop-9B"])
    assert claim.verdict == "in some (1 of 2)"
    assert claim.measured.endswith("(mirrored) (n = 120)")
    assert form_decides("c", found, []).verdict == "model too weak"


@settings(max_examples=15, deadline=None)
@given(asked_twice)
def test_swapping_dense_and_pruned_turns_the_sign(quadruples):
    items = both(quadruples)
    one = one_effect(items, ("a", "sure"))
    swapped = items.rename(columns={"dense": "pruned", "pruned": "dense"})
    other = one_effect(swapped, ("a", "sure"))
    assert other.effect.value == pytest.approx(-one.effect.value)
    assert other.effect.low == pytest.approx(-one.effect.high)
    assert other.pruned == pytest.approx(one.dense)


@settings(max_examples=15, deadline=None)
@given(asked_twice, st.integers(0, 99))
def test_the_order_of_rows_does_not_matter(quadruples, seed):
    items = both(quadruples)
    one, other = (
        one_effect(items.sample(frac=1, random_state=number)) for number in (seed, seed + 1)
    )
    assert sorted(one.families) == sorted(other.families)
    for name in ("value", "low", "high"):
        assert getattr(one.effect, name) == pytest.approx(getattr(other.effect, name))


@settings(max_examples=15, deadline=None)
@given(asked_twice)
def test_bounds(quadruples):
    one = one_effect(both(quadruples))
    for form in FORMS:
        assert one.lost[form].low <= one.lost[form].value + 1e-12
        assert one.lost[form].value <= one.lost[form].high + 1e-12
    assert one.effect.value == pytest.approx(
        one.lost["generation"].value - one.lost["choice"].value
    )
    assert abs(one.effect.value) <= 1 + 4 / 3
