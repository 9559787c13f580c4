"""Is it only dimension? The same states through random readouts, linear and softmax.

A pool is a matrix of V rows: the model's head itself, or as many random rows of the same length. A
readout of width m takes m rows of a pool at random, so width alone changes; it is compared
linearly, through the softmax, and through the softmax at unit spread.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from helpers import theory
from helpers.capture import Pair
from helpers.models.head import Head
from helpers.models.load import model_facts
from helpers.spaces import (
    BLOCK,
    Metrics,
    PairIndex,
    deviation,
    probability_metrics,
    vector_products,
)
from measurements.walk import Walk
from runs.columns import COUNT, FLAG, LAYER, LENS, PROMPT, STEP, TEMPERATURE, TEXT, VALUE, Column
from runs.parameters import WRITING, RunParameters
from runs.store import Measured, measurement

USES = (*WRITING, "max_new_tokens", "temperature", "repeats")
LENSES = ("raw", "normed")
SMALLEST, STEP_UP = 16, 4  # readouts: the narrowest, and by how much each is wider than the last

Readout = tuple[str, int, int]  # family, width, draw
Kind = tuple[str, bool, str]  # readout, centred, metric
TABLE = (
    PROMPT,
    STEP,
    LAYER,
    Column(
        "sublayer", TEXT, "the sublayer that is removed, in place", ("attention", "mlp", "block")
    ),
    LENS,
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
KINDS: tuple[Kind, ...] = (
    ("linear", False, "angular"),
    ("linear", True, "angular"),
    ("linear", True, "spread"),
    ("linear", False, "agreement"),
    ("softmax", False, "angular"),
    ("softmax", False, "kl"),
    ("softmax", False, "effective"),
    ("unit", False, "angular"),
    ("unit", False, "kl"),
)
LIMITS: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind[2] in ("angular", "kl"))


@measurement(*USES, tables={"dimensions": TABLE})
def dimension(parameters: RunParameters) -> Measured:
    """Compare states with and without each sublayer, in place, through readouts of many widths.

    Two families: ``projection``, random Gaussian rows as long as the head's, and ``vocabulary``,
    rows of the head itself, up to all of it. Which rows are taken is drawn anew for each prompt
    and repeat; a wider readout holds the narrower one, and the Gaussian rows are drawn anew for
    each repeat. Table ``dimensions``, with the limit of infinitely many Gaussian rows beside.
    """
    parameters = parameters.model_copy(update={"method": "drop", "checkpoint": ""})
    temperature = parameters.temperature
    walk = Walk(parameters, parameters.max_new_tokens, "Capturing")
    decoder = walk.dense.decoder
    held: list[Tensor] = []
    for visit in walk:
        normed = decoder.final_norm(visit.states).to(visit.states.device)
        held.append(torch.stack([visit.states, normed]))
    states, pairs = torch.stack(held), visit.pairs
    rows = Head(decoder.head.weight)  # a cap or a bias would be a second nonlinearity
    size, device = len(rows.weight), rows.weight.device
    readouts: list[Readout] = []
    blocks: list[Tensor] = []
    for repeat in range(parameters.repeats):
        generator = torch.Generator().manual_seed(parameters.seed + repeat)
        orders = [torch.randperm(size, generator=generator).to(device) for _ in walk.prompts]
        orders = [orders[prompt] for prompt, _ in walk.rows]
        for family in ("vocabulary", "projection"):
            pool = rows if family == "vocabulary" else gaussian_pool(rows, generator)
            wanted = widths(size)[: -1 if family == "vocabulary" and repeat else None]
            bar = f"Reading {family} {repeat + 1} of {parameters.repeats}, position"
            chains = zip(tqdm(states, desc=bar, mininterval=2.0), orders, strict=True)
            blocks.append(_read(pool, chains, pairs, wanted, temperature))
            readouts += [(family, width, repeat) for width in wanted]
    entry = entry_size(rows)
    limits = _limits(states, pairs, entry, temperature)
    measured, beside = (
        _table(walk, pairs, readouts, kinds, values, temperature)
        for readouts, kinds, values in (
            (readouts, KINDS, torch.cat(blocks, dim=2)),
            ([("projection", 0, 0)], LIMITS, limits),
        )
    )
    facts = {
        "model": model_facts(walk.dense),
        "prompts": len(walk.prompts),
        "chains": len(walk.rows),
        "widths": widths(size),
        "entry_size": entry,
        "cap": decoder.head.cap,
    }
    return Measured({"dimensions": pd.concat([measured, beside])}, facts)


def _read(
    pool: Head,
    chains: Iterable[tuple[Tensor, Tensor]],
    pairs: tuple[Pair, ...],
    wanted: list[int],
    temperature: float,
) -> Tensor:
    """Numbers (C, lenses, widths, K, kinds), float64 on the CPU, of each chain's states (lenses,
    S, d): projected on the whole pool once, its readouts are columns of that, in its order."""
    found = []
    size = len(pool.weight)
    for lenses, order in chains:
        z = torch.empty(lenses.shape[1], size, device=lenses.device)
        for seen in lenses:
            index = PairIndex.of(pairs, seen)
            pool.logits(seen, out=z)
            parts = [
                readout_metrics(z if width == size else z[:, order[:width]], index, temperature)
                for width in wanted
            ]
            found.append(torch.stack(parts).cpu())
    return torch.stack(found).unflatten(0, (-1, len(LENSES)))


@torch.inference_mode()
def _limits(states: Tensor, pairs: tuple[Pair, ...], entry: float, temperature: float) -> Tensor:
    """Numbers (C, lenses, 1, K, limits), float64 on the CPU."""
    dense, pruned = ([getattr(pair, end) for pair in pairs] for end in ("dense", "pruned"))
    products = vector_products(states[..., dense, :], states[..., pruned, :])
    return limit_metrics(products, entry, temperature)[:, :, None].cpu()


def _table(
    walk: Walk,
    pairs: tuple[Pair, ...],
    readouts: list[Readout],
    kinds: tuple[Kind, ...],
    values: Tensor,
    temperature: float,
) -> pd.DataFrame:
    """One row per number of ``values`` (C, lenses, readouts, K, kinds)."""
    of_kinds = pd.DataFrame(kinds, columns=["readout", "centred", "metric"])
    softmaxed = of_kinds["readout"] == "softmax"
    of_readouts = pd.DataFrame(readouts, columns=["family", "width", "draw"])
    axes = (
        pd.DataFrame(
            [(walk.prompts[row].id, step) for row, step in walk.rows], columns=["prompt", "step"]
        ),
        pd.DataFrame({"lens": LENSES}),
        of_readouts.assign(quantity=np.where(of_readouts["width"] > 0, "measured", "limit")),
        pd.DataFrame([(pair.layer, pair.kind) for pair in pairs], columns=["layer", "sublayer"]),
        of_kinds.assign(temperature=np.where(softmaxed, temperature, np.nan)),
    )
    places = np.unravel_index(np.arange(values.numel()), tuple(values.shape))
    columns = {
        name: labels[name].to_numpy()[place]
        for labels, place in zip(axes, places, strict=True)
        for name in labels
    }
    return pd.DataFrame(columns | {"value": values.numpy().reshape(-1)})


def widths(vocabulary: int) -> list[int]:
    """Numbers of outputs: 16, four times as many and so on below V, then V itself.

    >>> widths(300)
    [16, 64, 256, 300]
    """
    found = []
    width = SMALLEST
    while width < vocabulary:
        found.append(width)
        width *= STEP_UP
    return [*found, vocabulary]


def entry_size(head: Head) -> float:
    """Standard deviation s of the entries of a Gaussian row (d,) whose expected squared length is
    the mean squared length of the head's rows."""
    squares = head.weight.detach().float().square().sum(dtype=torch.float64)
    return float((squares / head.weight.numel()).sqrt())


