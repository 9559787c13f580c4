"""Short questions with one right answer, which can be asked with options or without.

``probes.json`` holds them in families: capitals, opposites, sums and so on. It has a ``source``,
a ``format`` that says what each field means, and ``families``: for each name what its items ask
for (``asks``) and the ``items``, in order:

``id``
    family and number, such as ``capitals-01``;
``question``
    a whole question, which makes sense without options;
``prefix``
    how an answer begins, such as ``The capital of France is``; the answer follows after a space;
``answer``, ``accepted``
    the answer as it follows the prefix, and all that count as right, the answer first;
``options``
    four words of one kind, no two with the same first letter, the answer among them and no
    other accepted one. Of any four neighbours in a family, counted from the first, each has
    its right answer in another place.

The same item can so be asked as multiple choice and as free generation, with the same prefix.
The first items of a family stand for it: kinds of question alternate.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from helpers.errors import InputError

LETTERS = ("A", "B", "C", "D")
CHOOSE = "Choose the correct answer:"  # as the multiple-choice prompts of Appendix E have it
LETTER_PREFIX = "The correct answer is"


@dataclass(frozen=True)
class Probe:
    """One question: see the module for what its fields mean."""

    id: str
    family: str
    question: str
    prefix: str
    answer: str
    accepted: tuple[str, ...]
    options: tuple[str, ...]

    @property
    def place(self) -> int:
        """Where the answer stands among the options, from 0."""
        return self.options.index(self.answer)

    @property
    def letter(self) -> str:
        """The letter of the right option."""
        return LETTERS[self.place]

    def accepts(self, answer: str) -> bool:
        """Whether an answer counts as right; case, blanks around it and a full stop do not
        matter."""
        said = answer.strip().removesuffix(".").rstrip().casefold()
        return said in {each.casefold() for each in self.accepted}


def families() -> dict[str, str]:
    """The families in their order, and what each asks for."""
    return {name: family["asks"] for name, family in _file()["families"].items()}


@cache
def probes(families: str = "all", each: int | None = None) -> tuple[Probe, ...]:
    """The first ``each`` items, or all, of all families or of those named, separated by commas.

    They come in the file's order. Raises :class:`InputError` for a family that is not there.
    """
    known = _file()["families"]
    named = [part.strip() for part in families.split(",") if part.strip()]
    wanted = list(known) if named == ["all"] else named or [families]
    for name in wanted:
        if name not in known:
            raise InputError(f"unknown family {name!r}: known are all, {', '.join(known)}")
    return tuple(
        _probe(name, item)
        for name, family in known.items()
        if name in wanted
        for item in family["items"][:each]
    )


def multiple_choice(probe: Probe, letters: bool = True) -> str:
    """The question with its options: ``… Choose the correct answer: A) Paris B) …`` as Appendix E
    asks, or without ``letters`` as a plain list, ``Paris, Rome, Oslo or Bern``.

    The answer prefix comes after it: ``probe.prefix`` asks for the word, ``LETTER_PREFIX`` for
    its letter; without either the model answers as it likes.
    """
    if letters:
        pairs = zip(LETTERS, probe.options, strict=True)
        listed = " ".join(f"{letter}) {word}" for letter, word in pairs)
    else:
        listed = f"{', '.join(probe.options[:-1])} or {probe.options[-1]}"
    return f"{probe.question} {CHOOSE} {listed}"


@cache
def _file() -> dict[str, Any]:
    text = resources.files("helpers.texts").joinpath("probes.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _probe(family: str, item: dict[str, Any]) -> Probe:
    return Probe(
        id=item["id"],
        family=family,
        question=item["question"],
        prefix=item["prefix"],
        answer=item["answer"],
        accepted=tuple(item["accepted"]),
        options=tuple(item["options"]),
    )
