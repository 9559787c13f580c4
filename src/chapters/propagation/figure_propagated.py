"""In place beside at the output: how far one sublayer's removal reaches, attention above MLP.

The input holds, for each space, one row for each sublayer and layer: `sublayer`, `layer`,
`layers`, `here` and `there` (1 − cosine in place and at the output), their `ratio` with `low`
and `high`, and `n` prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.layers import DEPTH, SUBLAYERS
from reporting.figures.specification import Line, Panel, Reference
from reporting.figures.style import SPACES

COLUMNS = ("sublayer", "layer", "layers", "here", "there", "ratio", "low", "high", "n")
ENDS = (1e-12, 1e12)  # of a diagonal on logarithmic axes: beyond any deviation


def in_place_and_output(frames: Mapping[str, pd.DataFrame], **words: Any) -> FigureOutput:
    """A point for each sublayer and space, in place to the right and at the output upwards."""
    data = _joined(frames)

    def line(part: pd.DataFrame, space: str) -> Line:
        return Line(
            x=part["here"].tolist(),
            mean=part["there"].tolist(),
            n=part["n"].tolist(),
            style=space,
            label=space,
            points=_points(part),
            mode="points",
            value="1 − cos at the output, mean",
        )

    options = {
        "x_label": "1 − cosine in place (log scale)",
        "y_label": "1 − cosine at the output (log scale)",
        "x_scale": "log",
        "y_scale": "log",
        "references": (Reference(x=ENDS, y=ENDS, label="output = in place"),),
    }
    return _figure(data, line, options, words)


def amplification(frames: Mapping[str, pd.DataFrame], **words: Any) -> FigureOutput:
    """Output over in place at each layer: above 1 the deviation grew, below 1 it shrank."""
    data = _joined(frames)

    def line(part: pd.DataFrame, space: str) -> Line:
        return Line(
            x=(part["layer"] / (part["layers"] - 1).clip(lower=1)).tolist(),
            mean=part["ratio"].tolist(),
            low=part["low"].tolist(),
            high=part["high"].tolist(),
            n=part["n"].tolist(),
            style=space,
            label=space,
            points=_points(part),
            value="output / in place",
            edges="interval over prompts",
        )

    options = {
        "x_label": DEPTH,
        "y_label": "1 − cosine, output / in place (log scale)",
        "x_range": (-0.02, 1.02),
        "y_scale": "log",
        "references": (Reference(x=(-1.0, 2.0), y=(1.0, 1.0), label="unchanged on its way"),),
    }
    return _figure(data, line, options, words)


def _joined(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    parts = []
    for space in SPACES:
        if missing := [column for column in COLUMNS if column not in frames[space].columns]:
            raise ValueError(f"the table lacks the columns {', '.join(missing)}")
        parts.append(frames[space].loc[:, list(COLUMNS)].assign(space=space))
    data = pd.concat(parts, ignore_index=True)
    return data.sort_values("layer", kind="stable", ignore_index=True)


def _points(part: pd.DataFrame) -> list[str]:
    rows = zip(part["sublayer"], part["layer"], part["layers"], strict=True)
    return [f"{SUBLAYERS[kind]}, layer {layer} of 0–{layers - 1}" for kind, layer, layers in rows]


def _figure(
    data: pd.DataFrame, line: Any, options: Mapping[str, Any], words: Mapping[str, Any]
) -> FigureOutput:
    """Attention above MLP, one line for each space; ``words`` are those of the figure."""
    panels = []
    for key, title in SUBLAYERS.items():
        rows = data[data["sublayer"] == key]
        lines = [line(rows[rows["space"] == space], space) for space in SPACES]
        panels.append(Panel(title=title, lines=lines, **options))
    return FigureOutput.of(panels, data, **words)
