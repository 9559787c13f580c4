"""The one kind of error that is the user's to mend."""

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten

LONGEST_CAUSE = 300  # characters


class InputError(ValueError):
    """Something that was asked for cannot be had. The message is one line: what was wrong,
    and what would be right."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


@contextmanager
def refused(failed: str, otherwise: str = "") -> Iterator[None]:
    """Around what a library loads: whatever it raises, of whatever kind, is an
    :class:`InputError` that says what ``failed``, such as ``model 'x' cannot be loaded``, why, and
    what to do ``otherwise``. An :class:`InputError` stays as it is."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        said = cause(error)
        line = f"{failed} ({said}): {otherwise}" if otherwise else f"{failed}: {said}"
        raise InputError(line) from error


def cause(error: BaseException) -> str:
    """Why a library failed, in one line: what the error says, and what it was raised from, each
    after its kind where it may be no more than a key."""
    said = str(error).strip()
    if not said or not isinstance(error, OSError | ValueError):
        said = ": ".join(filter(None, (type(error).__name__, said)))
    if error.__cause__ and str(error.__cause__) not in said:
        said += f" ({cause(error.__cause__)})"
    return shorten(said, LONGEST_CAUSE, placeholder=" …")


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind if it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
