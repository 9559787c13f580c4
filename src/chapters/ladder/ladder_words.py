"""What the candidate-set ladder says, in sentences with numbers in them."""

from collections.abc import Mapping
from typing import Any

from chapters.ladder.ladder_summary import WHOLE, Ladders
from chapters.ladder.ladder_tables import rung_text
from reporting.hierarchy import FEWEST_PROMPTS
from reporting.prose import join_words


def answer(ladders: Ladders) -> str:
    """What becomes of accuracy as rivals grow in number, in two sentences."""
    if not ladders.pruned:
        return "No pruned model was asked."
    few, _ = ladders.few_and_many
    return (
        f"In the logits of one step, pruned models find the answer's first token among {few} "
        f"random candidates in {_span(ladders, 'random', few)} of the questions, among all answers "
        f"of its family in {_span(ladders, 'kind')}, and among all tokens in "
        f"{_span(ladders, WHOLE)}; the dense model in "
        f"{join_words(_percent(ladders, ladders.dense, *one) for one in _rungs(few))}. "
        f"{lost(ladders)}"
    )


def lost(ladders: Ladders) -> str:
    """How many pruned models already fail at the first token, where neither softmax nor time has
    a part."""
    if ladders.questions < FEWEST_PROMPTS:
        return "There are too few questions to tell more."
    models, found = (
        len(ladders.pruned),
        [one for one in ladders.pruned if ladders.change(one, WHOLE).below(0)],
    )
    if not found:
        return f"Among all tokens, none of {models} loses accuracy beyond chance."
    return (
        f"Among all tokens, {len(found)} of {models} lose accuracy beyond chance "
        f"({join_words(found)}), and neither softmax nor time has a part in that."
    )


def lead(ladders: Ladders) -> str:
    """The pruned model that loses most between few candidates and all tokens."""
    few, _ = ladders.few_and_many
    falls = {
        one: ladders.change(one, "random", few).value - ladders.change(one, WHOLE).value
        for one in ladders.pruned
    }
    return max(falls, key=lambda one: falls[one]) if falls else ladders.dense


def title(ladders: Ladders) -> str:
    """The finding of the figure: one model, few candidates, a family, all tokens."""
    few, _ = ladders.few_and_many
    rungs = _rungs(few)
    names = f"{few} random candidates", "answers of its family", "all tokens"
    shown = lead(ladders)
    parts = ", ".join(
        f"{_percent(ladders, shown, kind, size)} among {name}"
        for (kind, size), name in zip(rungs, names, strict=True)
    )
    dense = join_words(_percent(ladders, ladders.dense, kind, size) for kind, size in rungs)
    return f"{shown} finds the answer in {parts}; dense in {dense}"


def caption(ladders: Ladders, size: str) -> str:
    """What was done."""
    return (
        f"Share of {ladders.questions} questions from {len(ladders.families)} families in which "
        f"the answer's first token has the largest logit among so many candidates, after the "
        f"answer prefix, at {size}. Random rivals: exact mean over all draws. Rivals next in rank: "
        f"those nearest to the answer in the dense model, above and below by turns. Same kind: "
        f"{ladders.family_words}, then all tokens. Bands: 95% intervals over questions."
    )


def rivals(ladders: Ladders) -> str:
    """Which rivals cost most, and how many random ones it takes."""
    if not ladders.pruned:
        return "No pruned model was asked."
    few, many = ladders.few_and_many
    halves = [
        f"{one} {rung_text(found)}"
        for one in ladders.pruned
        if (found := ladders.fewest(one, 0.5)).value < float("inf")
    ]
    half = (
        f"Half of the dense accuracy is lost from so many random candidates on: "
        f"{join_words(halves)}."
        if halves
        else "No pruned model loses half of the dense accuracy, among however many candidates."
    )
    return (
        f"Against {many - 1:,} random rivals the pruned models find "
        f"{_span(ladders, 'random', many)}, against the {few - 1} tokens next in dense rank "
        f"{_span(ladders, 'matched', few)}. {half}"
    )


