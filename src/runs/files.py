"""Files that are whole or not there, in folders that can be written."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers.errors import InputError


def writable(folder: Path) -> Path:
    """``folder``, made if need be; :class:`InputError` if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # has no name that a killed run could leave
            pass
    except OSError as error:
        raise InputError(
            f"folder {folder} cannot be written ({error.strerror}): choose another, for results "
            "with results=FOLDER"
        ) from None
    return folder


@contextmanager
def room_in(folder: Path) -> Iterator[None]:
    """:class:`InputError` in one line where what is written to ``folder`` finds the disk full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            f"no room left on the disk of {folder}: make some, and run the same command again; "
            "what is finished is kept"
        ) from None


def write_whole(path: Path, text: str) -> None:
    """Write a text file under a temporary name and rename it, so that no half is ever seen."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
