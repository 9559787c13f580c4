"""Do both sides of an equation agree? Steps of a derivation, held against real numbers.

A step says what is equal, or how fast a difference falls. It is a function of a `State`, so one
short line in a chapter states it for every state, temperature and size of Δz.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from helpers import theory
from reporting import prose
from reporting.figures import Reference
from reporting.states import State

TOLERANCE = 1e-10  # of the largest entry: what "equal" means in float64
SIZES = tuple(2.0**-power for power in range(12))
SMALL = tuple(2.0**-power for power in range(6, 12))  # where the first dropped term rules
TEMPERATURES = (0.5, 1.0, 2.0)

SIZE_AXIS: Mapping[str, Any] = {"x_label": "size of Δz, as a share of the state's own"}
LOG_AXES: Mapping[str, Any] = {**SIZE_AXIS, "x_scale": "log", "y_scale": "log", "value": "error"}

Side = Tensor | float
Sides = Callable[[State], tuple[Side, Side]]


@dataclass(frozen=True)
class Step:
    """One step: its equation number, what it says, and its two sides as functions of a state.

    With ``order`` k the sides are not equal: their difference is O(‖Δz‖ᵏ).
    """

    equation: str
    says: str
    sides: Sides
    order: int | None = None

    def error(self, state: State) -> Tensor:
        """Length of left − right, a number."""
        left, right = as_tensors(self.sides(state))
        return (left - right).norm()

    def slope(self, state: State) -> float:
        """Measured order: by which power the error falls as Δz shrinks; infinite without error."""
        errors = torch.stack([self.error(state.scaled(size)) for size in SMALL])
        seen = errors > 0
        if seen.sum() < 2:
            return float("inf")
        return theory.order(torch.tensor(SMALL)[seen], errors[seen])


def as_tensors(sides: tuple[Side, Side]) -> tuple[Tensor, Tensor]:
    """Both sides as float64 vectors (N,); a number has one entry."""
    left, right = (torch.as_tensor(side, dtype=torch.float64).reshape(-1) for side in sides)
    return left, right


def check(step: Step, states: Sequence[State]) -> dict[str, object]:
    """One row: the step on the first state, and the largest difference over all ``states``.

    Equal means equal to ``TOLERANCE`` of the largest entry of the right side, or absolutely
    where that side is 0. A vector shows the entry that is largest on the right. A step with an
    order shows the lowest and highest measured order and holds if none is below it by 0.1.
    """
    if step.order is not None:
        slopes = [step.slope(state) for state in states]
        holds = min(slopes) >= step.order - 0.1
        return _row(step, f"order {prose.span(slopes)}", f"order {step.order}", None, holds)
    worst, texts = 0.0, []
    for state in states:
        left, right = as_tensors(step.sides(state))
        largest = int(right.abs().argmax())
        size = float(right[largest].abs()) or 1.0
        difference = float((left - right).abs().max()) / size
        worst = difference if not difference <= worst else worst  # a NaN stays the worst
        texts.append((f"{float(left[largest]):.8g}", f"{float(right[largest]):.8g}"))
    return _row(step, *texts[0], worst, worst <= TOLERANCE)


def _row(step: Step, left: str, right: str, worst: float | None, holds: bool) -> dict[str, object]:
    return {
        "equation": step.equation,
        "step": step.says,
        "left": left,
        "right": right,
        "largest difference": "–" if worst is None else f"{worst:.1e}",
        "holds": "yes" if holds else "no",
    }


THEOREM_1 = Step(
    "45",
    "Theorem 1",
    lambda s: (s.logit_turn, theory.angular_theorem_1(s.across.norm() / s.z.norm())),
    3,
)
THEOREM_1_ORTHOGONAL = Step(
    "45",
    "Theorem 1, Δz orthogonal to z",
    lambda s: THEOREM_1.sides(s.changed(s.across)),
    4,
)
THEOREM_2 = Step("63", "Theorem 2", lambda s: (s.turn, theorem_2(s)), 3)
THEOREM_3 = Step("28", "Theorem 3", lambda s: (s.kl, theorem_3(s)), 3)
LINEAR = Step(
    "46",
    "linear response",
    lambda s: (s.dp, theory.linear_response(s.z, s.delta, s.temperature)),
    2,
)


def theorem_2(s: State) -> Tensor:
    """Theorem 2's estimate of 1 − cos(p, q)."""
    spread = theory.variance(theory.log_r(s.z, s.temperature), s.delta)
    return theory.angular_theorem_2(spread, s.temperature)


def bounded(s: State) -> Tensor:
    """The bounded form of the same estimate."""
    return -torch.expm1(-theorem_2(s))


