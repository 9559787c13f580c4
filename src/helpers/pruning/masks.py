"""Which weights go? From scores to a mask that is True where a weight is kept.

Every function removes an exact number of the lowest scores of each comparison group; among
equal scores the lower index goes first. The rule matters: weights that lie on a 4-bit grid tie
at the threshold in most rows.
"""

import math
from fractions import Fraction

import torch
from torch import Tensor

from helpers.errors import InputError
from helpers.pruning.methods import Group


def check_ratio(ratio: float) -> float:
    """``ratio`` if it lies in [0, 1), else :class:`InputError`."""
    if not 0 <= ratio < 1:
        raise InputError(f"ratio={ratio} is not allowed: it takes a number from 0 to below 1")
    return ratio


def removal_count(ratio: float, size: int) -> int:
    """floor(ratio × size), with ``ratio`` taken as the decimal that it is written as.

    Binary floats would give floor(0.29 × 100) = 28.
    """
    return math.floor(Fraction(str(float(check_ratio(ratio)))) * size)


def parse_pattern(pattern: str) -> tuple[int, int]:
    """``"2:4"`` → (2, 4): keep N of every M consecutive inputs.

    :class:`InputError` if it is no such pattern, or N is larger than M or below 1.
    """
    kept, colon, size = pattern.partition(":")
    if not (colon and kept.isdecimal() and size.isdecimal()):
        raise InputError(f"pattern={pattern!r} is not allowed: it takes N:M, such as 2:4")
    n, m = int(kept), int(size)
    if n > m:
        raise InputError(f"pattern={pattern} keeps more than there are: N of N:M is at most M")
    if n < 1:
        raise InputError(f"pattern={pattern} keeps nothing: N of N:M is at least 1")
    return n, m


def check_width(pattern: str, columns: int, where: str = "this weight") -> tuple[int, int]:
    """(N, M) of ``pattern``; :class:`InputError` if M does not divide ``columns``."""
    n, m = parse_pattern(pattern)
    if columns % m:
        raise InputError(
            f"pattern={pattern} does not fit {where}: {m} does not divide its {columns} inputs"
        )
    return n, m


def unstructured(scores: Tensor, ratio: float, group: Group) -> Tensor:
    """Keep-mask, bool (rows, columns): in each comparison group exactly floor(ratio × its size)
    of the lowest ``scores`` are removed.

    ``group`` is ``"row"``, one output's weights (Wanda), or ``"layer"``, the whole matrix
    (magnitude).
    """
    groups = scores if group == "row" else scores.reshape(1, -1)
    keep = keep_highest(groups, removal_count(ratio, groups.shape[1]))
    return keep.reshape(scores.shape)


def n_of_m(scores: Tensor, pattern: str) -> Tensor:
    """Keep-mask, bool (rows, columns): the N highest ``scores`` of every M consecutive inputs.

    :class:`InputError` if M does not divide the columns.
    """
    n, m = check_width(pattern, scores.shape[1])
    return keep_highest(scores.reshape(-1, m), m - n).reshape(scores.shape)


def keep_highest(scores: Tensor, removed: int) -> Tensor:
    """Keep-mask, bool (groups, size): False at the ``removed`` lowest scores of each group.

    Equal scores go in order of their index. Raises ``ValueError`` on scores that are not numbers.
    """
    if scores.is_floating_point() and bool(scores.isnan().any()):
        raise ValueError("scores are not all numbers, so they have no order")
    if removed == 0:
        return torch.ones_like(scores, dtype=torch.bool)
    threshold = _order_statistic(scores, removed)
    below, tied = scores < threshold, scores == threshold
    room = removed - below.sum(1, keepdim=True)
    return ~(below | (tied & (tied.cumsum(1) <= room)))


def _order_statistic(scores: Tensor, rank: int) -> Tensor:
    """The ``rank``-th lowest score of each group (groups, 1); selecting beats sorting on a CPU,
    and on a GPU has no deterministic form."""
    if scores.device.type == "cpu":
        return scores.kthvalue(rank, dim=1, keepdim=True).values
    return scores.sort(dim=1).values[:, rank - 1 : rank]
