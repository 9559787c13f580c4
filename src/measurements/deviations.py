"""The long table of deviations, built column by column from a block of numbers."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from torch import Tensor

from helpers import theory
from helpers.capture import Pair
from helpers.spaces import Metrics, Space
from helpers.texts.data import Prompt
from runs.columns import (
    CATEGORY,
    CENTRED,
    LAYER,
    LENS,
    PROMPT,
    SEED,
    SPACE,
    STEP,
    SUBLAYER,
    TEMPERATURE,
    TEXT,
    VALUE,
    Column,
    dictionary,
)
from runs.parameters import RunParameters

DEVIATIONS = (
    Column(
        "intervention",
        TEXT,
        "in_place: one sublayer is replaced and compared where it stands; "
        "propagated: the pruned model runs on to its output",
        ("in_place", "propagated"),
    ),
    Column(
        "decoding",
        TEXT,
        "free: each model reads its own text; forced: both read the dense text; "
        "prefill: one pass over a given text",
        ("free", "forced", "prefill"),
    ),
    PROMPT,
    CATEGORY,
    SEED,
    STEP,
    LAYER,
    SUBLAYER,
    SPACE,
    LENS,
    CENTRED,
    TEMPERATURE,
    Column(
        "metric",
        TEXT,
        "cosine; angular (1 − cosine); parallel (h·Δ/‖h‖², negative where pruning shortens) and "
        "orthogonal (‖Δ⊥‖/‖h‖), both relative to dense or, with _from_pruned, to pruned; kl is "
        "KL(dense‖pruned) in nats, kl_reversed KL(pruned‖dense); variance_p, variance_r and "
        "variance_uniform are variances of Δz, in squared logits, under p, under r ∝ p² and with "
        "equal weights; agreement is 1 where the likeliest token is the same and 0 where it is "
        "not; choice is 1 where the next token is the same, drawn or not; rank is the place of the "
        "dense choice in the pruned model, from 1; margin is its lead over its runner-up in "
        "logits, margin_noise what pruning adds to that, margin_pruned its lead over the best "
        "rival in the pruned model; entropy_dense and entropy_pruned are in nats",
    ),
    Column(
        "quantity",
        TEXT,
        "measured here, given by an exact identity, a theorem or a bounded form, or reported "
        "by the paper",
        ("measured", "exact", "theorem", "bounded", "reported"),
    ),
    VALUE,
)

Kind = tuple[Space, str, str]  # space, metric, quantity
OUTPUT = (Pair(-1, "mlp", 0, 1),)  # in place of sublayers: the output of the whole model


def with_estimates(found: Mapping[Space, Metrics], temperature: float) -> dict[Kind, Tensor]:
    """Every measured number (K,) of one chain and, beside the angles and KL, what the theorems
    and the bounded form say that they should be."""
    numbers: dict[Kind, Tensor] = {}
    for space, metrics in found.items():
        numbers |= {(space, name, "measured"): value for name, value in metrics.items()}
        if space.space == "probability":
            variance = metrics["variance_r"]
            numbers |= {
                (space, "angular", "theorem"): theory.angular_theorem_2(variance, temperature),
                (space, "angular", "bounded"): theory.angular_bounded(variance, temperature),
                (space, "kl", "theorem"): theory.kl_theorem_3(metrics["variance_p"], temperature),
            }
        else:
            estimate = theory.angular_theorem_1(metrics["orthogonal"])
            numbers[space, "angular", "theorem"] = estimate
    return numbers


def deviation_table(
    parameters: RunParameters,
    prompts: tuple[Prompt, ...],
    pairs: tuple[Pair, ...],
    rows: list[tuple[int, int]],
    kinds: list[Kind],
    values: np.ndarray,
    *,
    intervention: Literal["in_place", "propagated"] = "in_place",
    decoding: Literal["free", "forced", "prefill"] = "free",
) -> pa.Table:
    """One row per number of ``values`` (C, K, M), float64: chains × sublayers × kinds.

    ``rows`` gives each chain's prompt and step, ``pairs`` each sublayer, ``kinds`` each number's
    space, metric and quantity. The result has the columns :data:`DEVIATIONS`. With
    ``pairs=OUTPUT`` the numbers compare the outputs of two whole models.
    """
    whole = pairs == OUTPUT
    chains, sublayers, numbers = values.shape
    total = values.size

    def constant(value: str) -> pa.Array:
        return dictionary([value], np.zeros(total))

    def per_chain(codes: list[int]) -> np.ndarray:
        return np.repeat(np.array(codes), sublayers * numbers)

    def per_pair(codes: list[int]) -> np.ndarray:
        return np.tile(np.repeat(np.array(codes), numbers), chains)

    def per_kind(codes: list[Any]) -> np.ndarray:
        return np.tile(np.array(codes), chains * sublayers)

    def text_per_kind(words: list[str]) -> pa.Array:
        unique = sorted(set(words))
        return dictionary(unique, per_kind([unique.index(word) for word in words]))

    prompt = per_chain([row for row, _ in rows])
    kinds_of = ("attention", "mlp", "model")
    sublayer = dictionary(
        list(kinds_of),
        per_pair([2 if whole else kinds_of.index(pair.kind) for pair in pairs]),
    )
    softmaxed = [space.space == "probability" for space, *_ in kinds]
    return pa.table(
        {
            "intervention": constant(intervention),
            "decoding": constant(decoding),
            "prompt": dictionary([prompt.id for prompt in prompts], prompt),
            "category": dictionary([prompt.category for prompt in prompts], prompt),
            "seed": np.full(total, parameters.seed),
            "step": per_chain([step for _, step in rows]).astype(np.int32),
            "layer": per_pair([pair.layer for pair in pairs]).astype(np.int32),
            "sublayer": sublayer,
            "space": text_per_kind([space.space for space, *_ in kinds]),
            "lens": text_per_kind([space.lens for space, *_ in kinds]),
            "centred": per_kind([space.centred for space, *_ in kinds]),
            "temperature": pa.array(
                np.full(total, parameters.temperature), mask=~per_kind(softmaxed)
            ),
            "metric": text_per_kind([metric for _, metric, _ in kinds]),
            "quantity": text_per_kind([quantity for *_, quantity in kinds]),
            "value": values.reshape(-1),
        }
    )
