"""SparseGPT: remove weights and let those that remain make up for them.

Frantar & Alistarh, arXiv 2301.00774, Algorithm 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.errors import InputError
from helpers.pruning.masks import check_width, keep_highest, removal_count

BLOCK = 128


@dataclass(frozen=True)
class InverseFactor:
    """Upper triangular U (columns, columns) with UᵀU = (H + λI)⁻¹, and the ``dead`` inputs, bool
    (columns,), that were zero on every token."""

    upper: Tensor
    dead: Tensor


def inverse_factor(
    hessian: Tensor, damping: float = 0.01, where: str = "this weight"
) -> InverseFactor:
    """The factor that Algorithm 1 walks along, from H (columns, columns), float64 or float32.

    λ = ``damping`` × mean diagonal; a dead input's diagonal is set to 1. Raises
    :class:`InputError` naming the damping to raise if H + λI is not positive definite.
    """
    damped = hessian.clone()
    diagonal = damped.diagonal()
    dead = diagonal == 0
    diagonal[dead] = 1
    diagonal += damping * diagonal.mean()
    lower, failed = torch.linalg.cholesky_ex(damped)
    if not failed:
        upper, failed = torch.linalg.cholesky_ex(torch.cholesky_inverse(lower), upper=True)
    if failed or not bool(upper.isfinite().all()):
        raise InputError(
            f"the Hessian of {where} is not positive definite with damping={damping}: raise "
            f"damping, for example to {max(10 * damping, 0.01):g}, or use more calibration tokens"
        )
    return InverseFactor(upper, dead)


def sparsegpt(
    weight: Tensor,
    factor: InverseFactor,
    ratio: float = 0.0,
    pattern: str = "",
    block: int = BLOCK,
) -> tuple[Tensor, Tensor]:
    """New weight, in the factor's dtype, and keep-mask, bool, both (rows, columns).

    Columns are visited in order; what the removal of a weight adds to the layer's error is
    spread over the later columns of its row, at once within a ``block`` of columns and in one
    product beyond it. Scores are W²/diag(U)², of the weights as updated so far.

    With ``ratio`` the mask is chosen per block of columns over all rows, as published, and so
    that after every block exactly floor(ratio × weights seen so far) are gone: the total is
    exact. With ``pattern`` N:M it is chosen per row, on reaching the first of M columns.
    """
    rows, columns = weight.shape
    m = 1
    if pattern:
        n, m = check_width(pattern, columns)
    step = max(block - block % m, m)
    scale = factor.upper.diagonal()
    keep = torch.ones(columns, rows, dtype=torch.bool, device=weight.device)

    def masked(work: Tensor, column: int) -> Tensor:
        if pattern and column % m == 0:
            part = slice(column, column + m)
            scores = (work[part] / scale[part, None]).square().T
            keep[part] = keep_highest(scores, m - n).T
        elif not pattern and column % step == 0:
            end = min(column + step, columns)
            count = removal_count(ratio, rows * end) - removal_count(ratio, rows * column)
            scores = (work[column:end] / scale[column:end, None]).square().T.reshape(1, -1)
            keep[column:end] = keep_highest(scores, count).reshape(rows, end - column).T
        return work[column].masked_fill(~keep[column], 0)

    return visit_inputs(weight, factor, masked, step), keep.T


def visit_inputs(
    weight: Tensor, factor: InverseFactor, replaced: Callable[[Tensor, int], Tensor], step: int
) -> Tensor:
    """New weight (rows, columns), in the factor's dtype: every column in turn becomes what
    ``replaced`` makes of it, and what that adds to the layer's error ‖WX − ŴX‖ is taken up by the
    later columns, at once within a block of ``step`` columns and in one product beyond it.

    ``replaced`` is called with the weights as updated so far, transposed (columns, rows), and a
    column's number; it returns (rows,). Dead inputs have weight 0.
    """
    columns, upper = weight.shape[1], factor.upper
    # transposed, so that each column of the weight is contiguous
    work = weight.to(upper.dtype).T.clone(memory_format=torch.contiguous_format)
    work[factor.dead] = 0
    for start in range(0, columns, step):
        end = min(start + step, columns)
        errors = torch.empty_like(work[start:end])
        for column in range(start, end):
            new = replaced(work, column)
            error = (work[column] - new) / upper[column, column]
            work[column] = new
            work[column + 1 : end].addr_(upper[column, column + 1 : end], error, alpha=-1)
            errors[column - start] = error
        work[end:].addmm_(upper[start:end, end:].T, errors, alpha=-1)
    return work.T


def layer_error(weight: Tensor, new_weight: Tensor, hessian: Tensor) -> Tensor:
    """‖WX − ŴX‖ (Frobenius), from weights (rows, columns) and H = XXᵀ: a scalar of H's dtype."""
    change = weight.to(hessian.dtype) - new_weight.to(hessian.dtype)
    return ((change @ hessian) * change).sum().clamp(min=0).sqrt()
