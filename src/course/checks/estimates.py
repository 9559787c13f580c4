"""Checks of exercises on the theorems' estimates, beside what is exact."""

from collections.abc import Callable, Collection
from typing import Any

import torch
from scipy.optimize import brentq
from torch import Tensor

from course.checks.judging import compared, logits, number, picked
from course.verdict import check
from helpers import theory

SETTINGS = ((11, 0.3, 1.0), (12, 1.0, 2.0), (13, 2.0, 0.5))  # seed, size of the change, temperature
Function = Callable[[Tensor, Tensor, float], float]


def example() -> tuple[Tensor, Tensor]:
    """Logits (50,) float64, and a direction of their change."""
    return logits(14), logits(15, spread=1.0)


def to_order(z: Tensor, delta: Tensor, temperature: float = 1.0, third: float = 0.0) -> Tensor:
    """KL to second order, which is Theorem 3, and so much of the third."""
    weights, u = theory.log_p(z, temperature), delta / temperature
    return theory.variance(weights, u) / 2 + third * theory.third_cumulant(weights, u) / 6


def off(z: Tensor, delta: Tensor, temperature: float = 1.0) -> float:
    """By which share of the truth Theorem 3 is off."""
    truth = theory.kl_identity(z, delta, temperature)
    return abs(float(to_order(z, delta, temperature) / truth) - 1)


@check
def power_of_error(answer: Any) -> str:
    """The order of Theorem 3's error for two tokens of one half, and Δz = (s, −s)."""
    sizes = torch.tensor([[0.02], [0.05], [0.1], [0.2]], dtype=torch.float64)
    z, delta = torch.zeros(4, 2).double(), sizes * torch.tensor([1.0, -1.0])
    right = round(theory.order(sizes[:, 0], to_order(z, delta) - theory.kl_identity(z, delta)))
    line = f"from s = 0.02 to 0.2 the error grows by far more or less than s to the power {answer}"
    general = "that is the order in general; what is the third cumulant of a symmetric change?"
    return number(answer, right, line, {general: 3})


@check
def kl(answer: Function) -> str:
    """KL(p‖q) of logits z and z + Δz, exactly, in nats."""
    cases = [
        (logits(seed) + shift, size * logits(seed + 10, spread=1.0), heat)
        for seed, size, heat in SETTINGS
        for shift in (0.0, 1000.0)
    ]
    traps = {
        "that is KL(q‖p); the mean is to be taken under p, the dense one": (
            lambda z, delta, heat: theory.kl_identity(z + delta, -delta, heat)
        ),
        "p and q are taken at T = 1": lambda z, delta, _: theory.kl_identity(z, delta),
    }
    return compared(answer, theory.kl_identity, cases, traps)


@check
def tenth_off(answer: float) -> str:
    """The size of the change at which Theorem 3 is first one tenth off."""
    z, delta = example()
    right = brentq(lambda size: off(z, size * delta) - 0.1, 1e-3, 1.0)
    now = off(z, float(answer) * delta)
    line = f"at s = {answer:.4g} the estimate is {now:.1%} off; look for the first s with 10%"
    return number(answer, right, line, {})


@check
def rare_noise(answer: Collection[str]) -> str:
    """What random changes of rare tokens move."""
    z = logits(16, 5000, spread=1.0)
    z[:10] += 20
    delta = 3 * logits(17, 5000, spread=1.0)
    delta[:10] = 0
    values = {
        "Theorem 1": theory.angular_theorem_1(theory.split(z, delta)[1]),
        "Theorem 2": theory.angular_theorem_2(theory.variance(theory.log_r(z), delta)),
        "p": theory.angular_identity(z, delta),
    }
    lines = {
        name: f"with ten likely tokens and 4,990 rare ones it is {float(value):.2g}"
        for name, value in values.items()
    }
    return picked(answer, {name: float(value) > 0.05 for name, value in values.items()}, lines)


@check
def weights_r(answer: Callable[[Tensor, float], Tensor]) -> str:
    """r = p²/‖p‖² of logits (V,)."""
    cases = [(logits(18), 1.0), (logits(18), 2.0), (logits(18) + 1000, 1.0)]
    traps = {
        "it sums to less than one, and weights sum to one": lambda z, heat: (
            theory.log_p(z, heat).exp().square()
        ),
        "that is p at twice the temperature; squaring sharpens": lambda z, heat: theory.log_p(
            z, 2 * heat
        ).exp(),
    }
    return compared(answer, lambda z, heat: theory.log_r(z, heat).exp(), cases, traps)


@check
def exact_angle(answer: Function) -> str:
    """1 − cos(p, q), exactly, for large and for small changes."""
    sizes = *SETTINGS, (20, 30.0, 1.0), (19, 1e-5, 1.0)
    cases = [(logits(seed), size * logits(seed + 10, spread=1.0), t) for seed, size, t in sizes]

    def estimate(z: Tensor, delta: Tensor, heat: float) -> Tensor:
        return theory.angular_theorem_2(theory.variance(theory.log_r(z, heat), delta), heat)

    estimated = {"that is Theorem 2's estimate": estimate}
    said = compared(answer, theory.angular_identity, cases[:-1], estimated)
    small = compared(answer, theory.angular_identity, cases[-1:], {})
    return said or (small and f"right for large changes, but digits cancel in small ones: {small}")
