"""What a figure says, apart from how it is drawn.

A `Figure` holds panels, a panel holds lines, a line holds numbers and the name of its style.
`interactive` and `static` draw the same specification, so the two pictures cannot disagree.
Missing values are NaN, and break the line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import pandas as pd

from helpers.figures.style import Style, reported, style_of

Range = tuple[float, float]


def cosine_range(values: Iterable[float]) -> Range:
    """The y range of cosines: −0.1 to 1, or as far beyond as a point lies.

    A little room is added above 1, so that a line at 1 is seen whole.

    >>> cosine_range([0.2, 1.0])
    (-0.1, 1.03)
    """
    finite = [value for value in values if math.isfinite(value)]
    low = min([-0.1, *(value - 0.05 for value in finite if value < -0.1)])
    high = max([1.03, *(value + 0.05 for value in finite if value > 1.03)])
    return (round(low, 3), round(high, 3))


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a panel: `mean` over `x`, with an optional band from `low` to `high`.

    Every sequence has the length of `x`; `n` (observations behind each point) may be one number
    for all. Without `band`, and for what was reported, low and high are told but not drawn.
    `style` is a space, `dense`, or a `Style`. `label` names the line in the key;
    `end_label` is written at its right end (the label by default, nothing if empty). `points`
    names each point for the reader who asks for it, such as "layer 3 of 30".
    """

    x: Sequence[float]
    mean: Sequence[float]
    style: str | Style
    label: str
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    band: bool = True
    reported: bool = False
    n: int | Sequence[int] | None = None
    end_label: str | None = None
    points: Sequence[str] | None = None

    def __post_init__(self) -> None:
        count = len(self.x)
        if count == 0:
            raise ValueError(f"line {self.label!r} has no points")
        if isinstance(self.n, Integral):
            object.__setattr__(self, "n", (int(self.n),) * count)
        for name in ("mean", "low", "high", "n", "points"):
            values = getattr(self, name)
            if values is not None and len(values) != count:
                raise ValueError(f"line {self.label!r}: {name} has {len(values)} values, x {count}")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"line {self.label!r}: give low and high together, or neither")
        for name in ("x", "mean", "low", "high"):
            values = getattr(self, name)
            if values is not None:
                object.__setattr__(self, name, tuple(float(value) for value in values))
        if isinstance(self.style, str):
            style_of(self.style)

    @property
    def look(self) -> Style:
        """The style to draw with: that of the space, thin and hollow if reported."""
        style = style_of(self.style) if isinstance(self.style, str) else self.style
        return reported(style) if self.reported else style

    @property
    def banded(self) -> bool:
        """Whether a band is drawn behind the line."""
        return self.band and not self.reported and self.low is not None

    @property
    def end(self) -> tuple[float, float] | None:
        """The last point with a value, where the direct label goes."""
        drawn = [(x, y) for x, y in zip(self.x, self.mean, strict=True) if math.isfinite(y)]
        return drawn[-1] if drawn else None

    @property
    def end_text(self) -> str:
        """What is written at the right end of the line."""
        return self.label if self.end_label is None else self.end_label

    def values(self) -> list[float]:
        """Every finite y value that is drawn, band included."""
        edges = [*(self.low or ()), *(self.high or ())] if self.banded else []
        every = [*self.mean, *edges]
        return [value for value in every if math.isfinite(value)]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One set of axes. Labels carry the unit. `y_range` and `x_range` default to the data's."""

    title: str
    lines: Sequence[Line]
    x_label: str
    y_label: str
    y_range: Range | None = None
    x_range: Range | None = None

    def __post_init__(self) -> None:
        if not self.lines:
            raise ValueError(f"panel {self.title!r} has no lines")
        for axis, limits in (("x", self.x_range), ("y", self.y_range)):
            if limits is not None and not limits[0] < limits[1]:
                raise ValueError(f"panel {self.title!r}: {axis} range {limits} is empty")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Panels under one another, with all that is needed to read and to cite them.

    `name` becomes part of HTML ids: lower-case letters, digits and hyphens. `title` states the
    finding, `caption` what was done, `alt` describes the picture to those who do not see it.
    `data` holds the plotted values, and `provenance` says which run made them. Panels whose
    axis has the same label share that axis' range.
    """

    name: str
    title: str
    caption: str
    alt: str
    panels: Sequence[Panel]
    data: pd.DataFrame
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]*", self.name):
            raise ValueError(
                f"figure name {self.name!r}: use lower-case letters, digits and hyphens"
            )
        for text in ("title", "caption", "alt"):
            if not getattr(self, text).strip():
                raise ValueError(f"figure {self.name!r} has an empty {text}")
        if not self.panels:
            raise ValueError(f"figure {self.name!r} has no panels")

    def x_range(self, panel: Panel) -> Range:
        """The x range of a panel, shared by all panels with the same x label."""
        peers = [peer for peer in self.panels if peer.x_label == panel.x_label]
        values = [x for peer in peers for line in peer.lines for x in line.x]
        return _extent([peer.x_range for peer in peers], values)

    def y_range(self, panel: Panel) -> Range:
        """The y range of a panel, shared by all panels with the same y label."""
        peers = [peer for peer in self.panels if peer.y_label == panel.y_label]
        values = [value for peer in peers for line in peer.lines for value in line.values()]
        return _extent([peer.y_range for peer in peers], values)


def _extent(given: Sequence[Range | None], values: Sequence[float]) -> Range:
    """The union of the ranges that were given or, where none was, of the values and a margin."""
    limits = [pair for pair in given if pair is not None]
    if limits:
        return (min(low for low, _ in limits), max(high for _, high in limits))
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    margin = 0.04 * (high - low) or 0.5
    return (low - margin, high + margin)
