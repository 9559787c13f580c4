"""Scores of the same questions, dense and pruned: errors, intervals, tests and verdicts."""

from fractions import Fraction
from itertools import product
from math import comb, sqrt

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers.evaluation import paired
from helpers.evaluation.comparison import floored, score_rows

graded = st.floats(0, 1, allow_nan=False)
answers = st.one_of(
    st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0])), min_size=5),
    st.lists(st.tuples(graded, graded), min_size=5),
)


def items(task, values, kind="multiple_choice", chance=0.0, form="", metric="acc"):
    """Rows of table ``items``."""
    return pd.DataFrame(
        {
            "task": task,
            "kind": kind,
            "form": form,
            "metric": metric,
            "item": [f"q{number}" for number in range(len(values))],
            "family": "",
            "answer": "",
            "chance": chance,
            "value": [float(value) for value in values],
        }
    )


class TestByHand:
    """Every number worked out on paper."""

    def test_three_right_and_wrong_answers(self):
        # mean 2/3, deviations 1/3, 1/3, -2/3: s² = (6/9)/2 = 1/3, so s/√3 = 1/3
        assert paired.standard_error([1, 1, 0]) == pytest.approx(1 / 3, abs=1e-15)
        assert paired.score_interval([1, 1, 0]) is None

    def test_three_graded_answers(self):
        # mean 1/2, deviations -1/2, 0, 1/2: s² = 1/4, so s/√3 = 1/(2√3)
        assert paired.standard_error([0, 0.5, 1]) == pytest.approx(1 / sqrt(12), abs=1e-15)
        assert paired.paired_difference([0, 0.5, 1], [0, 0.25, 0.5]) == -0.25
        assert paired.paired_interval([0, 0.5, 1], [0, 0.25, 0.5]) is None
        # 0.5 counts as right: the second is lost, and 0.5 of the third still is right
        assert paired.flips([0, 0.5, 1], [0, 0.25, 0.5]) == (1, 0)

    def test_one_answer_has_no_error(self):
        assert paired.standard_error([1]) is None

    def test_five_of_ten_right(self):
        # centre (5 + z²/2)/(10 + z²) = 1/2, half width z √(10/4 + z²/4)/(10 + z²)
        z2 = 1.959963984540054**2
        half = sqrt(z2 * (2.5 + z2 / 4)) / (10 + z2)
        found = paired.score_interval([1, 0] * 5)
        assert found == pytest.approx((0.5 - half, 0.5 + half), abs=1e-12)
        assert found == pytest.approx((0.2366, 0.7634), abs=5e-5)  # Wilson's, as printed elsewhere

    def test_ten_pairs_of_which_four_are_lost_and_one_is_gained(self):
        # with one more of each: (5, 2) of 12, centre -3/12, variance 7/12 - 1/16 = 25/48
        dense, pruned = [1] * 4 + [0] + [1] * 5, [0] * 4 + [1] + [1] * 5
        half = 1.959963984540054 * sqrt(25 / 48 / 12)
        assert paired.paired_interval(dense, pruned) == pytest.approx(
            (-0.25 - half, -0.25 + half), abs=1e-12
        )
        assert paired.paired_difference(dense, pruned) == pytest.approx(-0.3)
        assert paired.flips(dense, pruned) == (4, 1)
        assert paired.mcnemar(4, 1) == pytest.approx(2 * (1 + 5) / 32)

    def test_no_flip_is_no_certainty(self):
        low, high = paired.paired_interval([1.0] * 20, [1.0] * 20)
        half = 1.959963984540054 * sqrt(2 / 22 / 22)
        assert (low, high) == pytest.approx((-half, half))

    def test_five_graded_pairs(self):
        # differences -0.2 and four 0: with ±0.2 added the mean is -0.2/7, Σd² = 0.12
        dense, pruned = [0.7, 0.4, 0.2, 0.9, 0.3], [0.5, 0.4, 0.2, 0.9, 0.3]
        variance = 0.12 / 7 - (0.2 / 7) ** 2
        half = 2.776445 * sqrt(variance / 7)  # Student's quantile with 4 degrees of freedom
        assert paired.paired_interval(dense, pruned) == pytest.approx(
            (-0.2 / 7 - half, -0.2 / 7 + half), rel=1e-6
        )


def test_mcnemar_against_all_outcomes():
    """Each of 2^m ways in which m flips can fall, equally likely; as uneven or more counts."""
    for m in range(13):
        falls = [sum(way) for way in product((0, 1), repeat=m)]
        for lost in range(m + 1):
            uneven = abs(2 * lost - m)
            share = Fraction(sum(abs(2 * fall - m) >= uneven for fall in falls), 2**m)
            assert paired.mcnemar(lost, m - lost) == pytest.approx(float(share), rel=1e-12)


