"""Each student's own numbers: drawn from the id that the teacher knows them by, the same wherever
they are drawn."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def mine(student: str, what: str, choices: Sequence[T]) -> T:
    """One of ``choices``, drawn for ``student`` and ``what`` is asked. Case and blanks around an id
    do not matter.

    >>> mine("ada", "layer", range(30)) == mine(" Ada", "layer", range(30))
    True
    """
    words = f"{what}/{student.strip().casefold()}"
    drawn = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big")
    return choices[drawn % len(choices)]
