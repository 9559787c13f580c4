"""Checks of exercises on masks: which weights go."""

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from course.checks.judging import compared, picked
from course.experiments import experiment
from course.verdict import check

FIFTH = 0.2


def _weight(seed: int, rows: int = 6, inputs: int = 16) -> tuple[Tensor, Tensor]:
    luck = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, inputs, generator=luck)
    weight *= torch.logspace(0, 1, rows)[:, None]  # rows of unlike size
    return weight, torch.rand(inputs, generator=luck) * 5 + 0.05


def lowest(scores: Tensor, count: int) -> Tensor:
    """Which entries (R, C) are among the ``count`` lowest of their row, ties by lower index."""
    order = scores.argsort(dim=-1, stable=True)
    return torch.zeros_like(scores, dtype=torch.bool).scatter(-1, order[:, :count], True)


@check
def wanda(answer: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """Which weights Wanda removes: of each row the lowest |W| times the input's norm."""

    def right(weight: Tensor, norms: Tensor, ratio: float) -> Tensor:
        return lowest(weight.abs() * norms, int(ratio * weight.shape[1]))

    traps = {
        "those are the weights that stay: True marks what is removed": lambda *case: ~right(*case),
        "that is magnitude within each row: an input that is always small counts less": (
            lambda weight, norms, ratio: right(weight, torch.ones_like(norms), ratio)
        ),
        "weights compete within their row, not over all": lambda weight, norms, ratio: (
            (scores := weight.abs() * norms) <= scores.quantile(ratio)
        ),
    }
    cases = [(*_weight(seed), ratio) for seed, ratio in ((1, 0.5), (2, 0.25), (3, 0.3))]
    return compared(answer, right, cases, traps)


@check
def two_of_four(answer: Callable[[Tensor], Tensor]) -> str:
    """Which weights 2:4 removes: of every four inputs in a row the two smallest."""

    def right(weight: Tensor) -> Tensor:
        return lowest(weight.abs().reshape(-1, 4), 2).reshape(weight.shape)

    traps = {
        "those are the weights that stay: True marks what is removed": lambda weight: (
            ~right(weight)
        ),
        "half of each row goes, but some fours of neighbours lose three: look at each four": (
            lambda weight: lowest(weight.abs(), weight.shape[1] // 2)
        ),
    }
    return compared(answer, right, [(_weight(4, 8)[0],)], traps)


@check
def who_sees_scaling(answer: Collection[str]) -> str:
    """Whose mask changes where an input is made ten times larger and its column ten times less."""
    weight, norms = _weight(5)
    factor = torch.ones_like(norms)
    factor[3] = 10.0
    scores = {
        "magnitude": (weight.abs(), (weight / factor).abs()),
        "wanda": (weight.abs() * norms, (weight / factor).abs() * (norms * factor)),
    }
    half, lines, moves = weight.shape[1] // 2, {}, {}
    for method, (before, after) in scores.items():
        moves[method] = not lowest(before, half).equal(lowest(after, half))
        seen = "changes" if moves[method] else "does not change"
        lines[method] = f"on a random matrix its mask {seen}; write its score before and after"
    return picked(answer, moves, lines)


@check
def highest_amount(answer: dict[str, float]) -> str:
    """By method, the highest amount at which one matrix's output moves by less than a fifth."""
    for method in ("magnitude", "wanda"):
        if method not in answer:
            return f"there is no amount for {method} yet"
        errors = experiment("one_matrix", method=method).set_index("amount")["error"]
        right = max(amount for amount, error in errors.items() if error < FIFTH)
        near = min(errors.index, key=lambda amount: abs(amount - float(answer[method])))
        if near != right:
            return (
                f"{method}: with {near:.0%} of the weights gone the output moves by "
                f"{errors[near]:.0%}: look for the highest amount that stays below a fifth"
            )
    return ""


BITS, COST, ERROR = 4, 20, 0.1  # of a weight, of each group besides, and what may be wrong
GROUPS = (8, 16, 32, 64, 128, 256, 512)


def row() -> Tensor:
    """A row of weights (4096,) float64, a few of them much larger than the rest."""
    luck = torch.Generator().manual_seed(41)
    weights = torch.randn(4096, generator=luck).double()
    weights[torch.randperm(4096, generator=luck)[:20]] *= 4
    return weights


def _rounded(group: Tensor, bits: int, extra: int = 0) -> Tensor:
    step = (group.max() - group.min()) / (2**bits - 1 + extra)
    return group.min() + ((group - group.min()) / step).round() * step


@check
def one_outlier(answer: str) -> str:
    """What a weight ten times larger than its group does to the error of the others."""
    if answer == "grows several times":
        return ""
    return "sixteen values have to reach the large one: how far apart are they then?"


@check
def rounded(answer: Callable[[Tensor, int], Tensor]) -> str:
    """A group of weights on 2^bits values from its lowest to its highest."""
    cases = [(row()[:size] + 0.3, bits) for size, bits in ((64, 4), (32, 3), (128, 8))]
    traps = {
        "so many steps take one value more than bits can name": lambda group, bits: _rounded(
            group, bits, 1
        ),
        "zero need not be in the middle: begin at the lowest weight": lambda group, bits: (
            (step := group.abs().max() / (2 ** (bits - 1) - 1)) * (group / step).round()
        ),
    }
    return compared(answer, _rounded, cases, traps)


@check
def largest_group(answer: int) -> str:
    """The largest groups whose error stays below what is allowed."""
    if answer not in GROUPS:
        return f"it takes one of {', '.join(map(str, GROUPS))}"
    errors = {}
    for size in GROUPS:
        after = torch.cat([_rounded(group, BITS) for group in row().split(size)])
        errors[size] = float((after - row()).norm() / row().norm())
    if answer == max(size for size in GROUPS if errors[size] < ERROR):
        return ""
    more = "that is too much" if errors[answer] >= ERROR else "larger groups take fewer"
    bits = BITS + COST / answer
    return (
        f"groups of {answer} take {bits:.2f} bits a weight and are {errors[answer]:.1%} off: {more}"
    )