def test_mcnemar_of_many_flips():
    exact = Fraction(2 * sum(comb(3000, i) for i in range(1401)), 2**3000)
    assert paired.mcnemar(1400, 1600) == pytest.approx(float(exact), rel=1e-9)
    assert paired.mcnemar(0, 5000) == 0
    with pytest.raises(ValueError, match="no counts"):
        paired.mcnemar(-1, 2)


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_has_no_direction(lost, gained):
    p = paired.mcnemar(lost, gained)
    assert 0 <= p <= 1
    assert p == paired.mcnemar(gained, lost)
    assert paired.mcnemar(max(lost, gained) + 1, min(lost, gained)) <= p + 1e-12


@settings(deadline=None)
@given(answers)
@example([(0.0, 0.0)] * 4 + [(0.0, 3e-255)])  # squares to zero
def test_intervals_hold_what_was_measured_and_lie_in_bounds(pairs):
    dense, pruned = np.array(pairs).T
    low, high = paired.score_interval(dense)
    assert 0 <= low <= dense.mean() + 1e-12
    assert dense.mean() - 1e-12 <= high <= 1
    low, high = paired.paired_interval(dense, pruned)
    assert -1 <= low <= paired.paired_difference(dense, pruned) <= high <= 1
    assert low < high


@settings(deadline=None)
@given(answers)
def test_swapping_dense_and_pruned_turns_the_sign(pairs):
    dense, pruned = np.array(pairs).T
    low, high = paired.paired_interval(dense, pruned)
    assert paired.paired_interval(pruned, dense) == pytest.approx((-high, -low), abs=1e-12)
    assert paired.flips(pruned, dense) == paired.flips(dense, pruned)[::-1]


@settings(deadline=None)
@given(answers, st.randoms(use_true_random=False))
def test_the_order_of_questions_does_not_matter(pairs, random):
    mixed = random.sample(pairs, len(pairs))
    for numbers in zip(_numbers(pairs), _numbers(mixed), strict=True):
        assert numbers[0] == pytest.approx(numbers[1], abs=1e-9)


def _numbers(pairs):
    dense, pruned = np.array(pairs).T
    return (
        *paired.paired_interval(dense, pruned),
        *paired.score_interval(dense),
        *paired.flips(dense, pruned),
        paired.standard_error(dense),
    )


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=5, max_size=60))
def test_binary_scores_have_wilsons_interval(right):
    assert paired.score_interval(right) == paired.wilson(sum(right), len(right))


def test_student_quantile_against_its_own_distribution():
    """Gosset's density, integrated to the quantile, holds the level."""
    from math import exp, lgamma, pi

    for v in (4, 5, 9, 30, 200):
        t = np.linspace(0, paired.student(v), 20001)
        scale = exp(lgamma((v + 1) / 2) - lgamma(v / 2)) / sqrt(v * pi)
        density = scale * (1 + t**2 / v) ** (-(v + 1) / 2)
        assert 2 * np.trapezoid(density, t) == pytest.approx(0.95, abs=1e-6)


def _exact_coverage(n, lost, gained):
    """How often the paired interval holds the truth, over all counts of lost and gained pairs."""
    covered = 0.0
    for a in range(n + 1):
        for b in range(n + 1 - a):
            same = n - a - b
            weight = comb(n, a) * comb(n - a, b) * lost**a * gained**b
            weight *= (1 - lost - gained) ** same
            dense = [1] * a + [0] * b + [1] * same
            pruned = [0] * a + [1] * b + [1] * same
            low, high = paired.paired_interval(dense, pruned)
            covered += weight * (low <= gained - lost <= high)
    return covered


@pytest.mark.parametrize("n", [5, 12, 30])
@pytest.mark.parametrize(("lost", "gained"), [(0.1, 0.1), (0.3, 0.05), (0.02, 0.02), (0.8, 0.0)])
def test_paired_interval_covers(n, lost, gained):
    assert _exact_coverage(n, lost, gained) > 0.93


@pytest.mark.parametrize("n", [5, 12, 40])
def test_intervals_of_graded_scores_cover(n):
    """A mixture such as F1 gives: many zeros, the rest anywhere."""
    generator = np.random.default_rng(0)
    shape = (600, n)
    dense = generator.beta(2, 2, shape) * (generator.random(shape) < 0.5)
    lost = generator.random(shape) < 0.4
    pruned = np.where(lost, 0, dense)
    single = [paired.score_interval(row) for row in dense]
    both = [paired.paired_interval(*rows) for rows in zip(dense, pruned, strict=True)]
    assert np.mean([low <= 0.25 <= high for low, high in single]) > 0.92
    assert np.mean([low <= -0.1 <= high for low, high in both]) > 0.92


