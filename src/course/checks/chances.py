"""Checks of exercises on chances: when a choice flips or survives, and what few inputs show."""

from collections.abc import Callable, Collection
from math import sqrt
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor

from course.checks.judging import compared, logits, number, picked, predicted
from course.experiments import DROPPED, TEXTS, experiment
from course.verdict import check

CONFIDENCE, HALF, MAY_LOSE = 0.95, 0.5, 0.15
DRAWS, OPTIONS, TOKENS = 400, (2, 4, 8, 16, 32, 64, 128, 256, 512), 512


@check
def still_together(answer: str) -> str:
    """What becomes of texts half of which flip at each step with chance one half."""
    if answer == "more":
        return ""
    return f"five prompts never part: after ten steps {(1 + HALF**10) / 2:.0%} are left in the mean"


def _ahead(margin: float, mean: float, spread: float) -> float:
    return NormalDist().cdf(-(margin + mean) / spread)


@check
def ahead(answer: Callable[[float, float, float], float]) -> str:
    """How likely noise on a margin, of this mean and standard deviation, takes it below zero."""
    traps = {
        "that is the chance that the choice stays": lambda *case: 1 - _ahead(*case),
        "the mean of the noise moves the margin too": lambda margin, _, spread: _ahead(
            margin, 0.0, spread
        ),
    }
    return compared(answer, _ahead, [(1.0, -0.2, 1.0), (0.5, 0.3, 2.0), (3.0, 0.0, 1.5)], traps)


@check
def flips_by_text(answer: dict[str, float]) -> str:
    """The chance that noise of one logit on the margin changes the token after each text."""
    for text in TEXTS[:3]:
        z = torch.tensor(experiment("next_token", text=text)["logit"].to_numpy(copy=True))
        lead, p = float(z[0] - z[1]), z.softmax(-1)
        line = f"{text}: it leads by {lead:.2f} logits, so the chance is not {answer[text]:.3g}"
        apart = f"{text}: that is a difference of probabilities; the noise is in logits"
        traps = {apart: _ahead(float(p[0] - p[1]), 0.0, 1.0)}
        if said := number(answer[text], _ahead(lead, 0.0, 1.0), line, traps):
            return said
    return ""


def spaced() -> tuple[Tensor, Tensor]:
    """Logits (400, 512) float64 of tokens in no order, in 400 questions, and noise for them."""
    z, noise = logits(31, 2 * DRAWS * TOKENS, 1.0).reshape(2, DRAWS, TOKENS)
    return 2 * z, noise


def _survival(count: int) -> float:
    z, noise = spaced()
    same = (z + noise)[:, :count].argmax(-1) == z[:, :count].argmax(-1)
    return float(same.double().mean())


@check
def ten_options(answer: dict[str, str]) -> str:
    """What ten options instead of four do."""
    lines = {
        "gap": "of more numbers, are the two largest nearer to each other or farther apart?",
        "noise": "pruning adds it to a logit; does a logit know how many are compared?",
        "survival": f"drawn {DRAWS} times: {_survival(4):.0%} of four, {_survival(10):.0%} of ten",
    }
    right = {"gap": "smaller", "noise": "as before", "survival": "smaller"}
    return predicted(answer, right, lines)


@check
def survives(answer: Callable[[Tensor, Tensor, Tensor], bool]) -> str:
    """Whether the best of some ``tokens`` stays the best of them, of logits and their change."""
    some = [torch.randperm(20, generator=torch.Generator().manual_seed(n))[:4] for n in range(20)]
    cases = [(logits(n, 20), logits(n + 100, 20), few) for n, few in enumerate(some)]
    among = "among all tokens perhaps; the choice is among these four alone"

    def right(z: Tensor, delta: Tensor, few: Tensor) -> Tensor:
        return z[few].argmax() == (z + delta)[few].argmax()

    traps = {
        among: lambda z, delta, _: z.argmax() == (z + delta).argmax(),
        "that is the opposite": lambda *case: ~right(*case),
    }
    return compared(answer, right, cases, traps)


@check
def options_to_half(answer: int) -> str:
    """The fewest options, a power of two, among which the choice survives less than half."""
    if answer not in OPTIONS:
        return f"it takes one of {', '.join(map(str, OPTIONS))}"
    if answer == next(count for count in OPTIONS if _survival(count) < HALF):
        return ""
    share = _survival(answer)
    more = "look further" if share >= HALF else "fewer will do"
    return f"of {answer} options the best stays in {share:.0%} of the questions: {more}"


def _worst(inputs: float) -> float:
    return 1 - (1 - CONFIDENCE) ** (1 / inputs)


@check
def to_halve(answer: float) -> str:
    """How many inputs without a failure halve what twenty leave open."""
    right = min(range(20, 200), key=lambda n: abs(_worst(n) - _worst(20) / 2))
    line = f"of {answer:g} inputs without a failure up to {_worst(float(answer)):.1%} may fail"
    root = "that is for intervals that shrink with the root of n; what does three in n do?"
    return number(answer, right, line, {root: 4 * 20}, share=0.05)


@check
def worst(answer: Callable[[int], float]) -> str:
    """The highest rate of failures under which none in so many inputs has a chance of 5%."""
    traps = {
        "three in n is near it for many inputs; of few it exceeds 100%": lambda count: 3 / count,
        "that is the rate of successes": lambda count: 1 - _worst(count),
    }
    return compared(answer, _worst, [(2,), (20,), (300,)], traps)


@check
def safe(answer: Collection[str]) -> str:
    """The pruned models that lose at most fifteen points of writing, at 95%."""
    belongs, lines = {}, {}
    for pruned in DROPPED:
        change = _written(pruned) - _written("dense")
        low = float(change.mean() - 1.96 * change.std(ddof=1) / sqrt(len(change)))
        belongs[pruned] = low > -MAY_LOSE
        interval = f"by {low:+.2f} at the lower end of a paired interval"
        lines[pruned] = f"writing changes by {change.mean():+.2f}, {interval}"
    return picked(answer, belongs, lines)


def _written(pruned: str) -> Any:
    rows = experiment("forms", pruned=pruned)
    return rows[rows["form"] == "generation"].set_index("item")["right"]
