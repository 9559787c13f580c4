"""Uniform grids: round every weight to the nearest of 2^bits levels of its group.

Levels are asymmetric, between the least and the greatest weight of a group (0 included, so that 0
stays 0), as GPTQ and AWQ use them. Weights stay floating-point numbers: what is measured is the
error of the rounding, at any width and on any machine.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.errors import InputError
from helpers.quantization.methods import BITS


@dataclass(frozen=True)
class Levels:
    """How fine a grid is: ``bits`` a weight, and ``group`` consecutive inputs that share one scale
    and one zero; 0 for all inputs of an output. ``whole_zero``: the zero is an integer, so that 0
    stays 0; without it the least level is the least weight, as in GGUF's Q4_1."""

    bits: int
    group: int = 64
    whole_zero: bool = True

    def __post_init__(self) -> None:
        if self.bits not in BITS:
            offered = ", ".join(map(str, BITS))
            raise InputError(f"bits={self.bits} is not offered: it takes one of {offered}")
        if self.group < 0:
            raise InputError(f"group_size={self.group} is not allowed: it takes 0 (a whole row) up")

    @property
    def highest(self) -> int:
        """The greatest integer of the grid; the least is 0."""
        return 2**self.bits - 1

    def width(self, columns: int, where: str = "this weight") -> int:
        """Inputs of one group; :class:`InputError` if they do not divide ``columns``."""
        width = self.group or columns
        if columns % width:
            raise InputError(
                f"group_size={width} does not fit {where}: it does not divide its {columns} inputs"
            )
        return width


@dataclass(frozen=True)
class Scales:
    """``scale`` and ``zero`` (…, 1) of groups (…, width): w ≈ scale·(q − zero), q from 0 to
    ``highest``."""

    scale: Tensor
    zero: Tensor
    highest: int

    @classmethod
    def of(cls, groups: Tensor, levels: Levels) -> "Scales":
        """Those of ``groups`` (…, width), so that their least and greatest weights lie on the grid,
        to half a step, and 0 with a whole zero; a group of one number has scale 1."""
        low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
        if levels.whole_zero:
            low, high = low.clamp(max=0), high.clamp(min=0)
        scale = (high - low) / levels.highest
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        zero = -low / scale
        return cls(scale, zero.round() if levels.whole_zero else zero, levels.highest)

    def nearest(self, weights: Tensor) -> Tensor:
        """The nearest levels to ``weights`` (…, width), as numbers of their dtype."""
        whole = (weights / self.scale + self.zero).round().clamp(0, self.highest)
        return (whole - self.zero) * self.scale


def round_to_nearest(weight: Tensor, levels: Levels, where: str = "this weight") -> Tensor:
    """``weight`` (rows, columns) on its grid, in its dtype: the baseline of every quantizer."""
    rows, columns = weight.shape
    groups = weight.reshape(rows, -1, levels.width(columns, where))
    return Scales.of(groups, levels).nearest(groups).reshape(rows, columns)
