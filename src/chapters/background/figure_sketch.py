"""A few strokes for a diagram in SVG: boxes, arrows, words, and the marks of the three spaces.

Lines and words take the colour of the page (`currentColor`), so a sketch works in both themes.
Coordinates are pixels at natural size; text is 13 px and never smaller than 12.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from reporting.figures.style import style_of

TEXT = 13
CHARACTER = 7.2  # width that a letter is given; most fonts need less
LINE = 17
FAINT = 0.13
Point = tuple[float, float]


@dataclass
class Sketch:
    """A picture of `width` × `height` pixels, drawn from back to front."""

    width: float
    height: float
    parts: list[str] = field(default_factory=list)

    def words(
        self, x: float, y: float, *lines: str, anchor: str = "middle", bold: bool = False
    ) -> None:
        """Lines of text under one another, the block centred at height `y`."""
        top = y - LINE * (len(lines) - 1) / 2 + 0.35 * TEXT
        weight = ' font-weight="600"' if bold else ""
        for row, line in enumerate(lines):
            self.parts.append(
                f'<text x="{x:g}" y="{top + row * LINE:g}" text-anchor="{anchor}"{weight}>'
                f"{escape(line)}</text>"
            )

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *lines: str,
        space: str = "",
        dashed: bool = False,
    ) -> None:
        """A rounded box with centred words; with a `space`, in its hue."""
        colour = style_of(space).colour if space else "currentColor"
        fill = style_of(space).faint(FAINT) if space else "none"
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" '
            f'fill="{fill}" stroke="{colour}" stroke-width="1.4"{dash}/>'
        )
        self.words(x + width / 2, y + height / 2, *lines)

    def mark(self, space: str, x: float, y: float, letter: str) -> None:
        """The circle, square or diamond of a space, with the letter of its vector."""
        style = style_of(space)
        outline = {
            "circle": f'<circle cx="{x:g}" cy="{y:g}" r="16"',
            "square": f'<rect x="{x - 15:g}" y="{y - 15:g}" width="30" height="30"',
            "diamond": f'<path d="M{x:g} {y - 21:g}l21 21-21 21-21-21z"',
        }[style.marker]
        fill = style.faint(FAINT)
        self.parts.append(f'{outline} fill="{fill}" stroke="{style.colour}" stroke-width="2.4"/>')
        self.parts.append(
            f'<text x="{x:g}" y="{y + 5:g}" text-anchor="middle" font-style="italic" '
            f'font-size="16">{escape(letter)}</text>'
        )

    def plus(self, x: float, y: float) -> None:
        """The sign of an addition, in a ring."""
        self.parts.append(
            f'<path d="M{x - 7:g} {y:g}h14M{x:g} {y - 7:g}v14" stroke="currentColor"/>'
            f'<circle cx="{x:g}" cy="{y:g}" r="7" fill="none" stroke="currentColor"/>'
        )

    def path(self, *points: Point, space: str = "", arrow: bool = True) -> None:
        """A line through the points, with a head at its end unless `arrow` is false."""
        colour = style_of(space).colour if space else "currentColor"
        (x, y), (end_x, end_y) = points[-2:]
        angle = math.atan2(end_y - y, end_x - x)
        drawn: list[Point] = list(points)
        if arrow:
            drawn[-1] = (end_x - 6 * math.cos(angle), end_y - 6 * math.sin(angle))
        line = "L".join(f"{px:.5g} {py:.5g}" for px, py in drawn)
        self.parts.append(
            f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="1.6" '
            'stroke-linejoin="round"/>'
        )
        if arrow:
            self.parts.append(
                f'<path d="M0 0l-8-4v8z" fill="{colour}" '
                f'transform="translate({end_x:g} {end_y:g}) rotate({math.degrees(angle):g})"/>'
            )

    def chips(self, x: float, y: float, tokens: Sequence[str], last: str, room: float) -> Point:
        """Tokens side by side over a bracket and, dashed, the one to come, within `room` pixels;
        the first ones give way to dots. Gives the place at the right of the new one."""
        start, shown, left = x, list(tokens), room - _chip(last)
        while len(shown) > 1 and sum(_chip(token) for token in shown) > left:
            shown = ["…", *shown[2:]] if shown[0] == "…" else ["…", *shown[1:]]
        for token in shown:
            self.box(x, y, _chip(token) - 4, 24, token)
            x += _chip(token)
        bracket = ((start, y + 29), (start, y + 34), (x - 4, y + 34), (x - 4, y + 29))
        self.path(*bracket, arrow=False)
        self.box(x, y, _chip(last) - 4, 24, last, space="probability", dashed=True)
        return (x + _chip(last) - 4, y + 12)

    def svg(self, css: str) -> str:
        """The picture as an `<svg>` element of class `css`, hidden from screen readers: what
        holds it says in words what it shows."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{css}" aria-hidden="true" '
            f'viewBox="0 0 {self.width:g} {self.height:g}" width="100%" font-size="{TEXT}" '
            f'fill="currentColor" style="max-width:{1.15 * self.width:.0f}px;height:auto">'
            f"{''.join(self.parts)}</svg>"
        )


def _chip(token: str) -> float:
    """Width of a token's box with the gap behind it."""
    return CHARACTER * len(token) + 14
