"""Readings of one text side by side, each through the head of its own model."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from chapters.noise_floor.double import logits_float64
from chapters.noise_floor.readings import Reading
from helpers.capture import Pair
from helpers.models.head import Head
from helpers.spaces import (
    Metrics,
    PairIndex,
    deviation,
    probability_metrics,
    projected_products,
    vector_products,
)

KEPT = {
    "embedding": ("angular", "orthogonal"),
    "logit": ("angular", "orthogonal"),
    "probability": ("angular", "orthogonal", "kl", "top1"),
}
WHOLE = Pair(-1, "mlp", 0, 0)  # stands for the model's output: a state that no sublayer owns


@dataclass(frozen=True)
class View:
    """A head, and the precision in which states are projected through it."""

    head: Head
    double: bool = False

    def logits(self, states: Tensor) -> Tensor:
        """Logits (N, V) of states (N, d): float32, or float64 throughout."""
        return logits_float64(self.head, states) if self.double else self.head.logits(states)


@dataclass(frozen=True)
class Condition:
    """One way of reading the texts: its readings, how they are read out, and whether the effects
    of dropping are measured in it too."""

    name: str
    view: View
    readings: list[Reading]
    effects: bool


@torch.inference_mode()
def compare(
    reference: Condition, others: list[Condition], text: int, temperature: float
) -> pd.DataFrame:
    """How far each condition lies from the reference at every step of one text.

    Quantity ``noise``: each sublayer's state (raw lens) and the model's output (normed lens,
    layer −1) against the same state of the reference. Quantity ``effect``: a condition's state
    against its own state before the sublayer, in place. All products are summed in float64, and
    equal logits deviate by exactly 0. ``top1`` is 1 where the likeliest token differs.
    """
    frames = []
    mine = reference.readings[text]
    for step in range(len(mine.output)):
        for lens in ("raw", "normed"):
            held, pairs = _at(mine, step, lens)
            z = reference.view.logits(held)
            for other in others:
                theirs, _ = _at(other.readings[text], step, lens)
                both = torch.cat([z, other.view.logits(theirs).to(z.device)])
                theirs = theirs.to(held.device)
                effects = other.effects and lens == "raw"
                found = _metrics(held, theirs, both, pairs, effects, temperature)
                labels = {"condition": other.name, "lens": lens, "step": step}
                frames.append(_frame(found, pairs, effects).assign(**labels))
    return pd.concat(frames, ignore_index=True)


def _at(reading: Reading, step: int, lens: str) -> tuple[Tensor, tuple[Pair, ...]]:
    """States of one step, and which of them the sublayers own: all of them, or the output."""
    if lens == "raw":
        return reading.states[:, step], reading.pairs
    return reading.output[step][None], (WHOLE,)


def _metrics(
    mine: Tensor,
    theirs: Tensor,
    z: Tensor,
    pairs: tuple[Pair, ...],
    effects: bool,
    temperature: float,
) -> dict[str, Metrics]:
    """Metrics by space: K deviations of theirs (S, d) from mine and, if wanted, K effects in
    theirs. ``z`` (2S, V) holds the logits of both, mine first."""
    dense = torch.tensor([pair.dense for pair in pairs], device=z.device)
    pruned = torch.tensor([pair.pruned for pair in pairs], device=z.device)
    count = len(mine)
    number = torch.arange(count, device=z.device)
    row = torch.where((z[:count] == z[count:]).all(-1), number, number + count)
    before, after = dense, row[dense]
    products = vector_products(mine[dense], theirs[dense])
    if effects:
        before, after = torch.cat([before, after]), torch.cat([after, row[pruned]])
        more = vector_products(theirs[dense], theirs[pruned])
        hh, hd, dd = (torch.cat(parts) for parts in zip(products, more, strict=True))
        products = hh, hd, dd
    index = PairIndex(before, after, before == after)
    top = z.argmax(-1)
    return {
        "embedding": deviation(*products),
        "logit": deviation(*projected_products(z, index, False)),
        "probability": probability_metrics(z, index, temperature)
        | {"top1": (top[before] != top[after]).double()},
    }


def _frame(found: dict[str, Metrics], pairs: tuple[Pair, ...], effects: bool) -> pd.DataFrame:
    """One row per number: K noises, then K effects, of each space and metric."""
    kinds = [(space, metric) for space, metrics in KEPT.items() for metric in metrics]
    values = torch.stack([found[space][metric] for space, metric in kinds]).cpu().numpy()
    quantities = ["noise", "effect"] if effects else ["noise"]
    owners = [
        (quantity, pair.layer, "model" if pair is WHOLE else pair.kind)
        for quantity in quantities
        for pair in pairs
    ]
    names = ("quantity", "layer", "sublayer")
    columns = {
        name: np.tile(np.array(column), len(kinds))
        for name, column in zip(names, zip(*owners, strict=True), strict=True)
    }
    columns["space"] = np.repeat([space for space, _ in kinds], len(owners))
    columns["metric"] = np.repeat([metric for _, metric in kinds], len(owners))
    return pd.DataFrame(columns | {"value": values.reshape(-1)})
