"""Every way to quantize weights, and all that the rest of the book must know of it.

A new quantizer is one entry of :data:`QUANTIZERS`. Importing this module loads no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helpers.pruning.methods import Evidence, Statistic

if TYPE_CHECKING:
    from torch import Tensor

    from helpers.quantization.recipe import Quantization

BITS = (8, 6, 4, 3, 2)  # that a simulated one offers
Solve = Callable[["Evidence", "Quantization"], "Tensor"]


@dataclass(frozen=True)
class Quantizer:
    """A way to store weights in fewer bits.

    ``title``: what readers call it. ``solve``, for one that is simulated: (evidence, what is asked
    for) → the weight (rows, columns) as it reads back. ``statistic``: what it must know of the
    inputs. ``packed``, for one of bitsandbytes, whose linears take the place of the model's: its
    name there; its ``bits`` are then fixed.
    """

    title: str
    solve: Solve | None = None
    statistic: Statistic = "none"
    packed: str = ""
    bits: int = 0

    @property
    def calibrated(self) -> bool:
        """Whether it reads calibration text."""
        return self.statistic != "none"


def _nearest(seen: Evidence, asked: Quantization) -> Tensor:
    from helpers.quantization.grid import round_to_nearest

    return round_to_nearest(seen.weight.double(), asked.levels, seen.where)


def _gptq(seen: Evidence, asked: Quantization) -> Tensor:
    from helpers.quantization.gptq import gptq

    factor = seen.inputs.factor(asked.damping, seen.where)
    return gptq(seen.weight, factor, asked.levels, seen.where, asked.keep_zeros)


def _awq(seen: Evidence, asked: Quantization) -> Tensor:
    from helpers.quantization.awq import awq

    total: Any = seen.inputs.total
    return awq(seen.weight, total, asked.levels, seen.where)


QUANTIZERS: dict[str, Quantizer] = {
    "rtn": Quantizer("RTN", _nearest),
    "gptq": Quantizer("GPTQ", _gptq, "hessian"),
    "awq": Quantizer("AWQ", _awq, "hessian"),
    "nf4": Quantizer("NF4", packed="nf4", bits=4),
    "fp4": Quantizer("FP4", packed="fp4", bits=4),
    "int8": Quantizer("INT8", packed="int8", bits=8),
}
