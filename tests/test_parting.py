"""When texts part: naive counting as the oracle, and a constant hazard where there is one."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reporting import parting

TEXTS = st.lists(st.lists(st.booleans(), min_size=1, max_size=9), min_size=1, max_size=8)


def table(texts, seeds=1):
    """Matches of texts given as lists of same or not; texts of one prompt have several seeds."""
    return pd.DataFrame(
        [
            {
                "prompt": f"P{number // seeds}",
                "seed": number % seeds,
                "step": step,
                "same": float(same),
            }
            for number, text in enumerate(texts)
            for step, same in enumerate(text)
        ]
    )


def naive(texts):
    """Counts and shares by walking along every text."""
    left, rows = 1.0, []
    for step in range(max(map(len, texts))):
        risk = [text for text in texts if len(text) > step and all(text[:step])]
        events = [text for text in risk if not text[step]]
        left *= 1 - (len(events) / len(risk) if risk else 0)
        rows.append((step, len(risk), len(events), left))
    return rows


@settings(max_examples=25, deadline=None)
@given(TEXTS, st.integers(1, 3))
def test_survival_equals_naive_counting(texts, seeds):
    found = parting.survival(table(texts, seeds), 0)
    counted = naive(texts)
    columns = ["x", "n", "partings", "mean"]
    assert found[columns].to_numpy() == pytest.approx(np.array(counted), abs=1e-12)
    prompts = -(-len(texts) // seeds)
    assert found[["low", "high"]].notna().all(axis=None) == (prompts >= 5)


@settings(max_examples=20, deadline=None)
@given(TEXTS)
def test_partings_and_products_equal_naive_ones(texts):
    frame = table(texts)
    first = parting.partings(frame)
    for text, row in zip(texts, first.itertuples(), strict=True):
        assert row.steps == len(text)
        assert (text.index(False) if False in text else None) == (
            None if np.isnan(row.parting) else row.parting
        )
    course = parting.Course.of(frame, 0)
    product = 1.0
    for step in range(max(map(len, texts))):
        here = [text[step] for text in texts if len(text) > step]
        product *= np.mean(here)
        assert course.product[0, step] == pytest.approx(product, abs=1e-12)
    every = [same for text in texts for same in text]
    assert course.constant[0] == pytest.approx(
        np.mean(every) ** np.arange(1, course.running.shape[1] + 1)
    )
    late = [same for text in texts for step, same in enumerate(text) if not all(text[:step])]
    assert course.overall[0] == pytest.approx(1 - np.mean(every))
    if late:
        assert course.after[0] == pytest.approx(1 - np.mean(late))
    else:
        assert np.isnan(course.after[0])


def test_constant_hazard_is_found_where_there_is_one():
    """Independent mismatches of one rate: survival, product and constant rate agree."""
    same = np.random.default_rng(3).random((600, 12)) > 0.1
    course = parting.Course.of(table(same.tolist()), 0)
    exact = 0.9 ** np.arange(1, 13)
    for curve in (course.survival[0], course.product[0], course.constant[0]):
        assert np.abs(curve - exact).max() < 0.08
    assert course.before[0] == pytest.approx(course.after[0], abs=0.02)


def test_unlike_prompts_survive_longer_than_their_mean_rate_says():
    """Half of the texts never mismatch: the product forgets that, survival does not."""
    mixed = np.random.default_rng(3).random((200, 20)) > 0.3
    mixed[::2] = True
    course = parting.Course.of(table(mixed.tolist()), 0)
    assert course.survival[0, -1] == pytest.approx(0.5, abs=0.01)
    assert course.product[0, -1] < 0.05
    assert course.after[0] > course.before[0]


def test_interval_covers_a_known_hazard():
    """95% intervals of S after five steps, in a few dozen worlds of forty prompts."""
    generator = np.random.default_rng(5)
    hits = 0
    for world in range(40):
        same = generator.random((30, 5)) > 0.1
        last = parting.survival(table(same.tolist()), world).iloc[-1]
        hits += last["low"] <= 0.9**5 <= last["high"]
    assert hits >= 33


def test_matches_from_both_tables_agree():
    """A free text is the same up to the first forced mismatch, and no further."""
    rows = [("a", 0, 1.0), ("a", 1, 0.0), ("a", 2, 1.0), ("b", 0, 1.0)]
    deviations = pd.DataFrame(
        [
            {"prompt": p, "seed": 0, "step": s, "decoding": d, "metric": m, "value": v}
            for p, s, v in rows
            for d in ("free", "forced")
            for m in ("choice", "kl")
        ]
    ).astype({"prompt": "category"})
    forced = parting.matches(deviations)
    assert forced["same"].tolist() == [1, 0, 1, 1]
    tokens = pd.DataFrame(
        [
            {
                "prompt": p,
                "seed": 0,
                "step": s,
                "writer": w,
                "every": 0,
                "parted": (p, s) > ("a", 0) and p == "a",
            }
            for p, s, _ in rows
            for w in ("dense", "pruned")
        ]
    )
    free = parting.matches_of_texts(tokens)
    assert free["same"].tolist() == [1, 0, 0, 1]
    pd.testing.assert_frame_equal(parting.partings(forced), parting.partings(free))
    assert parting.parted_before(forced).tolist() == [False, False, True, False]
