"""GPTQ: round one input after the other, and let those that follow make up for it.

Frantar et al., arXiv 2210.17323, Algorithm 1; the same walk along the same factor as SparseGPT.
"""

from torch import Tensor

from helpers.pruning.sparsegpt import BLOCK, HessianFactor, visit_inputs
from helpers.quantization.grid import Levels, Scales


def gptq(
    weight: Tensor,
    factor: HessianFactor,
    levels: Levels,
    where: str = "this weight",
    keep_zeros: bool = False,
    block: int = BLOCK,
) -> Tensor:
    """``weight`` (rows, columns) on grids, in the factor's dtype.

    A group's grid is made when its first input is reached, of the weights as updated so far. With
    ``keep_zeros`` what is 0 stays 0, as in a model that was pruned before.
    """
    gone = (weight == 0).T & keep_zeros
    width = levels.width(weight.shape[1], where)
    grids: list[Scales] = []

    def rounded(work: Tensor, column: int) -> Tensor:
        if column % width == 0:
            grids.append(Scales.of(work[column : column + width].T, levels))
        return grids[-1].nearest(work[column][:, None])[:, 0].masked_fill(gone[column], 0)

    return visit_inputs(weight, factor, rounded, max(block - block % width, width))
