"""Texts side by side: what several models wrote, where each parts from the first, and how unlikely
each token was.

Plain HTML: one block for each text, beside each other where there is room and below each other
where there is not. Unlikely tokens are darker and carry a thicker bar below, so that print and
readers who see no hue lose nothing. Programs that read aloud get each text in words.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from reporting.figures.identity import download, line, refuse_name
from reporting.figures.tables import HtmlOutput
from reporting.words import shown

# from the likeliest tokens to the unlikeliest: where a level begins, in nats, and what it means
LEVELS = (
    (0.0, "probability above 1/2 (below 0.7 nats)"),
    (0.693147, "1/2 to 1/10"),
    (2.302585, "1/10 to 1/100 (2.3 to 4.6 nats)"),
    (4.605170, "1/100 to 1/1000"),
    (6.907755, "below 1/1000 (above 6.9 nats)"),
)
MARK = "▼"


@dataclass(frozen=True)
class Text:
    """One text: who wrote it, its tokens, and −log p of each in nats.

    ``parting`` is the place of the first token that differs from the text compared with, if one
    does. ``notes`` stand in the block's head; ``reported`` below it says what the paper shows.
    """

    name: str
    tokens: Sequence[str]
    surprise: Sequence[float]
    parting: int | None = None
    notes: Sequence[str] = ()
    reported: str = ""


@dataclass(frozen=True)
class Question:
    """What was asked, under a short title, and the texts that answer it."""

    title: str
    text: str
    texts: Sequence[Text]


def side_by_side(
    questions: Sequence[Question],
    *,
    name: str,
    title: str,
    caption: str,
    data: pd.DataFrame,
    provenance: dict[str, Any],
) -> HtmlOutput:
    """The texts of the first question, and those of each other one in a list that opens.

    ``data`` holds what is shown, for the download. Nothing needs a script or a mouse; a mouse over
    the first question's tokens gets exact numbers.
    """
    refuse_name(name)
    if not questions or not all(each.texts for each in questions):
        raise ValueError(f"figure {name!r}: give at least one question, and texts for each")
    first, *others = questions
    more = "".join(
        f'<details class="text-more"><summary>{escape(each.title)}: {escape(each.text)}</summary>'
        f"{_blocks(each, exact=False)}</details>"
        for each in others
    )
    link = download(data, name, title, provenance)
    html = "\n".join(
        [
            f'<figure class="book-figure" id="fig-{name}">',
            f'<p class="figure-title" id="{name}-title">{escape(title)}</p>',
            _key(),
            f'<p class="text-question">{escape(first.title)}: “{escape(first.text)}”</p>',
            _blocks(first, exact=True),
            f'<p class="text-question">The other {len(others)} prompts</p>' if others else "",
            more,
            f'<figcaption><p class="figure-note">{escape(caption)}</p>',
            line(provenance, name, link),
            "</figcaption>",
            "</figure>",
        ]
    )
    return HtmlOutput(html, "\n".join([title, caption, *_plain(first)]))


def visible(token: str) -> str:
    """A token as it is shown: one space at its start stays a space, all else unseen is shown.

    >>> visible(" Paris"), visible(" "), visible("a  b")
    (' Paris', '␣', 'a␣␣b')
    """
    if not token:
        return "∅"
    if token.startswith(" ") and token[1:].strip():
        return " " + shown(token[1:])
    return shown(token)


def level(surprise: float) -> int:
    """Which of the ``LEVELS`` a token belongs to, from 0."""
    return max(0, bisect_right([least for least, _ in LEVELS], surprise) - 1)


def _key() -> str:
    items = "".join(
        f'<li><span class="token t{index}" aria-hidden="true">&nbsp;token&nbsp;</span> '
        f"{escape(words)}</li>"
        for index, (_, words) in enumerate(LEVELS)
    )
    mark = f'<li><span class="token first-different" aria-hidden="true">{MARK}token</span> '
    return f'<ul class="figure-key">{items}{mark}first token that differs from dense</li></ul>'


def _blocks(question: Question, exact: bool) -> str:
    blocks = "".join(_block(each, exact) for each in question.texts)
    return f'<div class="text-blocks">{blocks}</div>'


def _block(text: Text, exact: bool) -> str:
    head = "".join(f"<span>{escape(note)}</span>" for note in text.notes)
    reported = f'<p class="text-reported">{escape(text.reported)}</p>' if text.reported else ""
    return (
        f'<div class="text-block"><p class="text-head"><strong>{escape(text.name)}</strong>{head}'
        f'</p><p class="text-spoken">{escape(_spoken(text))}</p>'
        f'<p class="text-tokens" aria-hidden="true">{_tokens(text, exact)}</p>{reported}</div>'
    )


def _tokens(text: Text, exact: bool) -> str:
    found = []
    for place, (token, surprise) in enumerate(zip(text.tokens, text.surprise, strict=True)):
        differs = place == text.parting
        kind = f"t{level(surprise)}" + (" first-different" if differs else "")
        words = f' title="{surprise:.1f} nats"' if exact else ""
        mark = MARK if differs else ""
        found.append(f'<span class="{kind}"{words}>{mark}{escape(visible(token))}</span>')
    return "".join(found)


def _spoken(text: Text) -> str:
    """The text for programs that read aloud: plain, with the first different token in words."""

    def plain(tokens: Sequence[str]) -> str:
        letters = (letter if letter.isprintable() else " " for letter in "".join(tokens))
        return " ".join("".join(letters).split()) or "a blank or control character"

    if text.parting is None:
        return plain(text.tokens)
    same, other = text.tokens[: text.parting], text.tokens[text.parting :]
    before = f"As the dense text: “{plain(same)}” " if same else ""
    return (
        f"{before}First different token: “{plain(other[:1])}”. "
        f"The text from there: “{plain(other)}”"
    )


def _plain(question: Question) -> list[str]:
    return [f"{each.name}: {''.join(each.tokens)}" for each in question.texts]
