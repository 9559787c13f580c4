"""AWQ: stretch the inputs that carry much before rounding, and shrink them back afterwards.

Lin et al., arXiv 2306.00978. A group's grid is as coarse as its greatest weight demands; an input
that is large on real text is given more of it. As published, the strength of the stretch is
searched for every weight; here each linear has a stretch of its own, where the published code lets
those that share an input share it, and no weights are clipped.
"""

import torch
from torch import Tensor

from helpers.pruning.sparsegpt import layer_error
from helpers.quantization.grid import Levels, round_to_nearest

STRENGTHS = tuple(step / 20 for step in range(20))


def awq(weight: Tensor, hessian: Tensor, levels: Levels, where: str = "this weight") -> Tensor:
    """``weight`` (rows, columns) on stretched grids, in the dtype of ``hessian`` (columns,
    columns): that of the strengths in :data:`STRENGTHS` with the least error ‖WX − ŴX‖.

    The size of an input is its root mean square over the calibration text. Strength 0 is rounding
    to nearest, so the error is never above its.
    """
    dense = weight.to(hessian.dtype)
    sizes = hessian.diagonal().sqrt()
    sizes = torch.where(sizes > 0, sizes, sizes[sizes > 0].min() if (sizes > 0).any() else 1.0)
    found = [_stretched(dense, sizes**strength, levels, where) for strength in STRENGTHS]
    errors = [float(layer_error(dense, one, hessian)) for one in found]
    return found[errors.index(min(errors))]


def _stretched(weight: Tensor, stretch: Tensor, levels: Levels, where: str) -> Tensor:
    stretch = stretch / (stretch.max() * stretch.min()).sqrt()
    return round_to_nearest(weight * stretch, levels, where) / stretch
