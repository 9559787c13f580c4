"""Checks of exercises on the theorems' estimates, beside what is exact."""

from collections.abc import Callable, Collection
from typing import Any

import torch
from scipy.optimize import brentq
from torch import Tensor

from course.checks.spaces import logits, near
from course.verdict import check
from helpers import theory

SETTINGS = ((11, 0.3, 1.0), (12, 1.0, 2.0), (13, 2.0, 0.5))  # seed, size of the change, temperature
Function = Callable[[Tensor, Tensor, float], float]


def example() -> tuple[Tensor, Tensor]:
    """Logits (50,) float64, and a direction of their change."""
    return logits(14), logits(15, spread=1.0)


@check
def power_of_error(answer: Any) -> str:
    """The order of Theorem 3's error for two tokens of one half, and Δz = (s, −s)."""
    sizes = torch.tensor([0.02, 0.05, 0.1, 0.2], dtype=torch.float64)
    z, delta = torch.zeros(2).double(), torch.tensor([1.0, -1.0]).double()
    errors = [
        theory.kl_theorem_3(theory.variance(theory.log_p(z), size * delta))
        - theory.kl_identity(z, size * delta)
        for size in sizes
    ]
    right = round(theory.order(sizes, torch.stack(errors)))
    if answer == right:
        return ""
    if answer == 3:
        return "that is the order in general; what is the third cumulant of a symmetric change?"
    return f"from s = 0.02 to 0.2 the error grows by far more or less than s to the power {answer}"


@check
def kl(answer: Function) -> str:
    """KL(p‖q) of logits z and z + Δz, exactly, in nats."""
    for seed, size, temperature in SETTINGS:
        for shift in (0.0, 1000.0):
            z, delta = logits(seed) + shift, size * logits(seed + 10, spread=1.0)
            right = float(theory.kl_identity(z, delta, temperature))
            said = float(answer(z.clone(), delta.clone(), temperature))
            case = f"logits about {shift:g}, T = {temperature:g}"
            if said != said:
                return f"{case}: not a number, since exp overflows: use log_softmax"
            if near(said, right):
                continue
            if near(said, float(theory.kl_identity(z + delta, -delta, temperature))):
                return f"{case}: that is KL(q‖p); the mean is to be taken under p, the dense one"
            if near(said, float(theory.kl_identity(z, delta))):
                return f"{case}: p and q are taken at T = 1"
            return f"{case}: it gives {said:.4g}, KL is {right:.4g} nats"
    return ""


@check
def tenth_off(answer: float) -> str:
    """The size of the change at which Theorem 3 is first one tenth off."""
    z, delta = example()

    def off(size: float) -> float:
        estimate = theory.kl_theorem_3(theory.variance(theory.log_p(z), size * delta))
        return abs(float(estimate / theory.kl_identity(z, size * delta)) - 1)

    said, right = float(answer), 1e-3
    while off(2 * right) < 0.1:
        right *= 2
    right = brentq(lambda size: off(size) - 0.1, right, 2 * right)
    if abs(said / right - 1) < 0.01:
        return ""
    return f"at s = {said:.4g} the estimate is {off(said):.1%} off; look for the first s with 10%"


@check
def rare_noise(answer: Collection[str]) -> str:
    """What random changes of rare tokens move."""
    z = logits(16, 5000, spread=1.0)
    z[:10] += 20
    delta = 3 * logits(17, 5000, spread=1.0)
    delta[:10] = 0
    _, across = theory.split(z, delta)
    values = {
        "Theorem 1": theory.angular_theorem_1(across),
        "Theorem 2": theory.angular_theorem_2(theory.variance(theory.log_r(z), delta)),
        "p": theory.angular_identity(z, delta),
    }
    for name, value in values.items():
        if (float(value) > 0.05) != (name in answer):
            return f"{name}: with ten likely tokens and 4,990 rare ones it is {float(value):.2g}"
    unknown = set(answer) - values.keys()
    return f"{', '.join(sorted(unknown))}: not one of the three" if unknown else ""


@check
def weights_r(answer: Callable[[Tensor, float], Tensor]) -> str:
    """r = p²/‖p‖² of logits (V,)."""
    for shift, temperature in ((0.0, 1.0), (0.0, 2.0), (1000.0, 1.0)):
        z = logits(18) + shift
        said = torch.as_tensor(answer(z.clone(), temperature)).double()
        case = f"logits about {shift:g}, T = {temperature:g}"
        if not said.isfinite().all():
            return f"{case}: not finite: is r not a softmax itself?"
        if torch.allclose(said, theory.log_r(z, temperature).exp(), atol=1e-7):
            continue
        if abs(float(said.sum()) - 1) > 1e-4:
            return f"{case}: it sums to {float(said.sum()):.3g}: weights sum to one"
        if torch.allclose(said, theory.log_p(z, 2 * temperature).exp(), atol=1e-7):
            return f"{case}: that is p at twice the temperature; squaring sharpens"
        return f"{case}: those are other weights than p squared, over their sum"
    return ""


@check
def exact_angle(answer: Function) -> str:
    """1 − cos(p, q), exactly, for large and for small changes."""
    for seed, size, temperature in (*SETTINGS, (19, 1e-5, 1.0), (20, 30.0, 1.0)):
        z, delta = logits(seed), size * logits(seed + 10, spread=1.0)
        right = float(theory.angular_identity(z, delta, temperature))
        said = float(answer(z.clone(), delta.clone(), temperature))
        case = f"a change of size {size:g} at T = {temperature:g}"
        if near(said, right):
            continue
        variance = theory.variance(theory.log_r(z, temperature), delta)
        if near(said, float(theory.angular_theorem_2(variance, temperature))):
            return f"{case}: that is Theorem 2's estimate; the truth is {right:.3g}"
        if size < 1e-3:
            return f"{case}: it gives {said:.3g}, and the truth is {right:.3g}: digits cancel"
        return f"{case}: it gives {said:.4g}, and the truth is {right:.4g}"
    return ""
