"""Files that are whole or not there, in folders that can be written."""

import contextlib
import os
from pathlib import Path

from helpers.errors import InputError


def writable(folder: Path) -> Path:
    """``folder``, made if need be; :class:`InputError` if nothing can be written there."""
    probe = folder / f".probe-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
    except OSError as error:
        raise InputError(
            f"folder {folder} cannot be written ({error.strerror}): choose another, for results "
            "with results=FOLDER"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return folder


def write_whole(path: Path, text: str) -> None:
    """Write a text file under a temporary name and rename it, so that no half is ever seen."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
