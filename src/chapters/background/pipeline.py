"""The way of a text through a language model as a drawing: three spaces, three readouts.

Our own drawing of what Figure 2 of arXiv 2603.24652 is about. There are two arrangements of the
same parts, side by side for wide pages and top to bottom for narrow ones; the style sheet shows
one of them. Lines and words take the colour of the page, so that it works in both themes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from reporting.figures.style import style_of
from reporting.figures.tables import HtmlOutput

OPTIONS = 4  # of the multiple choice
TEXT = 13
CHARACTER = 7.2  # width that a letter is given; most fonts need less
LINE = 17
FAINT = 0.13
Point = tuple[float, float]


@dataclass(frozen=True)
class Pipeline:
    """What the drawing is labelled with: a model's measures, and a text with its next token."""

    tokens: Sequence[str]
    next_token: str
    layers: int
    width: int
    vocabulary: int


def pipeline(parts: Pipeline, *, name: str, title: str, caption: str) -> HtmlOutput:
    """The drawing as a figure; it shows no measured values, so there are no data to download."""
    html = (
        f'<figure class="book-figure" id="fig-{escape(name)}">'
        f'<p class="figure-title">{escape(title)}</p>'
        f'<div class="pipeline" role="img" aria-label="{escape(describe_pipeline(parts))}">'
        f"{_wide(parts).svg('pipeline-wide')}{_narrow(parts).svg('pipeline-narrow')}</div>"
        f'<figcaption><p class="figure-note">{escape(caption)}</p></figcaption></figure>'
    )
    return HtmlOutput(html, f"{title}\n{caption}")


def describe_pipeline(parts: Pipeline) -> str:
    """The drawing in words."""
    return (
        f"Diagram. {len(parts.tokens)} tokens are looked up in the embedding matrix E and pass "
        f"{parts.layers} layers; in each, attention and then an MLP add to what is there. This "
        f"gives the state h of {parts.width} numbers, in the embedding space. The final norm and "
        f"the matrix W give the logits z, one for each of {parts.vocabulary:,} tokens, in the "
        "logit space. Softmax at temperature T gives the probabilities p, in the probability "
        f"space. A token is drawn from p, here {parts.next_token}, and is put behind the text, "
        "which is read again. Three tasks branch off: retrieval compares the angle of h with "
        f"states of other texts; multiple choice compares {OPTIONS} entries of p, whose order is "
        f"that of z; generation draws from all {parts.vocabulary:,} entries of p."
    )


def _wide(parts: Pipeline) -> Sketch:
    """From left to right, readouts below."""
    sketch, line = Sketch(760, 352), 186
    sketch.words(12, 14, "tokens", anchor="start", bold=True)
    new = sketch.chips(12, 28, parts.tokens, parts.next_token, 520)
    sketch.box(12, line - 22, 64, 44, "look up", "in E")
    sketch.path((44, 62), (44, line - 22))

    sketch.path((76, line), (376, line))
    sketch.box(90, 104, 250, 112)
    sketch.words(215, 120, f"layer, {parts.layers} times", bold=True)
    for left, label in ((104, "attention"), (220, "MLP")):
        right = left + 102
        sketch.path((left, line), (left, 150), (left + 14, 150))
        sketch.box(left + 14, 136, 72, 28, label)
        sketch.path((left + 86, 150), (right, 150), (right, line - 7))
        sketch.plus(right, line)

    marks = (("embedding", 392, "h"), ("logit", 532, "z"), ("probability", 682, "p"))
    for space, x, letter in marks:
        sketch.mark(space, x, line, letter)
        sketch.words(x, 146, space, bold=True)
    sketch.path((408, line), (421, line))
    sketch.box(421, line - 22, 84, 44, "final norm,", "times W")
    sketch.path((505, line), (517, line))
    sketch.path((547, line), (566, line))
    sketch.box(566, line - 22, 78, 44, "softmax", "of z / T")
    sketch.path((644, line), (661, line))
    sketch.path((703, line), (744, line), (744, new[1]), new, space="probability")
    sketch.words(736, 62, "draw one token,", "append it, read again", anchor="end")

    sketch.path((392, line + 16), (392, 264), space="embedding")
    sketch.path((532, line + 15), (532, 264), space="logit")
    sketch.path((682, line + 21), (682, 264), space="probability")
    sketch.path((682, 240), (576, 240), (576, 264), space="probability")
    _readouts(sketch, parts, ((258, 264, 172), (442, 264, 152), (606, 264, 146)))
    sketch.words(
        *(12, 299),
        f"h: {parts.width:,} numbers",
        f"z: {parts.vocabulary:,} numbers",
        f"p: {parts.vocabulary:,}, with sum 1",
        anchor="start",
    )
    return sketch


def _narrow(parts: Pipeline) -> Sketch:
    """From top to bottom, readouts at the right."""
    sketch, line = Sketch(360, 704), 60
    sketch.words(4, 12, "tokens", anchor="start", bold=True)
    new = sketch.chips(4, 24, parts.tokens, parts.next_token, 330)
    sketch.box(4, 88, 112, 28, "look up in E")
    sketch.path((line, 58), (line, 88))

    sketch.path((line, 116), (line, 324))
    sketch.box(14, 136, 180, 170)
    sketch.words(204, 221, "layer,", f"{parts.layers} times", anchor="start", bold=True)
    for top, label in ((146, "attention"), (228, "MLP")):
        bottom = top + 60
        sketch.path((line, top), (144, top), (144, top + 16))
        sketch.box(100, top + 16, 86, 28, label)
        sketch.path((144, top + 44), (144, bottom), (line + 7, bottom))
        sketch.plus(line, bottom)

    marks = (("embedding", 340, "h"), ("logit", 464, "z"), ("probability", 590, "p"))
    for space, y, letter in marks:
        sketch.mark(space, line, y, letter)
        sketch.words(86, y - 14, space, anchor="start", bold=True)
        size = parts.width if space == "embedding" else parts.vocabulary
        sketch.words(86, y + 14, f"size {size:,}", anchor="start")
    sketch.path((line, 356), (line, 384))
    sketch.box(4, 384, 112, 44, "final norm,", "times W")
    sketch.path((line, 428), (line, 449))
    sketch.path((line, 479), (line, 502))
    sketch.box(4, 502, 112, 44, "softmax", "of z / T")
    sketch.path((line, 546), (line, 569))
    sketch.path((line, 611), (line, 660), (350, 660), (350, new[1]), new, space="probability")
    sketch.words(70, 676, "draw one token, append it, read again", anchor="start")

    sketch.path((76, 340), (190, 340), space="embedding")
    sketch.path((75, 464), (190, 464), space="logit")
    sketch.path((81, 590), (190, 590), space="probability")
    sketch.path((172, 590), (172, 490), (190, 490), space="probability")
    _readouts(sketch, parts, ((190, 312, 150), (190, 440, 150), (190, 562, 150)))
    return sketch


def _readouts(
    sketch: Sketch, parts: Pipeline, places: tuple[tuple[float, float, float], ...]
) -> None:
    """The three tasks at their places (left, top, width)."""
    tasks = (
        ("embedding", "Retrieval", "the angle of h to", "other texts’ states"),
        ("logit", "Multiple choice", f"{OPTIONS} entries of p,", "ordered as in z"),
        ("probability", "Generation", f"all {parts.vocabulary:,}", "entries of p"),
    )
    for (x, y, width), (space, name, *lines) in zip(places, tasks, strict=True):
        sketch.box(x, y, width, 70, "", *lines, space=space)
        sketch.words(x + width / 2, y + 18, name, bold=True)


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
