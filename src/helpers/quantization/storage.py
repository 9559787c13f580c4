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


def grid_bytes(rows: int, columns: int, levels: Levels) -> int:
    """Bytes of a weight (rows, columns) on a uniform grid: its integers, and for each group a scale
    of 16 bits and a zero of as many bits as a weight."""
    groups = rows * (columns // levels.width(columns))
    bits = rows * columns * levels.bits + groups * (SCALE_BITS + levels.bits)
    return ceil(bits / 8)


def sparse_bytes(rows: int, columns: int, kept: int) -> int:
    """Bytes of a weight (rows, columns) of which so many are kept anywhere: those in bfloat16, and
    one bit for every place; or of the dense weight, where that is less."""
    packed = kept * WEIGHT_BITS + rows * columns
    return min(ceil(packed / 8), dense_bytes(rows * columns))


def pattern_bytes(rows: int, columns: int, pattern: str) -> int:
    """Bytes of a weight (rows, columns) in pattern N:M: those kept in bfloat16, and for every M
    inputs the number of one of the (M over N) ways to choose them, in whole bits; 2:4 takes 4 bits
    for every 4 inputs in the format of tensor cores, two for each that is kept."""
    n, m = check_width(pattern, columns)
    groups = rows * columns // m
    index = n * ceil(log2(m)) if pattern == "2:4" else ceil(log2(comb(m, n)))
    return ceil(groups * (n * WEIGHT_BITS + index) / 8)