def gaussian_pool(head: Head, generator: torch.Generator) -> Head:
    """V random rows (V, d), float32, with entries N(0, s²), on the head's device.

    Drawn on the CPU, so that every device gets the same numbers.
    """
    rows = torch.randn(head.weight.shape, generator=generator) * entry_size(head)
    return Head(rows.to(head.weight.device))


def unit_spread(z: Tensor) -> Tensor:
    """Logits (S, m) divided by their own standard deviation over the m outputs, each row alone."""
    return z / z.var(-1, correction=0, keepdim=True).sqrt()


def linear_metrics(z: Tensor, index: PairIndex) -> Metrics:
    """Angles of the pairs in logits (S, m) float32, with and without the offset that all outputs
    share, summed in float64: (K,) ``angular``, ``centred`` and ``spread``, the standard deviation
    of the dense logits."""
    dot, size = torch.linalg.vecdot, z.shape[-1]
    zz, zd, dd, level, shift = z.new_zeros(5, len(index.same), dtype=torch.float64)
    for block in z.split(BLOCK, dim=-1):
        values = block.double()
        dense = values[index.dense]
        delta = values[index.pruned] - dense
        zz += dot(dense, dense)
        zd += dot(dense, delta)
        dd += dot(delta, delta)
        level += dense.sum(-1)
        shift += delta.sum(-1)
    around = zz - level * level / size
    centred = deviation(around, zd - level * shift / size, dd - shift * shift / size)
    return {
        "angular": deviation(zz, zd, dd)["angular"],
        "centred": centred["angular"],
        "spread": (around / size).sqrt(),
    }


