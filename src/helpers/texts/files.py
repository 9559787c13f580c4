"""Files of text that a user gives: read whole, and damage named by file and line."""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from helpers.errors import InputError

Numbered = tuple[Any, str]  # a row, and where it stands


def text_of(path: Path) -> str:
    """The text of a file, unpacked if its name ends in ``.gz``; :class:`InputError` if it cannot
    be read."""
    try:
        content = path.read_bytes()
        packed = path.suffix.lower() == ".gz"
        return (gzip.decompress(content) if packed else content).decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} cannot be read as UTF-8: {error}") from None


def json_rows(path: Path) -> Iterator[Numbered]:
    """Rows of a JSON list, or of JSON lines; :class:`InputError` names a damaged line."""
    text = text_of(path)
    if not text.lstrip().startswith("["):
        yield from _lines(path, text)
        return
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path.name} is damaged at line {error.lineno}: {error.msg}") from None
    for number, row in enumerate(found, 1):
        yield row, f"item {number} of {path.name}"


def _lines(path: Path, text: str) -> Iterator[Numbered]:
    # not splitlines, which also cuts at separators that JSON allows within a string
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path.name} is damaged at line {number}: {error.msg}") from None
        yield row, f"line {number} of {path.name}"
