"""Checks of exercises on scores: what is left, what flipped, what the form of a task costs."""

from collections.abc import Callable, Iterable
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd

from course.checks.judging import compared
from course.experiments import experiment
from course.verdict import check

Scores = Callable[..., float]
SCORES = ((0.75, 0.60, 0.25), (0.62, 0.62, 0.5), (0.9, 0.3, 0.25), (0.4, 0.1, 0.0))
HALF = 0.5


def above_guessing(score: float, chance: float) -> float:
    """Where a score lies between guessing, 0, and all right, 1."""
    return (score - chance) / (1 - chance)


def kept(rows: pd.DataFrame, dense: pd.DataFrame, form: str) -> float:
    """The share of the dense score above guessing that a pruned model keeps in one form, from rows
    of the experiment ``forms``."""
    one, other = (each[each["form"] == form] for each in (rows, dense))
    chance = float(other["chance"].mean())
    return float((one["right"].mean() - chance) / (other["right"].mean() - chance))


@check
def flips(answer: Any) -> str:
    """The fewest and the most right answers of 120 in 200 that can be lost at equal score."""
    fewest, most = answer
    if fewest != 0:
        return "the two models may also agree on every question: then nothing is lost"
    if most > 80:
        return "each right answer that is lost makes room for one gained, and only 80 were wrong"
    if most < 80:
        return f"more than {most} can be lost: the score stays if as many wrong ones become right"
    return ""


@check
def left(answer: Scores) -> str:
    """The share of the dense score above guessing that is left, of (dense, pruned, chance)."""
    traps = {
        "that is the share that is lost, not what is left": lambda d, p, c: (d - p) / (d - c),
        "guessing counts as knowledge here: take it off both scores first": lambda d, p, _: p / d,
    }
    return compared(answer, lambda d, p, c: (p - c) / (d - c), SCORES, traps)


@check
def first_break(answer: int) -> str:
    """The fewest MLPs without which writing, and not choosing, has lost half of its score."""
    dense, now, broken = experiment("forms", pruned="dense"), "", False
    for mlps in range(1, int(answer) + 1):
        rows = experiment("forms", pruned=f"Drop-{mlps}M")
        chosen, written = (kept(rows, dense, form) for form in ("choice", "generation"))
        broken = written < HALF < chosen
        now = f"without {mlps}, writing keeps {written:.0%}, choice {chosen:.0%} above guessing"
        if broken and mlps < answer:
            return f"fewer will do: {now}"
    return "" if broken else f"{now}: look for the first below one half beside one above it"


@check
def more_lost(answer: Scores) -> str:
    """How much more writing loses than choice, above guessing, of four scores and the chance."""
    cases = [
        (dense, written, pruned, now, chance)
        for dense, pruned, chance in SCORES[:3]
        for written, now in ((0.8, 0.4), (0.9, 0.9))
    ]

    def more(dense: float, written: float, pruned: float, now: float, chance: float) -> float:
        lost = above_guessing(dense, chance) - above_guessing(pruned, chance)
        return (written - now) - lost

    traps = {
        "the sign is turned: above zero, writing should be what loses more": (
            lambda *scores: -more(*scores)
        ),
        "a choice among few cannot fall below guessing, so its loss looks small: measure both "
        "from guessing (0) to all right (1)": lambda d, w, p, n, _: more(d, w, p, n, 0.0),
    }
    return compared(answer, more, cases, traps)


@check
def prefix_on_one_side(answer: str) -> str:
    """Which way a comparison leans whose written side alone is told how its answer begins."""
    if answer == "nothing":
        return "the first words of an answer tell a model what is asked for: one side has them"
    if answer == "makes up a loss of writing":
        return "which side is helped by the words 'The capital of France is', and does it lose?"
    return "" if answer == "hides a loss of writing" else "choose one of the three answers"


@check
def paired_interval(answer: Callable[[np.ndarray, np.ndarray], Iterable[float]]) -> str:
    """A 95% interval of the mean difference of two scores of the same questions."""
    luck = np.random.default_rng(7)
    for count in (200, 400):
        dense = luck.random(count) < 0.7
        pruned = np.where(luck.random(count) < 0.15, ~dense, dense)
        change = pruned.astype(float) - dense
        low, high = (float(end) for end in answer(dense.astype(float), pruned.astype(float)))
        mean, error = float(change.mean()), float(change.std(ddof=1)) / sqrt(count)
        width, wanted = high - low, 2 * 1.96 * error
        if not low < mean < high:
            return f"[{low:.3f}, {high:.3f}] does not hold the mean of pruned − dense, {mean:.3f}"
        if width > 5 * wanted:
            return "that is how far single questions lie apart; the mean of all is far surer"
        if width > 1.25 * wanted:
            return (
                "too wide: both models answered the same questions, so draw questions, and keep "
                "the two answers of each together"
            )
        if width < 0.8 * wanted:
            return f"too narrow: about {wanted:.3f} wide for {count} questions, yours {width:.3f}"
    return ""
