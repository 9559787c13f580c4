"""Measures of collapse against brute force and texts worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.evaluation import collapse

tokens = st.lists(st.integers(0, 2), max_size=40)
looping = st.builds(
    lambda before, unit, times, after: before + unit * times + after,
    tokens.filter(lambda found: len(found) < 12),
    st.lists(st.integers(0, 3), min_size=1, max_size=5),
    st.integers(1, 6),
    tokens.filter(lambda found: len(found) < 12),
)


def brute_force(text):
    """Every stretch of the text, tried with every unit."""
    found, longest = [False] * len(text), 0
    for first in range(len(text)):
        for last in range(first + collapse.SHORTEST_LOOP, len(text) + 1):
            for unit in range(1, collapse.LONGEST_UNIT + 1):
                stretch = text[first:last]
                if len(stretch) < collapse.TIMES * unit:
                    continue
                if all(token == stretch[place % unit] for place, token in enumerate(stretch)):
                    found[first:last] = [True] * (last - first)
                    longest = max(longest, last - first)
    return found, longest


@settings(max_examples=200, deadline=None)
@given(st.one_of(tokens, looping))
def test_loops_are_those_that_brute_force_finds(text):
    found, longest = brute_force(text)
    assert collapse.loops(text).tolist() == found
    assert collapse.longest_loop(text) == longest


def test_loops_need_rounds_and_length():
    unit = list(range(16))
    assert collapse.loops(unit * 3).all()
    assert not collapse.loops(unit * 2 + unit[:15]).any()  # one token short of three rounds
    assert not collapse.loops(list(range(17)) * 3).any()  # too long a unit
    assert not collapse.loops([5] * 7).any()
    assert collapse.longest_loop([1, 5, 5, 5, 5, 5, 5, 5, 5, 2]) == 8
    assert collapse.loops([]).shape == (0,)


@given(st.lists(st.integers(0, 4), max_size=30), st.integers(1, 4))
def test_distinct_counts_sets(text, n):
    grams = {tuple(text[start : start + n]) for start in range(len(text) - n + 1)}
    if len(text) < n:
        assert math.isnan(collapse.distinct(text, n))
    else:
        assert collapse.distinct(text, n) == len(grams) / (len(text) - n + 1)


@given(st.lists(st.floats(-12, 0), min_size=1, max_size=30))
def test_surprise_is_the_log_of_perplexity(values):
    product = math.prod(math.exp(value) for value in values)
    assert math.exp(collapse.surprise(values)) == pytest.approx(product ** (-1 / len(values)))


@given(
    st.lists(st.lists(st.integers(0, 3), max_size=12), min_size=1, max_size=5), st.integers(1, 4)
)
def test_shared_phrases_are_found_one_by_one(texts, n):
    for place, share in enumerate(collapse.shared(texts, n)):
        mine = [texts[place][at : at + n] for at in range(len(texts[place]) - n + 1)]
        others = [
            other[at : at + n]
            for number, other in enumerate(texts)
            if number != place
            for at in range(len(other) - n + 1)
        ]
        if mine:
            assert share == sum(phrase in others for phrase in mine) / len(mine)
        else:
            assert math.isnan(share)


def test_a_text_does_not_share_with_itself():
    assert collapse.shared([[1, 2] * 10, [3, 4] * 10]) == [0.0, 0.0]


def table(texts):
    """Rows of ``tokens``: writer → (tokens, parting or None, log-likelihoods)."""
    rows = []
    for writer, (own, parting, values) in texts.items():
        for step, (token, value) in enumerate(zip(own, values, strict=True)):
            rows.append(
                {
                    "prompt": "P",
                    "category": "C",
                    "seed": 0,
                    "writer": writer,
                    "every": 0,
                    "step": step,
                    "token": token,
                    "text": f" {token}",
                    "parted": parting is not None and step >= parting,
                    "value": value,
                }
            )
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def test_measures_of_a_text_worked_out_by_hand():
    dense = ([1, 2, 3, 4], 2, [-0.5] * 4)
    pruned = ([1, 2, *[5, 6] * 4], 2, [-0.5, -0.5, *[-2.0] * 8])
    found = collapse.measures(table({"dense": dense, "pruned": pruned}), limit=10)
    rows = found.set_index("writer")
    assert rows["ended"].to_dict() == {"dense": True, "pruned": False}
    one = rows.loc["pruned"]
    assert one["text"] == " 1 2" + " 5 6" * 4
    assert (one["tokens"], one["looped"], one["longest"], one["parting"]) == (10, 0.8, 8, 2)
    assert one["nats"] == pytest.approx((2 * 0.5 + 8 * 2) / 10)
    assert one["nats_parted"] == 2.0
    assert (one["nats_looped"], one["nats_free"]) == (2.0, 0.5)
    assert one["shared"] == 0.0  # it is the only text of its writer
    assert one["distinct_1"] == 4 / 10
    assert one["distinct_2"] == 4 / 9  # 12, 25, 56 and 65


def test_texts_that_never_part():
    same = ([1, 2, 3], None, [-1.0] * 3)
    found = collapse.measures(table({"dense": same, "pruned": same}), limit=3)
    assert found["parting"].tolist() == [math.inf, math.inf]
    assert np.isnan(found["nats_parted"]).all()
    assert not found["ended"].any()
