"""SHA-256 of files, where a large one is read once for as long as it stays as it is."""

import contextlib
import hashlib
import os
import re
import time
from pathlib import Path

from helpers.machine import cache_folder

LARGE = 2**20  # bytes; a smaller file is read as quickly as a note about it
SETTLED = 2e9  # nanoseconds: what changed just now may change again at the same time of the clock
_KNOWN: dict[str, str] = {}


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read now."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remembered_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, to tell which one it is; not whether it is whole.

    Of a large one it is remembered, in this process and in the cache folder, by path, size, place
    on the disk and both times of change, of which copying tools preserve only one: 13 pruned models
    of one checkpoint read its weights once.
    """
    state = path.stat()
    changed = max(state.st_mtime_ns, state.st_ctime_ns)
    if state.st_size < LARGE or time.time_ns() - changed < SETTLED:
        return sha256(path)
    times, place = (state.st_mtime_ns, state.st_ctime_ns), (state.st_dev, state.st_ino)
    seen = f"{path.resolve()}\n{state.st_size}\n{times}\n{place}"
    key = hashlib.sha256(seen.encode()).hexdigest()
    if key not in _KNOWN:
        _KNOWN[key] = _noted(cache_folder() / "hashes" / key, path)
    return _KNOWN[key]


def _noted(note: Path, path: Path) -> str:
    """What a note from another process says, else what the file holds, noted now."""
    with contextlib.suppress(OSError, ValueError):
        found = note.read_text()
        if re.fullmatch("[0-9a-f]{64}", found):
            return found
    found = sha256(path)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, nothing else
        note.parent.mkdir(parents=True, exist_ok=True)
        draft = note.with_suffix(f".{os.getpid()}")
        draft.write_text(found)
        draft.replace(note)
    return found
