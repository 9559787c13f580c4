"""Figures over the temperature of the softmax, on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.specification import Line, Panel
from reporting.figures.style import quantity_style

TEMPERATURE = "temperature T (logarithmic)"


def temperature_curves(
    frame: pd.DataFrame,
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
    y_labels: Mapping[str, str],
) -> FigureOutput:
    """Truth and estimates against the temperature, one panel for each value of `panel`.

    `frame` has columns `panel`, `series`, `quantity`, `temperature`, `mean`, `low`, `high` (the
    band, missing where there is none) and `n`. `y_labels` carries the unit of each panel.
    """
    panels = []
    for panel, rows in frame.groupby("panel", sort=False):
        lines = []
        for (series, quantity), part in rows.groupby(["series", "quantity"], sort=False):
            banded = bool(part[["low", "high"]].notna().all(axis=None))
            lines.append(
                Line(
                    x=part["temperature"].tolist(),
                    mean=part["mean"].tolist(),
                    low=part["low"].tolist() if banded else None,
                    high=part["high"].tolist() if banded else None,
                    n=[int(count) for count in part["n"]],
                    style=quantity_style("probability", str(quantity)),
                    label=str(series),
                    points=[f"T = {one:g}" for one in part["temperature"]],
                    band=quantity == "measured",
                    edges="interval",
                )
            )
        panels.append(
            Panel(
                title=str(panel),
                lines=lines,
                x_label=TEMPERATURE,
                y_label=y_labels[str(panel)],
                x_scale="log",
                y_scale="log",
            )
        )
    return FigureOutput.of(
        panels,
        frame.reset_index(drop=True),
        name=name,
        title=title,
        caption=caption,
        provenance=provenance,
    )
