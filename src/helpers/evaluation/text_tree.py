"""Texts that begin alike, read as one tree: what several of them share is read once.

A row of a forward pass holds the branches of many texts one after the other. Each token sees its
own text alone and stands at its own place in it, so what a model computes for it is what it would
compute for the text by itself. A long beginning of many texts, such as examples before every
question, is a trunk: it is read before, and the rows grow on it.

All functions are pure and work on sorted texts, so that their result does not depend on the order
in which texts were asked for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

ROW = 128  # tokens that fill a row, if more than one text is in it
TRUNK = 32  # tokens worth a pass of their own …
CROWN = 8 * ROW  # … if at least as many as these grow on them

Tokens = tuple[int, ...]


@dataclass(frozen=True, order=True)
class Text:
    """Tokens to read, of which the states from place ``first`` on are wanted."""

    tokens: Tokens
    first: int


@dataclass
class Row:
    """Branches of texts that share their first ``start`` tokens, which are not in it.

    ``tokens`` and ``places`` (both T) are each token and its place in its text. ``paths`` holds,
    for each text in turn, where in the row its tokens from ``start`` on are.
    """

    start: int
    tokens: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    paths: list[list[int]] = field(default_factory=list)
    _grown: list[tuple[int, int]] = field(default_factory=list)  # per text: tokens before, shared

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def straight(self) -> bool:
        """Whether the row is one text, or texts that end in one another, with nothing before."""
        return self.start == 0 and self.places == list(range(len(self)))

    def shared(self, text: Text) -> int:
        """How many tokens after ``start`` a text shares with the one that was added last."""
        return alike(self.texts[-1].tokens, text.tokens) - self.start if self.texts else 0

    def takes(self, text: Text) -> bool:
        """Whether a text belongs here rather than in a row of its own: it fits, or most of it is
        here already."""
        shared = self.shared(text)
        fresh = len(text.tokens) - self.start - shared
        return not self.texts or len(self) + fresh <= ROW or shared >= fresh

    def add(self, text: Text) -> None:
        """Let a text grow from the one before it, where the two part."""
        shared, before = self.shared(text), len(self)
        places = range(self.start + shared, len(text.tokens))
        known = self.paths[-1][:shared] if self.paths else []
        self.tokens += text.tokens[places.start :]
        self.places += places
        self.texts.append(text)
        self.paths.append([*known, *range(before, len(self))])
        self._grown.append((before, shared))

    def sees(self) -> Tensor:
        """Which tokens of the row each token sees: (T, T) boolean, itself included."""
        seen = torch.zeros(len(self), len(self), dtype=torch.bool)
        for (before, shared), path in zip(self._grown, self.paths, strict=True):
            end = before + len(path) - shared
            seen[before:end, path[:shared]] = True
            seen[before:end, before:end] = torch.ones(end - before, end - before).tril().bool()
        return seen


@dataclass(frozen=True)
class Branching:
    """A trunk, empty or read before, and the rows that grow on it."""

    trunk: Tokens
    rows: tuple[Row, ...]


def alike(one: Tokens, other: Tokens) -> int:
    """How many tokens two texts share from the beginning."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )


def grown(texts: Sequence[Text]) -> Iterator[Branching]:
    """All texts (sorted here; each is read once, its earliest wanted place counts) as trunks and
    rows. Every wanted place is in a row."""
    wanted: dict[Tokens, int] = {}
    for text in texts:
        wanted[text.tokens] = min(text.first, wanted.get(text.tokens, text.first))
    ordered = [Text(*pair) for pair in sorted(wanted.items())]
    if ordered:
        yield from _branchings(ordered)


def _branchings(texts: list[Text]) -> Iterator[Branching]:
    """Parts of the texts with a worthy trunk of their own, then what is left, with its own."""
    trunk = _trunk(texts)
    rest: list[Text] = []
    for part in _parts(texts, trunk + TRUNK):
        if len(part) < len(texts) and _worthy(part):
            yield from _branchings(part)
        else:
            rest += part
    if rest:
        start = _trunk(rest) if _worthy(rest) else 0
        yield Branching(rest[0].tokens[:start], tuple(_rows(rest, start)))


def _trunk(texts: list[Text]) -> int:
    """Tokens that sorted texts share, none of them wanted."""
    return min(alike(texts[0].tokens, texts[-1].tokens), *(text.first for text in texts))


def _worthy(texts: list[Text]) -> bool:
    """Whether what the texts share saves more than its own pass costs."""
    trunk = _trunk(texts)
    crown = sum(
        len(text.tokens) - alike(before.tokens, text.tokens) for before, text in pairwise(texts)
    )
    return trunk >= TRUNK and crown + len(texts[0].tokens) - trunk >= CROWN


def _parts(texts: list[Text], least: int) -> Iterator[list[Text]]:
    """Runs of sorted texts that share at least ``least`` tokens from each to the next."""
    part = [texts[0]]
    for before, text in pairwise(texts):
        if alike(before.tokens, text.tokens) < least:
            yield part
            part = []
        part.append(text)
    yield part


def _rows(texts: list[Text], start: int) -> Iterator[Row]:
    """Rows of the texts in their order, on a trunk of ``start`` tokens."""
    row = Row(start)
    for text in texts:
        if not row.takes(text):
            yield row
            row = Row(start)
        row.add(text)
    yield row
