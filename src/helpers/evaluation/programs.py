"""Tasks whose answers are programs, HumanEval and MBPP: what is asked, and what is run.

The prompts and where an answer ends are read from lm-eval's configuration. Its scores are not: to
load them is to fetch code from the hub, which then runs the answers unconfined. Here they run in
:mod:`helpers.evaluation.sandbox`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers.evaluation import sandbox

Document = dict[str, Any]
METRIC = "pass_at_1"


def written_program(task: str) -> dict[str, Any]:
    """lm-eval's configuration of a task whose answer is a program, with our score."""
    import lm_eval.tasks

    base = Path(lm_eval.tasks.__file__).parent / task
    manager = lm_eval.tasks.TaskManager(include_path=str(base), include_defaults=False)
    own: dict[str, Any] = manager.task_index[task].cfg
    program, target = PROGRAMS[task]

    def passed(doc: Document, written: list[str]) -> dict[str, float]:
        return {METRIC: float(sandbox.passes(program(doc, written[0])))}

    return {
        "output_type": "generate_until",
        "doc_to_text": own["doc_to_text"],
        "doc_to_target": target,
        "target_delimiter": "",
        "generation_kwargs": own["generation_kwargs"],
        "process_results": passed,
        "metric_list": [{"metric": METRIC, "aggregation": "mean", "higher_is_better": True}],
    }


def humaneval(doc: Document, written: str) -> str:
    """The function whose head is the prompt, and its tests."""
    return "\n".join([doc["prompt"] + written, doc["test"], f"check({doc['entry_point']})"])


def mbpp(doc: Document, written: str) -> str:
    """What was written, and the three tests that the question shows."""
    return "\n".join([doc["before"], written, *doc["test_list"][:3]])


Program = Callable[[Document, str], str]
PROGRAMS: dict[str, tuple[Program, str]] = {  # and how a worked example is answered
    "humaneval": (humaneval, "{{solution}}"),
    "mbpp": (mbpp, "{{solution}}\n[DONE]"),
}
