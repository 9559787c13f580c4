"""Noise under a signal: what several ways of computing change, far below what dropping changes.

The input holds one row for each line, sublayer and layer: `label`, `sublayer`, `layer`, `layers`,
`value`, `low`, `high` and `n`. One label is the signal; the others are noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.layers import DEPTH, SUBLAYERS
from reporting.figures.specification import Line, Panel
from reporting.figures.style import Style, ramp, style_of

LOWEST = 1e-18  # far below float64's resolution beside 1: what lies there tells nothing
COLUMNS = ("label", "sublayer", "layer", "layers", "value", "low", "high", "n")


def noise_profile(
    frame: pd.DataFrame,
    signal: str,
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
    space: str = "probability",
) -> FigureOutput:
    """1 − cosine at every layer on a logarithmic scale: one line for each label.

    The line of the label `signal` has the full style of `space`, the others, in the order in
    which they appear, shades towards it. A value of 0 has no place on the scale and breaks its
    line; below `LOWEST` lines leave the panel.
    """
    if missing := [column for column in COLUMNS if column not in frame.columns]:
        raise ValueError(f"the table lacks the columns {', '.join(missing)}")
    data = frame.loc[:, list(COLUMNS)].sort_values("layer", kind="stable", ignore_index=True)
    others = [label for label in dict.fromkeys(frame["label"]) if label != signal]
    looks = dict(zip(others, ramp(space, len(others) + 1), strict=False))
    looks[signal] = style_of(space)
    drawn = data.loc[data["value"] > LOWEST, "value"]
    limits = (drawn.min() / 3, 3 * drawn.max()) if len(drawn) else (LOWEST, 1.0)
    panels = [
        Panel(
            title=words,
            lines=[
                _line(part, looks[label])
                for label in (signal, *others)
                if len(part := rows[rows["label"] == label])
            ],
            x_label=DEPTH,
            y_label=f"1 − cosine, {space} space (log scale)",
            x_range=(-0.02, 1.02),
            y_range=limits,
            y_scale="log",
        )
        for key, words in SUBLAYERS.items()
        if len(rows := data[data["sublayer"] == key])
    ]
    return FigureOutput.of(
        panels, data, name=name, title=title, caption=caption, provenance=provenance
    )


def _line(part: pd.DataFrame, look: Style) -> Line:
    last = (part["layers"] - 1).clip(lower=1)
    return Line(
        x=(part["layer"] / last).tolist(),
        mean=part["value"].tolist(),
        low=part["low"].tolist(),
        high=part["high"].tolist(),
        n=part["n"].tolist(),
        band=False,
        style=look,
        label=str(part["label"].iloc[0]),
        points=[
            f"layer {layer} of 0–{layers - 1}"
            for layer, layers in zip(part["layer"], part["layers"], strict=True)
        ],
        value="median",
    )