def which(ladders: Ladders, instead: Mapping[str, Mapping[str, Any]]) -> str:
    """What stands in the answer's place: another answer, or a token of another kind.

    ``instead`` holds for each model the fact of its measurement for this form.
    """
    lost = [one for name in ladders.pruned for one in ladders.replaced(instead[name])]
    if not lost:
        return "No pruned model puts another token first."
    other = sum(not one["kind"] for one in lost)
    ranks = ladders.ranks[ladders.pruned].median()
    span = (
        f"{ranks.min():g}" if ranks.min() == ranks.max() else f"{ranks.min():g} to {ranks.max():g}"
    )
    return (
        f"The median rank of the answer among all {ladders.vocabulary:,} tokens is "
        f"{ladders.ranks[ladders.dense].median():g} in the dense model and {span} in pruned ones. "
        f"Of {_counted(len(lost), 'answer', 'answers')} that pruned models do not put first, "
        f"{other} gave way to a token that begins no answer of the family."
    )


def left_out(every: Ladders, ladders: Ladders, facts: Mapping[str, Any], form: str) -> str:
    """Which families and questions of ``every`` the ladders do not hold, and what that changes.

    ``facts`` are those of the dense model's measurement.
    """
    words = []
    if count := len(facts["left_out"][form]):
        words.append(
            f"In {_counted(count, 'question', 'questions')} the answer's first token does not tell "
            "it from other answers; that is not asked."
        )
    if every.questions == ladders.questions:
        if ladders.floored:
            words.append(
                "In every family the dense model is at its floor, so that nothing follows from "
                "what pruning does; all are shown."
            )
        return " ".join(words) or "No family is left out."
    scores = join_words(f"{one} {_percent(every, one, WHOLE)}" for one in every.settings)
    floored = {item for family, item in every.ranks.index if family in every.floored} & set(
        facts["instead"][form]
    )
    other = sum(not facts["instead"][form][item]["kind"] for item in floored)
    return " ".join(
        [
            *words,
            f"In {_counted(len(every.floored), 'family', 'families')} "
            f"({join_words(map(_plain, every.floored))}) the dense model itself is at its floor "
            f"among all tokens: of {_counted(len(floored), 'answer', 'answers')} that it does not "
            f"put first there, {other} gave way to a token that begins no answer of the family. "
            f"These questions are left out, by the dense model alone. With all "
            f"{every.questions} questions the accuracy among all tokens is: {scores}.",
        ]
    )


def plain(ladders: Ladders) -> str:
    """The same without an answer prefix, the dense model alone."""
    few, _ = ladders.few_and_many
    found = [_percent(ladders, ladders.dense, kind, size) for kind, size in _rungs(few)]
    return (
        f"Without the answer prefix the dense model finds the answer's first token among {few} "
        f"random candidates in {found[0]} of {ladders.questions} questions, among the answers of "
        f"the family in {found[1]}, and among all tokens in {found[2]}, where it may begin a "
        f"sentence instead."
    )


def _rungs(few: int) -> list[tuple[str, int | None]]:
    """The rungs that are named in words: few random candidates, a family, all tokens."""
    return [("random", few), ("kind", None), (WHOLE, None)]


def _counted(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


def _plain(family: str) -> str:
    return family.replace("_", " ")


def _percent(ladders: Ladders, setting: str, kind: str, size: int | None = None) -> str:
    return f"{ladders.score(setting, kind, size).value:.0%}"


def _span(ladders: Ladders, kind: str, size: int | None = None) -> str:
    """``52% to 97%``: from the worst pruned model to the best."""
    values = [ladders.score(one, kind, size).value for one in ladders.pruned]
    low, high = f"{min(values):.0%}", f"{max(values):.0%}"
    return low if low == high else f"{low} to {high}"
