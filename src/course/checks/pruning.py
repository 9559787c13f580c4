"""Checks of exercises on masks: which weights go."""

from collections.abc import Callable, Collection

import torch
from torch import Tensor

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
    for seed, ratio in ((1, 0.5), (2, 0.25), (3, 0.3)):
        weight, norms = _weight(seed)
        gone = torch.as_tensor(answer(weight.clone(), norms.clone(), ratio)).bool()
        if gone.shape != weight.shape:
            return f"a mask of {tuple(weight.shape)} weights, not of {tuple(gone.shape)}"
        count, scores = int(ratio * weight.shape[1]), weight.abs() * norms
        right = lowest(scores, count)
        if gone.equal(right):
            continue
        if gone.equal(~right):
            return "those are the weights that stay: True marks what is removed"
        if gone.equal(lowest(weight.abs(), count)):
            return "that is magnitude within each row: an input that is always small counts less"
        if len(gone.sum(1).unique()) > 1:
            return "rows lose unlike numbers: weights compete within their row, not over all"
        if int(gone[0].sum()) != count:
            return f"of {weight.shape[1]} inputs at {ratio:.0%}, {count} go in each row (floor)"
        return "as many go as should, but not those with the lowest |W| times the input's norm"
    return ""


@check
def two_of_four(answer: Callable[[Tensor], Tensor]) -> str:
    """Which weights 2:4 removes: of every four inputs in a row the two smallest."""
    weight, _ = _weight(4)
    gone = torch.as_tensor(answer(weight.clone())).bool()
    if gone.shape != weight.shape:
        return f"a mask of {tuple(weight.shape)} weights, not of {tuple(gone.shape)}"
    right = lowest(weight.abs().reshape(-1, 4), 2).reshape(weight.shape)
    if gone.equal(right):
        return ""
    if gone.equal(~right):
        return "those are the weights that stay: True marks what is removed"
    if gone.equal(lowest(weight.abs(), weight.shape[1] // 2)):
        return "half of each row goes, but some fours of neighbours lose three: look at each four"
    fours = gone.reshape(-1, 4).sum(1)
    if fours.unique().tolist() != [2]:
        return (
            f"some four neighbouring inputs of a row lose {int(fours.max())} weights: two go of "
            "every four along the inputs, which are the columns"
        )
    return "two go of every four, but not always the two smallest by |W|"


@check
def who_sees_scaling(answer: Collection[str]) -> str:
    """Whose mask changes where an input is made ten times larger and its column ten times less."""
    weight, norms = _weight(5)
    factor = torch.ones_like(norms)
    factor[3] = 10.0
    half = weight.shape[1] // 2
    scores = {
        "magnitude": (weight.abs(), (weight / factor).abs()),
        "wanda": (weight.abs() * norms, (weight / factor).abs() * (norms * factor)),
    }
    for method, (before, after) in scores.items():
        moves = not lowest(before, half).equal(lowest(after, half))
        if moves != (method in answer):
            seen = "changes" if moves else "does not change"
            return f"{method}: on a random matrix its mask {seen}; write its score before and after"
    unknown = set(answer) - scores.keys()
    return f"{', '.join(sorted(unknown))}: not one of the two" if unknown else ""


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
