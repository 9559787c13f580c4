"""Which measurements did a run ask for? Each tells the run, and the measurement, that takes it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "WHEN_PRUNING_WORKS_ASKED"  # the variable that names a run's list to its kernel
Asked = dict[str, str]  # name and run of a measurement, which say where its folder is

_takers: list[list[Asked]] = []  # the measurements that are being taken in this process


@contextmanager
def noted() -> Iterator[list[Asked]]:
    """Everything asked for inside, directly or not, each once; the list fills as it is asked."""
    found: list[Asked] = []
    _takers.append(found)
    try:
        yield found
    finally:
        _takers.pop()


def taking() -> bool:
    """Whether a measurement is being taken in this process."""
    return bool(_takers)


def note(asked: list[Asked]) -> None:
    """Tell of measurements: to the one that is being taken here, else to the run, if there is one.

    A run's list lies in the file that the variable ``FILE`` names, one measurement a line.
    """
    if _takers:
        _takers[-1] += [one for one in asked if one not in _takers[-1]]
    elif file := os.environ.get(FILE):
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.writelines(f"{json.dumps(one)}\n" for one in asked)


def listed(file: Path) -> list[Asked]:
    """What a run has asked for, each once, sorted; nothing if it has asked for nothing."""
    lines = set(file.read_text(encoding="utf-8").splitlines()) if file.exists() else ()
    return sorted(map(json.loads, lines), key=lambda one: (one["name"], one["run"]))
