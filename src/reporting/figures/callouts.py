"""Texts beside single points of a cloud, placed so that they can be read.

Both renderers draw a panel at the same height, so offsets are in pixels. The width differs from
screen to screen; a place is judged on a wide and on a narrow one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reporting.figures.labels import LABEL_HEIGHT, PANEL_HEIGHT
from reporting.figures.scales import Range, placed
from reporting.figures.specification import Figure, Panel
from reporting.figures.style import Style

REACH = 22.0  # pixels from a point to the text beside it
CHARACTER = 7.0
PLOT_WIDTHS = (440.0, 300.0)  # of the axes, on a wide and on a narrow screen
_STEPS = sorted(range(-20, 21), key=abs)  # half lines up or down, the nearest first


@dataclass(frozen=True)
class Callout:
    """A text beside one point (data units), `right` and `up` pixels away from it."""

    text: str
    x: float
    y: float
    right: float
    up: float
    style: Style


def callouts(figure: Figure, panel: Panel) -> list[Callout]:
    """The texts beside single points, each where it covers the fewest points and no other text."""
    called = [
        (text, x, y, line.look)
        for line in panel.lines
        for text, x, y in zip(line.calls or (), line.x, line.mean, strict=bool(line.calls))
        if text and math.isfinite(x) and math.isfinite(y)
    ]
    if not called:
        return []
    across = _pixels(figure.x_range(panel), panel.x_scale, 1.0)
    up = _pixels(figure.y_range(panel), panel.y_scale, PANEL_HEIGHT)
    cloud = [
        (across(x), up(y))
        for line in panel.lines
        for x, y in zip(line.x, line.mean, strict=True)
        if math.isfinite(x) and math.isfinite(y)
    ]
    found: list[Callout] = []
    taken: list[_Place] = []
    for text, x, y, look in sorted(called, key=lambda item: item[1]):
        places = [
            _Place(across(x), up(y), side, step * LABEL_HEIGHT / 2, CHARACTER * len(text))
            for step in _STEPS
            for side in (1, -1)
        ]
        best = min(places, key=lambda place: place.cost(cloud, taken))
        taken.append(best)
        found.append(Callout(text, x, y, best.side * REACH, best.lift, look))
    return found


@dataclass(frozen=True)
class _Place:
    """Where a text could stand.

    `across` is the point's share of the width, `up` its height in pixels, `side` 1 for right and
    -1 for left, `lift` the pixels from the point up to the text, `width` that of the text.
    """

    across: float
    up: float
    side: int
    lift: float
    width: float

    @property
    def height(self) -> float:
        return self.up + self.lift

    def stretch(self, wide: float) -> Range:
        """From where to where the text goes, in pixels, on axes this wide."""
        near = self.across * wide + self.side * REACH
        return (min(near, near + self.side * self.width), max(near, near + self.side * self.width))

    def cost(self, cloud: Sequence[tuple[float, float]], taken: Sequence[_Place]) -> float:
        """How bad the place is: outside, over another text, across a leader, over points, far."""
        total = abs(self.lift) / (2 * LABEL_HEIGHT)
        edge = LABEL_HEIGHT / 2
        total += 1000 * (not edge <= self.height <= PANEL_HEIGHT - edge)
        for wide in PLOT_WIDTHS:
            low, high = self.stretch(wide)
            total += 1000 * (low < 0 or high > wide)
            total += sum(
                low - 3 < x * wide < high + 3 and abs(y - self.height) < 9 for x, y in cloud
            )
            for other in taken:
                start, end = other.stretch(wide)
                level = abs(other.height - self.height) < LABEL_HEIGHT - 2
                total += 100 * (level and low < end + 4 and start < high + 4)
                total += 5 * _crossing(self._leader(wide), other._leader(wide))
        return total

    def _leader(self, wide: float) -> tuple[complex, complex]:
        """The two ends of the thin line between point and text."""
        start = complex(self.across * wide, self.up)
        return start, start + complex(self.side * REACH, self.lift)


def _crossing(first: tuple[complex, complex], second: tuple[complex, complex]) -> bool:
    """Whether two pieces of straight lines cross."""

    def side(line: tuple[complex, complex], point: complex) -> float:
        along, off = line[1] - line[0], point - line[0]
        return along.real * off.imag - along.imag * off.real

    return (
        side(first, second[0]) * side(first, second[1]) < 0
        and side(second, first[0]) * side(second, first[1]) < 0
    )


def _pixels(limits: Range, scale: str, length: float) -> Callable[[float], float]:
    """A function that gives the place of a value along an axis of this length."""
    low, high = (placed(value, scale) for value in limits)
    return lambda value: (placed(value, scale) - low) / (high - low) * length
