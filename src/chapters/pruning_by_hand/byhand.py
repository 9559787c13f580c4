"""One corner of a real weight matrix, pruned by each method: small enough to follow."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from chapters.pruning_by_hand.figure_matrices import Matrix
from helpers.pruning.masks import n_of_m, unstructured
from helpers.pruning.methods import magnitude, wanda
from helpers.pruning.sparsegpt import inverse_factor, sparsegpt
from runs.store import Measurement


@dataclass(frozen=True)
class Corner:
    """A few outputs and inputs of one weight, treated as if they were the whole matrix.

    ``weight`` (rows, columns) and ``product`` (columns, columns), XXᵀ of those inputs over the
    calibration text, float64.
    """

    weight: Tensor
    product: Tensor

    @classmethod
    def of(cls, measured: Measurement) -> "Corner":
        """The corner that :func:`measurements.weight_corner.weight_corner` stored."""
        table = measured.table("weights")

        def matrix(name: str) -> Tensor:
            rows = table[table["quantity"] == name]
            return torch.from_numpy(
                rows.pivot(index="row", columns="column", values="value").to_numpy().copy()
            )

        return cls(matrix("weight"), matrix("product"))

    @property
    def norms(self) -> Tensor:
        """‖X_j‖ (columns,) of each input, relative to their mean."""
        norms = self.product.diagonal().sqrt()
        return norms / norms.mean()

    def error(self, after: Matrix) -> float:
        """‖WX − ŴX‖ / ‖WX‖ of the corner alone."""
        change = self.weight - torch.from_numpy(after.values)

        def size(weight: Tensor) -> Tensor:
            return ((weight @ self.product) * weight).sum()

        return float((size(change) / size(self.weight)).sqrt())


def steps(one: Corner, method: str, sparsity: float = 0.5, pattern: str = "") -> list[Matrix]:
    """Before, what decides, mask and after, of ``magnitude``, ``wanda`` or ``sparsegpt``.

    With ``pattern`` N:M the mask is chosen in every M neighbouring inputs; without, in the whole
    corner (magnitude), in each output's row (Wanda), or column by column (SparseGPT).
    """
    if method == "sparsegpt":
        after, keep = sparsegpt(
            one.weight, inverse_factor(one.product), 0.0 if pattern else sparsity, pattern
        )
        decides = Matrix("Added to what stays", _array((after - one.weight) * keep), _array(keep))
    else:
        by_wanda = method == "wanda"
        scores = wanda(one.weight, one.norms) if by_wanda else magnitude(one.weight)
        group = unstructured(scores, sparsity, "row" if by_wanda else "layer")
        keep = n_of_m(scores, pattern) if pattern else group
        after = one.weight * keep
        decides = Matrix("Score", _array(scores))
    return [
        Matrix("Before", _array(one.weight)),
        decides,
        Matrix("Mask", _array(torch.ones_like(one.weight)), _array(keep), digits=None),
        Matrix("After", _array(after), _array(keep)),
    ]


def _array(values: Tensor) -> np.ndarray:
    found: np.ndarray = values.detach().cpu().numpy()
    return found
