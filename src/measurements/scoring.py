"""A pruned model's scores beside the dense model's, task by task, from what both answered."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from helpers.evaluation.comparison import floored, score_rows
from runs.columns import FAMILY, FORM, ITEM, NUMBER, STRING, TEXT, Column
from runs.parameters import RunParameters
from runs.settings import dense
from runs.store import Measured, Measurement, Stored

SCORE = (
    Column("task", TEXT, "name of the task"),
    Column(
        "kind",
        TEXT,
        "what the task asks for",
        ("multiple_choice", "generation", "retrieval", "probe"),
    ),
    FORM,
    Column("metric", TEXT, "name of the score"),
)
ITEMS = (
    *SCORE,
    ITEM,
    FAMILY,
    Column("answer", STRING, "what the model chose or wrote, at most 300 letters of it"),
    Column("chance", NUMBER, "what guessing scores on this question"),
    Column("value", NUMBER, "what the answer scores, from 0 to 1"),
)
SCORES = (
    *SCORE,
    Column("calibration", TEXT, "calibration text of the pruning method"),
    Column(
        "value",
        NUMBER,
        "the score; missing if the dense model is at its floor, and the pruned one was not asked",
        nullable=True,
    ),
    Column("stderr", NUMBER, "its standard error", nullable=True),
    Column("n", pa.int64(), "number of items"),
    Column(
        "answers_cut",
        pa.int64(),
        "number of answers that reached the limit of tokens; missing where none is written",
        nullable=True,
    ),
    Column("dense_value", NUMBER, "the dense model's score on the same items", nullable=True),
    Column("paired_low", NUMBER, "lower end of the paired 95% interval", nullable=True),
    Column("paired_high", NUMBER, "upper end of the paired 95% interval", nullable=True),
    Column("flips_lost", pa.int64(), "items right when dense, wrong when pruned", nullable=True),
    Column("flips_gained", pa.int64(), "items wrong when dense, right when pruned", nullable=True),
    Column("p_value", NUMBER, "of McNemar's exact test, dense against pruned", nullable=True),
    Column(
        "verdict", TEXT, "whether the score allows a conclusion", ("ok", "at_floor", "at_ceiling")
    ),
)
Left = Callable[[], tuple[int, str]]


def compared(
    parameters: RunParameters,
    ask: Stored,
    parts: Mapping[str, RunParameters],
    left: Left,
) -> Measured:
    """Table ``scores`` of the model that ``parameters`` say, over all ``parts``.

    ``ask`` is the measurement that holds one model's answers (table ``items``); ``parts`` are the
    parameters to take it with for each task, by name. Every answer is stored as soon as its task
    is done, for the dense and the pruned model each, so a run that was killed goes on at the task
    where it was. The dense model comes first: a task at its floor is not asked of the pruned one.

    Facts: ``model`` (the dense one), ``pruned`` in words, ``dense_parameters`` and
    ``parameters_left``, ``asked`` (questions by task), ``at_floor`` (tasks) and ``items`` (which
    runs hold the answers, and how long each took). ``left`` gives the parameters that remain and
    the words where no task was asked of the pruned model.
    """
    before = {name: ask(dense(one)) for name, one in parts.items()}
    old = {name: taken.table("items") for name, taken in before.items()}
    after: dict[str, Measurement] = {}
    tables = []
    for name, one in parts.items():
        if parameters.dense:
            tables.append(score_rows(old[name]))
            continue
        if not floored(old[name]):
            after[name] = ask(one)
        new = after[name].table("items") if name in after else old[name].head(0)
        tables.append(score_rows(old[name], new))
    read = "calibration" not in parameters.unread(ask.uses) and "calibration" in ask.uses
    rows = pd.concat(tables, ignore_index=True).assign(calibration=_calibration(parameters, read))
    facts = next(iter(before.values())).manifest["facts"]
    if parameters.dense:
        remaining = facts["model"]["parameters"], facts["pruned"]
    elif after:
        found = next(iter(after.values())).manifest["facts"]
        remaining = found["parameters_left"], found["pruned"]
    else:
        remaining = left()
    return Measured(
        {"scores": rows},
        {
            "model": facts["model"],
            "pruned": remaining[1],
            "dense_parameters": facts["model"]["parameters"],
            "parameters_left": remaining[0],
            "asked": {name: int(items["item"].nunique()) for name, items in old.items()},
            "at_floor": [name for name, items in old.items() if floored(items)],
            "items": [
                _source(name, which, taken)
                for which, found in (("dense", before), ("pruned", after))
                for name, taken in found.items()
            ],
        },
    )


def _source(name: str, which: str, taken: Measurement) -> dict[str, Any]:
    """Where the answers to one task are kept."""
    manifest = taken.manifest
    return {"task": name, "of": which} | {
        key: manifest[key] for key in ("measurement", "run", "seconds")
    }


def _calibration(parameters: RunParameters, read: bool) -> str:
    """The calibration text's name, of a file without its folder; empty if none is read."""
    if not read:
        return ""
    path = Path(parameters.calibration).expanduser()
    return path.name if path.is_file() else parameters.calibration
