"""Checks of exercises on writing: where texts part, and how many rivals an answer has."""

from collections.abc import Callable, Collection
from itertools import product
from math import prod
from typing import Any

import pandas as pd

from course.checks.judging import compared, number, picked, predicted
from course.experiments import experiment
from course.verdict import check
from helpers.evaluation import collapse

TEXTS = ((1, 2, 3, 4), (1, 2, 3, 4)), ((1, 2, 3, 4), (1, 2, 5, 4)), ((1, 2, 3), (1, 2, 3, 4))
PARTED = (*TEXTS, ((9, 2, 3), (1, 2, 3)), ((), (1,)))
HALF = 0.5


def common(one: Any, other: Any) -> int:
    """How many tokens two texts share from the beginning on."""
    return next(
        (step for step, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )


def best_of(rank: int, vocabulary: int, candidates: int) -> float:
    """The chance that none of the ``rank`` − 1 better tokens is among the rivals drawn."""
    rivals, drawn = vocabulary - 1, candidates - 1
    return prod((rivals - drawn - other) / (rivals - other) for other in range(rank - 1))


def accuracy(ranks: pd.DataFrame, candidates: int) -> float:
    """The mean of :func:`best_of` over rows of the experiment ``ladder``."""
    pairs = zip(ranks["rank"], ranks["vocabulary"], strict=True)
    return sum(best_of(rank, size, candidates) for rank, size in pairs) / len(ranks)


@check
def copy_that_draws(answer: dict[str, str]) -> str:
    """KL of an exact copy that draws with luck of its own, read forced and free."""
    lines = {
        "forced": "both read the same text: what can differ between a model and its copy?",
        "free": "each reads its own text: what happens after the first draw that differs?",
    }
    return predicted(answer, {"forced": "zero", "free": "above zero"}, lines)


@check
def parting(answer: Callable[[Any, Any], int]) -> str:
    """How many tokens two texts share from the beginning on."""
    later = "equal tokens after the parting do not count, the texts differ by then"
    traps: dict[str, Callable[..., int]] = {
        later: lambda *texts: sum(a == b for a, b in zip(*texts, strict=False)),
        "no token differs, so they share all of the shorter text": lambda *_: -1,
    }
    return compared(answer, common, PARTED, traps)


@check
def shared_beginnings(answer: dict[str, float]) -> str:
    """The mean length of the common beginning with the dense text, by pruned model."""
    dense = _texts("dense")
    for pruned in ("Drop-1M", "Drop-2M", "Drop-4A"):
        if pruned not in answer:
            return f"there is no number for {pruned} yet"
        found = [common(*both) for both in zip(dense, _texts(pruned), strict=True)]
        line = (
            f"{pruned}: texts part after {min(found)} to {max(found)} tokens, and the mean is not "
            f"{answer[pruned]:.1f}: pair texts by their number, count up to the first difference"
        )
        longest = {f"{pruned}: that is the longest of the texts; take their mean": max(found)}
        if said := number(answer[pruned], sum(found) / len(found), line, longest):
            return said
    return ""


def _texts(pruned: str) -> list[list[int]]:
    return list(experiment("written", pruned=pruned).groupby("text")["token"].apply(list))


@check
def sharper_ladder(answer: str) -> str:
    """What a temperature of 0.5 does to the ladder."""
    if answer == "nothing changes":
        return ""
    return "the ladder asks which logit is largest: does dividing all by 0.5 reorder them?"


@check
def best_of_random(answer: Callable[[int, int, int], float]) -> str:
    """The chance to be best of so many random candidates, of a rank and a vocabulary's size."""
    cases = [(rank, 49152, 1024) for rank in (1, 5, 200)]
    traps = {
        "that is the chance to lose": lambda *case: 1 - best_of(*case),
        "chances of several better tokens do not add up; none of them may be drawn, so the "
        "chances to miss each multiply": lambda rank, size, candidates: max(
            0, 1 - (rank - 1) * candidates / size
        ),
    }
    return compared(answer, best_of, cases, traps, share=0.02)


@check
def half_lost_at(answer: int) -> str:
    """The smallest power of two of candidates at which Drop-2M has half of the dense accuracy."""
    dense, pruned = (experiment("ladder", pruned=each) for each in ("dense", "Drop-2M"))
    sizes = [2**power for power in range(1, 16)] + [int(dense["vocabulary"].iloc[0])]
    if answer not in sizes:
        return "it takes a power of two, or the size of the vocabulary"
    shares = {size: accuracy(pruned, size) / accuracy(dense, size) for size in sizes}
    right = next((size for size in sizes if shares[size] < HALF), sizes[-1])
    if answer == right:
        return ""
    place = "still more" if shares[answer] >= HALF else "less, but so it has at fewer"
    return (
        f"among {answer:,} the pruned model has {shares[answer]:.0%} of the dense accuracy: {place}"
    )


@check
def chosen_not_written(answer: list[str]) -> str:
    """Three questions that Drop-2M answers as a choice and not in writing, and dense in both."""
    places = {"index": "item", "columns": "form", "values": "right"}
    found = {one: experiment("forms", pruned=one).pivot(**places) for one in ("dense", "Drop-2M")}
    if len(set(answer)) < 3:
        return "three different questions are asked for"
    for item in answer:
        if item not in found["dense"].index:
            return f"{item!r} is no question: an item is such as {found['dense'].index[0]!r}"
        for pruned, form in product(found, ("choice", "generation")):
            right = (pruned, form) != ("Drop-2M", "generation")
            if bool(found[pruned].loc[item, form]) != right:
                said = "wrong" if right else "right"
                return f"{item}: the {pruned} model is {said} in the form {form!r}"
    return ""


@check
def above_floor(answer: Collection[str]) -> str:
    """Tasks whose dense score leaves something to lose."""
    low = "the dense score is no farther from guessing than its error is wide"
    high = "the dense score lies many errors above guessing, and the pruned one below it"
    belongs = {"B": False, "C": False, "A": True, "D": True}
    return picked(answer, belongs, {word: high if belongs[word] else low for word in belongs})


@check
def distinct(answer: Callable[[list[int], int], float]) -> str:
    """The share of n-grams of a text that are different ones."""
    texts = [1, 2, 1, 1, 2, 2, 1], [3, 3, 3, 3], [1, 2, 3, 4, 5, 1]
    cases = [(tokens, n) for tokens in texts for n in (1, 2, 3)]
    traps = {
        "there are fewer n-grams than tokens: divide by their number": lambda tokens, n: (
            collapse.distinct(tokens, n) * (len(tokens) - n + 1) / len(tokens)
        ),
        "those are single tokens; an n-gram is n of them in a row": lambda tokens, _: (
            collapse.distinct(tokens, 1)
        ),
    }
    return compared(answer, collapse.distinct, cases, traps)


@check
def variety(answer: dict[str, float]) -> str:
    """The mean distinct-2 of six texts, dense and pruned."""
    for pruned in ("dense", "Drop-2M", "Drop-4M"):
        if pruned not in answer:
            return f"there is no number for {pruned} yet"
        texts = _texts(pruned)
        shares = [collapse.distinct(text, 2) for text in texts]
        line = (
            f"{pruned}: the six texts have {min(shares):.2f} to {max(shares):.2f}, and the mean is "
            f"not {answer[pruned]:.2f}: n is 2"
        )
        one = f"{pruned}: that is of all texts as one; take each alone, and then the mean"
        traps = {one: collapse.distinct([token for text in texts for token in text], 2)}
        if said := number(answer[pruned], sum(shares) / len(shares), line, traps, share=3e-3):
            return said
    return ""
