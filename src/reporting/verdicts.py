"""Does it hold? One vocabulary of verdicts, with one sign and one colour each, and one rule."""

import re
from collections.abc import Iterable
from html import escape

SUPPORTED = "supported"
IN_SOME = "in some"  # followed by how many: in some (2 of 3)
TOO_FEW = "too few data"  # no interval, or one that does not decide
CONTRADICTED = "contradicted"
TOO_WEAK = "model too weak"  # at its floor, where nothing can be lost
MARKS = {SUPPORTED: "✓", IN_SOME: "◐", TOO_FEW: "?", CONTRADICTED: "✗", TOO_WEAK: "∅"}
MEANINGS = {
    SUPPORTED: "every condition is met",
    IN_SOME: "so many of the row's conditions are met",
    TOO_FEW: "no interval decides",
    CONTRADICTED: "none is met, and one is not",
    TOO_WEAK: "at its floor, where nothing can be lost",
}
RULES = "../book/ledger.html#how-a-verdict-is-made"  # as seen from a chapter


def judge(conditions: Iterable[bool | None]) -> str:
    """One verdict from conditions that are met (True), not met (False) or undecided (None), of one
    model or of several: supported if all are met, in some if some are, contradicted if none is and
    one is not; too few data if none is decided; and with no condition at all, a model too weak."""
    given = [None if one is None else bool(one) for one in conditions]
    if not given:
        return TOO_WEAK
    met = given.count(True)
    if met:
        return SUPPORTED if met == len(given) else f"{IN_SOME} ({met} of {len(given)})"
    return CONTRADICTED if False in given else TOO_FEW


def kind(verdict: str) -> str:
    """The verdict without its count. Raises ValueError for a word outside the vocabulary."""
    found = verdict.partition(" (")[0]
    if found not in MARKS:
        raise ValueError(f"{verdict!r} is no verdict: use one of {', '.join(MARKS)}")
    return found


def marked(verdict: str) -> str:
    """``✓ supported``: the verdict after its sign."""
    return f"{MARKS[kind(verdict)]} {verdict}"


def said(text: str) -> tuple[str, str]:
    """The verdict that ``text`` is or begins with, before a colon, with or without its sign; and
    the rest. Both empty if it is none."""
    signs, kinds = "".join(MARKS.values()), "|".join(MARKS)
    found = re.fullmatch(rf"(?:[{signs}] )?((?:{kinds})(?: \(\d+ of \d+\))?)(: .*)?", text, re.S)
    return (found[1], found[2] or "") if found else ("", "")


def badge(verdict: str, shown: str = "") -> str:
    """The verdict, or what is ``shown`` in its place, after its sign and in its colour: HTML."""
    sign, name = MARKS[kind(verdict)], kind(verdict).replace(" ", "-")
    text = escape(shown or verdict)
    return (
        f'<span class="verdict verdict-{name}"><span aria-hidden="true">{sign}</span> {text}</span>'
    )


def legend() -> str:
    """What the signs mean, as HTML that stands under every table of claims."""
    told = "".join(f"<li>{badge(name)} {words}</li>" for name, words in MEANINGS.items())
    return f'<ul class="verdict-legend">{told}<li><a href="{RULES}">the rules</a></li></ul>'
