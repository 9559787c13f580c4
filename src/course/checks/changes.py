"""Checks of exercises on changes of logits: what they do to p, and what noise alone would do."""

from collections.abc import Callable, Collection
from math import exp, log, sqrt, tanh
from typing import Any

import torch
from scipy.optimize import brentq
from torch import Tensor

from course.checks.estimates import SETTINGS, example, off, to_order
from course.checks.judging import compared, logits, number, picked, predicted
from course.experiments import experiment
from course.verdict import check
from helpers import theory

FRANCE = "The capital of France is"
TENTH, HALF = 0.1, 0.5


def probabilities() -> Tensor:
    """p (200,) of the likeliest tokens after a text of the experiment ``next_token``."""
    z = torch.tensor(experiment("next_token", text=FRANCE)["logit"].to_numpy(copy=True))
    return theory.log_p(z.double()).exp()


def divergences(temperature: float) -> Any:
    """KL in nats (6,) of Drop-2M after each text of the experiment ``spaces``."""
    rows = experiment("spaces", pruned="Drop-2M", temperature=temperature)
    return rows.loc[rows["space"] == "probability", "kl"].to_numpy()


@check
def doubled(answer: float) -> str:
    """The temperature whose p is that of doubled logits at 1."""
    z = logits(21)
    said, right = (float(theory.log_p(*case).max()) for case in ((z, float(answer)), (2 * z, 1.0)))
    line = f"p at T = {answer:g} is {'flatter' if said < right else 'sharper'} than that"
    common = "doubling adds more to likelier tokens: only a common offset leaves p as it is"
    return number(answer, HALF, line, {common: 1.0})


