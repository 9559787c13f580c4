"""SparseGPT and GPTQ on one large weight, beside their published procedures in float32."""

import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.harness import Result, compare
from helpers.pruning.sparsegpt import BLOCK, hessian_factor, layer_error, sparsegpt
from helpers.quantization.gptq import gptq
from helpers.quantization.grid import Levels, Scales

ROWS, COLUMNS, TOKENS, ROUNDS = 896, 4864, 8192, 3
LEVELS = Levels(4, 64)
DAMPING = 0.01

Way = Callable[[Tensor, Tensor], Tensor]  # a weight and its Hessian → the new weight
# weights of a block, the diagonal of its factor, a column in it → what becomes of the column
Replace = Callable[[Tensor, Tensor, int], Tensor]


def benchmarks() -> Iterator[Result]:
    """Factor and walk, by processor time of one thread. Ours is float64 throughout; its layer
    error may not be above the baseline's by more than float32 explains, or the run fails."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        generator = torch.Generator().manual_seed(0)
        mixed = torch.randn(COLUMNS, COLUMNS, generator=generator) / COLUMNS**0.5
        inputs = torch.randn(TOKENS, COLUMNS, generator=generator) @ mixed
        weight = torch.randn(ROWS, COLUMNS, generator=generator) / COLUMNS**0.5
        hessian = inputs.T @ inputs
        for name, (ours, start) in WAYS.items():
            yield _beside(name, weight, hessian, ours, partial(published, start))
    finally:
        torch.set_num_threads(threads)


def _beside(name: str, weight: Tensor, hessian: Tensor, ours: Way, theirs: Way) -> Result:
    wide = hessian.double()
    found: dict[str, Tensor] = {}

    def run(key: str, way: Way, product: Tensor) -> None:
        found[key] = way(weight, product)

    result = compare(
        f"{name}, a weight of {ROWS} × {COLUMNS}, one thread",
        partial(run, "ours", ours, wide),
        partial(run, "published", theirs, hessian),
        repeats=ROUNDS,
        clock=time.process_time,
    )
    errors = {key: float(layer_error(weight, new, wide)) for key, new in found.items()}
    print(f"    layer error {errors['ours']:.4f}, published {errors['published']:.4f}", flush=True)
    if errors["ours"] > 1.001 * errors["published"]:
        raise ValueError(f"{name}: our layer error is larger than the published procedure's")
    return result


def published(start: Callable[[], Replace], weight: Tensor, hessian: Tensor) -> Tensor:
    """Algorithm 1 as published: the factor of the inverse, blocks of 128 columns, float32."""
    rest, damped = weight.clone(), hessian.clone()
    dead = damped.diagonal() == 0
    damped.diagonal()[dead] = 1
    rest[:, dead] = 0
    damped.diagonal().add_(DAMPING * damped.diagonal().mean())
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    upper = torch.linalg.cholesky(inverse, upper=True)
    replaced = start()
    for first in range(0, COLUMNS, BLOCK):
        end = min(first + BLOCK, COLUMNS)
        block, errors = rest[:, first:end].clone(), torch.zeros(ROWS, end - first)
        own = upper[first:end, first:end]
        for column in range(end - first):
            new = replaced(block, own.diagonal(), column)
            error = (block[:, column] - new) / own[column, column]
            block[:, column:] -= error[:, None] @ own[None, column, column:]
            block[:, column] = new
            errors[:, column] = error
        rest[:, first:end] = block
        rest[:, end:] -= errors @ upper[first:end, end:]
    return rest


def half() -> Replace:
    """The lower half of the scores in all rows of a block go."""
    gone = torch.empty(0)

    def replaced(block: Tensor, diagonal: Tensor, column: int) -> Tensor:
        nonlocal gone
        if column == 0:
            scores = (block / diagonal).square()
            gone = scores <= scores.flatten().sort().values[scores.numel() // 2 - 1]
        return block[:, column].masked_fill(gone[:, column], 0)

    return replaced


def two_of_four() -> Replace:
    """The two lower scores of four in a row go, as seen on reaching the first."""
    gone = torch.empty(0)

    def replaced(block: Tensor, diagonal: Tensor, column: int) -> Tensor:
        nonlocal gone
        if column % 4 == 0:
            part = slice(column, column + 4)
            lowest = (block[:, part] / diagonal[part]).square().topk(2, largest=False).indices
            gone = torch.zeros(ROWS, 4, dtype=torch.bool).scatter(1, lowest, True)
        return block[:, column].masked_fill(gone[:, column % 4], 0)

    return replaced


def rounded() -> Replace:
    """A grid for each group, of its weights on reaching the first."""
    scales: list[Scales] = []

    def replaced(block: Tensor, _diagonal: Tensor, column: int) -> Tensor:
        if column % LEVELS.group == 0:
            scales.append(Scales.of(block[:, column : column + LEVELS.group], LEVELS))
        return scales[-1].nearest(block[:, column, None])[:, 0]

    return replaced


WAYS: dict[str, tuple[Way, Callable[[], Replace]]] = {
    "SparseGPT 50%": (lambda w, h: sparsegpt(w, hessian_factor(h), 0.5)[0], half),
    "SparseGPT 2:4": (lambda w, h: sparsegpt(w, hessian_factor(h), 0.0, "2:4")[0], two_of_four),
    "GPTQ 4 bits": (lambda w, h: gptq(w, hessian_factor(h), LEVELS), rounded),
}
