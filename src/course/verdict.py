"""What a check says of an answer: right, or one line that helps."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from helpers.errors import cause

NOTHING = "nothing here yet: put your answer in the place of ..."


@dataclass(frozen=True)
class Verdict:
    """Of an ``exercise``, named by its check: whether the answer ``passed``, and one ``line``."""

    exercise: str
    passed: bool
    line: str

    def __repr__(self) -> str:
        return f"{'✓' if self.passed else '✗'} {self.line}"


class _Nothing(Exception):
    """A student's function gave nothing back."""


def check(judge: Callable[..., str]) -> Callable[..., Verdict]:
    """A check out of a function of answers that gives an empty text where they are right, else
    one helpful line.

    The check never raises: an answer that is still ``...``, a function that gives nothing back and
    code that fails are verdicts too, so that a notebook runs on to its end.
    """

    @wraps(judge)
    def judged(*answers: Any) -> Verdict:
        try:
            if any(map(_missing, answers)):
                raise _Nothing(NOTHING)
            said = judge(*map(_asked, answers))
        except _Nothing as error:
            said = str(error)
        except Exception as error:
            said = f"your code fails: {type(error).__name__}: {cause(error)}"
        return Verdict(judge.__name__, not said, " ".join(said.split()) or "Right.")

    return judged


def _missing(answer: Any) -> bool:
    """Whether an answer, or a part of it, is still to be given."""
    parts = answer.values() if isinstance(answer, dict) else answer
    if isinstance(answer, dict | tuple | list):
        return any(map(_missing, parts))
    return answer is None or answer is ...


def _asked(answer: Any) -> Any:
    """A function that says so where it gives nothing back; any other answer as it is."""
    if not callable(answer):
        return answer

    @wraps(answer)
    def given(*arguments: Any) -> Any:
        value = answer(*arguments)
        if _missing(value):
            raise _Nothing(f"{answer.__name__} gives nothing back yet: does it return its result?")
        return value

    return given
