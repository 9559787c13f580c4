"""SHA-256 of files, where a large one is read once for as long as it stays as it is."""

import contextlib
import hashlib
import os
import time
from pathlib import Path

from helpers.machine import cache_folder

LARGE = 2**20  # bytes; a smaller file is read as quickly as a note about it
SETTLED = 2e9  # nanoseconds: what changed just now may change again at the same time of the clock
_KNOWN: dict[str, str] = {}


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file.

    Of a large one it is remembered, in this process and in the cache folder, by path, size and
    time of change: 13 pruned models of one checkpoint read its weights once.
    """
    state = path.stat()
    if state.st_size < LARGE or time.time_ns() - state.st_mtime_ns < SETTLED:
        return _read(path)
    key = hashlib.sha256(
        f"{path.resolve()}\n{state.st_size}\n{state.st_mtime_ns}".encode()
    ).hexdigest()
    if key not in _KNOWN:
        _KNOWN[key] = _noted(cache_folder() / "hashes" / key, path)
    return _KNOWN[key]


def _noted(note: Path, path: Path) -> str:
    """What a note from another process says, else what the file holds, noted now."""
    with contextlib.suppress(OSError):
        found = note.read_text()
        if len(found) == hashlib.sha256().digest_size * 2:
            return found
    found = _read(path)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, nothing else
        note.parent.mkdir(parents=True, exist_ok=True)
        draft = note.with_suffix(f".{os.getpid()}")
        draft.write_text(found)
        draft.replace(note)
    return found


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
