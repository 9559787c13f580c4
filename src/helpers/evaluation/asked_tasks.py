"""A task as lm-eval asks it: its own prompt, options, stops and metric, over questions of ours.

lm-eval's own configuration of the task is read, and only where the questions come from is
replaced. Two tasks are configured here: NarrativeQA over summaries, which lm-eval does not carry,
and ASDiv, which it scores by the likelihood of the answer without letting the model write. Those
whose answers are programs are :mod:`helpers.evaluation.programs`.
"""

import logging
import random
import re
import string
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from helpers.errors import InputError, refused
from helpers.evaluation.hub import offline_unless
from helpers.evaluation.programs import written_program
from helpers.evaluation.tasks import Document, Task, documents, examples, first

FOLDERS = {  # where lm-eval keeps its configurations
    "arc_challenge": "arc",
    "arc_easy": "arc",
    "boolq": "super_glue/boolq",
    "mmlu": "mmlu/default",
    "rte": "glue/rte",
    "social_iqa": "siqa",
}
SUBJECTS = {  # lm-eval has one task for each subject: one of them, with the subject of the question
    "mmlu": {
        "task": "mmlu_anatomy",
        "description": "The following are multiple choice questions (with answers)"
        "{% if subject %} about {{subject}}{% endif %}.\n\n",
    }
}
TOKENS = {"nq_open": 24}  # answers are names and dates; lm-eval's limit of 256 is for working
POOL = 100  # questions that worked examples are drawn from where the source has none apart
NUMBER = r"-?\d[\d,]*(?:\.\d+)?(?:[:/]\d+)?"


def asked_task(task: Task, items: int, shots: int, seed: int, folder: str = "") -> Any:
    """An lm-eval task over the first ``items`` questions (0: all), each after ``shots`` worked
    examples that ``seed`` decides.

    Examples come from a split of their own if the source has one, else from questions that are
    not scored where there are enough, and never are the question itself. Of MMLU they have its
    subject. Raises :class:`InputError` if the questions cannot be had, or examples are too few.
    """
    known = first(documents(task, folder), 0, seed, task)
    chosen = known[: items or None]
    pool: list[Document] = []
    if shots:
        pool = examples(task, folder) or _set_apart(known, len(chosen), shots)
        if min(len(pool) - (one in pool) for one in (chosen[0], chosen[-1])) < shots:
            raise InputError(f"task {task.name} has too few questions for shots={shots}")
    with quiet(), refused(f"task {task.name} cannot be made of its questions"):
        return _configured(task, chosen, pool, shots, seed)


def _set_apart(known: list[Document], scored: int, shots: int) -> list[Document]:
    """The last of the questions, which are the same however many are scored."""
    enough = len(known) - scored >= shots
    return known[max(scored if enough else 0, len(known) - max(POOL, shots + 1)) :]


def _configured(
    task: Task, chosen: list[Document], pool: list[Document], shots: int, seed: int
) -> Any:
    """The lm-eval task over these questions and examples."""
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask

    overrides: dict[str, Any] = {
        "task": task.name,
        "custom_dataset": lambda **_: {"questions": Dataset.from_list(chosen)},
        "test_split": "questions",
        "fewshot_split": "questions",  # the same, or the sampler is not told what is asked
        "training_split": None,
        "validation_split": None,
        "fewshot_config": {"sampler": "default"},
        "num_fewshot": shots,
    } | SUBJECTS.get(task.name, {})
    if task.program or task.name in OWN:
        own = OWN.get(task.name) or written_program(task, _known(task).task_index[task.name].cfg)
        found: Any = ConfigurableTask(config=overrides | _written(task.metric) | own)
    else:
        loaded = _known(task).load({"group": "asked", "task": [overrides]})
        (found,) = loaded["tasks"].values()
    if task.name in TOKENS:
        found.set_config("generation_kwargs", {"max_gen_toks": TOKENS[task.name]}, update=True)
    if shots:
        rows = Dataset.from_list(pool)
        process = found.config.process_docs
        found.sampler = _sampler(list(process(rows) if process else rows), seed)
    return found


