"""What does a model answer to the questions of a task, and what is it worth beside the dense one?
(Sections 1 and 4, Table 1(b))"""

from typing import Any

import pandas as pd
import torch

from helpers.evaluation.tasks import source
from helpers.models.load import model_facts
from measurements import pruned_model
from measurements.pruned_model import evaluated_model, left
from measurements.scoring import ITEMS, SCORES, compared
from runs.columns import FLAG, Column
from runs.parameters import RunParameters
from runs.store import Measured, measurement
from runs.wanted_tasks import PINS, each_task, wanted_tasks

USES = (
    *("model", "revision", "dtype", "tasks", "items", "shots", "task_chat_template"),
    *("task_folder", "run_code", "max_answer_tokens", "batch_size", "seed"),
    *pruned_model.USES,
)


TASK_ITEMS = (
    *ITEMS,
    Column(
        "cut_off",
        FLAG,
        "whether the answer reached the limit of tokens; missing where none is written",
        nullable=True,
    ),
)


@measurement(*USES, tables={"items": TASK_ITEMS}, pins=PINS)
def task_items(parameters: RunParameters) -> Measured:
    """Ask one model, dense or pruned, the questions of ``tasks`` through lm-eval.

    Table ``items``: one row per question, with the answer and what it scores; see
    :func:`helpers.evaluation.harness.answer`. Ask for one task at a time, and a run that ends
    early goes on with the next. Facts: ``model`` (the dense one), ``pruned`` in words,
    ``parameters_left``, and by task ``source`` of the questions and an ``example`` of what the
    model reads.

    Raises :class:`helpers.errors.InputError` before a model is loaded if questions cannot be had,
    or programs cannot be run as they have to be.
    """
    from helpers.evaluation import harness, sandbox
    from helpers.evaluation.shared_context import language_model

    shots, seed, folder = parameters.shots, parameters.seed, parameters.task_folder
    chosen = wanted_tasks(parameters)
    if any(task.program for task in chosen):
        sandbox.require()

    def shown(template: Any = None) -> dict[str, str]:
        return {
            task.name: harness.example_prompt(task, shots, seed, folder, template)
            for task in chosen
        }

    plain = shown()  # before a model is loaded
    torch.manual_seed(seed)
    one, chat = evaluated_model(parameters), parameters.task_chat_template
    asked = language_model(one.loaded, parameters.batch_size)
    rows = [
        harness.answer(
            *(asked, task, items, shots, seed, folder),
            max_answer_tokens=parameters.max_answer_tokens,
            chat_template=chat,
        )
        for task, items in chosen.items()
    ]
    facts = {
        "model": model_facts(one.dense),
        "pruned": one.words,
        "parameters_left": one.parameters_left,
        "source": {task.name: source(task, folder) for task in chosen},
        "example": shown(asked) if chat else plain,
    }
    return Measured({"items": pd.concat(rows, ignore_index=True)}, facts)


@measurement(*task_items.uses, tables={"scores": SCORES}, pins=task_items.pins)
def scores(parameters: RunParameters) -> Measured:
    """Scores of one model in all ``tasks``, on the same questions as the dense one.

    Table ``scores``: per task and score its value, standard error, paired interval, flips and
    verdict; of the dense model itself the first two. Facts as from
    :func:`measurements.scoring.compared`.
    """
    parts = each_task(parameters)
    return compared(parameters, task_items, parts, lambda: left(parameters))
