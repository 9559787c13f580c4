"""How did a run of a profile end? What it leaves beside its notebook, and what it says meanwhile.

``results/PROFILE/RUN.ipynb`` and ``RUN.json`` of a run that succeeded, ``RUN.failed.json`` of one
that did not; ``results/PROFILE/logs/RUN.log`` holds what either has said.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runs.files import write_whole
from runs.planning.kept import read

REFUSED = 2  # the exit code of bad input, which a second attempt would not mend


def log_of(output: Path) -> Path:
    """Where a run writes what it and its libraries say; ``output`` is its notebook (.ipynb)."""
    return output.parent / "logs" / f"{output.stem}.log"


def mark_of(output: Path) -> Path:
    """The file that says that a run failed, and why."""
    return output.with_suffix(".failed.json")


def failed(output: Path) -> dict[str, Any] | None:
    """What is kept of a run that failed, None of one that did not:

    ``run``, ``chapter``, ``error`` (one line), ``log`` (its path), ``finished`` (a time in UTC),
    ``attempts``, ``seconds`` of the last one, and its ``exit`` code.
    """
    return read(mark_of(output)) or None


def mark_failed(
    output: Path, chapter: str, error: str, *, attempts: int, seconds: float, code: int
) -> None:
    """Keep that a run failed; if not even that can be written, the workflow says so later."""
    told = {
        "run": output.stem,
        "chapter": chapter,
        "error": error,
        "log": str(log_of(output)),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "attempts": attempts,
        "seconds": round(seconds, 1),
        "exit": code,
    }
    with suppress(OSError):
        write_whole(mark_of(output), json.dumps(told, indent=1))


def attempt(run: Callable[[], tuple[int, str]], output: Path, chapter: str, number: int) -> int:
    """One attempt at a run, the first having ``number`` 1; its exit code.

    ``run`` gives its exit code, and in one line what went wrong. What it says, and what all that
    it starts say, goes to the log; here is said that it runs, and how it failed. Bad input is not
    tried again.
    """
    log, before = log_of(output), failed(output)
    if number > 1 and before and before["exit"] == REFUSED:
        return REFUSED
    print(f"Running {output.stem} …", flush=True)
    begin = time.perf_counter()
    mark_of(output).unlink(missing_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with _spoken_into(log, "wb" if number == 1 else "ab"):
        code, error = run()
    if code:
        seconds = time.perf_counter() - begin
        mark_failed(output, chapter, error, attempts=number, seconds=seconds, code=code)
        print(f"error: {output.stem}: {error} (attempt {number}, log: {log})", flush=True)
    return code


@contextmanager
def _spoken_into(log: Path, mode: str) -> Iterator[None]:
    """Inside, the standard output and error of this process and of those that it starts are a
    file, whatever language they are written in."""
    streams = (sys.stdout, sys.stderr)
    with log.open(mode) as file:
        kept = []
        for number, stream in enumerate(streams, 1):
            stream.flush()
            kept.append(os.dup(number))
            os.dup2(file.fileno(), number)
        try:
            yield
        finally:
            for number, (stream, before) in enumerate(zip(streams, kept, strict=True), 1):
                stream.flush()
                os.dup2(before, number)
                os.close(before)
