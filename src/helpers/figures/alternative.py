"""The alternative text of a figure: what its lines do, in words, for those who do not see it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from helpers.figures.specification import Line, Panel


def describe(panels: Sequence[Panel]) -> str:
    """One sentence on the picture, then one on each panel with the range of every line."""
    count = len(panels)
    opening = "One panel." if count == 1 else f"{count} panels, one above the other."
    return " ".join([opening, *(_panel(panel) for panel in panels)])


def _panel(panel: Panel) -> str:
    lines = "; ".join(_line(line) for line in panel.lines)
    return f"{panel.title}: {panel.y_label} against {panel.x_label}. {lines}."


def _line(line: Line) -> str:
    """The line's name, its lowest and highest mean, and the reach of its band."""
    drawn = [(y, index) for index, y in enumerate(line.mean) if math.isfinite(y)]
    label = f"{line.style} " if line.reported and isinstance(line.style, str) else ""
    if not drawn:
        return f"{label}{line.label} has no values"
    (low, lowest), (high, highest) = min(drawn), max(drawn)
    text = (
        f"{label}{line.label} lies between {low:.2f} ({_where(line, lowest)}) "
        f"and {high:.2f} ({_where(line, highest)})"
    )
    edges = [value for value in line.low or () if math.isfinite(value)]
    if line.banded and edges:
        text += f", single values down to {min(edges):.2f}"
    return text


def _where(line: Line, index: int) -> str:
    return line.points[index] if line.points else f"at {line.x[index]:.3g}"
