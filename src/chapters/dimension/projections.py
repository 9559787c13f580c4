"""What does a random readout of m outputs show of a state? The readouts, and their limit in m.

A pool is a matrix of V rows: the head itself, or as many random rows of the same length. A
readout of width m takes m rows of a pool at random, so width alone changes; it is compared
linearly, through the softmax, and through the softmax at unit spread.
"""

import torch
from torch import Tensor

from helpers import theory
from helpers.models.head import Head
from helpers.spaces import BLOCK, Metrics, PairIndex, deviation, probability_metrics

SMALLEST, STEP = 16, 4

Kind = tuple[str, bool, str]  # readout, centred, metric
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


def widths(vocabulary: int) -> list[int]:
    """Numbers of outputs: 16, four times as many and so on below V, then V itself.

    >>> widths(300)
    [16, 64, 256, 300]
    """
    found = []
    width = SMALLEST
    while width < vocabulary:
        found.append(width)
        width *= STEP
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
