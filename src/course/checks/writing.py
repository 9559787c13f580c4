"""Checks of exercises on writing: where texts part, and how many rivals an answer has."""

from collections.abc import Callable, Collection
from math import exp, isclose
from typing import Any

import pandas as pd

from course.experiments import experiment
from course.verdict import check
from helpers.evaluation import collapse
from helpers.evaluation.paired import log_binomial

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
    rivals, drawn, better = vocabulary - 1, candidates - 1, rank - 1
    if drawn > rivals - better:
        return 0.0
    return exp(log_binomial(rivals - better, drawn) - log_binomial(rivals, drawn))


def accuracy(ranks: pd.DataFrame, candidates: int) -> float:
    """The mean of :func:`best_of` over rows of the experiment ``ladder``."""
    pairs = zip(ranks["rank"], ranks["vocabulary"], strict=True)
    return sum(best_of(rank, size, candidates) for rank, size in pairs) / len(ranks)


@check
def copy_that_draws(answer: dict[str, str]) -> str:
    """KL of an exact copy that draws with luck of its own, read forced and free."""
    if answer.get("forced") != "zero":
        return "forced, both read the same text: what can differ between a model and its copy?"
    if answer.get("free") != "above zero":
        return "free, each reads its own text: what happens after the first draw that differs?"
    return ""


@check
def parting(answer: Callable[[Any, Any], int]) -> str:
    """How many tokens two texts share from the beginning on."""
    for one, other in PARTED:
        said, right = int(answer(list(one), list(other))), common(one, other)
        case = f"{list(one)} and {list(other)}"
        if said == right:
            continue
        if said == sum(a == b for a, b in zip(one, other, strict=False)):
            return f"{case}: equal tokens after the parting do not count, the texts differ by then"
        if right == min(len(one), len(other)):
            return f"{case}: no token differs, so they share all {right} of the shorter text"
        return f"{case}: they share {right} tokens at the beginning, not {said}"
    return ""


@check
def shared_beginnings(answer: dict[str, float]) -> str:
    """The mean length of the common beginning with the dense text, by pruned model."""
    dense = experiment("written", pruned="dense")
    for pruned in ("Drop-1M", "Drop-2M", "Drop-4A"):
        rows = experiment("written", pruned=pruned)
        texts = [
            common(*(each.loc[each["text"] == text, "token"].tolist() for each in (dense, rows)))
            for text in dense["text"].unique()
        ]
        if pruned not in answer:
            return f"there is no number for {pruned} yet"
        right, said = sum(texts) / len(texts), float(answer[pruned])
        if isclose(said, max(texts), abs_tol=5e-3) and not isclose(said, right, abs_tol=0.05):
            return f"{pruned}: {said:.1f} is the longest of {len(texts)} texts; take their mean"
        if not isclose(said, right, abs_tol=0.05):
            return (
                f"{pruned}: texts part after {min(texts)} to {max(texts)} tokens, and the mean is "
                f"not {said:.1f}: pair texts by their number, count up to the first difference"
            )
    return ""


@check
def sharper_ladder(answer: str) -> str:
    """What a temperature of 0.5 does to the ladder."""
    if answer in ("falls more steeply", "falls less steeply"):
        return "the ladder asks which logit is largest: does dividing all by 0.5 reorder them?"
    return "" if answer == "nothing changes" else "choose one of the three answers"


@check
def best_of_random(answer: Callable[[int, int, int], float]) -> str:
    """The chance to be best of so many random candidates, of a rank and a vocabulary's size."""
    for rank, vocabulary, candidates in ((1, 49152, 1024), (5, 49152, 1024), (200, 49152, 1024)):
        said, right = (
            float(answer(rank, vocabulary, candidates)),
            best_of(rank, vocabulary, candidates),
        )
        case = f"rank {rank} of {vocabulary:,}, {candidates:,} candidates"
        if isclose(said, right, abs_tol=0.01):
            continue
        if isclose(said, 1 - right, abs_tol=0.01):
            return f"{case}: that is the chance to lose"
        if said < 0 or isclose(
            said, max(0, 1 - (rank - 1) * candidates / vocabulary), abs_tol=0.01
        ):
            return (
                f"{case}: chances of several better tokens do not add up; none of them may be "
                "drawn, so the chances to miss each multiply"
            )
        return f"{case}: it gives {said:.3f}, and drawing at random gives {right:.2f}"
    return ""


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
    found = {
        pruned: experiment("forms", pruned=pruned).pivot(
            index="item", columns="form", values="right"
        )
        for pruned in ("dense", "Drop-2M")
    }
    if len(set(answer)) < 3:
        return "three different questions are asked for"
    for item in answer:
        if item not in found["dense"].index:
            return f"{item!r} is no question: an item is such as {found['dense'].index[0]!r}"
        for pruned, form, right in (
            ("dense", "choice", 1),
            ("dense", "generation", 1),
            ("Drop-2M", "choice", 1),
            ("Drop-2M", "generation", 0),
        ):
            if found[pruned].loc[item, form] != right:
                said = "right" if not right else "wrong"
                return f"{item}: the {pruned} model is {said} in the form {form!r}"
    return ""


@check
def above_floor(answer: Collection[str]) -> str:
    """Tasks whose dense score leaves something to lose."""
    if "B" in answer or "C" in answer:
        task = "B" if "B" in answer else "C"
        return f"{task}: the dense score is no farther from guessing than its error is wide"
    if missing := {"A", "D"} - set(answer):
        task = sorted(missing)[0]
        return (
            f"{task}: the dense score lies many errors above guessing, and the pruned one below it"
        )
    unknown = set(answer) - {"A", "D"}
    return f"{', '.join(sorted(unknown))}: not one of the four" if unknown else ""


@check
def distinct(answer: Callable[[list[int], int], float]) -> str:
    """The share of n-grams of a text that are different ones."""
    for tokens in ([1, 2, 1, 1, 2, 2, 1], [3, 3, 3, 3], [1, 2, 3, 4, 5, 1]):
        for n in (1, 2, 3):
            said, right = float(answer(list(tokens), n)), collapse.distinct(tokens, n)
            case = f"tokens {tokens}, n = {n}"
            if isclose(said, right, abs_tol=1e-6):
                continue
            if isclose(said, right * (len(tokens) - n + 1) / len(tokens), abs_tol=1e-6):
                return f"{case}: there are fewer n-grams than tokens: divide by their number"
            if isclose(said, collapse.distinct(tokens, 1), abs_tol=1e-6):
                return f"{case}: those are single tokens; an n-gram is n of them in a row"
            return f"{case}: it gives {said:.3f}, and {right:.3f} of them are different ones"
    return ""


@check
def variety(answer: dict[str, float]) -> str:
    """The mean distinct-2 of six texts, dense and pruned."""
    for pruned in ("dense", "Drop-2M", "Drop-4M"):
        texts = experiment("written", pruned=pruned).groupby("text")["token"].apply(list)
        shares = [collapse.distinct(text, 2) for text in texts]
        whole = collapse.distinct([token for text in texts for token in text], 2)
        if pruned not in answer:
            return f"there is no number for {pruned} yet"
        said, right = float(answer[pruned]), sum(shares) / len(shares)
        if isclose(said, right, abs_tol=2e-3):
            continue
        if isclose(said, whole, abs_tol=2e-3):
            return f"{pruned}: that is of all texts as one; take each alone, and then the mean"
        return (
            f"{pruned}: the six texts have {min(shares):.2f} to {max(shares):.2f}, and the mean "
            f"is not {said:.2f}: n is 2"
        )
    return ""
