"""Figures over the number of outputs that read a state: one panel for each lens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.scales import Range, extent
from reporting.figures.specification import Line, Panel, Reference
from reporting.figures.style import Style, quantity_style, style_of

COLUMNS = ("panel", "series", "width", "mean", "low", "high", "n")
WIDTH = "number of outputs (log scale)"
STYLES: dict[str, Style] = {
    "linear": style_of("logit"),
    "softmax at unit spread": quantity_style("probability", "bounded"),
    "softmax": style_of("probability"),
    "random vocabulary": style_of("logit"),
    "random projection": replace(quantity_style("logit", "bounded"), marker="circle"),
}
ENDS = (1.0, 1e9)


def width_profile(
    frame: pd.DataFrame,
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
    y_label: str,
    y_scale: str = "linear",
    y_range: Range | None = None,
    levels: Mapping[str, Mapping[str, float]] | None = None,
) -> FigureOutput:
    """Means with 95% intervals over the number of outputs; `frame` has the columns of `COLUMNS`.

    `series` is one of the names in `STYLES`. `levels` gives, for each panel, heights of neutral
    lines to compare with, by their name; without `y_range` the axes reach to them.
    """
    if missing := [column for column in COLUMNS if column not in frame.columns]:
        raise ValueError(f"the table lacks the columns {', '.join(missing)}")
    if unknown := sorted(set(frame["series"]) - set(STYLES)):
        raise ValueError(f"unknown series {unknown[0]!r}: use one of {', '.join(STYLES)}")
    data = frame.loc[:, list(COLUMNS)]
    if y_range is None and levels:
        heights = [height for each in levels.values() for height in each.values()]
        ends = data[["mean", "low", "high"]].to_numpy().ravel().tolist()
        y_range = extent([], [*ends, *heights], y_scale)
    panels = [
        Panel(
            title=str(panel),
            lines=[_line(part) for _, part in rows.groupby("series", sort=False)],
            x_label=WIDTH,
            y_label=y_label,
            x_scale="log",
            y_scale=y_scale,
            y_range=y_range,
            references=tuple(
                Reference(x=ENDS, y=(height, height), label=label)
                for label, height in (levels or {}).get(str(panel), {}).items()
            ),
        )
        for panel, rows in data.groupby("panel", sort=False)
    ]
    return FigureOutput.of(
        panels, data, name=name, title=title, caption=caption, provenance=provenance
    )


def _line(part: pd.DataFrame) -> Line:
    label = str(part["series"].iloc[0])
    return Line(
        x=part["width"].tolist(),
        mean=part["mean"].tolist(),
        low=part["low"].tolist(),
        high=part["high"].tolist(),
        n=[int(count) for count in part["n"]],
        style=STYLES[label],
        label=label,
        points=[f"{width:,} outputs" for width in part["width"]],
        edges="95% interval over prompts",
    )
