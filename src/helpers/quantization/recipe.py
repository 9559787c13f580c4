"""How are weights to be quantized? One validated object."""

from dataclasses import dataclass
from functools import cached_property

from helpers.errors import InputError
from helpers.pruning.weights import check_targets
from helpers.quantization.grid import Levels
from helpers.quantization.methods import QUANTIZERS


@dataclass(frozen=True)
class Quantization:
    """A quantization of the linears of a model.

    ``method``: a name in :data:`helpers.quantization.methods.QUANTIZERS`. ``bits`` a weight and
    ``group`` inputs that share a scale, 0 for all of an output: of simulated ones; those of
    bitsandbytes have their own (``bits=0``). ``targets``: ``attention``, ``mlp`` or ``all``.
    ``damping`` of GPTQ, as a share of the Hessian's mean diagonal. ``keep_zeros``: of a model that
    was pruned before, so that its mask stays. What is not allowed raises :class:`InputError`.
    """

    method: str
    bits: int = 0
    group: int = 64
    targets: str = "all"
    damping: float = 0.01
    keep_zeros: bool = False

    def __post_init__(self) -> None:
        if self.method not in QUANTIZERS:
            known = ", ".join(QUANTIZERS)
            raise InputError(f"quantizer {self.method!r} is not offered: known are {known}")
        check_targets(self.targets)
        if QUANTIZERS[self.method].packed:
            own = QUANTIZERS[self.method].bits
            if self.bits not in (0, own):
                raise InputError(f"{self.method} has {own} bits: it takes no bits={self.bits}")
        else:
            _ = self.levels

    @cached_property
    def levels(self) -> Levels:
        """The grid of a simulated quantizer."""
        return Levels(self.bits, self.group)

    @property
    def calibrated(self) -> bool:
        """Whether the method reads calibration text."""
        return QUANTIZERS[self.method].calibrated

    def __str__(self) -> str:
        one = QUANTIZERS[self.method]
        if one.packed:
            return f"{self.method} of {self.targets}"
        groups = f"groups of {self.group}" if self.group else "whole rows"
        return f"{self.method} {self.bits} bits in {groups} of {self.targets}"