class TestVerdict:
    """What allows a conclusion."""

    def test_guessing_is_the_floor_of_multiple_choice(self):
        right = [1] * 36 + [0] * 64  # Wilson's interval from 0.273
        assert paired.verdict(right, 0.25) == "ok"
        assert paired.verdict(right, 0.28) == "at_floor"
        assert paired.verdict(right, [0.2, 0.3] * 50) == "ok"

    def test_a_tenth_is_the_floor_where_guessing_gives_nothing(self):
        assert paired.verdict([1] * 4 + [0] * 36) == "at_floor"
        assert paired.verdict([1] * 12 + [0] * 28) == "ok"
        assert paired.verdict([0.0] * 40) == "at_floor"

    def test_a_ceiling_hides_a_loss_only_if_the_pruned_score_is_there_too(self):
        full = [1] * 40
        assert paired.verdict(full, 0.25) == "at_ceiling"
        assert paired.verdict(full, 0.25, full) == "at_ceiling"
        assert paired.verdict(full, 0.25, [1] * 20 + [0] * 20) == "ok"

    def test_few_questions_are_compared_as_they_are(self):
        assert paired.verdict([1, 0, 0], 0.5) == "at_floor"
        assert paired.verdict([1, 1, 0], 0.5) == "ok"
        assert paired.verdict([1, 1, 1], 0.5) == "at_ceiling"


@pytest.mark.parametrize("wrong", [[], [0.5, float("nan")], [1.5], [-0.1, 1], [[1, 0]]])
def test_what_is_no_score_is_refused(wrong):
    with pytest.raises(ValueError, match="score"):
        paired.standard_error(wrong)


class TestRows:
    """Rows of table ``scores``."""

    def test_one_of_each_kind_by_hand(self):
        dense = pd.concat(
            [
                items("m", [1, 1, 0], chance=0.25),
                items("g", [0.9, 0.5, 0.1], "generation", metric="f1"),
                items("r", [1, 0.63, 0.2], "retrieval", metric="ndcg_at_10"),
            ]
        )
        pruned = pd.concat(
            [
                items("m", [0, 1, 1], chance=0.25),
                items("g", [0.3, 0.2, 0.1], "generation", metric="f1"),
                items("r", [1, 1, 0.2], "retrieval", metric="ndcg_at_10"),
            ]
        )
        rows = score_rows(dense, pruned).set_index("task")
        assert rows["value"].tolist() == pytest.approx([2 / 3, 0.2, 2.2 / 3])
        assert rows["dense_value"].tolist() == pytest.approx([2 / 3, 0.5, 1.83 / 3])
        assert rows.loc["g", "stderr"] == pytest.approx(0.1 / sqrt(3))
        assert rows["flips_lost"].tolist() == [1, 2, 0]
        assert rows["flips_gained"].tolist() == [1, 0, 0]
        assert rows["p_value"].tolist() == [1, 0.5, 1]
        assert rows["n"].tolist() == [3, 3, 3]
        assert rows[["paired_low", "paired_high"]].isna().all(axis=None)
        assert set(rows["verdict"]) == {"ok"}

    def test_the_dense_model_beside_nothing(self):
        row = score_rows(items("m", [1, 0] * 10, chance=0.1)).iloc[0]
        assert (row["value"], row["dense_value"], row["n"], row["verdict"]) == (0.5, 0.5, 20, "ok")
        assert row["stderr"] == pytest.approx(paired.standard_error([1, 0] * 10))
        assert row[["paired_low", "p_value", "flips_lost"]].isna().all()

    def test_a_score_at_its_floor_is_not_asked(self):
        dense = items("m", [1, 0] * 10, chance=0.5)
        assert floored(dense)
        row = score_rows(dense, dense.head(0)).iloc[0]
        assert (row["n"], row["dense_value"], row["verdict"]) == (0, 0.5, "at_floor")
        assert np.isnan(row["value"])
        other = items("m", [1] * 18 + [0] * 2, chance=0.5, form="5-shot")
        both = pd.concat([dense, other])
        assert not floored(both)
        with pytest.raises(ValueError, match="m multiple_choice 5-shot acc is not at its floor"):
            score_rows(both, dense.head(0))

    def test_pairs_are_found_by_their_ids(self):
        dense, pruned = items("m", [1, 1, 0, 0, 1]), items("m", [0, 1, 0, 1, 1])
        mixed = pruned.sample(frac=1, random_state=3)
        pd.testing.assert_frame_equal(score_rows(dense, pruned), score_rows(dense, mixed))

    def test_other_questions_are_refused(self):
        with pytest.raises(ValueError, match="m multiple_choice acc: question q2 was asked of one"):
            score_rows(items("m", [1, 1]), items("m", [1, 1, 1]))
        with pytest.raises(ValueError, match="other multiple_choice acc was asked of the pruned"):
            score_rows(items("m", [1, 1]), pd.concat([items("m", [1, 1]), items("other", [1])]))
        with pytest.raises(ValueError, match="holds question q0 twice"):
            score_rows(pd.concat([items("m", [1, 1]), items("m", [1])]))
