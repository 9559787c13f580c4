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
class HessianFactor:
    """Upper triangular R (columns, columns) with RRᵀ = H + λI, and the ``dead`` inputs, bool
    (columns,), that were zero on every token."""

    upper: Tensor
    dead: Tensor


def hessian_factor(
    hessian: Tensor, damping: float = 0.01, where: str = "this weight"
) -> HessianFactor:
    """The factor of H (columns, columns), float64 or float32, of which the upper triangle is read.

    λ = ``damping`` × mean diagonal; a dead input's diagonal is set to 1. Raises
    :class:`InputError` naming the damping to raise if H + λI is not positive definite.

    Algorithm 1 walks along U with UᵀU = (H + λI)⁻¹, and U = R⁻¹: one factorization of H, read from
    its last input to its first, gives what two and the whole inverse between them would.
    """
    damped = hessian.flip(0, 1)
    diagonal = damped.diagonal()
    dead = diagonal == 0
    diagonal[dead] = 1
    diagonal += damping * diagonal.mean()
    lower, failed = torch.linalg.cholesky_ex(damped)
    if failed or not bool(lower.diagonal().isfinite().all()):
        raise InputError(
            f"the Hessian of {where} is not positive definite with damping={damping}: raise "
            f"damping, for example to {max(10 * damping, 0.01):g}, or use more calibration tokens"
        )
    return HessianFactor(lower.flip(0, 1), dead.flip(0))


def sparsegpt(
    weight: Tensor,
    factor: HessianFactor,
    ratio: float = 0.0,
    pattern: str = "",
    block: int = BLOCK,
) -> tuple[Tensor, Tensor]:
    """New weight, in the factor's dtype, and keep-mask, bool, both (rows, columns).

    Columns are visited in order; what the removal of a weight adds to the layer's error is
    spread over the later columns of its row, at once within a ``block`` of columns and in one
    product beyond it. Scores are (W diag(R))², of the weights as updated so far.

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
            scores = (work[part] * scale[part, None]).square().T
            keep[part] = keep_highest(scores, m - n).T
        elif not pattern and column % step == 0:
            end = min(column + step, columns)
            count = removal_count(ratio, rows * end) - removal_count(ratio, rows * column)
            scores = (work[column:end] * scale[column:end, None]).square().T.reshape(1, -1)
            keep[column:end] = keep_highest(scores, count).reshape(rows, end - column).T
        return work[column].masked_fill(~keep[column], 0)

    return visit_inputs(weight, factor, masked, step), keep.T


def visit_inputs(
    weight: Tensor, factor: HessianFactor, replaced: Callable[[Tensor, int], Tensor], step: int
) -> Tensor:
    """New weight (rows, columns), in the factor's dtype: every column in turn becomes what
    ``replaced`` makes of it, and what that adds to the layer's error ‖WX − ŴX‖ is taken up by the
    later columns: at once within a block of ``step`` columns, and by later blocks as each is
    reached, from how much all columns before it have changed.

    ``replaced`` is called with the weights, transposed (columns, rows), those of the block as
    updated so far, and a column's number; it returns (rows,). Dead inputs have weight 0.
    """
    columns, upper = weight.shape[1], factor.upper
    # transposed, so that each column of the weight is contiguous
    work = weight.to(upper.dtype).T.clone(memory_format=torch.contiguous_format)
    work[factor.dead] = 0
    changes = work.clone()
    for start in range(0, columns, step):
        end = min(start + step, columns)
        block = upper[start:end, start:end]
        inverse = torch.linalg.solve_triangular(
            block, torch.eye(end - start, dtype=upper.dtype, device=upper.device), upper=True
        )
        carried = upper[:start, start:end].T @ changes[:start]
        work[start:end].addmm_(inverse.T, carried)
        for column, row in enumerate(inverse, start):
            new = replaced(work, column)
            error = (work[column] - new).mul_(upper[column, column])
            work[column] = new
            work[column + 1 : end].addr_(row[column + 1 - start :], error, alpha=-1)
        changes[start:end] -= work[start:end]
    return work.T


def layer_error(weight: Tensor, new_weight: Tensor, hessian: Tensor) -> Tensor:
    """‖WX − ŴX‖ (Frobenius), from weights (rows, columns) and H = XXᵀ: a scalar of H's dtype."""
    change = weight.to(hessian.dtype) - new_weight.to(hessian.dtype)
    return ((change @ hessian) * change).sum().clamp(min=0).sqrt()
