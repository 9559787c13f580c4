"""The house look: one colour, marker and dash for each representation space.

Every hue keeps a contrast of at least 3:1 on white and on the dark theme's background, which is
what graphics need. Text needs more, so words stay in the colour of the theme and a coloured
glyph beside them carries the hue.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice, product

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Style:
    """How one line is drawn, in terms that both renderers understand.

    `colour` is `#rrggbb`. `dash` is a pattern in pixels of the page ("" for solid). `marker` is
    `circle`, `square`, `diamond`, `triangle`, `cross` or `none`. `thin` lines have hollow markers:
    what others reported, and estimates. `stroke` and `size` (of the marker) replace the usual
    widths in pixels unless they are 0.
    """

    colour: str
    marker: str
    dash: str = ""
    thin: bool = False
    stroke: float = 0.0
    size: float = 0.0

    @property
    def hollow(self) -> bool:
        """Whether the markers are outlines."""
        return self.thin

    @property
    def width(self) -> float:
        """Line width in pixels."""
        return self.stroke or (1.1 if self.thin else 2.4)

    @property
    def marker_size(self) -> float:
        """Width of a marker in pixels."""
        return self.size or (5.0 if self.hollow else 6.0)

    @property
    def glyph(self) -> str:
        """The marker as a character, for labels and badges."""
        return GLYPHS[self.marker][self.hollow]

    @property
    def dashes(self) -> tuple[float, ...]:
        """The dash pattern as lengths in pixels; empty for a solid line."""
        return tuple(float(part.removesuffix("px")) for part in self.dash.split(",") if part)

    def faint(self, opacity: float) -> str:
        """The colour as CSS `rgba(...)` with this opacity."""
        return f"rgba({','.join(map(str, _channels(self.colour)))},{opacity})"


GLYPHS = {
    "circle": "●○",
    "square": "■□",
    "diamond": "◆◇",
    "triangle": "▲△",
    "cross": "✕✕",
    "none": "━─",
}
SPACES: tuple[str, ...] = ("embedding", "logit", "probability")
NEUTRAL = "#767676"
STYLES: dict[str, Style] = {
    "embedding": Style("#0072B2", "circle"),
    "logit": Style("#009E73", "square", "7px,3px"),
    "probability": Style("#D55E00", "diamond", "2px,3px"),
    "dense": Style(NEUTRAL, "none"),
    "choosing": Style("#8358B0", "circle"),
    "generating": Style("#A06A00", "triangle", "7px,3px"),
    "searching": Style("#4E7D94", "square", "2px,3px"),
}

# marker (that of the space, if empty), dash and marker size of what is not measured
_ESTIMATES = {
    "theorem": ("", "10px,3px,2px,3px", 10.0),
    "bounded": ("triangle", "5px,2px,1px,2px", 9.0),
    "exact": ("cross", "", 9.0),
}
QUANTITIES = ("measured", *_ESTIMATES, "reported")
TASKS = ("choosing", "generating", "searching")
# marker and dash of further series of one kind of task: no kind's own
_TASK_LOOKS = (
    ("diamond", "9px,3px,2px,3px"),
    ("cross", "5px,2px"),
    ("diamond", "14px,4px"),
    ("cross", "3px,2px"),
)
_RAMP_DASHES = ("", "9px,3px", "2px,3px", "9px,3px,2px,3px", "5px,2px", "14px,4px")
_RAMP_MARKERS = ("none", "square", "triangle", "circle")  # each for one round of the dashes
_CLOUD_MARKERS = ("circle", "square", "diamond", "triangle", "cross")
# pruned models: a lighter and a darker shade for each way to prune, apart from the spaces' hues
_WAYS = (("#AA80D6", "#8C52BE"), ("#D4637F", "#B03A5B"), ("#C28A00", "#946000"))
_WAY_MARKERS = ("circle", "triangle", "square", "cross")
_AMOUNT_DASHES = ("", "6px,3px", "2px,3px", "9px,3px,2px,3px")


def style_of(name: str) -> Style:
    """The style of a space, of `dense`, or of a kind of task.

    >>> style_of("logit").colour
    '#009E73'
    """
    if name not in STYLES:
        raise ValueError(f"unknown style {name!r}: use one of {', '.join(STYLES)}")
    return STYLES[name]


def quantity_style(space: str, quantity: str) -> Style:
    """How a kind of number is drawn in a space; truth and estimate differ without colour too.

    `measured` is the space's own full style, and `reported` the same, thin with hollow markers.
    An estimate keeps the hue, on a thinner line with another dash and another marker, large
    enough to be seen around the measured one.

    >>> quantity_style("logit", "theorem").width < quantity_style("logit", "measured").width
    True
    """
    base = style_of(space)
    if quantity in ("measured", "reported"):
        return replace(base, thin=quantity == "reported")
    if quantity not in _ESTIMATES:
        raise ValueError(f"unknown quantity {quantity!r}: use one of {', '.join(QUANTITIES)}")
    marker, dash, size = _ESTIMATES[quantity]
    marker = marker or (base.marker if base.marker != "none" else "circle")
    return Style(base.colour, marker, dash, thin=True, stroke=1.5, size=size)


def ramp(space: str, count: int, others: int | None = None) -> list[Style]:
    """`count` styles within one space, from neutral grey to the space's own hue; beside the lines
    of other spaces, so many of which have their styles already, from halfway on.

    The last one is the hue itself. Dashes differ too, so that the lines can be told apart
    without colour. Up to as many lines as there are dashes have no markers, which would hide
    them.
    """
    grey, hue = np.array(_channels(NEUTRAL)), np.array(_channels(style_of(space).colour))
    shares = [1.0] if count == 1 else np.linspace(0 if others is None else 0.5, 1, count)
    colours = [np.round(grey + (hue - grey) * share).astype(int) for share in shares]
    looks = islice(cycle(product(_RAMP_MARKERS, _RAMP_DASHES)), others or 0, None)
    return [
        Style("#" + "".join(f"{part:02X}" for part in colour), *look)
        for colour, look in zip(colours, looks, strict=False)
    ]


def task_styles(kind: str, count: int) -> list[Style]:
    """`count` styles within one kind of task: its own, then others of its hue."""
    base = style_of(kind)
    return [base, *(Style(base.colour, *look) for look in islice(cycle(_TASK_LOOKS), count - 1))]


def setting_styles(names: Sequence[str]) -> dict[str, Style]:
    """A style for each of several models, the first of them the dense one in grey.

    Pruned models that differ in amount alone, such as `Drop-2M` and `Drop-4M`, share hue and
    marker; the first is lighter, and dashes tell them apart without colour.
    """
    looks = {names[0]: Style(NEUTRAL, "diamond")}
    amounts: Counter[str] = Counter()
    for setting in names[1:]:
        way = re.sub(r"[\d.:%]+", "", setting).strip()
        count = amounts[way]
        amounts[way] += 1
        place = list(amounts).index(way)
        looks[setting] = Style(
            _WAYS[place % len(_WAYS)][min(count, 1)],
            _WAY_MARKERS[place % len(_WAY_MARKERS)],
            _AMOUNT_DASHES[count % len(_AMOUNT_DASHES)],
        )
    return looks


def series_styles(data: pd.DataFrame, cloud: bool = False) -> dict[tuple[str, str, str], Style]:
    """The style of each (series, space, quantity), the same in every panel.

    Series that would look the same within a panel get shades and dashes of their space instead,
    without markers; their bands, which would hide each other, are told but not drawn. Those of one
    kind of task keep its hue and their bands, and differ in marker and dash. In a ``cloud``, what
    has no marker gets one.
    """
    styles: dict[tuple[str, str, str], Style] = {}
    together = data.groupby("panel", observed=True)["space"].nunique().max() > 1
    for (space, quantity), rows in data.groupby(["space", "quantity"], sort=False):
        names = list(dict.fromkeys(rows["series"]))
        base = quantity_style(space, quantity)
        looks = [base] * len(names)
        if rows.groupby("panel", observed=True)["series"].nunique().max() > 1:
            stroke = 0.0 if quantity == "measured" else base.width
            others = len(styles) if together else None
            looks = [replace(look, stroke=stroke) for look in ramp(space, len(names), others)]
            if space in TASKS:
                looks = task_styles(space, len(names))
        if cloud:
            looks = [
                look if look.marker != "none" else Style(look.colour, marker)
                for look, marker in zip(looks, cycle(_CLOUD_MARKERS), strict=False)
            ]
        styles |= {(each, space, quantity): look for each, look in zip(names, looks, strict=True)}
    return styles


def _channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of `#rrggbb`, each from 0 to 255."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue
