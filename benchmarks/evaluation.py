"""Scoring the options of questions: our lm-eval model beside lm-eval's own."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.harness import Result, compare
from helpers.evaluation.asked_tasks import asked_task, quiet
from helpers.evaluation.shared_context import language_model
from helpers.evaluation.tasks import TASKS
from helpers.models import load

BATCH = 16
CASES = (  # task, worked examples before each question, questions
    ("openbookqa", 0, 60),  # short questions, four short options
    ("openbookqa", 5, 16),  # other examples before each question
    ("piqa", 0, 40),  # two long options after a short question
    ("boolq", 0, 16),  # two options of one token after a long passage
    ("commonsense_qa", 0, 40),  # five options of one token, which the stock class shares as well
    ("mmlu", 5, 16),  # the same examples before all questions of a subject
)


def benchmarks() -> Iterator[Result]:
    """Embedded model, float32, batch 16 for both; requests are made before the clock starts."""
    loaded = load("smollm2-135m", device="cpu")
    ours, stock = (language_model(loaded, BATCH, stock=stock) for stock in (False, True))
    for name, shots, items in CASES:
        requests = requests_of(name, items, shots)
        yield compare(
            f"{TASKS[name].title}, {items} questions, {shots}-shot",
            partial(ours.loglikelihood, requests, disable_tqdm=True),
            partial(stock.loglikelihood, requests, disable_tqdm=True),
        )


def requests_of(name: str, items: int, shots: int, folder: str = "") -> list[Any]:
    """What lm-eval asks a model about the first questions of a task, an option at a time."""
    task = asked_task(TASKS[name], items, shots, seed=0, folder=folder)
    with quiet():
        task.build_all_requests()
    return list(task.instances)
