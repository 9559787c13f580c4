"""What a figure says, apart from how it is drawn.

A `Figure` holds panels, a panel holds lines, a line holds numbers and the name of its style.
`interactive` and `static` draw the same specification, so the two pictures cannot disagree.
Missing values are NaN, and break the line. A logarithmic axis has no place for what is not
positive: it breaks the line too, and a mark at the lower edge, at a tick "≤ 0", says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd

from reporting.figures.identity import refuse_name
from reporting.figures.scales import SCALES, Range, Tick, extent, placed, unplaced
from reporting.figures.style import NEUTRAL, Style

EVERY_MARKER = 40  # a line of more points carries markers at a few of them only
SPARSE_MARKERS = 9
LONGEST_END_LABEL = 26  # characters; a longer name stands in the key alone
GROUND = "≤ 0"  # the tick at the lower edge of a logarithmic axis
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

    Every sequence has the length of `x`; `n` are the observations behind each point, `points` name
    them for the reader who asks, such as "layer 3 of 30". Without `band`, low and high are told but
    not drawn. `label` names the line in the key, and with `direct` at its right end if it is short.

    A `cloud` has markers and no line, and `calls` may hold a text for each point, written beside
    it unless empty. `value` and `edges` say in words what `mean` and the band are; `says` has a
    text for each point that is told in place of its numbers, where the height is no number but the
    place of a row. `grounded` maps the points that a logarithmic axis has no place for, by number,
    to their means.
    """

    x: Sequence[float]
    mean: Sequence[float]
    look: Style
    label: str
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    band: bool = True
    reported: bool = False
    n: Sequence[int] | None = None
    direct: bool = True
    points: Sequence[str] | None = None
    cloud: bool = False
    calls: Sequence[str] | None = None
    says: Sequence[str] | None = None
    value: str = "mean"
    edges: str = "single values"
    grounded: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name, count = f"line {self.label!r}", len(self.x)
        if count == 0:
            raise ValueError(f"{name} has no points")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"{name}: give low and high together, or neither")
        for column in ("x", "mean", "low", "high", "n", "points", "calls", "says"):
            values = getattr(self, column)
            if values is not None and len(values) != count:
                raise ValueError(f"{name}: {column} has {len(values)} values, x {count}")
            if values is not None and column in ("x", "mean", "low", "high"):
                object.__setattr__(self, column, tuple(float(value) for value in values))

    @property
    def banded(self) -> bool:
        """Whether a band is drawn behind the line."""
        return self.band and self.low is not None

    @property
    def markers(self) -> int:
        """About how many markers the line carries: 0 for none, -1 for one at every point."""
        if self.look.marker == "none":
            return 0
        most = 12 if self.look.size else EVERY_MARKER  # large markers would touch each other
        return -1 if self.cloud or len(self.x) <= most else SPARSE_MARKERS

    @property
    def end(self) -> float | None:
        """The height of the last point with a value, where the direct label goes."""
        return next((y for y in reversed(self.mean) if math.isfinite(y)), None)

    @property
    def named(self) -> bool:
        """Whether the label is written at the right end of the line."""
        return self.direct and not self.cloud and len(self.label) <= LONGEST_END_LABEL

    @property
    def called(self) -> Sequence[str]:
        """For each point, the text written beside it, or an empty one."""
        return self.calls or ("",) * len(self.x)

    @property
    def heights(self) -> Sequence[float]:
        """Every y value that is drawn, band included."""
        edges = [*(self.low or ()), *(self.high or ())] if self.banded else []
        return [*self.mean, *edges]

    def positive(self, x: bool, y: bool) -> Line:
        """The line with missing values where x, or where y, is not above zero."""

        def kept(values: Sequence[float]) -> list[float]:
            pairs = zip(self.x, values, strict=True)
            return [v if (at > 0 or not x) and (v > 0 or not y) else math.nan for at, v in pairs]

        places = [at if at > 0 or not x else math.nan for at in self.x]
        low, high = (None if edge is None else kept(edge) for edge in (self.low, self.high))
        points = enumerate(zip(places, self.mean, strict=True))
        grounded = {at: mean for at, (x_at, mean) in points if y and mean <= 0 and x_at == x_at}
        grounded = {**self.grounded, **grounded}
        return replace(self, x=places, mean=kept(self.mean), low=low, high=high, grounded=grounded)


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
        name = f"panel {self.title!r}"
        if not self.lines:
            raise ValueError(f"{name} has no lines")
        for axis in ("x", "y"):
            scale, limits = getattr(self, f"{axis}_scale"), getattr(self, f"{axis}_range")
            if scale not in SCALES:
                raise ValueError(f"{name}: {axis} scale {scale!r} is not linear or log")
            if limits is not None and not limits[0] < limits[1]:
                raise ValueError(f"{name}: {axis} range {limits} is empty")
            if limits is not None and scale == "log" and limits[0] <= 0:
                raise ValueError(f"{name}: {axis} range {limits} on a log axis")
            for guide in self.references:
                if scale == "log" and min(getattr(guide, axis)) <= 0:
                    raise ValueError(f"reference {guide.label!r}: not above zero on a log axis")
        logs = (self.x_scale == "log", self.y_scale == "log")
        if any(logs):
            object.__setattr__(self, "lines", tuple(line.positive(*logs) for line in self.lines))

    @property
    def ordered(self) -> list[Line]:
        """The lines in the order of drawing: what was reported lies behind."""
        return sorted(self.lines, key=lambda line: not line.reported)

    def names(self, line: Line) -> bool:
        """Whether a line is named at its end; lines that share a name are so in the key alone."""
        return line.named and sum(other.label == line.label for other in self.lines) == 1

    def guides(self) -> list[tuple[Reference, Style]]:
        """The references with the styles that tell them apart."""
        return [
            (guide, Style(NEUTRAL, "none", guide.dash or usual, stroke=1.2))
            for guide, usual in zip(self.references, cycle(_GUIDE_DASHES), strict=False)
        ]

    def reference_end(self, guide: Reference, right: float) -> float | None:
        """The height of a reference, in data units, at the right edge; None if it ends before."""
        if not guide.x[0] <= right <= guide.x[-1]:
            return None
        x = [placed(value, self.x_scale) for value in guide.x]
        y = [placed(value, self.y_scale) for value in guide.y]
        return unplaced(float(np.interp(placed(right, self.x_scale), x, y)), self.y_scale)


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
        return self._range(panel, "x", lambda line: line.x)

    def y_range(self, panel: Panel) -> Range:
        """The y range of a panel, shared by all panels with the same y label and scale. Below a
        logarithmic one there is room for marks of what is not positive."""
        low, high = self._range(panel, "y", lambda line: line.heights)
        peers = self._peers(panel, "y")
        given = any(peer.y_range for peer in peers)
        grounded = any(line.grounded for peer in peers for line in peer.lines)
        return (low / (high / low) ** 0.12, high) if grounded and not given else (low, high)

    def _peers(self, panel: Panel, axis: str) -> list[Panel]:
        alike = attrgetter(f"{axis}_label", f"{axis}_scale")
        return [peer for peer in self.panels if alike(peer) == alike(panel)]

    def _range(self, panel: Panel, axis: str, of: Callable[[Line], Sequence[float]]) -> Range:
        peers = self._peers(panel, axis)
        values = [value for peer in peers for line in peer.lines for value in of(line)]
        given = [getattr(peer, f"{axis}_range") for peer in peers]
        scale = getattr(panel, f"{axis}_scale")
        return extent(given, [each for each in values if math.isfinite(each)], scale)
