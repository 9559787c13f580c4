"""Where things stand in a figure: ranges, ticks, labels at lines' ends, texts beside points, key.

Both renderers take them from here. On a narrow screen there is no room at the right end, and the
key names every line instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import isotonic_regression

from reporting.figures.scales import Range, Tick, placed, ticks
from reporting.figures.specification import GROUND, Figure, Line, Panel
from reporting.figures.style import NEUTRAL, Style

PANEL_HEIGHT = 230.0  # pixels of the axes, and of what stands above and below them
HEADER, TICKS, AXIS_TITLE = 46.0, 30.0, 26.0
LABEL_HEIGHT = 17.0
REACH = 22.0  # pixels from a point to the text beside it


@dataclass(frozen=True)
class Label:
    """A `text` beside the place (`x`, `y`), in data units, `across` and `up` pixels from it."""

    text: str
    x: float
    y: float
    across: float
    up: float
    style: Style


@dataclass(frozen=True)
class Axes:
    """One panel with all that the picture of its axes needs; `x_title` is empty where the panel
    below says the same."""

    panel: Panel
    x_range: Range
    y_range: Range
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    x_title: str
    end_labels: Sequence[Label]
    callouts: Sequence[Label]


@dataclass(frozen=True)
class Layout:
    """The axes under one another, and the pixels around and between them; `words` are the pixels
    that the longest heading of a panel, or name of its x axis, takes."""

    axes: Sequence[Axes]
    left: float
    right: float
    gap: float
    words: float

    @property
    def inner(self) -> float:
        """Pixels from the top of the first axes to the bottom of the last."""
        return len(self.axes) * PANEL_HEIGHT + (len(self.axes) - 1) * self.gap

    @property
    def height(self) -> float:
        return self.inner + HEADER + TICKS + AXIS_TITLE


@dataclass(frozen=True)
class KeyEntry:
    """One line of the key. `direct` says that the wide figure names it at the line's end too.

    `cloud` marks points without a line.
    """

    text: str
    style: Style
    direct: bool
    cloud: bool = False


def laid_out(figure: Figure) -> Layout:
    """The figure's axes with the room that their words take."""
    below = [*(panel.x_label for panel in figure.panels[1:]), None]
    axes = [
        _axes(figure, panel, panel.x_label if panel.x_label != after else "")
        for panel, after in zip(figure.panels, below, strict=True)
    ]
    left = 8 + 7.5 * max(_width(text) for each in axes for _, text in each.y_ticks or [(0, "")])
    named = [_width(label.text) for each in axes for label in each.end_labels]
    right = 28 + 7.4 * max(named, default=-2.0)
    gap = HEADER + TICKS + AXIS_TITLE * any(each.x_title for each in axes[:-1])
    headings = [(panel.title, 7.8) for panel in figure.panels]
    headings += [(text, 6.8) for panel in figure.panels for text in (panel.y_label, panel.x_label)]
    words = 12 + max(broad * _width(text.strip()) for text, broad in headings)
    return Layout(axes, max(left, 40.0), min(right, 220.0), gap, words)


def _axes(figure: Figure, panel: Panel, x_title: str) -> Axes:
    x_range, y_range = figure.x_range(panel), figure.y_range(panel)
    right = x_range[1]
    ends = [
        (line.label, right, line.end, line.look)
        for line in panel.lines
        if panel.names(line) and line.end is not None
    ]
    for guide, look in panel.guides():
        height = panel.reference_end(guide, right)
        if height is not None and y_range[0] <= height <= y_range[1]:
            ends.append((guide.label, right, height, look))
    called = [
        (text, x, y, line.look)
        for line in panel.lines
        for text, x, y in zip(line.called, line.x, line.mean, strict=True)
        if text and math.isfinite(x) and math.isfinite(y)
    ]
    middle = sum(placed(limit, panel.x_scale) for limit in x_range) / 2
    callouts = [
        replace(each, across=REACH if placed(each.x, panel.x_scale) < middle else -REACH)
        for each in _apart(called, panel.y_scale, y_range)
    ]
    return Axes(
        panel,
        x_range,
        y_range,
        list(panel.x_ticks) or ticks(x_range, panel.x_scale, panel.x_whole),
        list(panel.y_ticks) or _upright(panel, y_range),
        x_title,
        _apart(ends, panel.y_scale, y_range),
        callouts,
    )


