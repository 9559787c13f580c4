"""Figures of estimates against the size of a perturbation: how fast they err, how far they reach.

The size is a factor: at 1 the state is changed as the model itself changes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.specification import Line, Panel, Reference
from reporting.figures.style import quantity_style, ramp

SIZE = "size of Δz, as a share of the state's own"
GUIDES = (2, 3, 4)


def error_orders(
    frame: pd.DataFrame,
    *,
    by: str = "temperature",
    space: str = "probability",
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
    y_label: str,
    x_label: str = SIZE,
    guides: Sequence[int] = GUIDES,
) -> FigureOutput:
    """Error against size on logarithmic axes: one panel for each state, one line for each value
    of the column `by`, and thin guides whose slopes are whole orders.

    `frame` has the columns of `derivations.curves`. Where a line runs along the guide of order
    k, the error falls as the k-th power of the size.
    """
    frame = frame.assign(line=[_label(by, value) for value in frame[by]])
    labels = list(dict.fromkeys(frame["line"]))
    styles = dict(zip(labels, ramp(space, len(labels)), strict=True))
    panels = []
    for state in dict.fromkeys(frame["state"]):
        part = frame[(frame["state"] == state) & (frame["error"] > 0)].sort_values("size")
        panels.append(
            Panel(
                title=state[0].upper() + state[1:],
                lines=[
                    Line(
                        x=rows["size"].tolist(),
                        mean=rows["error"].tolist(),
                        style=styles[str(label)],
                        label=str(label),
                        value="error",
                    )
                    for label, rows in part.groupby("line", sort=False)
                ],
                x_label=x_label,
                y_label=y_label,
                x_scale="log",
                y_scale="log",
                references=[_guide(part, order) for order in guides],
            )
        )
    return _output(panels, frame, name, title, caption, provenance)


def estimate_sizes(
    frame: pd.DataFrame,
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
    y_label: str,
    space: str = "probability",
    highest: float = 1.5,
) -> FigureOutput:
    """Truth and estimates against size, one panel for each state, up to `highest`.

    `frame` has columns `state`, `size`, `estimate` (its name), `quantity` (measured, theorem,
    bounded or exact: the look) and `value`.
    """
    panels = [
        Panel(
            title=state[0].upper() + state[1:],
            lines=[
                Line(
                    x=rows["size"].tolist(),
                    mean=rows["value"].where(rows["value"] <= highest).tolist(),
                    style=quantity_style(space, str(quantity)),
                    label=str(estimate),
                    value="value",
                )
                for (estimate, quantity), rows in part.groupby(["estimate", "quantity"], sort=False)
            ],
            x_label=SIZE,
            y_label=y_label,
            y_range=(-0.03, highest),
        )
        for state, part in frame.groupby("state", sort=False)
    ]
    return _output(panels, frame, name, title, caption, provenance)


def _label(by: str, value: Any) -> str:
    return f"T = {value:g}" if by == "temperature" else str(value)


def _guide(part: pd.DataFrame, order: int) -> Reference:
    """A line of slope `order` that leaves the lower left corner of the points."""
    sizes = part["size"]
    left, right = float(sizes.min()), float(sizes.max())
    start = float(part.loc[sizes == left, "error"].min()) / 2
    return Reference(
        x=(left, right), y=(start, start * (right / left) ** order), label=f"order {order}"
    )


def _output(
    panels: list[Panel],
    frame: pd.DataFrame,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
) -> FigureOutput:
    return FigureOutput.of(
        panels, frame, name=name, title=title, caption=caption, provenance=provenance
    )
