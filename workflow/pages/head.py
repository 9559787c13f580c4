"""The head of a chapter: its answer, and under it what it takes to read and to run the chapter."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pages.points import Grid, read_json
from reporting import prose
from runs import dataset
from runs.profiles import Run
from runs.store import Measurement

ANSWER = "**The answer"
WORDS_A_MINUTE = 200
FOLDED = re.compile(  # what a reader meets closed, and code
    r"^(`{3,}|:{3,}).*?^\1 *$|<details.*?</details>|<[^>]*>", re.MULTILINE | re.DOTALL
)


def texts(node: Any) -> Iterator[str]:
    """Every text of an executed notebook, in order: written in it, or printed by a cell."""
    return (holder[key] for holder, key in _places(node))


def answer(node: Any) -> str:
    """The paragraph in which a chapter answers its question, in Markdown; empty without one."""
    said = next((text for text in texts(node) if text.startswith(ANSWER)), "")
    return said.partition("\n\n")[0]


def minutes(nodes: Iterable[Any]) -> int:
    """Minutes that it takes to read executed notebooks, by their words; at least one."""
    words = sum(len(FOLDED.sub(" ", text).split()) for node in nodes for text in texts(node))
    return max(1, round(words / WORDS_A_MINUTE))


def add_facts(node: Any, grid: Grid, run: Run) -> None:
    """Put one line under the answer of an executed notebook: how long it takes to read, and what it
    takes to measure all that it shows."""
    for holder, key in _places(node):
        if holder[key].startswith(ANSWER):
            took = _took(grid, run)
            facts = f"{minutes([node])} min to read · to run: {took}"
            holder[key] += f'\n\n<p class="answer-facts">{facts}</p>'
            return


def _took(grid: Grid, run: Run) -> str:
    """Time and memory of all measurements that a run asked for, or of the run itself where those
    are more: what was measured before cost it nothing."""
    itself = read_json(grid.folder / f"{run.name}.json")
    taken = [one.manifest for one in dataset.asked_for(grid.folder.parent, [itself])]
    cost = {
        **{name: [itself, *taken][-1][name] for name in ("threads", "processor")},
        "seconds": max(itself["seconds"], sum(one["seconds"] for one in taken)),
        "peak_memory_bytes": max(one["peak_memory_bytes"] for one in (itself, *taken)),
    }
    return prose.cost(Measurement(grid.folder, cost))


def _places(node: Any) -> Iterator[tuple[Any, str]]:
    """Where the texts of a notebook stand: a mapping, and the key in it."""
    for cell in node.cells:
        if cell.cell_type == "markdown":
            yield cell, "source"
        for output in cell.get("outputs", []):
            if "text/markdown" in output.get("data", {}):
                yield output["data"], "text/markdown"
