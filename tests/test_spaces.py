"""The three spaces against float64 computed the naive way, one vector at a time."""

import copy
import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from conftest import tiny_batch, tiny_model
from hypothesis import given, settings

from helpers.capture import Pair, capture
from helpers.decoding import greedy
from helpers.models import Decoder
from helpers.models.head import Head
from helpers.spaces import LENSES, Comparison, PairIndex, Space, deviation, probability_metrics


def naive_vectors(dense: np.ndarray, pruned: np.ndarray) -> dict[str, float]:
    delta = pruned - dense
    length = np.sqrt((dense**2).sum())
    cosine = (dense * pruned).sum() / (length * np.sqrt((pruned**2).sum()))
    alpha = (dense * delta).sum() / length**2
    across = delta - alpha * dense
    return {
        "cosine": cosine,
        "angular": 1 - cosine,
        "parallel": alpha,
        "orthogonal": np.sqrt((across**2).sum()) / length,
    }


def naive_softmax(z: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    scaled = z / temperature
    scaled = scaled - scaled.max()
    log = scaled - math.log(math.fsum(np.exp(scaled)))
    return np.exp(log), log


def naive_probability(z: np.ndarray, other: np.ndarray, temperature: float) -> dict[str, float]:
    p, log_p = naive_softmax(z, temperature)
    q, log_q = naive_softmax(other, temperature)
    return naive_vectors(p, q) | {
        "kl": math.fsum(p * (log_p - log_q)),
        "kl_reversed": math.fsum(q * (log_q - log_p)),
        "variance_p": naive_variance(p, other - z),
        "variance_r": naive_variance(p**2 / (p**2).sum(), other - z),
    }


def naive_variance(weights: np.ndarray, x: np.ndarray) -> float:
    return (weights * (x - (weights * x).sum()) ** 2).sum()


def close(got: float, expected: float) -> bool:
    """The conventions' tolerance: 1e-4 relative plus 1e-9 absolute."""
    return abs(got - expected) <= 1e-4 * abs(expected) + 1e-9


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_equals_naive_float64(architecture, temperature):
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    comparison = Comparison(decoder.head, decoder.final_norm, temperature)
    with torch.inference_mode(), capture(decoder) as trace:
        for step in greedy(model, *tiny_batch(), 3):
            states, pairs = trace.states, trace.states.pairs
            for row in step.rows.tolist():
                found = comparison.compare(states, row)
                chain = states.tensor[:, row, 0]
                both = torch.cat([chain, decoder.final_norm(chain)])
                logits = decoder.head.logits(both).chunk(2)
                for lens, seen, read in zip(LENSES, both.chunk(2), logits, strict=True):
                    z = read.numpy().astype(np.float64)
                    h = seen.numpy().astype(np.float64)
                    for number, pair in enumerate(pairs):
                        compare_one(found, lens, number, pair, h, z, temperature)


def compare_one(found, lens, number, pair, h, z, temperature):
    centred = z - z.mean(-1, keepdims=True)
    expected = {
        Space("embedding", lens): naive_vectors(h[pair.dense], h[pair.pruned]),
        Space("logit", lens): naive_vectors(z[pair.dense], z[pair.pruned]),
        Space("logit", lens, True): naive_vectors(centred[pair.dense], centred[pair.pruned]),
        Space("probability", lens): naive_probability(z[pair.dense], z[pair.pruned], temperature),
    }
    for space, metrics in expected.items():
        for name, value in metrics.items():
            got = found[space][name][number].item()
            assert close(got, value), (space, name, pair, got, value)
    spread = found[Space("logit", lens, True)]["variance_uniform"][number].item()
    assert close(spread, (z[pair.pruned] - z[pair.dense]).var())
    turned = naive_vectors(h[pair.pruned], h[pair.dense])
    for name in ("parallel", "orthogonal"):
        got = found[Space("embedding", lens)][f"{name}_from_pruned"][number].item()
        assert close(got, turned[name])


@pytest.mark.parametrize("use_cache", [True, False])
def test_exact_copy_deviates_by_exactly_zero(architecture, use_cache):
    model = tiny_model(architecture)
    decoder, twin = Decoder.of(model), Decoder.of(copy.deepcopy(model))
    comparison = Comparison(decoder.head, decoder.final_norm, 0.7)
    with capture(decoder, pruned=twin) as trace:
        for step in greedy(model, *tiny_batch(), 4, use_cache=use_cache):
            for row in step.rows.tolist():
                for metrics in comparison.compare(trace.states, row).values():
                    for name, values in metrics.items():
                        wanted = 1.0 if name == "cosine" else 0.0
                        assert (values == wanted).all(), name


def compare_logits(z: np.ndarray, temperature: float = 1.0) -> dict[str, float]:
    pairs = (Pair(0, "mlp", 0, 1),)
    tensor = torch.tensor(z, dtype=torch.float32)
    found = probability_metrics(tensor, PairIndex.of(pairs, tensor), temperature)
    return {name: value.item() for name, value in found.items()}


LOGITS = st.lists(st.floats(-50, 50, width=32), min_size=5, max_size=40)


@settings(max_examples=60, deadline=None)
@given(LOGITS, st.floats(-3, 3, width=32), st.floats(0.25, 4), st.randoms())
def test_probability_space_properties(values, size, temperature, random):
    z = np.array(values, dtype=np.float32)
    other = (z + size * np.cos(np.arange(len(z)))).astype(np.float32)
    found = compare_logits(np.stack([z, other]), temperature)
    expected = naive_probability(z.astype(np.float64), other.astype(np.float64), temperature)
    for name, value in expected.items():
        assert close(found[name], value), name
    order = list(range(len(z)))
    random.shuffle(order)
    permuted = compare_logits(np.stack([z[order], other[order]]), temperature)
    turned = compare_logits(np.stack([other, z]), temperature)
    for name in ("kl", "cosine", "angular"):
        assert close(permuted[name], found[name])
    assert close(turned["kl"], found["kl_reversed"])
    assert found["kl"] >= 0
    assert -1e-12 <= found["angular"] <= 1 + 1e-12


def test_huge_logits_neither_overflow_nor_turn_to_nan():
    z = np.array([[1e5, -1e5, 3.0], [-1e5, 1e5, 0.0]])
    found = compare_logits(z)
    assert found["cosine"] == 0
    assert found["kl"] == pytest.approx(2e5)
    assert all(math.isfinite(value) for value in found.values())


def test_vocabulary_larger_than_a_block():
    generator = np.random.default_rng(0)
    z = generator.normal(size=(2, 10_001)).astype(np.float32) * 3
    found = compare_logits(z)
    expected = naive_probability(z[0].astype(np.float64), z[1].astype(np.float64), 1.0)
    for name, value in expected.items():
        assert close(found[name], value), name


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.floats(-5, 5), min_size=3, max_size=12),
    st.floats(1e-7, 10),
    st.integers(0, 2**31),
)
def test_angle_from_products(values, size, seed):
    h = np.array(values) + 0.1
    delta = size * np.random.default_rng(seed).normal(size=len(h))
    if np.abs(h + delta).max() < 1e-3:
        return
    products = [
        torch.tensor(float(x), dtype=torch.float64) for x in (h @ h, h @ delta, delta @ delta)
    ]
    found = deviation(*products)
    for name, value in naive_vectors(h, h + delta).items():
        got = found[name].item()
        assert abs(got - value) <= 1e-6 * abs(value) + 1e-9 * (1 + size / np.sqrt(h @ h)), name


def test_opposite_and_zero_vectors():
    one = torch.tensor(1.0, dtype=torch.float64)
    opposite = deviation(one, -2 * one, 4 * one)
    assert opposite["cosine"].item() == -1
    assert math.isnan(deviation(one, -one, one)["cosine"].item())


def test_memory_does_not_grow_with_chains():
    """One buffer of logits serves every chain."""
    head = Head(torch.randn(50, 8))
    comparison = Comparison(head, torch.nn.Identity(), 1.0)
    pairs = (Pair(0, "mlp", 1, 0),)
    comparison.chain(torch.randn(3, 8), pairs)
    buffer = comparison._buffer
    comparison.chain(torch.randn(3, 8), pairs)
    assert comparison._buffer is buffer
