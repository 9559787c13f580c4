"""Figures of one text on its way through the layers: its state, and what two lenses read of it.

The x axis counts the layers that the state has passed, 0 for the token embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reporting.figures.alternative import describe
from reporting.figures.html import FigureOutput
from reporting.figures.specification import Figure, Line, Panel, cosine_range
from reporting.figures.style import Style, ramp

LAYERS = "layers passed (0 = token embedding)"
STATE = "state of the last token"
LENSES = ("raw", "normed")


def state_profile(
    frame: pd.DataFrame, *, name: str, title: str, caption: str, provenance: Mapping[str, Any]
) -> FigureOutput:
    """Length of a state and how far each layer turns it: columns `layer`, `norm`, `cosine`, the
    last one missing at the embedding."""
    turned = frame.dropna(subset="cosine")
    panels = [
        Panel(
            title="Length",
            lines=[_line(frame, "norm", "embedding", STATE)],
            x_label=LAYERS,
            y_label="norm ‖h‖ of the last token's state",
            y_range=(0.0, 1.05 * float(frame["norm"].max())),
        ),
        Panel(
            title="Direction",
            lines=[_line(turned, "cosine", "embedding", STATE)],
            x_label=LAYERS,
            y_label="cosine to the state one layer before (1 = not turned)",
            y_range=cosine_range(turned["cosine"]),
        ),
    ]
    return _output(panels, frame, name, title, caption, provenance)


def lens_profile(
    frame: pd.DataFrame,
    *,
    token: str,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
) -> FigureOutput:
    """What the raw and the normed lens read of each layer's state: columns `lens`, `layer`,
    `probability` (of `token`) and `entropy` (nats)."""
    styles = dict(zip(LENSES, ramp("probability", len(LENSES)), strict=True))
    labels = {
        "probability": (f"Probability of {token}", "probability (1 = certain)", (-0.03, 1.03)),
        "entropy": ("How undecided", "entropy of p in nats (0 = certain)", None),
    }
    panels = [
        Panel(
            title=heading,
            lines=[
                _line(frame[frame["lens"] == lens], column, style, f"{lens} lens")
                for lens, style in styles.items()
            ],
            x_label=LAYERS,
            y_label=y_label,
            y_range=limits,
        )
        for column, (heading, y_label, limits) in labels.items()
    ]
    data = frame[["lens", "layer", "probability", "entropy"]]
    return _output(panels, data, name, title, caption, provenance)


def _line(rows: pd.DataFrame, column: str, style: str | Style, label: str) -> Line:
    ordered = rows.sort_values("layer")
    return Line(
        x=ordered["layer"].tolist(),
        mean=ordered[column].tolist(),
        style=style,
        label=label,
        end_label="" if isinstance(style, str) else None,
        points=[f"after {layer} layers" for layer in ordered["layer"]],
    )


def _output(
    panels: list[Panel],
    data: pd.DataFrame,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
) -> FigureOutput:
    alt = describe(panels)
    return FigureOutput(
        Figure(
            name=name,
            title=title,
            caption=caption,
            alt=alt,
            panels=panels,
            data=data,
            provenance=provenance,
        )
    )
