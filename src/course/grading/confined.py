"""A student's notebook, run cell by cell in the sandbox, and what it then answers.

Their code is trusted with nothing. It sees the interpreter, the installed packages, this library
and the embedded model, which it may only read, and neither these tests nor anyone's files; it has
no network, starts no process, and has limits of time and memory. What leaves the sandbox is JSON, a
line each, which the student's code may have written as well as ours: it is data, to be judged out
here, on inputs that the student has not seen.
"""

import inspect
import json
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.evaluation import sandbox
from helpers.evaluation.sandbox import Limits, Sight
from helpers.machine import cache_folder

LIMITS = Limits(seconds=480, patience=600, mebibytes=6144, file_mebibytes=64, files=256, threads=64)
CELL_SECONDS = 120
OWN = (Path(sandbox.__file__).parents[1], Path(__file__).parents[1])  # helpers and course
LONGEST_ERROR = 200  # characters


@dataclass
class Answers:
    """What a notebook gave: ``values`` of the names asked for, the value or error of each question,
    an ``errors`` line for each cell that failed, and whether it came to its end."""

    values: dict[str, Any] = field(default_factory=dict)
    replies: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    ended: bool = False


def run(
    cells: list[str],
    names: list[str],
    questions: dict[str, Any],
    ask: str,
    cell_seconds: int = CELL_SECONDS,
    limits: Limits = LIMITS,
) -> Answers:
    """Run the code ``cells`` of a notebook one after the other, each for at most ``cell_seconds``,
    then ask: the numbers and texts that ``names`` stand for, and ``ask(student, question)`` for
    each of the ``questions``, where ``ask`` is a function's source and ``student`` what the
    notebook defined. A cell that fails does not keep the next from running.

    Raises :class:`helpers.errors.InputError` if there is no sandbox; nothing is run then.
    """
    given: dict[str, Any] = {"cells": cells, "names": names, "questions": questions, "ask": ask}
    given |= {"path": _path(), "seconds": cell_seconds}
    begin = f"from typing import Any\n{inspect.getsource(_inside)}"
    program = f"{begin}\n_inside(say, {json.dumps(given)!r})\n"
    return _read(sandbox.answers(program, limits, _sight()))


def _inside(say: int, told: str) -> None:
    """What runs in the sandbox; it knows nothing of this module."""
    import json
    import os
    import signal
    import sys
    import types

    given = json.loads(told)
    seconds = given["seconds"]
    sys.path += given["path"]

    def reply(**line: Any) -> None:
        os.write(say, (json.dumps(line) + "\n").encode())

    def late(*_: Any) -> None:
        raise TimeoutError(f"it takes longer than {seconds} seconds")

    def attempt(work: Any, *given: Any) -> str:
        """What went wrong, of whatever kind; empty if nothing did."""
        signal.signal(signal.SIGALRM, late)
        try:
            signal.alarm(seconds)
            work(*given)
        except BaseException as error:
            try:
                return f"{type(error).__name__}: {error}"
            except Exception:
                return type(error).__name__
        finally:
            signal.alarm(0)
        return ""

    def execute(number: int, text: str) -> None:
        lines = (line for line in text.splitlines() if not line.lstrip().startswith(("%", "!")))
        exec(compile("\n".join(lines), f"cell {number}", "exec"), student)

    def tell(name: str) -> None:
        value: Any = student.get(name)
        value = value.item() if hasattr(value, "item") else value
        if type(value) in (int, float, str):
            reply(name=name, value=value)

    def answer(name: str, question: Any) -> None:
        reply(question=name, value=asking["ask"](student, question))

    main = sys.modules["__main__"] = types.ModuleType("__main__")
    student = main.__dict__
    student["display"] = print
    for number, text in enumerate(given["cells"], 1):
        reply(cell=number, error=attempt(execute, number, text))
        for name in given["names"]:
            attempt(tell, name)
    asking: dict[str, Any] = {}
    exec(compile(given["ask"], "question", "exec"), asking)
    for name, question in given["questions"].items():
        if error := attempt(answer, name, question):
            reply(question=name, error=error)
    reply(ended=True)


def _read(said: bytes) -> Answers:
    """The lines that are ours by form; of two of one name the later counts."""
    found = Answers()
    for line in said.splitlines():
        try:
            told = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(told, dict):
            continue
        if isinstance(told.get("name"), str):
            found.values[told["name"]] = told.get("value")
        elif isinstance(told.get("question"), str):
            if "error" in told:
                found.failed[told["question"]] = _short(told["error"])
            else:
                found.replies[told["question"]] = told.get("value")
        elif told.get("error") and isinstance(told.get("cell"), int):
            found.errors.append(f"cell {told['cell']}: {_short(told['error'])}")
        elif told.get("ended") is True:
            found.ended = True
    return found


def _short(error: Any) -> str:
    return " ".join(str(error).split())[:LONGEST_ERROR]


def _path() -> list[str]:
    """Where packages are found in the sandbox: installed ones, and this library's own."""
    return [*(str(folder.parent) for folder in OWN), *_installed()]


def _installed() -> list[str]:
    return sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})


def _sight() -> Sight:
    """What a notebook may read, and where libraries that wish to write may: a folder in memory."""
    models = cache_folder() / "models"
    environment = {
        "HOME": "/tmp",
        "PATH": "/usr/bin:/bin",
        "WHEN_PRUNING_WORKS_CACHE": str(cache_folder()),
        "HF_HOME": "/tmp/hub",
        "HF_HUB_OFFLINE": "1",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    read = (*OWN, *map(Path, _installed()), models)
    return Sight(read, (Path(__file__).parent,), tuple(environment.items()))