@check
def moved(answer: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """q of p (V,) and a change of the logits."""
    cases = [
        (theory.log_p(logits(seed)).exp(), size * logits(seed + 10) + shift, heat)
        for seed, size, heat in SETTINGS
        for shift in (0.0, 900.0)
    ]
    traps = {
        "the change is to be divided by the temperature": (
            lambda p, delta, _: (p.log() + delta).softmax(-1)
        ),
        "p is the distribution at that temperature already: divide the change alone": (
            lambda p, delta, heat: ((p.log() + delta) / heat).softmax(-1)
        ),
    }
    return compared(answer, lambda p, d, heat: (p.log() + d / heat).softmax(-1), cases, traps)


@check
def rise_to_half(answer: float) -> str:
    """How far the second token's logit has to rise to hold half of all probability."""
    first, second = (float(p) for p in probabilities()[:2])
    odds = second / (1 - second)
    after = 1 / (1 + exp(-min(float(answer), 700.0)) / odds)
    level = "so it draws level with the first, and all others still hold their part"
    twice = "twice the weight is not twice the probability: what the weights sum to grows too"
    traps = {level: log(first / second), twice: log(HALF / second)}
    return number(answer, -log(odds), f"with {answer:.3g} more it holds {after:.0%}", traps)


@check
def swapped_by_heat(answer: str) -> str:
    """By what factor the KL of two exchanged logits falls from T = 1 to 4, beside 16."""
    ratio = _exchange(2.0, 1.0) / _exchange(2.0, 4.0)
    if answer == ("less than 16" if ratio < 16 - TENTH else "more than 16"):
        return ""
    return "by T² it falls where p stays as it is; what does T = 4 do to the p of two tokens?"


def _exchange(gap: float, temperature: float) -> float:
    return gap / temperature * tanh(gap / 2 / temperature)


@check
def exchange(answer: Callable[[float, float], float]) -> str:
    """KL in nats of two tokens whose logits, ``gap`` apart, are exchanged, at a temperature."""
    traps = {
        "log p − log q of a token is a difference of logits over T": (
            lambda gap, heat: heat * _exchange(gap, heat)
        ),
        "p itself depends on T, so KL does not simply fall with its square": (
            lambda gap, heat: _exchange(gap, 1.0) / heat**2
        ),
    }
    return compared(answer, _exchange, [(2.0, 1.0), (2.0, 4.0), (0.3, 0.5), (9.0, 2.0)], traps)


@check
def power_of_heat(answer: float) -> str:
    """As which power of T the mean KL of Drop-2M falls from T = 1 to T = 4."""
    ratio = divergences(1.0).mean() / divergences(4.0).mean()
    right = log(ratio) / log(4)
    traps = {"a fall is a power above zero: turn the sign": -right, "that is the factor": ratio}
    line = f"4 to the power {answer:.3g} is {4 ** float(answer):.3g}, and KL falls by {ratio:.3g}"
    return number(answer, right, line, traps, share=0.03)


@check
def exact_in_float32(answer: Collection[str]) -> str:
    """Which laws of sums hold bit for bit in float32."""
    a, b, c = torch.randn(3, 1000, generator=torch.Generator().manual_seed(22))
    laws = {
        "a + b = b + a": (a + b, b + a),
        "(a + b) + c = a + (b + c)": ((a + b) + c, a + (b + c)),
        "2 a + 2 b = 2 (a + b)": (2 * a + 2 * b, 2 * (a + b)),
        "3 a + 3 b = 3 (a + b)": (3 * a + 3 * b, 3 * (a + b)),
    }
    fails = {law: int((left != right).sum()) for law, (left, right) in laws.items()}
    lines = {law: f"of 1,000 random numbers it fails for {count}" for law, count in fails.items()}
    return picked(answer, {law: not count for law, count in fails.items()}, lines)


def kl_of_noise(p: Tensor, sigma: float) -> float:
    """The mean of Theorem 3's KL where each logit has noise of its own, at T = 1."""
    return float(sigma**2 * (1 - p.square().sum()) / 2)


@check
def noise_alone(answer: Callable[[Tensor, float], float]) -> str:
    """The KL, to second order and in the mean, of independent noise on every logit."""
    cases = [
        (theory.log_p(logits(23, spread=spread)).exp(), sigma)
        for spread, sigma in ((0.1, 0.1), (3.0, 0.1), (6.0, 0.01))
    ]
    traps = {
        "what all logits share moves nothing: where one token has all mass, KL is 0": (
            lambda _, sigma: sigma**2 / 2
        ),
        "the estimate is half the variance": lambda p, sigma: 2 * kl_of_noise(p, sigma),
    }
    return compared(answer, kl_of_noise, cases, traps)


@check
def as_much_noise(answer: float) -> str:
    """The noise on each logit whose KL is that of Drop-2M after the first text."""
    kl, unit = divergences(1.0), kl_of_noise(probabilities(), 1.0)
    mean = "take the KL of the text with number 0, not the mean"
    traps = {"KL grows with the square of the noise": kl[0] / unit, mean: sqrt(kl.mean() / unit)}
    line = f"noise of {answer:.3g} makes {unit * float(answer) ** 2:.3g} nats, not {kl[0]:.3g}"
    return number(answer, sqrt(kl[0] / unit), line, traps)


@check
def towards_one(answer: dict[str, str]) -> str:
    """What T = 4 does to how far the estimates are from the truth."""
    small = "T divides the change: what happens to terms of third order beside the second?"
    before = "it speaks of states and of logits: does any T come in there?"
    right = {"Theorem 1": "as far", "Theorem 2": "nearer", "Theorem 3": "nearer"}
    lines = {"Theorem 1": before, "Theorem 2": small, "Theorem 3": small}
    return predicted(answer, right, lines)


@check
def third_order(answer: Callable[[Tensor, Tensor, float], float]) -> str:
    """KL(p‖q) of logits and their change, to third order."""
    cases = [(logits(seed), size * logits(seed + 10), heat) for seed, size, heat in SETTINGS]
    traps = {
        "the second order is right, the third is missing": to_order,
        "the third term has the other sign": lambda z, d, t: to_order(z, d, t, -1.0),
    }
    return compared(answer, lambda z, d, t: to_order(z, d, t, 1.0), cases, traps)


@check
def warm_enough(answer: float) -> str:
    """The lowest temperature from which on Theorem 3 is less than a tenth off."""
    z, delta = example()
    right = brentq(lambda heat: off(z, delta, heat) - TENTH, 1.0, 20.0)
    side = "look higher" if float(answer) < right else "it is so at lower ones too"
    line = f"at T = {answer:.4g} it is {off(z, delta, float(answer)):.1%} off: {side}"
    return number(answer, right, line, {})
