"""The effect of form at fixed content: differences of differences, and what they support."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reporting.probe_effects import (
    Effect,
    counted_families,
    effect,
    effect_table,
    family_table,
    said,
)

right = st.integers(0, 1)
asked_twice = st.lists(st.tuples(right, right, right, right), min_size=5, max_size=30)


def answered(families, chance=0.25, asked="prefix"):
    """Rows of ``items``, from (choice, generation) by item of each family."""
    rows = []
    for family, pairs in families.items():
        for number, pair in enumerate(pairs):
            for form, value in zip(("choice", "generation"), pair, strict=True):
                rows.append(
                    {
                        "form": f"{form}, {asked}",
                        "item": f"{family}-{number}",
                        "family": family,
                        "chance": chance if form == "choice" else 0.0,
                        "value": float(value),
                    }
                )
    return pd.DataFrame(rows)


def both(quadruples):
    """Dense and pruned items, from (dense choice, dense generation, pruned choice, pruned
    generation) of each question; one family beside them always counts."""
    sure = [(1, 1)] * 5
    old = answered({"a": [one[:2] for one in quadruples], "sure": sure})
    new = answered({"a": [one[2:] for one in quadruples], "sure": sure})
    return old, new


def test_three_questions_by_hand():
    old = answered({"capitals": [(1, 1), (1, 1), (1, 0)]})
    new = answered({"capitals": [(1, 0), (0, 0), (1, 0)]})
    one = effect(old, new)
    # choice: from 1 to (1 - 1/3 + 1)/3 = 5/9 above chance, as a wrong answer scores -1/3
    # generation: from 2/3 to 0
    assert one.dense == pytest.approx({"choice": 1, "generation": 2 / 3})
    assert one.pruned == pytest.approx({"choice": 5 / 9, "generation": 0})
    assert one.lost["choice"].value == pytest.approx(4 / 9)
    assert one.lost["generation"].value == pytest.approx(2 / 3)
    assert one.effect.value == pytest.approx(2 / 9)
    assert one.effect.low is None
    assert (one.items, one.families, one.verdict) == (3, ("capitals",), "open")


def test_families_count_where_the_dense_model_has_both_forms():
    old = answered(
        {
            "both": [(1, 1), (1, 0)],
            "choice only": [(1, 0), (1, 0)],
            "writing only": [(1, 1), (0, 1)],  # choice: (1 - 1/3)/2 = 1/3 above chance
        }
    )
    assert counted_families(old) == ("both",)
    assert counted_families(old, "plain") == ()
    assert effect(old, old).families == ("both",)


def test_interval_against_every_sample_there_is():
    """Two families of 3 and 2 questions: 27 × 4 equally likely samples."""
    old = answered({"a": [(1, 1)] * 3, "b": [(1, 1)] * 2})
    new = answered({"a": [(1, 0), (1, 1), (0, 1)], "b": [(1, 0), (1, 1)]})
    gaps = {"a": [1, 0, -4 / 3], "b": [1, 0]}
    every = [
        (sum(gaps["a"][row] for row in first) + sum(gaps["b"][row] for row in second)) / 5
        for first in product(range(3), repeat=3)
        for second in product(range(2), repeat=2)
    ]
    one = effect(old, new)
    assert one.effect.value == pytest.approx((1 + 0 - 4 / 3 + 1 + 0) / 5)
    low, high = np.quantile(every, (0.025, 0.975))
    assert one.effect.low == pytest.approx(low, abs=0.15)
    assert one.effect.high == pytest.approx(high, abs=0.15)


def test_what_many_questions_show():
    old = answered({family: [(1, 1)] * 20 for family in "abcdef"})
    lost = {family: [(1, 0)] * 15 + [(1, 1)] * 5 for family in "abcdef"}
    mirrored = {family: [(0, 1)] * 15 + [(1, 1)] * 5 for family in "abcdef"}
    both_lost = {family: [(0, 0)] * 10 + [(1, 1)] * 10 for family in "abcdef"}
    found = {
        "lost": effect(old, answered(lost)),
        "mirrored": effect(old, answered(mirrored)),
        "same": effect(old, old),
        "few": effect(old[old["family"].eq("a")], old[old["family"].eq("a")]),
        "wide": effect(old, answered(both_lost)),
    }
    assert {name: one.verdict for name, one in found.items()} == {
        "lost": "generation loses more",
        "mirrored": "choice loses more",
        "same": "no effect",
        "few": "open",  # 20 questions of which none flips do not exclude 3 in 20
        "wide": "choice loses more",  # a wrong choice scores below guessing
    }
    words = said(found)
    assert words.index("Generation loses more than choice with lost (0.75 [") == 0
    assert "none as large as 0.1, with same (0.00 [0.00–0.00])" in words
    assert "Open, for the interval holds 0" in words
    table = effect_table(found)
    assert table["model"].tolist() == list(found)
    assert table.loc[0, "generation, dense → pruned"] == "1.00 → 0.25"


def test_family_table_ends_with_all_that_count():
    old = answered({"a": [(1, 1)] * 6, "b": [(1, 0)] * 6})
    new = answered({"a": [(1, 0)] * 6, "b": [(1, 0)] * 6})
    table = family_table(old, new)
    assert table["family"].tolist() == ["a", "b", "all that count"]
    assert table["counts"].tolist() == ["yes", "no", "1"]
    assert table["n"].tolist() == ["6", "6", "6"]
    assert table.loc[2, "verdict"] == "generation loses more"


def test_nothing_counts_and_nothing_is_nan():
    old = answered({"a": [(0, 0), (1, 0)]})
    one = effect(old, old)
    assert one.verdict == "no family counts"
    texts = (
        effect_table({"x": one}).to_string() + said({"x": one}) + family_table(old, old).to_string()
    )
    assert "nan" not in texts
    assert "No family reaches 0.5" in texts


def test_other_questions_are_refused():
    old = answered({"a": [(1, 1)] * 5})
    with pytest.raises(ValueError, match="not asked the same"):
        effect(old, answered({"a": [(1, 1)] * 4}))


@settings(max_examples=15, deadline=None)
@given(asked_twice)
def test_swapping_dense_and_pruned_turns_the_sign(quadruples):
    old, new = both(quadruples)
    one = effect(old, new, families=("a", "sure"))
    other = effect(new, old, families=("a", "sure"))
    assert other.effect.value == pytest.approx(-one.effect.value)
    assert other.effect.low == pytest.approx(-one.effect.high)
    assert other.pruned == pytest.approx(one.dense)


@settings(max_examples=15, deadline=None)
@given(asked_twice, st.integers(0, 99))
def test_the_order_of_rows_does_not_matter(quadruples, seed):
    old, new = both(quadruples)
    one, other = (
        effect(*(items.sample(frac=1, random_state=number) for items in (old, new)))
        for number in (seed, seed + 1)
    )
    assert sorted(one.families) == sorted(other.families)
    for name in ("value", "low", "high"):
        assert getattr(one.effect, name) == pytest.approx(getattr(other.effect, name))


@settings(max_examples=15, deadline=None)
@given(asked_twice)
def test_bounds(quadruples):
    one: Effect = effect(*both(quadruples))
    for form in ("choice", "generation"):
        assert one.lost[form].low <= one.lost[form].value + 1e-12
        assert one.lost[form].value <= one.lost[form].high + 1e-12
    assert one.effect.value == pytest.approx(
        one.lost["generation"].value - one.lost["choice"].value
    )
    assert abs(one.effect.value) <= 1 + 4 / 3
