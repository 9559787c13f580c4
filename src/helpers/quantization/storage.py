"""How many bytes do weights take? Counted, in theory, for pruned and for quantized ones.

A theory: what the numbers and all that is needed to read them would take, if a runtime stored them
so. Which runtime does is another question.
"""

from math import ceil, comb, log2

from helpers.pruning.masks import check_width
from helpers.quantization.grid import Levels

SCALE_BITS = 16  # a scale of a group, as GPTQ's and AWQ's files hold it
WEIGHT_BITS = 16  # a weight that is kept as it is


def dense_bytes(weights: int) -> int:
    """Bytes of so many weights in bfloat16."""
    return weights * WEIGHT_BITS // 8


def stored_bytes(
    rows: int, columns: int, kept: int, pattern: str = "", levels: Levels | None = None
) -> int:
    """Bytes of a weight (rows, columns) of which ``kept`` numbers are left.

    Numbers: in bfloat16, or in the bits of ``levels``, with a scale of 16 bits and a zero of as
    many bits as a number for each of its groups. Places: none where all are kept; for a ``pattern``
    N:M of every M inputs which (M over N) of them, in whole bits, of 2:4 two bits for each that is
    kept, as tensor cores read it; else one bit for every place, unless the dense weight takes less.
    """
    size = rows * columns
    width = levels.bits if levels else WEIGHT_BITS
    groups = rows * (columns // levels.width(columns)) if levels else 0
    scales = groups * (SCALE_BITS + width)
    if kept == size:
        return ceil((size * width + scales) / 8)
    if pattern:
        n, m = check_width(pattern, columns)
        place = 2 * n if pattern == "2:4" else ceil(log2(comb(m, n)))
        places = size // m * place
    else:
        places = size
    return ceil((min(kept * width + places, size * width) + scales) / 8)
