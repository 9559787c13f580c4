"""Two ways for a text to collapse, in one plane: repeating itself, and becoming unlikely.

Every point is one text. Dense texts are neutral; pruned ones have the hue of probabilities, since
what is unlikely is read from them, and a marker for how much was removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.specification import Line, Panel, Reference
from reporting.figures.style import Style, style_of

COLUMNS = ("panel", "series", "amount", "point", "x", "y")
_LOOKS = {
    "dense": Style(style_of("dense").colour, "circle"),
    "some": Style(style_of("probability").colour, "square", thin=True, size=7.0),
    "all": Style(style_of("probability").colour, "diamond", size=7.0),
}


def collapse_plane(
    frame: pd.DataFrame,
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
    x_label: str,
    y_label: str,
    yardstick: float | None = None,
) -> FigureOutput:
    """Texts by how much they vary (`x`) and how unlikely they are (`y`), one panel each for what is
    removed.

    `frame` has the columns `panel`, `series` (the writer), `amount` (`dense`, `some` or `all` of
    what is removed), `point` (the prompt), `x` and `y`. Texts too short for a value are left out.
    `yardstick` is the mean y of usual texts, drawn as a line.
    """
    if missing := [column for column in COLUMNS if column not in frame.columns]:
        raise ValueError(f"the table lacks the columns {', '.join(missing)}")
    data = frame.loc[:, list(COLUMNS)].dropna(subset=["x", "y"]).reset_index(drop=True)
    if data.empty:
        raise ValueError(f"figure {name!r} has no rows to draw")
    level = () if yardstick is None else ((yardstick, yardstick),)
    usual = tuple(Reference(x=(0, 1), y=y, label="dense model, drawn at random") for y in level)
    panels = [
        Panel(
            title=str(panel),
            lines=[_cloud(part) for _, part in rows.groupby("series", sort=False)],
            x_label=x_label,
            y_label=y_label,
            references=usual,
        )
        for panel, rows in data.groupby("panel", sort=False)
    ]
    return FigureOutput.of(
        panels, data, name=name, title=title, caption=caption, provenance=provenance
    )


def _cloud(part: pd.DataFrame) -> Line:
    return Line(
        x=part["x"].tolist(),
        mean=part["y"].tolist(),
        style=_LOOKS[str(part["amount"].iloc[0])],
        label=str(part["series"].iloc[0]),
        points=part["point"].astype(str).tolist(),
        mode="points",
        value="nats per token",
    )
