"""What the fields of a task's row hold, or what is wrong with them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]
LISTED = ("question", "options", "answer")  # the embedded wheel's multiple choice
LETTERS = "ABCDEFGH"


class Wrong(ValueError):
    """What is wrong with a row, in words that follow the place where it stands."""


def listed_options(row: Row) -> tuple[str, list[str], int]:
    """Question, options and place of the answer of a row whose options are one text.

    The answer is told by its letter, and its text must be that of the option. In a few rows the
    first options stand at the end of the question, or its end before the options.
    """
    asks, listed, answer = (text(row, name) for name in LISTED)
    if not re.search(r"(?:^|\n)A\. ", listed):
        asks, _, rest = asks.partition("\nA. ")
        listed = f"A. {rest}\n{listed.lstrip()}"
    before, *parts = re.split(r"(?:^|\n)([A-H])\. ", listed)
    asks, options = asks + before.strip(), parts[1::2]
    if len(options) < 2 or "".join(parts[::2]) != LETTERS[: len(options)]:
        raise Wrong(f"its options are not listed as A. …, B. … but as {listed[:60]!r}")
    place = LETTERS.find(answer[:1]) if answer[1:3] == ". " else -1
    # a question mark has stayed behind the last option of some questions
    if place not in range(len(options)) or options[place].rstrip("?") != answer[3:].rstrip("?"):
        raise Wrong(f"its answer {answer!r} is not among its options")
    return asks, options, place


def text(row: Mapping[str, Any], name: str) -> str:
    """The text in a field; :class:`Wrong` if it holds none."""
    value = row.get(name)
    if not isinstance(value, str):
        raise Wrong(f"its {name} is no text but {value!r}")
    return value


def texts(value: Any, name: str) -> list[str]:
    """One text or several, as a list; :class:`Wrong` if it holds something else, or nothing."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, Sequence) or not all(isinstance(one, str) for one in found):
        raise Wrong(f"its {name} is no list of texts but {value!r}")
    if not found:
        raise Wrong(f"its {name} is empty")
    return list(found)


def one_of(value: Any, allowed: Sequence[str], name: str = "answer") -> int:
    """Place of ``value``, a number or a text, among those ``allowed``; :class:`Wrong` if it is
    none of them."""
    said = str(value).strip()
    if said not in allowed:
        raise Wrong(f"its {name} {value!r} is not among {', '.join(allowed)}")
    return allowed.index(said)
