"""Figures over decoding steps: what was measured at each step, and what a formula says of it.

One panel for each value of the column `panel`, one line for each `series` in it. The `quantity`
says what kind of number a line holds, so that truth and estimate are told apart by width, dash
and marker as well as by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.scales import SCALES, Range
from reporting.figures.specification import Line, Panel, Reference
from reporting.figures.style import QUANTITIES, STYLES, Style, series_styles

COLUMNS = ("panel", "series", "step", "mean")
STEP = "decoding step"
WORDS = {"measured": "mean", "reported": "reported"}


def step_series(
    frame: pd.DataFrame,
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
    panels: Sequence[str] | None = None,
    y_labels: Mapping[str, str] | str,
    y_scale: str | Mapping[str, str] = "linear",
    y_range: Range | Mapping[str, Range] | None = None,
    x_label: str = STEP,
    unit: str = "step",
    references: Mapping[str, Sequence[Reference]] | None = None,
    band: bool = True,
    edges: str = "lowest single values",
    direct: bool = True,
    alt: str | None = None,
) -> FigureOutput:
    """Lines over decoding steps, one panel for each value of `panel`, in order of appearance.

    `frame` is long: `panel`, `series` (the line's name), `step` (int), `mean`; and optionally
    `low` and `high` (the band), `n`, `space` (hue; neutral without it) and `quantity`
    (`measured` without it; one of `QUANTITIES`). `panels` selects and orders panels. `y_labels`
    carries the unit: a text for all panels or one for each; panels with the same one share
    their y range. `y_scale`, `y_range` likewise. `edges` says in the alternative text what the
    band's lower edge is, and `unit` what a point is. Without `direct`, only the key names the
    lines.
    """
    data = _prepared(frame)
    names = list(dict.fromkeys(data["panel"])) if panels is None else list(panels)
    data = data[data["panel"].isin(names)].reset_index(drop=True)
    if missing := [each for each in names if not (data["panel"] == each).any()]:
        raise ValueError(f"figure {name!r} has no rows for the panel {missing[0]!r}")
    if data.empty:
        raise ValueError(f"figure {name!r} has no rows to draw")
    styles = series_styles(data)

    def lines(rows: pd.DataFrame) -> list[Line]:
        groups = rows.groupby(["series", "space", "quantity"], sort=False)
        return [
            _line(part, styles[key], band and styles[key].marker != "none", edges, direct, unit)
            for key, part in groups
        ]

    drawn = [
        Panel(
            title=each,
            lines=lines(data[data["panel"] == each]),
            x_label=x_label,
            y_label=_for_panel(y_labels, each, "y_labels"),
            y_scale=_for_panel(y_scale, each, "y_scale", SCALES[0]),
            y_range=y_range.get(each) if isinstance(y_range, Mapping) else y_range,
            x_whole=True,
            references=tuple((references or {}).get(each, ())),
        )
        for each in names
    ]
    return FigureOutput.of(
        drawn, data, alt=alt or "", name=name, title=title, caption=caption, provenance=provenance
    )


def _prepared(frame: pd.DataFrame) -> pd.DataFrame:
    """The known columns in a fixed order, with what may be absent filled in."""
    if missing := [column for column in COLUMNS if column not in frame.columns]:
        raise ValueError(f"the table lacks the columns {', '.join(missing)}")
    data = frame.copy()
    for column, usual in (("space", "dense"), ("quantity", "measured")):
        data[column] = data[column].fillna(usual) if column in data else usual
    for column, known in (("space", tuple(STYLES)), ("quantity", QUANTITIES)):
        if unknown := sorted(set(data[column]) - set(known)):
            raise ValueError(f"unknown {column} {unknown[0]!r}: use one of {', '.join(known)}")
    order = ("panel", "series", "space", "quantity", "step", "mean", "low", "high", "n")
    return data.loc[:, [column for column in order if column in data.columns]].reset_index(
        drop=True
    )


def _line(
    part: pd.DataFrame, style: Style, band: bool, edges: str, direct: bool, unit: str
) -> Line:
    rows = part.sort_values("step", kind="stable")
    label, quantity = str(rows["series"].iloc[0]), str(rows["quantity"].iloc[0])
    if rows["step"].duplicated().any():
        raise ValueError(f"line {label!r} has more than one row for a step: average them first")
    banded = {"low", "high"} <= set(rows.columns) and bool(
        rows[["low", "high"]].notna().any().all()
    )
    counted = "n" in rows.columns and bool(rows["n"].notna().all())
    return Line(
        x=rows["step"].tolist(),
        mean=rows["mean"].astype(float).tolist(),
        low=rows["low"].astype(float).tolist() if banded else None,
        high=rows["high"].astype(float).tolist() if banded else None,
        n=[int(count) for count in rows["n"]] if counted else None,
        style=style,
        label=label,
        end_label=None if direct else "",
        points=[f"{unit} {step}" for step in rows["step"]],
        band=band and quantity != "reported",
        value=WORDS.get(quantity, "value"),
        edges=edges,
    )


def _for_panel(given: Mapping[str, str] | str, panel: str, option: str, usual: str = "") -> str:
    """One text for all panels, or the panel's own."""
    if isinstance(given, str):
        return given
    if panel not in given and not usual:
        raise ValueError(f"{option} has no entry for the panel {panel!r}")
    return given.get(panel, usual)
