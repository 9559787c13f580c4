"""What the chapter on pruned texts says in words, all of it computed from its results."""

from collections.abc import Iterable, Mapping

from chapters.inconsistent_effects.answers import CUT, Answers, right
from chapters.inconsistent_effects.collapse_tables import (
    DENSE,
    Texts,
    as_perplexity,
    average,
    beyond,
)
from chapters.inconsistent_effects.collapse_verdicts import TOO_FEW, Collapse
from chapters.inconsistent_effects.figure_texts import Question
from chapters.inconsistent_effects.table2 import Shown
from chapters.inconsistent_effects.text_blocks import first_partings
from reporting.prose import join_words
from runs.store import Measurement

NAMES = {"loops": "loops", "garbled": "garbled texts", "stock": "stock phrases"}


def kinds(found: Mapping[str, Collapse]) -> str:
    """What becomes of each setting's texts, in one sentence."""
    if not judged(found):
        return "There are too few prompts to say what becomes of pruned texts."
    parts = []
    for kind, words in NAMES.items():
        names = [name for name, one in found.items() if kind in one.kinds]
        if names:
            parts.append(f"{words} under {join_words(names)}")
    rest = [name for name, one in found.items() if not one.kinds]
    text = (
        f"Pruned models write {join_words(parts)}"
        if parts
        else "No way of collapsing is established for any pruned model"
    )
    if rest and parts:
        text += f"; under {join_words(rest)} none of these is established"
    return f"{text}."


def judged(found: Mapping[str, Collapse]) -> bool:
    """Whether there are prompts enough to say anything."""
    return all(one.words != TOO_FEW for one in found.values())


def answered(answers: Answers) -> str:
    """How often the dense model itself is right, and what that allows, in one sentence."""
    given = answers[DENSE]
    cut = sum(words.startswith(CUT) for words in given.values())
    questions = "question" if len(given) == 1 else "questions"
    text = (
        f"Of {len(given)} {questions} with a number for an answer the dense model itself gets "
        f"{right(given)} right, with {cut} cut off"
    )
    if at_floor(given):
        return f"{text}: right and wrong answers say nothing about pruning here."
    return f"{text}; pruned models get {_each_right(answers)}."


def at_floor(given: Mapping[str, str]) -> bool:
    """Whether fewer than half of the dense model's answers are right: too few to lose any."""
    return 2 * right(given) < len(given)


def floor(answers: Answers) -> str:
    """What may be concluded from the answers."""
    given = answers[DENSE]
    if at_floor(given):
        return (
            f"The dense model is right on {right(given)} of {len(given)}: a floor. A wrong answer "
            "beside a wrong one shows nothing, and a right one may be luck. That pruning costs "
            "right arithmetic, which the paper shows on large models, cannot be seen here."
        )
    return (
        f"The dense model is right on {right(given)} of {len(given)}, pruned models on "
        f"{_each_right(answers)}. So few questions allow no interval and no verdict."
    )


def _each_right(answers: Answers) -> str:
    counts = [f"{right(given)} ({name})" for name, given in answers.items() if name != DENSE]
    return join_words(counts)


def pruned(measured: Iterable[Measurement], names: Iterable[str]) -> str:
    """Every pruned model by name, in the order of ``names``, and what was done to it."""
    done = {
        name: words for one in measured for name, words in one.manifest["facts"]["pruned"].items()
    }
    return "; ".join(f"{name}: {done[name]}" for name in names)


def reported_lines(paper: Mapping[str, Shown], dense: Shown) -> dict[str, str]:
    """What the paper shows beside each of our texts."""
    return {DENSE: dense.line} | {name: shown.line for name, shown in paper.items()}


def parting_title(first: Question) -> str:
    """Where the texts of one question part, as a title."""
    found, others = first_partings(first), len(first.texts) - 1
    if not found:
        return f"None of {others} pruned models leaves the dense text of the paper's question"
    after = f"{found[0]}" if found[0] == found[-1] else f"{found[0]} to {found[-1]}"
    return (
        f"{len(found)} of {others} pruned models leave the dense text of the paper's question, "
        f"after {after} common {'token' if after == '1' else 'tokens'}"
    )


def plane_title(found: Mapping[str, Collapse]) -> str:
    """How many pruned models collapse in either way, as a title."""
    if not judged(found):
        return f"Repetition and likelihood of the texts of {len(found)} pruned models"
    looped, garbled = (
        sum(kind in one.kinds for one in found.values()) for kind in ("loops", "garbled")
    )
    return f"Texts loop in {looped} of {len(found)} pruned models, and are garbled in {garbled}"


def yardsticks(texts: Texts, drawn: Texts, vocabulary: int, seed: int) -> str:
    """Numbers to read the table of likelihoods with, and what a loop does to them."""
    greedy = average(texts[DENSE], "nats", seed)
    usual = average(next(iter(drawn.values())), "nats", seed)
    text = (
        f"To compare with: the dense model's greedy texts have perplexity {as_perplexity(greedy)}, "
        f"those that it draws at random {as_perplexity(usual)}, and tokens drawn evenly from its "
        f"whole vocabulary would have {vocabulary} or more."
    )
    pairs = [
        f"{average(rows, 'nats_looped', seed).value:.2f} in loops and "
        f"{average(rows[rows['longest'] > 0], 'nats_free', seed).value:.2f} outside them ({name})"
        for name, rows in texts.items()
        if (rows["looped"].between(0, 1, inclusive="neither")).any()
    ]
    if not pairs:
        return text
    return f"{text} Of texts that loop, tokens take this many nats: {join_words(pairs)}."


def verdicts(found: Mapping[str, Collapse], paper: Mapping[str, Shown]) -> str:
    """Which settings are as in the paper, and how the others differ."""
    if not judged(found):
        return "There are too few prompts for a verdict."
    told = {name: found[name].as_in(shown) for name, shown in paper.items()}
    parts = [f"{name}, {shown.kind} in the paper: {told[name]}" for name, shown in paper.items()]
    held = list(told.values()).count("held")
    return (
        f"{held} of {len(told)} settings are as in the paper's table. {'; '.join(parts)}. The "
        "paper's column is one text by a model of another size, and the reading of it is ours."
    )


def without_greed(texts: Texts, drawn: Texts, by_chance: str, seed: int) -> str:
    """What changes when tokens are drawn at random, for every pruned model that did both."""
    usual = drawn[DENSE + by_chance]
    parts = []
    for name, rows in texts.items():
        other = drawn.get(name + by_chance)
        if name != DENSE and other is not None:
            loops = [average(each, "looped", seed).text(".0%") for each in (rows, other)]
            more = [
                beyond(one, dense, "nats", seed).text()
                for one, dense in ((rows, texts[DENSE]), (other, usual))
            ]
            parts.append(
                f"- **{name}.** In loops: {loops[0]} of the tokens of greedy texts, {loops[1]} of "
                f"drawn ones. More unlikely than dense: by {more[0]} nats per token greedy beside "
                f"greedy, by {more[1]} drawn beside drawn."
            )
    return "\n".join(parts)
