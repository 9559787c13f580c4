"""Is it only dimension? The same states through random readouts, linear and softmax."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from tqdm import tqdm

from chapters.dimension.projections import (
    KINDS,
    LIMITS,
    Kind,
    entry_size,
    gaussian_pool,
    limit_metrics,
    readout_metrics,
    widths,
)
from helpers.capture import Pair
from helpers.models.head import Head
from helpers.models.load import model_facts
from helpers.spaces import PairIndex, vector_products
from helpers.texts.data import Prompt
from measurements.walk import Walk
from runs.columns import (
    COUNT,
    FLAG,
    LAYER,
    PROMPT,
    STEP,
    TEMPERATURE,
    TEXT,
    VALUE,
    Column,
    dictionary,
)
from runs.parameters import WRITING, RunParameters
from runs.store import Measured, measurement

USES = (*WRITING, "max_new_tokens", "temperature", "repeats")
LENSES = ("raw", "normed")
TABLE = (
    PROMPT,
    STEP,
    LAYER,
    Column(
        "sublayer", TEXT, "the sublayer that is removed, in place", ("attention", "mlp", "block")
    ),
    Column(
        "lens",
        TEXT,
        "raw: the residual stream as it is; normed: after the final norm",
        ("raw", "normed"),
    ),
    Column(
        "family",
        TEXT,
        "what reads the state: rows of the head (vocabulary), or random Gaussian rows of the "
        "same mean squared length (projection)",
        ("vocabulary", "projection"),
    ),
    Column("width", COUNT, "number of outputs; 0 for the limit of infinitely many"),
    Column("draw", COUNT, "which repetition of the random choice, from 0"),
    Column(
        "readout",
        TEXT,
        "linear: the outputs as they are; softmax: at the run's temperature; unit: softmax of the "
        "outputs divided by their own standard deviation",
        ("linear", "softmax", "unit"),
    ),
    Column("centred", FLAG, "whether the mean output was subtracted first"),
    TEMPERATURE,
    Column(
        "metric",
        TEXT,
        "angular (1 − cosine); kl (nats); agreement (1 where the largest output is the same, else "
        "0); spread (standard deviation of the dense outputs); effective (1/Σp², dense)",
        ("angular", "kl", "agreement", "spread", "effective"),
    ),
    Column(
        "quantity",
        TEXT,
        "measured, or the closed form that random rows lead to",
        ("measured", "limit"),
    ),
    VALUE,
)


@dataclass(frozen=True)
class Chains:
    """States (C, lenses, S, d) in which pairs are compared, with each chain's prompt and step."""

    states: Tensor
    pairs: tuple[Pair, ...]
    rows: list[tuple[int, int]]


@dataclass(frozen=True)
class Readout:
    """``width`` random rows of a pool; ``draw`` counts the repetitions."""

    family: str
    width: int
    draw: int


@measurement(*USES, tables={"dimensions": TABLE})
def dimension(parameters: RunParameters) -> Measured:
    """Compare states with and without each sublayer, in place, through readouts of many widths.

    Two families: ``projection``, random Gaussian rows as long as the head's, and ``vocabulary``,
    rows of the head itself, up to all of it. Which rows are taken is drawn anew for each prompt
    and repeat; a wider readout holds the narrower one, and the Gaussian rows are drawn anew for
    each repeat. Table ``dimensions``, with the limit of infinitely many Gaussian rows beside.
    """
    parameters = parameters.model_copy(update={"method": "drop", "checkpoint": ""})
    walk = Walk(parameters, parameters.max_new_tokens, "Capturing")
    loaded, prompts = walk.dense, walk.prompts
    chains = _chains(walk)
    head = loaded.decoder.head
    rows = Head(head.weight)  # a cap or a bias would be a second nonlinearity
    readouts: list[Readout] = []
    blocks: list[Tensor] = []
    for repeat in range(parameters.repeats):
        generator = torch.Generator().manual_seed(parameters.seed + repeat)
        size = len(head.weight)
        orders = [torch.randperm(size, generator=generator).to(head.weight.device) for _ in prompts]
        for family in ("vocabulary", "projection"):
            pool = rows if family == "vocabulary" else gaussian_pool(rows, generator)
            wanted = widths(size)[: -1 if family == "vocabulary" and repeat else None]
            bar = f"Reading {family} {repeat + 1} of {parameters.repeats}, position"
            blocks.append(_read(pool, chains, orders, wanted, parameters.temperature, bar))
            readouts += [Readout(family, width, repeat) for width in wanted]
    temperature, entry = parameters.temperature, entry_size(head)
    measured = _table(temperature, prompts, chains, readouts, KINDS, torch.cat(blocks, dim=2))
    limit = _limits(chains, entry, temperature)
    endless = [Readout("projection", 0, 0)]
    beside = _table(temperature, prompts, chains, endless, LIMITS, limit)
    facts = {
        "model": model_facts(loaded),
        "prompts": len(prompts),
        "chains": len(chains.rows),
        "widths": widths(len(head.weight)),
        "entry_size": entry,
        "cap": head.cap,
    }
    return Measured({"dimensions": pa.concat_tables([measured, beside])}, facts)


