"""What does a language model score on a task, question by question? lm-eval, one row for each.

lm-eval puts the question, asks the model and scores the answer, as its task of that name does;
see :mod:`helpers.evaluation.asked_tasks`. Nothing is drawn again here, and nothing cached:
lm-eval's cache of answers does not know which model gave them.
"""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from helpers.errors import InputError
from helpers.evaluation import LONGEST_ANSWER
from helpers.evaluation.asked_tasks import asked_task, quiet
from helpers.evaluation.tasks import GENERATION, MULTIPLE_CHOICE, Task

COLUMNS = (
    *("task", "kind", "form", "metric", "item", "family", "answer", "chance", "value"),
    "cut_off",
)
FILTERS = {"gsm8k": "flexible-extract"}  # the last number, also where no line begins with ####


def answer(
    language_model: Any,
    task: Task,
    items: int,
    shots: int,
    seed: int,
    folder: str = "",
    chat_template: bool = False,
    max_answer_tokens: int = 0,
) -> pd.DataFrame:
    """One row per question of ``task``, columns :data:`COLUMNS`, the same for every model.

    ``language_model`` is any lm-eval model, which keeps its own batch size. ``items`` questions
    are asked (0: all), each after ``shots`` worked examples; ``seed`` decides which. With
    ``chat_template`` a question is a user's turn and the answer the model's, and so are worked
    examples, as with lm-eval's ``apply_chat_template``. ``value`` is
    the task's metric; ``answer`` the option chosen or the text written; ``chance`` is 1 over the
    number of options, where all questions have the same options the share of the commonest right
    one, and 0 where the answer is written. A written answer has at most as many tokens as the task
    allows, and at most ``max_answer_tokens`` unless that is 0; ``cut_off`` tells which ones reached
    that limit, and is missing where nothing is written, and where a model does not tell.

    Raises :class:`helpers.errors.InputError` if the questions cannot be had, if the model reads
    no more than the task lets it write or has no such template, or for a token that it does not
    know.
    """
    from lm_eval import evaluator

    asked = asked_task(task, items, shots, seed, folder)
    how = asked.config.generation_kwargs or {}
    usual = getattr(language_model, "max_gen_toks", 0) if task.kind == GENERATION else 0
    most = how.get("max_gen_toks", usual)
    if task.kind == GENERATION and 0 < max_answer_tokens < most:
        most = max_answer_tokens
        asked.set_config("generation_kwargs", {"max_gen_toks": most}, update=True)
    reads = getattr(language_model, "max_length", most + 1)
    if most >= reads:
        raise InputError(
            f"task {task.name} has answers of up to {most} tokens, and the model reads {reads}: "
            "leave the task out, or take a model that reads more"
        )
    with quiet():
        found: Any = evaluator.evaluate(
            language_model,
            {"tasks": {task.name: asked}, "groups": {}},
            bootstrap_iters=0,
            cache_requests=False,
            log_samples=True,
            apply_chat_template=chat_template,
            fewshot_as_multiturn=chat_template,
        )
    (samples,) = found["samples"].values()
    kept = [one for one in samples if one["filter"] == FILTERS.get(task.name, one["filter"])]
    chosen = task.kind == MULTIPLE_CHOICE
    cut = getattr(language_model, "cut_off", None)
    answers = [_choice(asked, task, one) if chosen else one["resps"][0][0] for one in kept]
    rows = [
        {
            "task": task.name,
            "kind": task.kind,
            "form": f"{shots}-shot",
            "metric": task.metric,
            "item": one["doc"]["id"],
            "family": one["doc"]["family"],
            "answer": said.strip()[:LONGEST_ANSWER],
            "chance": 1 / len(one["resps"]) if chosen else 0.0,
            "value": float(one[task.metric]),
            "cut_off": None if cut is None or chosen else one["arguments"][0][0] in cut,
        }
        for one, said in zip(kept, answers, strict=True)
    ]
    if task.fixed:
        commonest = Counter(str(_right(asked, one["doc"])) for one in kept).most_common(1)[0][1]
        rows = [row | {"chance": commonest / len(rows)} for row in rows]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"cut_off": "boolean"})


def example_prompt(
    task: Task, shots: int, seed: int, folder: str = "", language_model: Any = None
) -> str:
    """The first question as a model is asked it, with its worked examples; in the chat template of
    a ``language_model`` if one is given."""
    asked = asked_task(task, 1, shots, seed, folder)
    chat = language_model is not None
    with quiet():
        asked.build_all_requests(
            apply_chat_template=chat,
            fewshot_as_multiturn=chat,
            chat_template=language_model.apply_chat_template if chat else None,
        )
    return str(asked.instances[0].args[0])


def _choice(asked: Any, task: Task, sample: dict[str, Any]) -> str:
    """The option that scored best, by the length of its text where the metric is normalised."""
    likelihoods = np.array([found[0] for found in sample["filtered_resps"]], dtype=float)
    options = asked.doc_to_choice(sample["doc"])
    if task.metric == "acc_norm":
        likelihoods /= [float(len(option)) for option in options]
    return str(options[int(likelihoods.argmax())])


def _right(asked: Any, doc: dict[str, Any]) -> Any:
    """Which option is right: Winogrande's options stand in place of the question."""
    return asked.doc_to_text(doc) if asked.multiple_input else asked.doc_to_target(doc)
