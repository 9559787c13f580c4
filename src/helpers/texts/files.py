"""The one reader of text files that a user gives, by what they hold rather than what they are
called: JSON, JSON lines or plain text, compressed or not. Damage is named by file and line."""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from helpers.errors import InputError

Numbered = tuple[Any, str]  # a row, and where it stands
Cut = Callable[[str], Iterable[str]]  # plain text → its parts
GZIP = b"\x1f\x8b"
LINE_END = rb"\r\n|\r|\n"  # of Windows, of old Macs, of all others
JSON_NAME = re.compile(r"\.(json|jsonl|ndjson)\b", re.IGNORECASE)
JSON_START = re.compile(r'\s*([\[{]\s*["{\[]|\[\s*\]|\{\s*\})')
TAKES = "it takes a JSON list, or one JSON value on each line"


def file_called(name: str) -> Path | None:
    """The file that a text names; None if there is none."""
    try:
        path = Path(name.strip()).expanduser()
        return path if path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # no name that a file can have
        return None


def text_of(path: Path) -> str:
    r"""The text of a file: unpacked if it is gzip, without byte-order mark, lines ended by ``\n``.

    :class:`InputError` if it cannot be read, or is no UTF-8 text.
    """
    name = _short(path)
    try:
        content = path.expanduser().read_bytes()
        if content.startswith(GZIP):
            content = gzip.decompress(content)
    except FileNotFoundError:
        raise InputError(f"{name} is not there") from None
    except (OSError, EOFError, zlib.error, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name} cannot be read: {reason}") from None
    content = re.sub(LINE_END, b"\n", content.removeprefix(b"\xef\xbb\xbf"))
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} {_no_text(content, error.start)}") from None
    if "\0" in text:  # as in UTF-16, of which half is often good UTF-8
        raise InputError(f"{name} {_no_text(content, content.index(0))}")
    return text


def rows(path: Path, cut: Cut | None = None) -> Iterator[Numbered]:
    """Rows of a JSON list or of JSON lines; of plain text, where ``cut`` says how it is cut, the
    parts that are not blank.

    What is called JSON, or begins as JSON does, is JSON. :class:`InputError` names the line that
    is damaged.
    """
    text, name = text_of(path), _short(path)
    if cut and not JSON_NAME.search(path.name) and not JSON_START.match(text):
        found = [part for part in cut(text) if part.strip()]
        yield from ((part, f"part {number} of {name}") for number, part in enumerate(found, 1))
        return
    try:
        listed: Any = json.loads(text) if text.lstrip().startswith("[") else None
    except (ValueError, RecursionError) as error:
        raise InputError(_damaged(name, error)) from None
    if listed is not None:
        for number, row in enumerate(listed, 1):
            yield _whole(row, f"item {number} of {name}", text)
        return
    # not splitlines, which also cuts at separators that JSON allows within a string
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(_damaged(name, error, number)) from None
            yield _whole(row, f"line {number} of {name}", line)


def _whole(row: Any, where: str, text: str) -> Numbered:
    r"""A row of whole characters; :class:`InputError` for half of one, such as ``\ud83d`` alone,
    which no tokenizer reads and no table holds."""
    if "\\ud" in text or "\\uD" in text:
        try:
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = ascii(error.object[error.start])
            raise InputError(f"{where} has half a character, {half}: write it as UTF-8") from None
    return row, where


def _damaged(name: str, error: Exception, line: int = 0) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{name} is damaged at line {line or error.lineno}: {error.msg}; {TAKES}"
    reason = "nested too deeply" if isinstance(error, RecursionError) else error
    return f"{name} is damaged{f' at line {line}' if line else ''}: {reason}"


def _no_text(content: bytes, at: int) -> str:
    line = 1 + content.count(b"\n", 0, at)
    return f"cannot be read as UTF-8: line {line} holds byte 0x{content[at]:02x}; save it as UTF-8"


def _short(path: Path, most: int = 200) -> str:
    return path.name if len(path.name) <= most else f"{path.name[:most]}…"