def _known(task: Task) -> Any:
    """lm-eval's manager of its tasks, with the folder of this one."""
    import lm_eval.tasks

    base = Path(lm_eval.tasks.__file__).parent / FOLDERS.get(task.name, task.name)
    return lm_eval.tasks.TaskManager(include_path=str(base), include_defaults=False)


def _sampler(pool: list[Document], seed: int) -> Any:
    """Chooses examples for one question at a time, whatever else is asked."""
    from lm_eval.api.samplers import ContextSampler

    class Examples(ContextSampler):
        def sample(
            self, n: int, eval_doc: Document | None = None, df: Any = None, **_: Any
        ) -> Sequence[Document]:
            assert eval_doc is not None
            return worked_examples(pool, eval_doc, n, seed)

    return Examples(pool)


def worked_examples(pool: list[Document], asked: Document, count: int, seed: int) -> list[Document]:
    """``count`` examples for a question, never itself: of its subject the first ones, as MMLU has
    it, or any that ``seed`` and its id draw."""
    others = [one for one in pool if one["id"] != asked["id"]]
    if asked.get("subject"):
        alike = [one for one in others if one["subject"] == asked["subject"]]
        if len(alike) >= count:
            return alike[:count]
    return random.Random(f"{seed} {asked['id']}").sample(others, count)


def normalised(text: str) -> str:
    """Lower case, without punctuation, articles and blanks that say nothing."""
    kept = "".join(letter for letter in text.casefold() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def overlap(written: str, right: str) -> float:
    """F1 of the words that two answers share, in normal form: 0 to 1."""
    said, wanted = normalised(written).split(), normalised(right).split()
    shared = sum((Counter(said) & Counter(wanted)).values())
    return 2 * shared / (len(said) + len(wanted)) if shared else 0.0


def same_answer(written: str, right: str) -> bool:
    """Whether a text gives an answer of ASDiv: its first number is the answer's first one, or
    where the answer has none, its first line is the answer in normal form."""
    line = written.strip().partition("\n")[0]
    said, wanted = (re.findall(NUMBER, text.replace(",", "")) for text in (line, right))
    if re.match(NUMBER, right):
        return bool(said) and _number(said[0]) == _number(wanted[0])
    return normalised(line) == normalised(right)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text  # a ratio, a time or a fraction


def _best_overlap(doc: Document, written: list[str]) -> dict[str, float]:
    return {"f1": max(overlap(written[0], right) for right in doc["answers"])}


def _same_answer(doc: Document, written: list[str]) -> dict[str, float]:
    return {"exact_match": float(same_answer(written[0], doc["answer"]))}


def _written(metric: str) -> dict[str, Any]:
    """What all tasks have in common that are written and configured here."""
    return {
        "output_type": "generate_until",
        "metric_list": [{"metric": metric, "aggregation": "mean", "higher_is_better": True}],
    }


def _line(tokens: int) -> dict[str, Any]:
    """One line, of so many tokens at most."""
    return {"until": ["\n"], "do_sample": False, "max_gen_toks": tokens}


OWN: dict[str, dict[str, Any]] = {
    "narrativeqa": {
        "generation_kwargs": _line(32),
        "doc_to_text": "{{summary}}\nQuestion: {{question}}\nAnswer:",
        "doc_to_target": "{{answers[0]}}",
        "process_results": _best_overlap,
    },
    "asdiv": {
        "generation_kwargs": _line(24),
        "doc_to_text": "{{body}}\nQuestion: {{question}}\nAnswer:",
        "doc_to_target": "{{answer}}",
        "process_results": _same_answer,
    },
}


@contextmanager
def quiet() -> Iterator[None]:
    """Within, lm-eval says nothing but errors, draws no bars without words, and no host is asked:
    the questions are in memory."""
    import datasets
    import lm_eval.api.task as building

    logger, bar = logging.getLogger("lm_eval"), building.tqdm
    level, drawn = logger.level, not datasets.are_progress_bars_disabled()
    logger.setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    building.tqdm = lambda iterable, **_: iterable
    try:
        with offline_unless(False):
            yield
    finally:
        building.tqdm = bar
        logger.setLevel(level)
        if drawn:
            datasets.enable_progress_bars()
