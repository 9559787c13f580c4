"""Words about the lines: direct labels at their ends, texts beside points, the key, the ticks.

Both renderers take them from here. On a narrow screen there is no room at the right end, and the
key names every line instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from reporting.figures.scales import Range, Tick, placed, ticks, unplaced
from reporting.figures.specification import Figure, Line, Panel
from reporting.figures.style import NEUTRAL, Style
from reporting.figures.template import LABEL_HEIGHT, PANEL_HEIGHT


@dataclass(frozen=True)
class Label:
    """A `text` beside the place (`x`, `y`), in data units, moved to the height `at`."""

    text: str
    x: float
    y: float
    at: float
    style: Style


@dataclass(frozen=True)
class KeyEntry:
    """One line of the key. `direct` says that the wide figure names it at the line's end too.

    `cloud` marks points without a line.
    """

    text: str
    style: Style
    direct: bool
    cloud: bool = False


def end_labels(figure: Figure, panel: Panel) -> list[Label]:
    """The direct labels of a panel, at the right edge."""
    right = figure.x_range(panel)[1]
    low, high = figure.y_range(panel)
    named = [
        (line.end_text, right, line.end, line.look)
        for line in panel.lines
        if line.end_text and line.end is not None
    ]
    for guide, look in panel.guides():
        height = panel.reference_end(guide, right)
        if height is not None and low <= height <= high:
            named.append((guide.label, right, height, look))
    return _apart(named, figure, panel)


def callouts(figure: Figure, panel: Panel) -> list[Label]:
    """The texts beside single points."""
    called = [
        (text, x, y, line.look)
        for line in panel.lines
        for text, x, y in zip(line.calls or (), line.x, line.mean, strict=bool(line.calls))
        if text and math.isfinite(x) and math.isfinite(y)
    ]
    return _apart(called, figure, panel)


def _apart(
    named: Sequence[tuple[str, float, float, Style]], figure: Figure, panel: Panel
) -> list[Label]:
    """Labels moved apart vertically so that none covers another."""
    low, high = (placed(limit, panel.y_scale) for limit in figure.y_range(panel))
    gap = (high - low) * LABEL_HEIGHT / PANEL_HEIGHT
    heights = spread(
        [placed(y, panel.y_scale) for _, _, y, _ in named], gap, (low + gap / 2, high - gap / 2)
    )
    return [
        Label(text, x, y, unplaced(height, panel.y_scale), look)
        for (text, x, y, look), height in zip(named, heights, strict=True)
    ]


def spread(positions: Sequence[float], gap: float, limits: Range) -> list[float]:
    """Move positions apart to at least `gap`, in their order, as little as needed.

    What comes back lies within `limits` where there is room for it. Least squares under the
    order is isotonic regression of the positions less their gaps.

    >>> spread([0.5, 0.5], 0.2, (0.0, 1.0))
    [0.4, 0.6]
    """
    if not len(positions):
        return []
    order = np.argsort(positions, kind="stable")
    steps = gap * np.arange(len(order))
    moved = isotonic_regression(np.asarray(positions, dtype=float)[order] - steps).x
    found = np.empty(len(order))
    found[order] = np.clip(moved, limits[0], max(limits[0], limits[1] - steps[-1])) + steps
    return [float(value) for value in found]


def ticks_of(figure: Figure, panel: Panel) -> tuple[list[Tick], list[Tick]]:
    """The ticks of the x and of the y axis.

    A y tick at the very top would run into the heading.
    """
    limits = figure.y_range(panel)
    low, high = (placed(value, panel.y_scale) for value in limits)
    y_ticks = ticks(limits, panel.y_scale, most=6)
    top = low + 0.97 * (high - low)
    clear = [tick for tick in y_ticks if placed(tick[0], panel.y_scale) < top]
    return (
        list(panel.x_ticks) or ticks(figure.x_range(panel), panel.x_scale, panel.x_whole),
        list(panel.y_ticks) or (clear if len(clear) > 1 else y_ticks),
    )


def margins(figure: Figure) -> tuple[float, float]:
    """Pixels to keep free at the left for the y axis' ticks, at the right for the labels."""
    texts = [text for panel in figure.panels for _, text in ticks_of(figure, panel)[1]]
    named = [each.text for panel in figure.panels for each in end_labels(figure, panel)]
    left = 8 + 7.5 * max(map(_width, texts), default=0.0)
    right = 28 + 7.4 * max(map(_width, named), default=-2.0)
    return max(left, 40.0), min(right, 220.0)


def _width(text: str) -> float:
    """The width of a text in characters, where raised ones count less and broad ones more."""
    return sum(0.75 if sign in "⁻⁰¹²³⁴⁵⁶⁷⁸⁹." else 1.5 if sign in "%MW" else 1.0 for sign in text)


def titled_axes(figure: Figure) -> list[bool]:
    """For each panel, whether its x axis shows its title: the last of each run of equal ones."""
    names: list[str | None] = [panel.x_label for panel in figure.panels]
    return [name != after for name, after in zip(names, [*names[1:], None], strict=True)]


def key(figure: Figure) -> list[KeyEntry]:
    """The key: one entry for each label, in order of first use, then for each reference.

    An entry that covers lines of several hues, such as all that the paper reported, is drawn in
    neutral grey. Lines without markers are told apart by their dashes, which only the key shows.
    """
    lines: dict[str, list[Line]] = {}
    guides: dict[str, Style] = {}
    direct: dict[str, bool] = {}
    for panel in figure.panels:
        for line in panel.lines:
            lines.setdefault(line.label, []).append(line)
        named = {label.text for label in end_labels(figure, panel)}
        for guide, look in panel.guides():
            guides.setdefault(guide.label, look)
            direct[guide.label] = direct.get(guide.label, True) and guide.label in named
    entries = []
    for text, same in lines.items():
        look = _common({line.look for line in same})
        at_end = look.marker != "none" and all(line.end_text == text for line in same)
        cloud = all(line.mode == "points" for line in same)
        entries.append(KeyEntry(text, look, at_end, cloud))
    return entries + [KeyEntry(text, look, direct[text]) for text, look in guides.items()]


def _common(looks: set[Style]) -> Style:
    """The one style, or a neutral one with what lines of several hues have in common."""
    first = next(iter(looks))
    if len(looks) == 1:
        return first
    (marker, *other_markers), (dash, *other_dashes) = (
        {look.marker for look in looks},
        {look.dash for look in looks},
    )
    marker = "circle" if other_markers or marker == "none" else marker
    return Style(
        NEUTRAL, marker, "" if other_dashes else dash, first.thin, first.stroke, first.size
    )
