"""Tasks whose answers are programs, HumanEval and MBPP: what is asked, and what is run.

The prompts and where an answer ends are read from lm-eval's configuration. Its scores are not: to
load them is to fetch code from the hub, which then runs the answers unconfined. Here they run in
:mod:`helpers.evaluation.sandbox`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from helpers.evaluation import sandbox
from helpers.evaluation.tasks import Document, Task


def written_program(task: Task, lm_eval: Mapping[str, Any]) -> dict[str, Any]:
    """How a task whose answer is a program is asked, as ``lm_eval`` configures it, and scored."""
    program, target = PROGRAMS[task.name]

    def passed(doc: Document, written: list[str]) -> dict[str, float]:
        return {task.metric: float(sandbox.passes(program(doc, written[0])))}

    return {
        "doc_to_text": lm_eval["doc_to_text"],
        "doc_to_target": target,
        "target_delimiter": "",
        "generation_kwargs": lm_eval["generation_kwargs"],
        "process_results": passed,
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
