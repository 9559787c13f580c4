"""Checks of exercises on the three spaces: states, logits, probabilities, and the theorems."""

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor

from course.checks.judging import compared, logits, picked
from course.experiments import experiment
from course.verdict import check
from helpers import theory

READERS = ("entropy", "drawn text")
CLOSE = 1e-4


def entropy(z: Tensor, temperature: float = 1.0) -> float:
    """Entropy in nats of softmax(z / temperature) of logits (V,)."""
    log_p = theory.log_p(z.double(), temperature)
    return float(-(log_p.exp() * log_p).sum())


@check
def reads_temperature(answer: Collection[str]) -> str:
    """What changes where the temperature is raised from 1 to 4."""
    order = "dividing all logits by one number keeps their order, and it reads nothing else"
    lines = {
        "retrieval": "it compares states: where does a temperature come in before the softmax?",
        **dict.fromkeys(("option", "greedy text"), order),
        **dict.fromkeys(READERS, "something is missing: it reads p itself, not the order alone"),
    }
    return picked(answer, {word: word in READERS for word in lines}, lines)


@check
def softmax(answer: Callable[[Tensor, float], Tensor]) -> str:
    """p = softmax(z / T) of logits (V,), also of large ones."""
    heats = ((0.0, 1.0), (0.0, 4.0), (1000.0, 1.0), (-1000.0, 0.5))
    cases = [(logits(1) + shift, heat) for shift, heat in heats]
    traps = {
        "a high temperature should flatten, yours sharpens": lambda z, heat: theory.log_p(
            z, 1 / heat
        ).exp()
    }
    return compared(answer, lambda z, heat: theory.log_p(z, heat).exp(), cases, traps)


@check
def temperature_for(answer: Callable[[Tensor, float], float]) -> str:
    """The temperature at which softmax(z / T) has the entropy that is asked for."""
    real = torch.tensor(
        experiment("next_token", text="The capital of France is")["logit"].to_numpy(copy=True)
    )
    real = real.double()
    for z, nats in ((logits(2), 1.0), (logits(3), 3.0), (real, 2.0), (real, 4.0)):
        found = float(answer(z.clone(), nats))
        if not found > 0:
            return f"a temperature is above 0, not {found:.3g}"
        if abs(entropy(z, found) - nats) > 0.01:
            now = f"at T = {found:.3g} the entropy is {entropy(z, found):.2f} nats, not {nats:g}"
            return f"{now}; at T = 1 it is {entropy(z):.2f}, and it grows with T, not in proportion"
    return ""


@check
def moved_by_temperature(answer: dict[str, str]) -> str:
    """What becomes of each space's deviation where the temperature is raised from 1 to 4."""
    rows = [experiment("spaces", pruned="Drop-2M", temperature=heat) for heat in (1.0, 4.0)]
    means = [each.groupby("space")["deviation"].mean() for each in rows]
    for space in ("embedding", "logit", "probability"):
        before, after = (float(each[space]) for each in means)
        same = abs(after - before) < 1e-6
        right = "same" if same else "smaller" if after < before else "larger"
        if answer.get(space) != right:
            return f"{space}: the deviation is {before:.2g} at T = 1 and {after:.2g} at T = 4"
    return ""


@check
def angular(answer: Callable[[Tensor, Tensor], float]) -> str:
    """1 − cos of two float32 vectors (d,), without cancellation."""
    luck = torch.Generator().manual_seed(4)
    state, other = 20 * torch.randn(2, 576, generator=luck)
    near_ones = [(state, state + size * other) for size in (1e-2, 1e-4, 0.0)]

    def right(a: Tensor, b: Tensor) -> Tensor:
        return (a.double() / a.double().norm() - b.double() / b.double().norm()).square().sum() / 2

    cosine = "that is the cosine: the deviation of equal vectors is 0, not 1"
    said = compared(answer, right, [(state, other)], {cosine: lambda *both: 1 - right(*both)})
    small = compared(answer, right, near_ones, {})
    return said or (
        small
        and f"right for vectors far apart, but float32 has seven digits, and 1 − 0.99999999 "
        f"has none of them left: {small}"
    )


