"""Where do the theorems stop being true? Small tables, truth beside estimate."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd
from torch import Tensor

from reporting.derivations import (
    LINEAR,
    THEOREM_1,
    as_tensors,
    bounded,
    identity,
    theorem_2,
    theorem_3,
)
from reporting.states import State


def angles(cases: Mapping[str, State]) -> pd.DataFrame:
    """One row per case: 1 − cos(p, q), Theorem 2 and the bounded form."""
    return pd.DataFrame(
        [
            {
                "case": name,
                "1 − cos(p, q)": float(s.turn),
                "Theorem 2": float(theorem_2(s)),
                "bounded form": float(bounded(s)),
            }
            for name, s in cases.items()
        ]
    )


def divergences(cases: Mapping[str, State]) -> pd.DataFrame:
    """One row per case: KL(p‖q) and KL(q‖p) in nats, and Theorem 3."""
    return pd.DataFrame(
        [
            {
                "case": name,
                "KL(p‖q)": float(s.kl),
                "KL(q‖p)": float(s.kl_reversed),
                "Theorem 3": float(theorem_3(s)),
            }
            for name, s in cases.items()
        ]
    )


def offsets(state: State, values: Iterable[float]) -> pd.DataFrame:
    """One row per constant that is added to every logit of ``state``: angles in both spaces."""
    rows = []
    for value in values:
        s = replace(state, z=state.z + value)
        rows.append(
            {
                "added to every logit": f"{value:g}",
                "1 − cos(z, z + Δz)": float(s.logit_turn),
                "Theorem 1": float(THEOREM_1.sides(s)[1]),
                "1 − cos(p, q)": float(s.turn),
            }
        )
    return pd.DataFrame(rows)


def uniform_moments(cases: Iterable[State]) -> pd.DataFrame:
    """One row per case: E_u[Δz⊥²] (Equation 45) beside the variance that it is called, for
    logits as they are and for centred ones."""
    rows = []
    for state in cases:
        for words, s in (("as they are", state), ("centred", state.centred())):
            rows.append(
                {
                    "state": state.name,
                    "logits": words,
                    "mean of Δz⊥": round(float(s.across.mean()), 9) + 0.0,
                    "second moment": float(s.across.square().mean()),
                    "variance": float(s.across.var(correction=0)),
                }
            )
    return pd.DataFrame(rows)


def sizes(cases: Iterable[State], sizes: Sequence[float]) -> pd.DataFrame:
    """1 − cos(p, q) and its estimates as Δz is scaled, for `figures.estimate_sizes`."""
    estimates: dict[tuple[str, str], Callable[[State], Tensor]] = {
        ("truth", "measured"): lambda s: s.turn,
        ("Theorem 2", "theorem"): theorem_2,
        ("bounded form", "bounded"): bounded,
        ("exact identity", "exact"): identity,
    }
    return pd.DataFrame(
        [
            {
                "state": s.name,
                "size": size,
                "estimate": name,
                "quantity": quantity,
                "value": float(function(s.scaled(size))),
            }
            for s in cases
            for (name, quantity), function in estimates.items()
            for size in sizes
        ]
    )


def largest_misses(scaled: pd.DataFrame) -> dict[str, float]:
    """Of the rows of :func:`sizes`, how far each estimate lies from the truth at most."""
    wide = scaled.pivot(index=["state", "size"], columns="estimate", values="value")
    away = wide.drop(columns="truth").sub(wide["truth"], axis=0).abs().max()
    return {str(name): float(value) for name, value in away.items()}


def below_zero(weights: Tensor) -> float:
    """How much of the weights lies below zero."""
    return float((-weights).clamp(min=0).sum())


def responses(cases: Iterable[State]) -> pd.DataFrame:
    """One row per case: how much mass moves, and how much the linear response puts below zero."""
    return pd.DataFrame(
        [
            {
                "state": s.name,
                "mass that moves": float(s.dp.abs().sum() / 2),
                "below zero, linear": float(
                    (-s.p - as_tensors(LINEAR.sides(s))[1]).clamp(min=0).sum()
                ),
                "below zero, closed form": below_zero(s.q),
            }
            for s in cases
        ]
    )
