"""What a method must know about a linear's inputs, summed over all calibration tokens."""

from typing import Protocol

import torch
from torch import Tensor

from helpers.pruning.sparsegpt import HessianFactor, hessian_factor

HESSIAN_BLOCK = 512


class Statistic(Protocol):
    """A running sum over batches of inputs."""

    def add(self, inputs: Tensor) -> None:
        """Take in ``inputs`` (…, columns)."""

    @property
    def finite(self) -> bool:
        """False once an input was infinite or no number."""


def widest(device: torch.device) -> torch.dtype:
    """float64, or float32 on Apple's GPU, which has no wider format."""
    return torch.float32 if device.type == "mps" else torch.float64


class SquaredNorms:
    """‖X_j‖² of each input j: ``total`` (columns,), summed in float64."""

    def __init__(self, columns: int, device: torch.device) -> None:
        self.total = torch.zeros(columns, dtype=widest(device), device=device)

    def add(self, inputs: Tensor) -> None:
        """Add the squares of ``inputs`` (…, columns), squared in float32."""
        x = inputs.to(self.total.device, torch.float32).reshape(-1, inputs.shape[-1])
        self.total += x.square().sum(0, dtype=self.total.dtype)

    @property
    def finite(self) -> bool:
        """False once an input was infinite or no number."""
        return bool(self.total.isfinite().all())

    @property
    def norms(self) -> Tensor:
        """‖X_j‖₂ (columns,)."""
        return self.total.sqrt()


class Hessian:
    """H = XXᵀ, (columns, columns): float32 products, summed in float64 over batches.

    Half the Hessian of the squared layer error ‖WX − ŴX‖²; SparseGPT does not depend on the
    factor, because its damping is relative too.
    """

    def __init__(self, columns: int, device: torch.device) -> None:
        self._upper = torch.zeros(columns, columns, dtype=widest(device), device=device)
        self._factor: tuple[float, HessianFactor] | None = None

    def add(self, inputs: Tensor) -> None:
        """Add XXᵀ of ``inputs`` (…, columns), only on and above the diagonal blocks: it is
        symmetric."""
        x = inputs.to(self._upper.device, torch.float32).reshape(-1, inputs.shape[-1])
        for start in range(0, x.shape[1], HESSIAN_BLOCK):
            end = start + HESSIAN_BLOCK
            self._upper[start:end, start:] += x[:, start:end].T @ x[:, start:]

    @property
    def total(self) -> Tensor:
        """H, float64 (float32 on Apple's GPU)."""
        return self._upper.triu() + self._upper.triu(1).T

    @property
    def norms(self) -> Tensor:
        """‖X_j‖₂ (columns,), so that it serves every method."""
        return self._upper.diagonal().sqrt()

    def factor(self, damping: float, where: str) -> HessianFactor:
        """:func:`hessian_factor` of the sum, made once for all weights that share the input."""
        if self._factor is None or self._factor[0] != damping:
            self._factor = damping, hessian_factor(self._upper, damping, where)
        return self._factor[1]

    @property
    def finite(self) -> bool:
        """False once an input was infinite or no number."""
        return bool(self._upper.diagonal().isfinite().all())


STATISTICS: dict[str, type[SquaredNorms] | type[Hessian]] = {
    "norms": SquaredNorms,
    "hessian": Hessian,
}