def effective(z: Tensor, temperature: float) -> Tensor:
    """1/Σp² (S,) float64, p = softmax(z/T): on how many outputs the mass lies, in effect."""
    mass = ((z - z.amax(-1, keepdim=True)) / temperature).exp_()
    square = torch.linalg.vecdot(mass, mass).double()
    return mass.sum(-1, dtype=torch.float64).square() / square


def readout_metrics(z: Tensor, index: PairIndex, temperature: float) -> Tensor:
    """All ``KINDS`` of the pairs, (K, kinds) float64, from their readouts z (S, m) float32."""
    linear = linear_metrics(z, index)
    top = z.argmax(-1)
    softmax = probability_metrics(z, index, temperature)
    unit = probability_metrics(unit_spread(z), index, 1.0)
    found = (
        linear["angular"],
        linear["centred"],
        linear["spread"],
        (top[index.dense] == top[index.pruned]).double(),
        softmax["angular"],
        softmax["kl"],
        effective(z, temperature)[index.dense],
        unit["angular"],
        unit["kl"],
    )
    return torch.stack(found, dim=-1)


def limit_metrics(
    products: tuple[Tensor, Tensor, Tensor], entry: float, temperature: float
) -> Tensor:
    """Where Gaussian readouts lead as m grows without end, as ``LIMITS``: (K, limits) float64,
    from h·h, h·Δ and Δ·Δ (K,) and the size s of the entries.

    Linear: the angle of the states themselves. Softmax: Δz is Gaussian with variance s²‖Δh‖²
    under any weights, so the bounded form and Theorem 3 hold exactly. At unit spread that
    variance is 2(1 − cos). How many outputs this takes grows as the exponential of the squared
    spread of the logits, divided by T.
    """
    angular = deviation(*products)["angular"]
    variance, unit = entry**2 * products[2], 2 * angular
    found = (
        angular,
        angular,
        theory.angular_bounded(variance, temperature),
        theory.kl_theorem_3(variance, temperature),
        theory.angular_bounded(unit),
        theory.kl_theorem_3(unit),
    )
    return torch.stack(found, dim=-1)