def _chains(walk: Walk) -> Chains:
    """States of every prompt and step, through both lenses."""
    decoder = walk.dense.decoder
    held: list[Tensor] = []
    for visit in walk:
        normed = decoder.final_norm(visit.states).to(visit.states.device)
        held.append(torch.stack([visit.states, normed]))
    return Chains(torch.stack(held), visit.pairs, walk.rows)


def _read(
    pool: Head,
    chains: Chains,
    orders: list[Tensor],
    wanted: list[int],
    temperature: float,
    words: str,
) -> Tensor:
    """Numbers (C, lenses, widths, K, kinds), float64 on the CPU: each chain is projected on the
    whole pool once, and its readouts are columns of that, in its prompt's order."""
    found = []
    size = len(pool.weight)
    z = torch.empty(chains.states.shape[2], size, device=chains.states.device)
    for (row, _), lenses in zip(
        tqdm(chains.rows, desc=words, mininterval=2.0), chains.states, strict=True
    ):
        for seen in lenses:
            index = PairIndex.of(chains.pairs, seen)
            pool.logits(seen, out=z)
            parts = [
                readout_metrics(
                    z if width == size else z[:, orders[row][:width]], index, temperature
                )
                for width in wanted
            ]
            found.append(torch.stack(parts).cpu())
    return torch.stack(found).unflatten(0, (len(chains.rows), len(LENSES)))


@torch.inference_mode()
def _limits(chains: Chains, entry: float, temperature: float) -> Tensor:
    """Numbers (C, lenses, 1, K, limits), float64 on the CPU."""
    dense, pruned = ([getattr(pair, end) for pair in chains.pairs] for end in ("dense", "pruned"))
    products = vector_products(chains.states[..., dense, :], chains.states[..., pruned, :])
    return limit_metrics(products, entry, temperature)[:, :, None].cpu()


def _table(
    temperature: float,
    prompts: tuple[Prompt, ...],
    chains: Chains,
    readouts: list[Readout],
    kinds: tuple[Kind, ...],
    values: Tensor,
) -> pa.Table:
    """One row per number of ``values`` (C, lenses, readouts, K, kinds)."""
    shape = tuple(values.shape)

    def codes(axis: int, per: list[int]) -> np.ndarray:
        column = np.array(per, dtype=np.int32).reshape([-1 if i == axis else 1 for i in range(5)])
        return np.broadcast_to(column, shape).reshape(-1)

    def words(axis: int, per: list[str]) -> pa.Array:
        unique = list(dict.fromkeys(per))
        return dictionary(unique, codes(axis, [unique.index(word) for word in per]))

    softmaxed = codes(4, [readout == "softmax" for readout, *_ in kinds]).astype(bool)
    return pa.table(
        {
            "prompt": words(0, [prompts[row].id for row, _ in chains.rows]),
            "step": codes(0, [step for _, step in chains.rows]),
            "layer": codes(3, [pair.layer for pair in chains.pairs]),
            "sublayer": words(3, [pair.kind for pair in chains.pairs]),
            "lens": words(1, list(LENSES)),
            "family": words(2, [readout.family for readout in readouts]),
            "width": codes(2, [readout.width for readout in readouts]),
            "draw": codes(2, [readout.draw for readout in readouts]),
            "readout": words(4, [readout for readout, *_ in kinds]),
            "centred": codes(4, [centred for _, centred, _ in kinds]).astype(bool),
            "temperature": pa.array(np.full(values.numel(), temperature), mask=~softmaxed),
            "metric": words(4, [metric for *_, metric in kinds]),
            "quantity": words(2, ["measured" if each.width else "limit" for each in readouts]),
            "value": values.numpy().reshape(-1),
        }
    )
