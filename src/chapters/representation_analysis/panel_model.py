"""What does a perturbation that the reader chooses do to one real state? The panel's numbers.

The page's script computes the same numbers in the browser, and is tested against this module. Both
work on an `Outline` of the logits, small enough for a page, and on the same pseudo-random draws.
Tokens are ranked by their logit: rank 0 is the likeliest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from helpers import theory
from helpers.spaces import deviation

SIZES: tuple[float, ...] = tuple(float(f"{10 ** (step / 20):.3g}") for step in range(-40, 21))
TEMPERATURES: tuple[float, ...] = (
    *(0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    *(1.2, 1.4, 1.7, 2.0, 2.5, 3.0, 3.5, 4.0),
)
EXACT, KNOTS = 256, 256


@dataclass(frozen=True)
class Outline:
    """Logits in descending order as a line through few of them: `values` (K,) at `ranks` (K,).

    The first rank is 0 and the last one V − 1. Between two ranks the line is straight.
    """

    ranks: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def vocabulary(self) -> int:
        """V, the number of tokens."""
        return self.ranks[-1] + 1

    def logits(self) -> Tensor:
        """All logits (V,), float64, descending."""
        every = np.arange(self.vocabulary, dtype=np.float64)
        return torch.from_numpy(np.interp(every, self.ranks, self.values))


def outline(logits: Tensor, exact: int = EXACT, knots: int = KNOTS) -> Outline:
    """The `exact` largest of the logits (V,), and up to `knots` of the others, ever further apart
    from both ends: there the line bends most. Values are rounded to five decimals."""
    ordered = np.sort(logits.detach().double().cpu().numpy().ravel())[::-1]
    count = len(ordered)
    if count < 2 or not np.isfinite(ordered).all() or ordered[0] == ordered[-1]:
        raise ValueError("an outline needs finite logits that are not all the same")
    ranks = np.arange(min(exact, count))
    if count > exact:
        steps = np.geomspace(1, count - exact, knots // 2)
        ranks = np.unique(np.concatenate([ranks, exact - 1 + steps, count - steps]).round())
    return Outline(
        tuple(int(rank) for rank in ranks),
        tuple(round(float(ordered[int(rank)]), 5) for rank in ranks),
    )


def normal_draws(count: int, seed: int) -> Tensor:
    """Standard normal numbers (count,), float64: the Box–Muller transform of hashed integers.

    The hash is the finalizer of MurmurHash3 (public domain): 32-bit integer arithmetic, which
    Python and JavaScript do alike.
    """
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, not {seed}")
    offset = np.uint32(seed * 0x9E3779B9 % 2**32)
    mixed = np.arange(2 * count, dtype=np.uint32) + offset
    mixed ^= mixed >> np.uint32(16)
    mixed *= np.uint32(0x85EBCA6B)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE35)
    mixed ^= mixed >> np.uint32(16)
    uniform = (mixed + 0.5) / 2.0**32
    radius = np.sqrt(-2 * np.log(uniform[0::2]))
    return torch.from_numpy(radius * np.cos(2 * np.pi * uniform[1::2]))


def touched_choices(vocabulary: int) -> tuple[int, ...]:
    """How many of the likeliest tokens may be touched: 1, 2, 3, 5, 10, … and all V."""
    steps = (digit * 10**power for power in range(len(str(vocabulary))) for digit in (1, 2, 3, 5))
    return (*(step for step in steps if step < vocabulary), vocabulary)


def direction(vocabulary: int, touched: int, seed: int) -> Tensor:
    """Δz at size 1, (V,) float64: normal draws on the `touched` likeliest tokens, 0 on the others.

    Scaled to a root mean square of exactly 1 over the touched tokens.
    """
    draws = normal_draws(vocabulary, seed)
    draws[touched:] = 0.0
    return draws / draws[:touched].square().mean().sqrt()


def readings(
    state: Outline,
    *,
    sizes: Sequence[float] = SIZES,
    touched: int | None = None,
    temperature: float = 1.0,
    seed: int = 0,
) -> pd.DataFrame:
    """What the panel shows for each size of Δz (root mean square in logit units); all by default.

    Columns: `size`; `angular` = 1 − cos(p, q), `theorem_2` and `bounded`, its estimates; `kl` =
    KL(p‖q) in nats and its estimate `theorem_3`; `logit` = 1 − cos(z, z + Δz), and the same with
    the mean logit taken out, `logit_centred`.
    """
    z = state.logits()
    unit = direction(len(z), len(z) if touched is None else touched, seed)
    variance_r = theory.variance(theory.log_r(z, temperature), unit)
    variance_p = theory.variance(theory.log_p(z, temperature), unit)
    centred, centred_unit = z - z.mean(), unit - unit.mean()
    rows = []
    for size in sizes:
        squared = size * size
        row = {
            "angular": theory.angular_identity(z, size * unit, temperature),
            "theorem_2": theory.angular_theorem_2(variance_r * squared, temperature),
            "bounded": theory.angular_bounded(variance_r * squared, temperature),
            "kl": theory.kl_identity(z, size * unit, temperature),
            "theorem_3": theory.kl_theorem_3(variance_p * squared, temperature),
            "logit": deviation(*_products(z, size * unit))["angular"],
            "logit_centred": deviation(*_products(centred, size * centred_unit))["angular"],
        }
        rows.append({"size": size} | {name: float(value) for name, value in row.items()})
    return pd.DataFrame(rows)


def _products(z: Tensor, delta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    dot = torch.linalg.vecdot
    return dot(z, z), dot(z, delta), dot(delta, delta)
