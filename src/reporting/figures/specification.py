"""What a figure says, apart from how it is drawn.

A `Figure` holds panels, a panel holds lines, a line holds numbers and the name of its style.
`interactive` and `static` draw the same specification, so the two pictures cannot disagree.
Missing values are NaN, and break the line. On a logarithmic axis, what is not positive is missing.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from numbers import Integral
from typing import Any

import pandas as pd

from reporting.figures.identity import refuse_name
from reporting.figures.scales import SCALES, Range, Tick, extent, placed, unplaced
from reporting.figures.style import Style, reported, style_of

EVERY_MARKER = 40  # a line of more points carries markers at a few of them only
SPARSE_MARKERS = 9
LONGEST_END_LABEL = 26  # characters; a longer name stands in the key alone
_GUIDE_DASHES = ("", "6px,3px", "2px,3px")


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

    With `mode="points"` there is a cloud of markers and no line, and `calls` may hold a text for
    each point, written beside it unless empty. `value` and `edges` say in words what `mean` and
    the band are; `says` has a text for each point that is told in place of its numbers, where the
    height is no number but the place of a row.
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
    mode: str = "lines"
    calls: Sequence[str] | None = None
    says: Sequence[str] | None = None
    value: str = "mean"
    edges: str = "single values"

    def __post_init__(self) -> None:
        if self.mode not in ("lines", "points"):
            raise ValueError(f"line {self.label!r}: mode {self.mode!r} is not lines or points")
        count = len(self.x)
        if count == 0:
            raise ValueError(f"line {self.label!r} has no points")
        if isinstance(self.n, Integral):
            object.__setattr__(self, "n", (int(self.n),) * count)
        for name in ("mean", "low", "high", "n", "points", "calls", "says"):
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
        drawn = self.band and self.mode == "lines" and not self.reported
        return drawn and self.low is not None

    @property
    def markers(self) -> int:
        """About how many markers the line carries: 0 for none, -1 for one at every point."""
        if self.look.marker == "none":
            return 0
        most = 12 if self.look.size else EVERY_MARKER  # large markers would touch each other
        few = self.mode == "points" or len(self.x) <= most
        return -1 if few else SPARSE_MARKERS

    @property
    def end(self) -> tuple[float, float] | None:
        """The last point with a value, where the direct label goes."""
        drawn = [(x, y) for x, y in zip(self.x, self.mean, strict=True) if math.isfinite(y)]
        return drawn[-1] if drawn else None

    @property
    def end_text(self) -> str:
        """What is written at the right end of the line: by default its label, if that is short."""
        if self.end_label is not None:
            return self.end_label
        fits = self.mode == "lines" and len(self.label) <= LONGEST_END_LABEL
        return self.label if fits else ""

    def positive(self, x: bool, y: bool) -> Line:
        """The line with missing values where x, or where y, is not above zero."""

        def above(values: Sequence[float] | None, wanted: bool) -> Sequence[float] | None:
            if values is None or not wanted:
                return values
            return tuple(value if value > 0 else math.nan for value in values)

        places = above(self.x, x) or ()
        values: dict[str, Any] = {}
        for name in ("mean", "low", "high"):
            kept = above(getattr(self, name), y)
            if kept is not None:
                pairs = zip(places, kept, strict=True)
                kept = tuple(value if math.isfinite(at) else math.nan for at, value in pairs)
            values[name] = kept
        return replace(self, x=places, **values)

    def values(self) -> list[float]:
        """Every finite y value that is drawn, band included."""
        edges = [*(self.low or ()), *(self.high or ())] if self.banded else []
        every = [*self.mean, *edges]
        return [value for value in every if math.isfinite(value)]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A thin neutral line to compare with, such as y = x/2: straight between the points given.

    The axes do not grow for it, so the points may lie outside them. `label` stands in the key,
    and beside the line where that leaves the panel at the right. Unless `dash` gives a pattern in
    pixels, dashes tell the references of a panel apart.
    """

    x: Sequence[float]
    y: Sequence[float]
    label: str
    dash: str = ""

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or len(self.x) < 2:
            raise ValueError(f"reference {self.label!r}: give at least two points, x and y of each")
        if list(self.x) != sorted(self.x):
            raise ValueError(f"reference {self.label!r}: x must not decrease")
        for name in ("x", "y"):
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One set of axes. Labels carry the unit. `y_range` and `x_range` default to the data's.

    Each axis is "linear" or "log"; ranges are in data units. `x_whole` puts ticks at whole
    numbers only, `x_ticks` and `y_ticks` at the places given with their names. `references` are
    drawn behind the lines.
    """

    title: str
    lines: Sequence[Line]
    x_label: str
    y_label: str
    y_range: Range | None = None
    x_range: Range | None = None
    x_scale: str = "linear"
    y_scale: str = "linear"
    x_whole: bool = False
    x_ticks: Sequence[Tick] = ()
    y_ticks: Sequence[Tick] = ()
    references: Sequence[Reference] = ()

    def __post_init__(self) -> None:
        if not self.lines:
            raise ValueError(f"panel {self.title!r} has no lines")
        axes = (("x", self.x_scale, self.x_range), ("y", self.y_scale, self.y_range))
        for axis, scale, limits in axes:
            if scale not in SCALES:
                raise ValueError(
                    f"panel {self.title!r}: {axis} scale {scale!r} is not linear or log"
                )
            if limits is not None and not limits[0] < limits[1]:
                raise ValueError(f"panel {self.title!r}: {axis} range {limits} is empty")
            if limits is not None and scale == "log" and limits[0] <= 0:
                raise ValueError(f"panel {self.title!r}: {axis} range {limits} on a log axis")
        if "log" in (self.x_scale, self.y_scale):
            logs = (self.x_scale == "log", self.y_scale == "log")
            object.__setattr__(self, "lines", tuple(line.positive(*logs) for line in self.lines))
        for guide in self.references:
            for scale, values in ((self.x_scale, guide.x), (self.y_scale, guide.y)):
                if scale == "log" and min(values) <= 0:
                    raise ValueError(f"reference {guide.label!r}: not above zero on a log axis")

    def guides(self) -> list[tuple[Reference, Style]]:
        """The references with the styles that tell them apart."""
        return [
            (guide, Style("#767676", "none", guide.dash or usual, stroke=1.2))
            for guide, usual in zip(self.references, cycle(_GUIDE_DASHES), strict=False)
        ]

    def reference_end(self, guide: Reference, right: float) -> float | None:
        """The height of a reference, in data units, at the right edge; None if it ends before."""
        if not guide.x[0] <= right <= guide.x[-1]:
            return None
        at = bisect_left(guide.x, right)
        if guide.x[at] == right:
            return guide.y[at]
        (left, before), (right_x, after) = (
            (placed(guide.x[i], self.x_scale), placed(guide.y[i], self.y_scale))
            for i in (at - 1, at)
        )
        share = (placed(right, self.x_scale) - left) / (right_x - left)
        return unplaced(before + share * (after - before), self.y_scale)


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
        refuse_name(self.name)
        for text in ("title", "caption", "alt"):
            if not getattr(self, text).strip():
                raise ValueError(f"figure {self.name!r} has an empty {text}")
        if not self.panels:
            raise ValueError(f"figure {self.name!r} has no panels")

    def x_range(self, panel: Panel) -> Range:
        """The x range of a panel, shared by all panels with the same x label and scale."""
        mine = (panel.x_label, panel.x_scale)
        peers = [peer for peer in self.panels if (peer.x_label, peer.x_scale) == mine]
        values = [x for peer in peers for line in peer.lines for x in line.x if math.isfinite(x)]
        return extent([peer.x_range for peer in peers], values, panel.x_scale)

    def y_range(self, panel: Panel) -> Range:
        """The y range of a panel, shared by all panels with the same y label and scale."""
        mine = (panel.y_label, panel.y_scale)
        peers = [peer for peer in self.panels if (peer.y_label, peer.y_scale) == mine]
        values = [value for peer in peers for line in peer.lines for value in line.values()]
        return extent([peer.y_range for peer in peers], values, panel.y_scale)
