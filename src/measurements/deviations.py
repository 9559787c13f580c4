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
from runs.parameters import RunParameters

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
    run: str,
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
    space, metric and quantity. The result has the columns of the ``deviations`` schema. With
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
    target, amount = sublayer, parameters.amount
    if whole:
        target, amount = constant(parameters.whole_target), parameters.whole_amount
    softmaxed = [space.space == "probability" for space, *_ in kinds]
    return pa.table(
        {
            "run": constant(run),
            "model": constant(parameters.model),
            "dtype": constant(parameters.dtype),
            "method": constant(parameters.method),
            "target": target,
            "amount": np.full(total, amount),
            "pattern": constant(""),
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


def dictionary(words: list[str], codes: np.ndarray) -> pa.Array:
    """Dictionary-encoded text: ``words[codes[i]]`` for each i."""
    return pa.DictionaryArray.from_arrays(codes.astype(np.int32), words)
