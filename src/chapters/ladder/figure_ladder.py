"""The candidate-set ladder: accuracy against the number of candidates, for several models."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.scales import Tick
from reporting.figures.specification import Line, Panel, Reference
from reporting.figures.style import Style, style_of

COLUMNS = ("kind", "setting", "size", "point", "mean", "low", "high", "n")
PANELS = {
    "random": "Random rivals",
    "matched": "Rivals next to the answer in dense rank",
    "kind": "Answers of the same kind, then all tokens",
}
X_LABEL, Y_LABEL = "number of candidates, up to all tokens (log scale)", "accuracy"
GUESSING = "guessing"
# one hue for each way to prune, apart from those of the spaces; within it the amount darkens
_HUES = (("#AA80D6", "#8C52BE"), ("#D4637F", "#B03A5B"), ("#C28A00", "#946000"))
_MARKERS = ("circle", "triangle", "square", "cross")
_DASHES = ("", "6px,3px", "2px,3px", "9px,3px,2px,3px")


def candidate_ladder(
    frame: pd.DataFrame,
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
) -> FigureOutput:
    """One panel for each `kind` of candidates, one line for each `setting`, the dense model first.

    `frame` has the columns `COLUMNS`, as from `ladder_summary.Ladders.curve`: `size` is the number
    of candidates, `point` says it in words, `low` and `high` are the interval (missing if there is
    none) and `n` the questions. The largest size is the whole vocabulary; among answers of one
    kind no line leads there. Raises ValueError for a table without these columns or rows.
    """
    if missing := [column for column in COLUMNS if column not in frame.columns]:
        raise ValueError(f"the table lacks the columns {', '.join(missing)}")
    if frame.empty:
        raise ValueError(f"figure {name!r} has no rows to draw")
    data = frame.loc[:, list(COLUMNS)].reset_index(drop=True)
    whole = int(data["size"].max())
    looks = setting_styles([str(setting) for setting in data["setting"].unique()])
    panels = [
        Panel(
            title=PANELS[str(kind)],
            lines=[
                _line(part, looks[str(setting)], whole if kind == "kind" else 0)
                for setting, part in rows.groupby("setting", sort=False)
            ],
            x_label=X_LABEL,
            y_label=Y_LABEL,
            x_range=(1.7, 1.12 * whole),
            y_range=(-0.03, 1.04),
            x_scale="log",
            x_ticks=_ticks(whole),
            references=(_guessing(whole),),
        )
        for kind, rows in data.groupby("kind", sort=False)
    ]
    return FigureOutput.of(
        panels, data, name=name, title=title, caption=caption, provenance=provenance
    )


def setting_styles(names: Sequence[str]) -> dict[str, Style]:
    """A style for each setting, the first of them the dense model in grey.

    Settings that differ in amount alone, such as `Drop-2M` and `Drop-4M`, share hue and marker;
    the first is lighter, and dashes tell them apart without colour.
    """
    looks = {names[0]: Style(style_of("dense").colour, "diamond")}
    seen: dict[str, int] = {}
    for setting in names[1:]:
        way = re.sub(r"[\d.:%]+", "", setting).strip()
        place = list(seen).index(way) if way in seen else len(seen)
        count = seen.get(way, 0)
        seen[way] = count + 1
        shades = _HUES[place % len(_HUES)]
        looks[setting] = Style(
            shades[min(count, len(shades) - 1)],
            _MARKERS[place % len(_MARKERS)],
            _DASHES[count % len(_DASHES)],
        )
    return looks


def _line(part: pd.DataFrame, style: Style, apart: int) -> Line:
    """The line of one setting; the point at size `apart`, if it is not 0, stands alone."""
    rows = part.sort_values("size", kind="stable")
    if apart and (rows["size"] == apart).any():
        gap = rows.iloc[[-1]].assign(mean=float("nan"), low=float("nan"), high=float("nan"))
        rows = pd.concat([rows.iloc[:-1], gap, rows.iloc[[-1]]])
    banded = bool(rows[["low", "high"]].notna().any(axis=None))
    return Line(
        x=rows["size"].astype(float).tolist(),
        mean=rows["mean"].astype(float).tolist(),
        low=rows["low"].astype(float).tolist() if banded else None,
        high=rows["high"].astype(float).tolist() if banded else None,
        n=[int(count) for count in rows["n"]],
        style=style,
        label=str(rows["setting"].iloc[0]),
        points=rows["point"].astype(str).tolist(),
        value="accuracy",
        edges="95% interval",
    )


def _ticks(whole: int) -> list[Tick]:
    """Powers of 8 times 2, as far as they stand clear of the last tick, the whole vocabulary."""
    found = [2 * 8**power for power in range(8) if 2 * 8**power < whole / 4]
    return [*((float(size), f"{size:,}") for size in found), (float(whole), "all")]


def _guessing(whole: int) -> Reference:
    """1/k, which falls along a curve on a logarithmic axis."""
    steps = [1.7 * (1.12 * whole / 1.7) ** (step / 60) for step in range(61)]
    return Reference(x=steps, y=[1 / size for size in steps], label=GUESSING, dash="1px,3px")
