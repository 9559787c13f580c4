"""What every chapter says in the same way: who measured, on what, and prose with numbers in it."""

import ast
import inspect
import statistics
from collections.abc import Callable, Iterable
from math import isfinite
from pathlib import Path
from textwrap import dedent
from typing import Any, cast

from IPython.display import Markdown

from helpers.errors import InputError
from helpers.models.load import depth
from helpers.texts.data import appendix_e, select_prompts, table_2
from runs import imported
from runs.parameters import RunParameters
from runs.store import Measurement

MOST_LINES = 25  # of code that a reader takes in at once


def say(text: str) -> Markdown:
    """Prose whose numbers come from results, as the output of a cell."""
    return Markdown(dedent(text).strip())


def answer(text: str, summary: str, beneath: str) -> Markdown:
    """What a chapter answers, a short paragraph; ``beneath`` it, in a fold, the intervals, counts
    and names that belong to its numbers."""
    return say(f"{text.strip()}\n\n{_fold(summary, beneath.strip())}")


def source(summary: str, *functions: Callable[..., Any]) -> Markdown:
    """The lines of ``functions`` of the library as they run, without docstrings, in a fold that
    ``summary`` opens. Raises ValueError for more than ``MOST_LINES``: show what does the work."""
    blocks = [_without_docstring(one) for one in functions]
    if (lines := "\n".join(blocks).count("\n") + 1) > MOST_LINES:
        raise ValueError(f"{lines} lines of code for {summary!r}, at most {MOST_LINES}")
    named = (f"# {one.__module__}\n{block}" for one, block in zip(functions, blocks, strict=True))
    return Markdown(_fold(summary, "```python\n" + "\n\n\n".join(named) + "\n```"))


def _without_docstring(function: Callable[..., Any]) -> str:
    text = dedent(inspect.getsource(function)).rstrip()
    defined = cast(ast.FunctionDef, ast.parse(text).body[0])
    if ast.get_docstring(defined) is None:
        return text
    lines, docstring = text.splitlines(), defined.body[0]
    return "\n".join(lines[: docstring.lineno - 1] + lines[docstring.end_lineno :])


def _fold(summary: str, text: str) -> str:
    """Text, in Markdown, that opens at a line, wherever a notebook is read."""
    return f'<details class="fold">\n<summary>{summary}</summary>\n\n{text}\n\n</details>'


def measured_at(run: Measurement) -> str:
    """``measured at 135M``: belongs beside every verdict."""
    return f"measured at {run.manifest['facts']['model']['size']}"


def provenance(
    run: Measurement,
    parameters: RunParameters,
    notebook: str,
    beside: Iterable[Measurement] = (),
) -> dict[str, Any]:
    """What stands under a figure: the run, its model and parameters, and the machine; and the
    other runs that the figure draws ``beside`` it."""
    manifest = run.manifest
    model = manifest["facts"]["model"]
    return {
        "run": run.run,
        "model": model["name"],
        "size": model["size"],
        "fingerprint": manifest["models"]["model"][:28],
        "device": manifest["device"],
        "threads": manifest["threads"],
        "profile": parameters.profile,
        "parameters": {
            name: value for name, value in manifest["parameters"].items() if name != "model"
        },
        "versions": manifest["versions"],
        "commit": manifest["commit"],
        "measured": manifest["finished"],
        "took": cost(run),
        "imported": manifest.get("imported", {}),
        "beside": ", ".join(other.run for other in beside if other.run != run.run),
        "notebook": f"../_sources/notebooks/{Path(notebook).stem}.ipynb",
    }


def prompts(parameters: RunParameters) -> str:
    """``12 prompts of the paper's Appendix E``, or whichever were chosen, with a link to them."""
    chosen = select_prompts(parameters.prompts)
    listed = [prompt for prompt in chosen if prompt in appendix_e()]
    own = len(chosen) - len(listed) - (table_2() in chosen)
    words = [f"{len(listed)} prompts of the paper's [Appendix E](e-prompts.md)"] if listed else []
    if table_2() in chosen:
        words.append("the question of the paper's [Table 2](e-prompts.md)")
    if own:
        words.append(f"{own} prompts of [one's own](e-prompts.md)")
    return join_words(words)


def shown_layer(parameters: RunParameters) -> int:
    """The layer that a chapter shows as its example; nothing heavy runs to find it.

    Raises :class:`InputError` for a layer that the model does not have.
    """
    layers = _layers(parameters)
    if parameters.layer >= layers:
        raise InputError(
            f"parameter layer={parameters.layer} is not allowed: the model has layers 0 to "
            f"{layers - 1}"
        )
    return parameters.layer if parameters.layer >= 0 else layers * 12 // 28


def _layers(parameters: RunParameters) -> int:
    """How many layers the model has; of one that is not on this machine, as an import says."""
    model, revision = parameters.model, parameters.revision
    try:
        return depth(model, revision)
    except InputError:
        for _, one in imported.of_model(parameters.results_folder(), model, revision):
            facts = one.manifest["facts"].get("model")
            if facts and one.manifest["parameters"]["model"] == model:
                return int(facts["layers"])
        raise


def cost(run: Measurement, *more: Measurement) -> str:
    """Time and memory that a measurement took, or several one after the other, in words; and who
    took them, where that was not here."""
    manifests = [each.manifest for each in (run, *more)]
    minutes = sum(one["seconds"] for one in manifests) / 60
    memory = max(one["peak_memory_bytes"] for one in manifests) / 2**30
    threads = run.manifest["threads"]
    return (
        f"{minutes:.1f} minutes, in a process of {memory:.1f} GiB, on {threads} "
        f"thread{'s' if threads != 1 else ''} ({run.manifest['processor']}){_imported(manifests)}"
    )


def _imported(manifests: list[dict[str, Any]]) -> str:
    """Which version measured what was imported, and when."""
    told = [one["imported"] for one in manifests if "imported" in one]
    versions, days = ({one[key] for one in told} for key in ("version", "date"))
    return (
        f"; imported ({len(told)} of {len(manifests)}), measured with version "
        f"{join_words(sorted(versions))} on {join_words(sorted(days))}"
        if told
        else ""
    )


def join_words(words: Iterable[object]) -> str:
    """``a, b and c``."""
    texts = [str(word) for word in words]
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))


def span(values: Iterable[float], form: str = ".2f") -> str:
    """From the smallest to the largest, such as ``0.69 to 0.86``; one number if both read alike,
    a dash where there is none."""
    finite = [value for value in values if isfinite(value)]
    ends = [f"{end(finite):z{form}}".replace("-", "−") for end in (min, max) if finite]
    return " to ".join(dict.fromkeys(ends)) or "–"


def median(values: Iterable[float], form: str = ".2f") -> str:
    """The middle one of some numbers, such as those of several pruned models; a dash for none."""
    finite = [value for value in values if isfinite(value)]
    return span([statistics.median(finite)] if finite else [], form)
