"""What the stability of options says, in sentences with numbers in them."""

from collections.abc import Mapping

from chapters.subspace.subspace import Subsets
from chapters.subspace.subspace_tables import FEW, at_chance, factors, last_band, same_gaps, span
from reporting.reach import Estimate

Found = Mapping[str, Subsets]


def signs(answers: list[Estimate], bound: float = 0.0) -> str:
    """In how many cases an estimate lies above and below a bound with its whole interval.

    >>> signs([Estimate(0.2, 0.1, 0.3), Estimate(0.0, -0.1, 0.1)])
    'more in 1 and less in 0 of 2'
    """
    known = [answer for answer in answers if answer.low is not None]
    if not known:
        return FEW
    above = sum(answer.above(bound) for answer in known)
    below = sum(answer.below(bound) for answer in known)
    return f"more in {above} and less in {below} of {len(known)}"


def answer(by_word: Found) -> str:
    """The answer of the chapter, for questions asked by word."""
    every = list(by_word.values())
    beside = [same_gaps(one) for one in every if one.has("same_gaps")]
    noise = [one.noise_ratio("same_gaps") for one in every if one.has("same_gaps")]
    return (
        f"{_opening(beside)} Asked by word, the best of four options stays the best in "
        f"{_span(every, 'options')} of the questions over {len(every)} pruned models, and the best "
        f"of four tokens from elsewhere whose logits lie equally far apart in "
        f"{_span(every, 'same_gaps')}; by their whole intervals, options survive "
        f"{signs(beside)}. The noise among the options is {span(noise)} times that among those "
        f"tokens. {tail(every)}"
    )


def _opening(beside: list[Estimate]) -> str:
    known = [one for one in beside if one.low is not None]
    if not known:
        return "There are too few families of questions to tell."
    above = sum(one.above(0) for one in known)
    return "No sign of it." if not above else "Yes." if above == len(known) else "In part."


def tail(every: list[Subsets]) -> str:
    """What the tail does, in logits and in probabilities."""
    moved, noise = ([last_band(one, metric) for one in every] for metric in ("moved", "noise"))
    return (
        f"In the tail log-likelihoods move {span(noise)} times as much as at the top of the "
        f"distribution; probabilities move less there by a factor of {factors(moved)}, because "
        "they are small."
    )


def title(setting: str, one: Subsets) -> str:
    """The finding of one pruned model, asked by word, for a figure's title."""
    found = f"{setting}, asked by word: options survive in {one.mean('survived').value:.2f}"
    if not one.has("same_gaps"):
        return f"{found} of the questions"
    return f"{found}, tokens with the same gaps in {one.mean('survived', 'same_gaps').value:.2f}"


def letters(by_letter: Found) -> str:
    """What asking by letter shows: whether the model can do it, and what its letters share."""
    every = list(by_letter.values())
    first = every[0]
    chance = (
        "which is not above chance with its whole interval: at its floor the choice by letter says "
        "nothing about knowledge, and its survival nothing about keeping it."
        if at_chance(first)
        else "which is above chance."
    )
    common = [one.common() for one in every]
    noise = [one.noise_ratio("same_gaps") for one in every if one.has("same_gaps")]
    return (
        f"Asked by letter, the dense model is right in {first.mean('right').text()} of the "
        f"questions, {chance} The noise among the letters is {span(noise)} times that among tokens "
        f"with the same gaps ({signs(noise, 1.0)} pruned models). They survive in "
        f"{_span(every, 'options')} of the questions, those tokens in "
        f"{_span(every, 'same_gaps')}. Of the change among the letters {span(common)} is the same "
        "in every question: that part is no noise, but a preference for places in the list."
    )


def leads(by_word: Found) -> str:
    """What a wide gap does for survival, and what becomes of the gap itself."""
    every = list(by_word.values())
    halves, drawn = ([one.wide_and_narrow(name) for one in every] for name in ("options", "random"))
    beside = [one for one in every if one.has("same_gaps")]
    change = [one.difference("gap_change", "same_gaps") for one in beside]
    return (
        "Sets of four random tokens with the wider half of gaps survive more often than the others "
        f"by {span(drawn)} ({signs(drawn)}), options by {span(halves)} ({signs(halves)}). Beside "
        "noise there is drift: pruning changes the lead of the best option by "
        f"{span([one.mean('gap_change') for one in every])} logits on average, and compared with "
        f"that of other tokens with the same lead by {span(change)} logits ({signs(change)})."
    )


def _span(every: list[Subsets], name: str) -> str:
    return span([one.mean("survived", name) for one in every if one.has(name)])
