"""Writing the answers of tasks: our lm-eval model beside lm-eval's own."""

import os
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.evaluation import BATCH, requests_of
from benchmarks.harness import Result, compare
from helpers.api import calibration, least_important
from helpers.errors import InputError
from helpers.evaluation.shared_context import language_model
from helpers.evaluation.tasks import TASKS
from helpers.models.load import LoadedModel, check_exists, load
from helpers.pruning.drop import dropped

MODELS = ("smollm2-135m", "qwen2.5-coder-0.5b")
ITEMS = 16
DROPPED = {"dense": 0, "Drop-8A": 8}
FOLDER = "WHEN_PRUNING_WORKS_TASKS"  # a folder with files of gsm8k, which does not come embedded


def benchmarks() -> Iterator[Result]:
    """Float32, batch 16 for both, 16 questions; one round, after which the texts are compared.

    The second model is left out where its file is not there, and GSM8K gives way to ASDiv where
    neither the folder that the environment names nor the hub has it.
    """
    for name in MODELS:
        try:
            check_exists(name)
        except InputError as error:
            print(f"    left out: {error}", file=sys.stderr)
            continue
        loaded = load(name, device="cpu")
        text = calibration(loaded, samples=8, length=256)
        ranked = least_important(loaded, "attention", max(DROPPED.values()), text)
        asked = {}
        for task in ("humaneval", "gsm8k"):
            try:
                asked[task] = requests_of(task, ITEMS, 0, os.environ.get(FOLDER, ""))
            except InputError as error:
                print(f"    asdiv in place of {task}: {error}", file=sys.stderr)
                asked["asdiv"] = requests_of("asdiv", ITEMS, 0)
        for words, count in DROPPED.items():
            with dropped(loaded.decoder, ranked[:count]):
                for task, requests in asked.items():
                    title = f"{loaded.name}, {words}, {TASKS[task].title}, {ITEMS} answers"
                    yield beside(loaded, requests, title)


def beside(loaded: LoadedModel, requests: list[Any], title: str) -> Result:
    """Both ways once, and how many of their texts are the same."""
    texts: dict[bool, list[str]] = {}

    def write(stock: bool) -> None:
        model = language_model(loaded, BATCH, stock=stock)
        texts[stock] = model.generate_until(requests, disable_tqdm=True)

    found = compare(title, partial(write, False), partial(write, True), repeats=1)
    same = sum(map(str.__eq__, texts[False], texts[True]))
    print(f"    {same} of {len(requests)} answers are the same", flush=True)
    return found
