"""Lines over any number, such as a margin, a predicted chance, or the distance from a parting.

One panel for each value of `panel`, one line for each `series`, in the look of `step_series`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.scales import Range
from reporting.figures.specification import Line, Panel, Reference
from reporting.figures.style import QUANTITIES, STYLES, Style, series_styles

COLUMNS = ("panel", "series", "space", "quantity", "x", "point", "mean", "low", "high", "n")
DIAGONAL = Reference(x=(0.0, 1.0), y=(0.0, 1.0), label="predicted = measured")


def curves(
    frame: pd.DataFrame,
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
    x_label: str | Mapping[str, str],
    y_label: str | Mapping[str, str],
    x_range: Range | None = None,
    y_range: Range | None = None,
    references: Mapping[str, Sequence[Reference]] | None = None,
    edges: str = "interval",
) -> FigureOutput:
    """`frame` has the columns `COLUMNS`: `point` names a point in words; `low` and `high` are the
    band, missing where there is none; `space` is a hue and `quantity` one of `QUANTITIES`.

    Labels carry the unit, one text or one for each panel; panels with the same one share a range.
    `references` are drawn in the panels that they are given for.
    """
    if missing := [column for column in COLUMNS if column not in frame.columns]:
        raise ValueError(f"the table lacks the columns {', '.join(missing)}")
    for column, known in (("space", tuple(STYLES)), ("quantity", QUANTITIES)):
        if unknown := sorted(set(frame[column]) - set(known)):
            raise ValueError(f"unknown {column} {unknown[0]!r}: use one of {', '.join(known)}")
    data = frame.loc[:, list(COLUMNS)].reset_index(drop=True)
    if data.empty:
        raise ValueError(f"figure {name!r} has no rows to draw")
    styles = series_styles(data)
    panels = [
        Panel(
            title=str(panel),
            lines=[
                _line(part, styles[key], edges)
                for key, part in rows.groupby(["series", "space", "quantity"], sort=False)
            ],
            x_label=x_label if isinstance(x_label, str) else x_label[str(panel)],
            y_label=y_label if isinstance(y_label, str) else y_label[str(panel)],
            x_range=x_range,
            y_range=y_range,
            references=tuple((references or {}).get(str(panel), ())),
        )
        for panel, rows in data.groupby("panel", sort=False)
    ]
    return FigureOutput.of(
        panels, data, name=name, title=title, caption=caption, provenance=provenance
    )


def _line(part: pd.DataFrame, style: Style, edges: str) -> Line:
    rows = part.sort_values("x", kind="stable")
    banded = bool(rows[["low", "high"]].notna().all(axis=None))
    return Line(
        x=rows["x"].astype(float).tolist(),
        mean=rows["mean"].astype(float).tolist(),
        low=rows["low"].astype(float).tolist() if banded else None,
        high=rows["high"].astype(float).tolist() if banded else None,
        n=[int(count) for count in rows["n"]],
        style=style,
        label=str(rows["series"].iloc[0]),
        points=rows["point"].astype(str).tolist(),
        band=style.marker != "none",
        value="measured" if rows["quantity"].iloc[0] == "measured" else "value",
        edges=edges,
    )