def _upright(panel: Panel, limits: Range) -> list[Tick]:
    """The ticks of a y axis, with one at the lower edge for what a logarithmic axis lacks."""
    found = ticks(limits, panel.y_scale, most=6)
    if not any(line.grounded for line in panel.lines):
        return found
    low, high = limits
    return [(low, GROUND), *(tick for tick in found if tick[0] > low * (high / low) ** 0.08)]


def _apart(
    named: Sequence[tuple[str, float, float, Style]], scale: str, limits: Range
) -> list[Label]:
    """Labels at (text, x, y, style), moved up and down so that none covers another."""
    low, high = (placed(limit, scale) for limit in limits)
    inside = [min(max(y, limits[0]), limits[1]) for _, _, y, _ in named]
    pixels = [(placed(y, scale) - low) / (high - low) * PANEL_HEIGHT for y in inside]
    moved = spread(pixels, LABEL_HEIGHT, (LABEL_HEIGHT / 2, PANEL_HEIGHT - LABEL_HEIGHT / 2))
    return [
        Label(text, x, y, 0.0, round(to - at, 2), look)
        for (text, x, _, look), y, at, to in zip(named, inside, pixels, moved, strict=True)
    ]


def spread(positions: Sequence[float], gap: float, limits: Range) -> list[float]:
    """Move positions apart to at least `gap`, in their order, as little as needed.

    What comes back lies within `limits` where there is room for it. Least squares under the
    order is isotonic regression of the positions less their gaps.

    >>> spread([0.5, 0.5], 0.2, (0.0, 1.0))
    [0.4, 0.6]
    """
    if not positions:
        return []
    order = np.argsort(positions, kind="stable")
    steps = gap * np.arange(len(order))
    moved = isotonic_regression(np.asarray(positions, dtype=float)[order] - steps).x
    found = np.empty(len(order))
    found[order] = np.clip(moved, limits[0], max(limits[0], limits[1] - steps[-1])) + steps
    return [float(value) for value in found]


def key(figure: Figure) -> list[KeyEntry]:
    """The key: one entry for each label, in order of first use, then for each reference.

    An entry that covers lines of several hues, such as all that the paper reported, is drawn in
    neutral grey. Lines without markers are told apart by their dashes, which only the key shows.
    """
    lines: dict[str, list[Line]] = {}
    at_ends: dict[str, bool] = {}
    guides: dict[str, Style] = {}
    direct: dict[str, bool] = {}
    for axes in laid_out(figure).axes:
        for line in axes.panel.lines:
            lines.setdefault(line.label, []).append(line)
            at_ends[line.label] = at_ends.get(line.label, True) and axes.panel.names(line)
        named = {label.text for label in axes.end_labels}
        for guide, look in axes.panel.guides():
            guides.setdefault(guide.label, look)
            direct[guide.label] = direct.get(guide.label, True) and guide.label in named
    entries = []
    for text, same in lines.items():
        look = _common([line.look for line in same])
        at_end = look.marker != "none" and at_ends[text]
        cloud = all(line.cloud for line in same)
        entries.append(KeyEntry(text, look, at_end, cloud))
    return entries + [KeyEntry(text, look, direct[text]) for text, look in guides.items()]


def _common(looks: Sequence[Style]) -> Style:
    """The one style, or a neutral one with what lines of several hues have in common."""
    first = looks[0]
    if len(set(looks)) == 1:
        return first
    markers, dashes = {look.marker for look in looks}, {look.dash for look in looks}
    marker = first.marker if len(markers) == 1 and first.marker != "none" else "circle"
    dash = first.dash if len(dashes) == 1 else ""
    return replace(first, colour=NEUTRAL, marker=marker, dash=dash)


def _width(text: str) -> float:
    """The width of a text in characters, where raised ones count less and broad ones more."""
    return sum(0.75 if sign in "⁻⁰¹²³⁴⁵⁶⁷⁸⁹." else 1.5 if sign in "%MW" else 1.0 for sign in text)
