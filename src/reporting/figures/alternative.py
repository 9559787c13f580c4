"""The alternative text of a figure: what its lines do, in words, for those who do not see it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reporting.figures.scales import short
from reporting.figures.specification import Line, Panel


def describe(panels: Sequence[Panel]) -> str:
    """One sentence on the picture, then one on each panel with the range of every line."""
    count = len(panels)
    opening = "One panel." if count == 1 else f"{count} panels."
    return " ".join([opening, *(_panel(panel) for panel in panels)])


def _panel(panel: Panel) -> str:
    lines = "; ".join(_line(line) for line in panel.lines)
    logs = [name for name, scale in (("x", panel.x_scale), ("y", panel.y_scale)) if scale == "log"]
    axes = f" ({' and '.join(logs)} logarithmic)" if logs else ""
    guides = "".join(f"; for comparison, the line {guide.label}" for guide in panel.references)
    return f"{panel.title}: {panel.y_label} against {panel.x_label}{axes}. {lines}{guides}."


def _number(value: float) -> str:
    """Two digits after the point, or two that count where that would show nothing."""
    return f"{value:.2f}" if value == 0 or 0.01 <= abs(value) < 1e4 else short(value, 2)


def _line(line: Line) -> str:
    """The line's name, its lowest and highest mean, and the reach of its band."""
    drawn = [(y, index) for index, y in enumerate(line.mean) if math.isfinite(y)]
    if not drawn:
        return f"{line.label} has no values"
    (low, lowest), (high, highest) = min(drawn), max(drawn)
    text = (
        f"{line.label} lies between {_number(low)} ({_where(line, lowest)}) "
        f"and {_number(high)} ({_where(line, highest)})"
    )
    if line.grounded:
        text += f", {len(line.grounded)} at or below 0"
    if line.cloud:
        text += f", {len(drawn)} points"
    edges = [value for value in line.low or () if math.isfinite(value)]
    if line.banded and edges:
        text += f", {line.edges} down to {_number(min(edges))}"
    return text


def _where(line: Line, index: int) -> str:
    return line.points[index] if line.points else f"at {short(line.x[index])}"
