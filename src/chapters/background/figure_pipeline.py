"""The way of a text through a language model as a drawing: three spaces, three readouts.

Our own drawing of what Figure 2 of arXiv 2603.24652 is about. There are two arrangements of the
same parts, side by side for wide pages and top to bottom for narrow ones; the style sheet shows
one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from chapters.background.figure_sketch import Sketch
from reporting.figures.tables import HtmlOutput

OPTIONS = 4  # of the multiple choice


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
