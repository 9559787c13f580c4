"""What is left of a score, against how much was removed: tasks that choose, search and generate.

The kind of task is a hue of its own, apart from those of the three spaces; kinds differ in marker
and dash too. Methods and targets are panels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.scales import Range, Tick
from reporting.figures.specification import Line, Panel, Reference
from reporting.figures.style import Style

COLUMNS = ("panel", "series", "kind", "source", "x", "point", "mean", "low", "high", "n")
KINDS = {
    "choosing": Style("#8358B0", "circle"),
    "generating": Style("#A06A00", "triangle", "7px,3px"),
    "searching": Style("#4E7D94", "square", "2px,3px"),
}
SOURCES = ("measured", "reported")
KEPT = "share of the score above guessing that is kept"
_MORE = (  # further series of one kind: no kind's own marker and dash
    ("diamond", "9px,3px,2px,3px"),
    ("cross", "5px,2px"),
    ("diamond", "14px,4px"),
    ("cross", "3px,2px"),
)


def score_curves(
    frame: pd.DataFrame,
    *,
    x_label: str,
    y_label: str = KEPT,
    x_ticks: Sequence[Tick] = (),
    y_range: Range | None = None,
    references: Sequence[Reference] = (),
    edges: str = "95% interval",
    **words: Any,
) -> FigureOutput:
    """Scores against an amount: one panel for each value of `panel`, one line for each `series`.

    `frame` has the columns `COLUMNS`, one row for each point: `kind` is one of `KINDS`, `source`
    is `measured` or `reported` (thin, hollow, no band); `x` is a number of sublayers, a share, or
    the place of a category, whose names are `x_ticks`; `point` names the point, such as `Drop-8A`;
    `low` and `high` are the band, and `n` the questions, missing where there is none. A missing
    `mean` breaks the line. Without `y_range` the axis holds every point and 0 to 1; bands that
    reach further end at its edge. `words` are the name, title, caption and provenance.
    Raises ValueError for a table without these columns, without rows, or with another kind.
    """
    if missing := [column for column in COLUMNS if column not in frame.columns]:
        raise ValueError(f"the table lacks the columns {', '.join(missing)}")
    if frame.empty:
        raise ValueError("a figure of scores without a row")
    for column, known in (("kind", tuple(KINDS)), ("source", SOURCES)):
        if unknown := sorted(set(frame[column]) - set(known)):
            raise ValueError(f"unknown {column} {unknown[0]!r}: use one of {', '.join(known)}")
    data = frame.loc[:, list(COLUMNS)].reset_index(drop=True)
    looks = styles(data)
    limits = y_range or _limits(data["mean"].dropna().astype(float))
    panels = [
        Panel(
            title=str(panel),
            lines=[
                _line(part, looks[str(series)], edges)
                for series, part in rows.groupby("series", sort=False, observed=True)
            ],
            x_label=x_label,
            y_label=y_label,
            y_range=limits,
            x_whole=not x_ticks,
            x_ticks=x_ticks,
            references=references,
        )
        for panel, rows in data.groupby("panel", sort=False, observed=True)
    ]
    return FigureOutput.of(panels, data, **words)


def _limits(means: pd.Series) -> Range:
    """Every point with some room, and at least what lies between guessing and the dense model."""
    return (min(-0.1, means.min() - 0.05), max(1.15, means.max() + 0.05))


def styles(data: pd.DataFrame) -> dict[str, Style]:
    """A style for each series: the hue of its kind, and where a kind has several series of one
    source, other dashes and markers."""
    looks: dict[str, Style] = {}
    named = data[["series", "kind", "source"]].drop_duplicates().astype(str)
    for (kind, _), rows in named.groupby(["kind", "source"], sort=False):
        base = KINDS[str(kind)]
        for index, series in enumerate(rows["series"]):
            more = _MORE[(index - 1) % len(_MORE)]
            looks[str(series)] = Style(base.colour, *more) if index else base
    return looks


def _line(part: pd.DataFrame, style: Style, edges: str) -> Line:
    rows = part.sort_values("x", kind="stable")
    banded = bool(rows[["low", "high"]].notna().any(axis=None))
    counted = bool(rows["n"].notna().all())
    return Line(
        x=rows["x"].astype(float).tolist(),
        mean=rows["mean"].astype(float).tolist(),
        low=rows["low"].astype(float).tolist() if banded else None,
        high=rows["high"].astype(float).tolist() if banded else None,
        n=[int(count) for count in rows["n"]] if counted else None,
        style=style,
        label=str(rows["series"].iloc[0]),
        points=rows["point"].astype(str).tolist(),
        reported=bool(rows["source"].iloc[0] == "reported"),
        value="score",
        edges=edges,
    )