def identity(s: State) -> Tensor:
    """1 − cos(p, q) from the moments of u under r."""
    return theory.angular_identity(s.z, s.delta, s.temperature)


def theorem_3(s: State) -> Tensor:
    """Theorem 3's estimate of KL(p‖q)."""
    return theory.kl_theorem_3(theory.variance(s.log_p, s.delta), s.temperature)


@dataclass
class Proof:
    """The steps of one chapter: each is checked where it is stated, and counted at the end."""

    states: Sequence[State]
    rows: list[dict[str, object]] = field(default_factory=list)

    def check(self, *steps: Step) -> pd.DataFrame:
        """Check ``steps`` on every state and remember them; one row each."""
        rows = [check(step, self.states) for step in steps]
        self.rows += rows
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """``12 of 12 checked steps hold``, and which do not."""
        failed = [str(row["step"]) for row in self.rows if row["holds"] == "no"]
        kept = f"{len(self.rows) - len(failed)} of {len(self.rows)} checked steps hold"
        return "; not ".join([kept, *failed])


def errors(
    steps: Iterable[Step],
    states: Iterable[State],
    temperatures: Sequence[float] = TEMPERATURES,
    by: str = "temperature",
    space: str = "probability",
) -> pd.DataFrame:
    """The error of every step on every state as Δz is scaled, for ``figures.lines``: a panel for
    each state, a line for each step or temperature, whichever ``by`` names.

    ``x`` is the size (1 is the state's own Δz) and ``mean`` the error, missing where there is
    none. Beside these stand ``step``, ``state``, ``temperature``, ``slope`` (the measured order
    at small sizes) and ``order`` (the expected one).
    """
    rows = []
    for step in steps:
        for state in states:
            for temperature in temperatures:
                one = state.at(temperature)
                names = {"step": step.says, "temperature": f"T = {temperature:g}"}
                line = names | {
                    "state": state.name,
                    "panel": state.name[0].upper() + state.name[1:],
                    "series": names[by],
                    "space": space,
                    "slope": step.slope(one),
                    "order": step.order,
                }
                found = {size: float(step.error(one.scaled(size))) for size in SIZES}
                rows += [line | {"x": size, "mean": error} for size, error in found.items()]
    frame = pd.DataFrame(rows)
    return frame.assign(mean=frame["mean"].where(frame["mean"] > 0))


def guides(frame: pd.DataFrame, orders: Sequence[int] = (2, 3, 4)) -> dict[str, list[Reference]]:
    """Thin lines whose slopes are whole orders, by panel of ``frame`` (``panel``, ``x``, ``mean``):
    they leave the lower left corner of its points. Where an error runs along the guide of order
    k, it falls as the k-th power of the size."""
    found = {}
    for panel, rows in frame[frame["mean"] > 0].groupby("panel"):
        left, right = float(rows["x"].min()), float(rows["x"].max())
        start = float(rows.loc[rows["x"] == left, "mean"].min()) / 2
        found[str(panel)] = [
            Reference(
                x=(left, right), y=(start, start * (right / left) ** order), label=f"order {order}"
            )
            for order in orders
        ]
    return found


def slopes(errors: pd.DataFrame) -> pd.DataFrame:
    """One row per step and state of :func:`errors`, the measured order at each temperature, and
    the expected one."""
    keys = ["step", "state", "order"]
    wide = errors.pivot_table("slope", keys, "temperature", "first", sort=False)
    return wide.rename_axis(columns=None).reset_index().rename(columns={"order": "expected order"})


def by_size(
    estimates: Mapping[tuple[str, str], Callable[[State], Tensor]],
    states: Iterable[State],
    sizes: Sequence[float],
) -> pd.DataFrame:
    """Numbers of every state as Δz is scaled, for ``figures.lines``: a panel for each state, a
    line for each of ``estimates``, which has functions by name and quantity (``measured``,
    ``theorem``, ``bounded`` or ``exact``)."""
    return pd.DataFrame(
        {
            "panel": state.name[0].upper() + state.name[1:],
            "series": name,
            "quantity": quantity,
            "space": "probability",
            "x": size,
            "mean": float(function(state.scaled(size))),
        }
        for state in states
        for (name, quantity), function in estimates.items()
        for size in sizes
    )


def tabled(
    cases: Mapping[str, State], columns: Mapping[str, Callable[[State], Side]]
) -> pd.DataFrame:
    """One row per case, with a number for each of ``columns``."""
    return pd.DataFrame(
        {"case": name} | {column: float(function(s)) for column, function in columns.items()}
        for name, s in cases.items()
    )
