"""Every line chart and every cloud of points of the book, from one tidy frame."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.scales import Range, Tick
from reporting.figures.specification import Line, Panel, Reference
from reporting.figures.style import QUANTITIES, STYLES, Style, series_styles

NEEDED = ("panel", "series", "x", "mean")
OPTIONAL = {"low": None, "high": None, "n": None, "point": "", "call": ""}
USUAL = {"space": "dense", "quantity": "measured"}
LINE = ["series", "space", "quantity"]
T = TypeVar("T")


def lines(
    frame: pd.DataFrame,
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
    x_label: str | Mapping[str, str],
    y_label: str | Mapping[str, str],
    x_scale: str | Mapping[str, str] = "linear",
    y_scale: str | Mapping[str, str] = "linear",
    x_range: Range | Mapping[str, Range] | None = None,
    y_range: Range | Mapping[str, Range] | None = None,
    x_ticks: Sequence[Tick] = (),
    x_whole: bool = False,
    references: Sequence[Reference] | Mapping[str, Sequence[Reference]] = (),
    cloud: bool = False,
    bands: bool = True,
    unbanded: Collection[str] = (),
    edges: str = "95% interval",
    value: str = "mean",
    direct: bool = True,
    styles: Mapping[str, Style] | None = None,
    alt: str = "",
) -> FigureOutput:
    """One panel for each value of the column ``panel``, in order of appearance, and in it one line
    for each ``series``.

    ``frame`` is tidy, a row a point. Needed: ``panel``, ``series`` (the line's name), ``x`` and
    ``mean``. Optional: ``low`` and ``high`` (the band), ``n`` (observations behind the point),
    ``point`` (its name in words), ``call`` (a text written beside it), ``space`` (the hue, one of
    ``STYLES``; neutral grey without it) and ``quantity`` (one of ``QUANTITIES``: what kind of
    number it is; ``measured`` without it). Missing values break a line.

    Labels carry the unit. Labels, scales (``linear`` or ``log``), ranges and ``references`` are one
    for all panels or a mapping by panel; panels whose label is the same share that axis. With
    ``cloud`` there are markers and no lines. ``edges`` and ``value`` say in words what the band and
    the height are. Bands of ``unbanded`` series are told and not drawn. Without ``direct``, only
    the key names the lines. ``styles`` gives series a look of their own, by name, in place of that
    of their space.

    Raises ValueError for a table without the needed columns, without rows, with an unknown space
    or quantity, or with two rows for one point of a line.
    """
    data = _prepared(frame, name)
    looks = series_styles(data, cloud)
    looks |= {key: styles[key[0]] for key in looks if styles and key[0] in styles}
    words = {"value": value, "edges": edges, "cloud": cloud, "direct": direct}
    panels = []
    for panel, rows in data.groupby("panel", sort=False, observed=True):
        parts = rows.groupby(LINE, sort=False, observed=True)
        key = str(panel)
        panels.append(
            Panel(
                title=key,
                lines=[
                    _line(part, looks[each], bands and each[0] not in unbanded, words)
                    for each, part in parts
                ],
                x_label=_one(x_label, key, ""),
                y_label=_one(y_label, key, ""),
                x_scale=_one(x_scale, key, "linear"),
                y_scale=_one(y_scale, key, "linear"),
                x_range=_one(x_range, key, None),
                y_range=_one(y_range, key, None),
                x_ticks=x_ticks,
                x_whole=x_whole,
                references=tuple(_one(references, key, ())),
            )
        )
    shown = data.dropna(axis="columns", how="all").drop(columns="call", errors="ignore")
    return FigureOutput.of(
        panels, shown, alt, name=name, title=title, caption=caption, provenance=provenance
    )


def _prepared(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The known columns, with what may be absent filled in."""
    if missing := [column for column in NEEDED if column not in frame.columns]:
        raise ValueError(f"figure {name!r}: the table lacks the columns {', '.join(missing)}")
    if frame.empty:
        raise ValueError(f"figure {name!r} has no rows to draw")
    data = frame.reset_index(drop=True)
    for column, usual in USUAL.items():
        data[column] = data[column].astype(object).fillna(usual) if column in data else usual
    for column, known in (("space", tuple(STYLES)), ("quantity", QUANTITIES)):
        if unknown := sorted(set(data[column]) - set(known)):
            raise ValueError(f"unknown {column} {unknown[0]!r}: use one of {', '.join(known)}")
    for column, empty in OPTIONAL.items():
        data[column] = data.get(column, empty)
    twice = data.duplicated(["panel", "series", "space", "quantity", "x", "point"])
    if twice.any():
        row = data[twice].iloc[0]
        raise ValueError(f"line {row['series']!r} has more than one row for x = {row['x']}")
    return data[[*NEEDED, *USUAL, *OPTIONAL]]


def _line(part: pd.DataFrame, look: Style, bands: bool, words: dict[str, Any]) -> Line:
    rows = part if words["cloud"] else part.sort_values("x", kind="stable")
    banded = bool(rows[["low", "high"]].notna().any().all())
    reported = rows["quantity"].iloc[0] == "reported"
    points, calls = rows["point"].astype(str).tolist(), rows["call"].astype(str).tolist()
    return Line(
        x=rows["x"],
        mean=rows["mean"],
        low=rows["low"] if banded else None,
        high=rows["high"] if banded else None,
        n=rows["n"].astype(int).tolist() if rows["n"].notna().all() else None,
        look=replace(look, thin=True) if reported else look,
        label=str(rows["series"].iloc[0]),
        points=points if any(points) else None,
        calls=calls if any(calls) else None,
        band=bands and look.marker != "none" and not reported and not words["cloud"],
        reported=reported,
        **words | ({"value": "reported"} if reported else {}),
    )


def _one(given: Any, panel: str, usual: T) -> T | Any:
    """One for all panels, or the panel's own."""
    return given.get(panel, usual) if isinstance(given, Mapping) else given
