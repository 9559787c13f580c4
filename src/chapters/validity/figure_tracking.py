"""How far an estimate can be trusted: a cloud of single comparisons over their size.

Every point is one comparison of an estimate with what was measured. Where the cloud leaves the
neutral line, the estimate stops being valid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.scales import Range
from reporting.figures.specification import Line, Panel, Reference
from reporting.figures.style import SPACES, STYLES, Style, ramp, style_of

COLUMNS = ("panel", "series", "x", "y")
AGREEMENT = Reference(x=(1e-30, 1e30), y=(1.0, 1.0), label="estimate = truth")
_MARKERS = ("circle", "square", "diamond", "triangle", "cross")


def estimate_scatter(
    frame: pd.DataFrame,
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
    x_label: str,
    y_label: str | Mapping[str, str],
    x_scale: str = "log",
    y_scale: str = "log",
    x_range: Range | None = None,
    y_range: Range | None = None,
    references: Sequence[Reference] = (AGREEMENT,),
    alt: str | None = None,
) -> FigureOutput:
    """Points of `y` (such as estimate / truth) over `x` (the size of the perturbation).

    `frame` has the columns `panel`, `series`, `x`, `y`, and optionally `space` (hue; a series
    named like a space has that hue), `point` (the point's name, such as "attention, layer 12"),
    `called_out` (bool) and `call` (the text beside a point that is called out; its name without
    it). `references` are drawn in every panel. Labels carry the unit; `y_label` is one text, or
    one for each panel.
    """
    data = _prepared(frame)
    if data.empty:
        raise ValueError(f"figure {name!r} has no rows to draw")
    styles = _styles(data)
    panels = [
        Panel(
            title=str(panel),
            lines=[_cloud(part, styles[key]) for key, part in rows.groupby("series", sort=False)],
            x_label=x_label,
            y_label=y_label if isinstance(y_label, str) else y_label[str(panel)],
            x_scale=x_scale,
            y_scale=y_scale,
            x_range=x_range,
            y_range=y_range,
            references=tuple(references),
        )
        for panel, rows in data.groupby("panel", sort=False)
    ]
    return FigureOutput.of(
        panels, data, alt=alt or "", name=name, title=title, caption=caption, provenance=provenance
    )


def _prepared(frame: pd.DataFrame) -> pd.DataFrame:
    if missing := [column for column in COLUMNS if column not in frame.columns]:
        raise ValueError(f"the table lacks the columns {', '.join(missing)}")
    data = frame.reset_index(drop=True)
    if "point" not in data:
        data = data.assign(point=data["series"])
    called = data["called_out"].fillna(False).astype(bool) if "called_out" in data else False
    data = data.assign(called_out=called)
    texts = data["call"] if "call" in data else data["point"]
    data["call"] = texts.fillna(data["point"]).where(data["called_out"], "")
    if "space" not in data:
        data["space"] = [each if each in SPACES else "dense" for each in data["series"]]
    if unknown := sorted(set(data["space"]) - set(STYLES)):
        raise ValueError(f"unknown space {unknown[0]!r}: use one of {', '.join(STYLES)}")
    order = ("panel", "series", "space", "point", "x", "y", "called_out", "call")
    return data.loc[:, list(order)]


def _styles(data: pd.DataFrame) -> dict[str, Style]:
    """Hue by space; series of one space differ in shade and marker."""
    styles: dict[str, Style] = {}
    for space, rows in data.groupby("space", sort=False):
        names = list(dict.fromkeys(rows["series"]))
        if len(names) == 1:
            base = style_of(str(space))
            styles[names[0]] = Style(
                base.colour, "circle" if base.marker == "none" else base.marker
            )
            continue
        for index, (each, shade) in enumerate(
            zip(names, ramp(str(space), len(names)), strict=True)
        ):
            styles[each] = Style(shade.colour, _MARKERS[index % len(_MARKERS)])
    return styles


def _cloud(part: pd.DataFrame, style: Style) -> Line:
    return Line(
        x=part["x"].astype(float).tolist(),
        mean=part["y"].astype(float).tolist(),
        style=style,
        label=str(part["series"].iloc[0]),
        points=part["point"].astype(str).tolist(),
        calls=part["call"].astype(str).tolist(),
        mode="points",
        value="value",
    )