@check
def least_and_most(answer: tuple[int, int]) -> str:
    """The attention sublayers whose absence moves p least and most, by layer from 0."""
    means = experiment("without_one", sublayer="attention").pivot(
        index="layer", columns="space", values="deviation"
    )
    p, (least, most) = means["probability"], (int(layer) for layer in answer)
    if (least, most) == (p.idxmin(), p.idxmax()):
        return ""
    if (least, most) == (p.idxmax(), p.idxmin()):
        return "the other way round: a large cosine is a small deviation"
    for space in ("embedding", "logit"):
        if (least, most) == (means[space].idxmin(), means[space].idxmax()):
            return f"those are the least and the most of the {space} space: take probability"
    layer, word = (least, "least") if least != p.idxmin() else (most, "most")
    return f"without layer {layer}'s attention 1 − cos of p is {p[layer]:.2g}: not the {word}"


@check
def raised_by_seven(answer: Collection[str]) -> str:
    """What a change by 7 of every logit moves."""
    z = logits(5)
    delta = torch.full_like(z, 7.0)
    truth = {
        "cosine of z": 1 - float(torch.cosine_similarity(z, z + delta, dim=0)),
        "variance under p": float(theory.variance(theory.log_p(z), delta)),
        "p": float((theory.log_p(z).exp() - theory.log_p(z + delta).exp()).abs().sum()),
        "KL": float(theory.kl_identity(z, delta)),
    }
    lines = {
        name: f"on fifty random logits it moves by {abs(moved):.2g}"
        for name, moved in truth.items()
    }
    return picked(answer, {name: abs(moved) > CLOSE for name, moved in truth.items()}, lines)


@check
def kl_estimate(answer: Callable[[Tensor, Tensor, float], float]) -> str:
    """Theorem 3: Var_p(Δz) / (2 T²), of logits and their change (V,)."""
    cases = [
        (logits(seed), 0.3 * logits(seed + 10), heat)
        for seed, heat in ((6, 1.0), (7, 2.0), (8, 0.5))
    ]

    def estimate(z: Tensor, delta: Tensor, heat: float, at: float = 0.0) -> Tensor:
        return theory.kl_theorem_3(theory.variance(theory.log_p(z, at or heat), delta), heat)

    flat = "every token counts the same there: weigh each with its probability"
    part = "the variance is right; it is to be divided by 2 T²"
    traps: dict[str, Callable[..., Tensor]] = {
        f"{flat}": lambda _, delta, heat: delta.var(correction=0) / (2 * heat**2),
        f"{flat}.": lambda _, delta, heat: delta.var() / (2 * heat**2),
        "p is taken at T = 1 there": lambda z, delta, heat: estimate(z, delta, heat, at=1.0),
        f"{part}": lambda z, delta, heat: estimate(z, delta, heat) * heat**2,
        f"{part}.": lambda z, delta, heat: estimate(z, delta, heat) * 2,
        f"{part}, not by 2 T": lambda z, delta, heat: estimate(z, delta, heat) * heat,
    }
    return compared(answer, estimate, cases, traps)


@check
def estimate_too_small(answer: Any) -> str:
    """A change of logits that Theorem 2 underestimates by a factor of ten or more."""
    z = confident()
    delta = torch.as_tensor(answer).double()
    if delta.shape != z.shape:
        return f"a change of {len(z)} logits is {len(z)} numbers, not {tuple(delta.shape)}"
    truth = float(theory.angular_identity(z, delta))
    estimate = float(theory.angular_theorem_2(theory.variance(theory.log_r(z), delta)))
    if truth < 0.1:
        return f"p hardly turns: 1 − cos is {truth:.2g}. Which change makes another token win?"
    if estimate * 10 > truth:
        return (
            f"1 − cos is {truth:.2g} and the estimate {estimate:.2g}: not ten times too small. "
            "It grows with the square of the change: how little is enough for another to win?"
        )
    return ""


def confident() -> Tensor:
    """Logits (50,) float64 whose first token has nearly all probability."""
    z = logits(9, spread=1.0)
    z[0] = z.max() + 12
    return z
