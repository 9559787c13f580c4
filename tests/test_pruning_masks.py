"""Scores and masks against loops written straight from the papers' formulas."""

import math
from decimal import Decimal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.errors import InputError
from helpers.pruning import masks
from helpers.pruning import methods as scores

torch.set_num_threads(1)

RATIOS = st.integers(0, 99).map(lambda hundredths: hundredths / 100)


def naive_keep(values: list[float], removed: int) -> list[bool]:
    """Sort by value, then by index; the first ones go."""
    order = sorted(range(len(values)), key=lambda index: (values[index], index))
    gone = set(order[:removed])
    return [index not in gone for index in range(len(values))]


def coarse_scores(rows: int, columns: int, levels: int, seed: int) -> torch.Tensor:
    """Scores with many ties."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, levels, (rows, columns), generator=generator).double() / 4


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 40),
    levels=st.integers(1, 6),
    ratio=RATIOS,
    seed=st.integers(0, 1000),
)
def test_unstructured_equals_sorting(rows, columns, levels, ratio, seed):
    """Exact counts, and ties by lower index, per row and over the whole matrix."""
    values = coarse_scores(rows, columns, levels, seed)
    count = math.floor(Decimal(str(ratio)) * columns)
    expected = [naive_keep(row, count) for row in values.tolist()]
    assert masks.unstructured(values, ratio, "row").tolist() == expected
    count = math.floor(Decimal(str(ratio)) * rows * columns)
    flat = naive_keep(values.flatten().tolist(), count)
    assert masks.unstructured(values, ratio, "layer").flatten().tolist() == flat
    assert flat.count(False) == count


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 5),
    blocks=st.integers(1, 6),
    m=st.integers(1, 9),
    data=st.data(),
    seed=st.integers(0, 1000),
)
def test_n_of_m_equals_sorting(rows, blocks, m, data, seed):
    n = data.draw(st.integers(1, m))
    values = coarse_scores(rows, blocks * m, 4, seed)
    keep = masks.n_of_m(values, f"{n}:{m}")
    for row, kept in zip(values.tolist(), keep.tolist(), strict=True):
        for start in range(0, len(row), m):
            assert kept[start : start + m] == naive_keep(row[start : start + m], m - n)


def test_all_tied():
    keep = masks.unstructured(torch.zeros(2, 4), 0.5, "row")
    assert keep.tolist() == [[False, False, True, True]] * 2
    keep = masks.unstructured(torch.zeros(2, 4), 0.5, "layer")
    assert keep.tolist() == [[False] * 4, [True] * 4]


def test_sorting_as_on_a_gpu_gives_the_same_order_statistic(monkeypatch):
    values = coarse_scores(3, 20, 5, 0)
    sorted_values = values.sort(dim=1).values
    for rank in (1, 7, 20):
        assert torch.equal(masks._order_statistic(values, rank), sorted_values[:, rank - 1 : rank])


@given(ratio=RATIOS, size=st.integers(1, 10**7))
@settings(deadline=None)
def test_count_takes_the_ratio_as_written(ratio, size):
    assert masks.removal_count(ratio, size) == math.floor(Decimal(str(ratio)) * size)


def test_count_where_binary_floats_miss():
    assert math.floor(0.29 * 100) == 28
    assert masks.removal_count(0.29, 100) == 29


@pytest.mark.parametrize("ratio", [-0.1, 1.0, 1.5, float("nan"), float("inf")])
def test_ratio_outside_is_refused(ratio):
    with pytest.raises(InputError, match=r"ratio=.* takes a number from 0 to below 1") as caught:
        masks.removal_count(ratio, 10)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("5:4", "at most M"),
        ("0:4", "keeps nothing"),
        ("2", "takes N:M"),
        ("2:4:8", "takes N:M"),
        ("a:b", "takes N:M"),
        ("-2:4", "takes N:M"),
    ],
)
def test_impossible_patterns_are_refused(pattern, message):
    with pytest.raises(InputError, match=message):
        masks.n_of_m(torch.zeros(2, 8), pattern)


def test_pattern_that_does_not_divide_the_width():
    with pytest.raises(InputError, match="4 does not divide its 6 inputs"):
        masks.n_of_m(torch.zeros(2, 6), "2:4")


def test_scores_that_are_no_numbers_have_no_order():
    with pytest.raises(ValueError, match="not all numbers"):
        masks.keep_highest(torch.tensor([[1.0, float("nan")]]), 1)


def test_scores_equal_the_formulas():
    torch.manual_seed(0)
    weight, inputs = torch.randn(3, 5), torch.randn(7, 5)
    norms = inputs.double().square().sum(0).sqrt()
    score = scores.wanda(weight, norms)
    for i in range(3):
        for j in range(5):
            norm = math.sqrt(sum(float(x) ** 2 for x in inputs[:, j]))
            assert score[i, j].item() == pytest.approx(abs(float(weight[i, j])) * norm, rel=1e-12)
            assert scores.magnitude(weight)[i, j].item() == abs(float(weight[i, j]))


def test_random_scores_follow_their_seed():
    weight = torch.zeros(4, 6)
    first, again, other = (
        scores.random(weight, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
