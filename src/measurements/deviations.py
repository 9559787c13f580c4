"""The long table of deviations, built column by column from a block of numbers."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
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
    long_table,
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
    rows_of = [prompts[row] for row, _ in rows]
    spaces = [space for space, *_ in kinds]
    softmaxed = [space.space == "probability" for space in spaces]
    return long_table(
        values,
        {
            "prompt": pd.Categorical([one.id for one in rows_of], [one.id for one in prompts]),
            "category": [one.category for one in rows_of],
            "step": [step for _, step in rows],
        },
        {
            "layer": [pair.layer for pair in pairs],
            "sublayer": ["model" if whole else pair.kind for pair in pairs],
        },
        {
            "space": [space.space for space in spaces],
            "lens": pd.Categorical([space.lens for space in spaces]),
            "centred": [space.centred for space in spaces],
            "temperature": [parameters.temperature if each else None for each in softmaxed],
            "metric": pd.Categorical([metric for _, metric, _ in kinds]),
            "quantity": pd.Categorical([quantity for *_, quantity in kinds]),
        },
        intervention=intervention,
        decoding=decoding,
        seed=parameters.seed,
    )
