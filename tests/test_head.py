"""Under a chapter's answer: what it takes to read and to run it, from its words and manifests."""

import json
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from pages import head  # noqa: E402
from pages.points import Grid  # noqa: E402
from runs import profiles  # noqa: E402

ANSWER = "**The answer, measured at 1M.** It holds in 3 of 4.\n\n<details>more</details>"
MACHINE = {"threads": 2, "processor": "CPU"}


@pytest.fixture
def grid(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text("chapters:\n  ladder:\n")
    (tmp_path / "small").mkdir()
    return Grid(profiles.read(str(path)), tmp_path / "small", {})


def ran(grid, seconds, *measurements):
    """Leave manifests: of a run that took ``seconds``, and of measurements (seconds, GiB)."""
    (run,) = grid.profile.runs
    listed = []
    for number, (took, memory) in enumerate(measurements):
        listed.append({"name": "walk", "run": f"{number}"})
        folder = grid.folder.parent / "measurements" / "walk" / f"{number}"
        folder.mkdir(parents=True)
        cost = {"seconds": took, "peak_memory_bytes": memory * 2**30}
        (folder / "manifest.json").write_text(json.dumps(MACHINE | cost))
    cost = {"seconds": seconds, "peak_memory_bytes": 2**30, "measurements": listed}
    (grid.folder / f"{run.name}.json").write_text(json.dumps(MACHINE | cost))
    return run


def notebook(*texts, said=ANSWER):
    output = nbformat.v4.new_output("display_data", {"text/markdown": said})
    cells = [nbformat.v4.new_code_cell("say()", outputs=[output])]
    return nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_markdown_cell, texts), *cells])


def test_facts_stand_under_the_answer_wherever_it_stands(grid):
    run = ran(grid, 6, (60, 1), (120, 3))
    node = notebook("# Title", "text " * 600)
    head.add_facts(node, grid, run)
    facts = (
        '<p class="answer-facts">3 min to read · to run: 3.0 minutes, in a process of 3.0 GiB, '
        "on 2 threads (CPU)</p>"
    )
    assert node.cells[2].outputs[0].data["text/markdown"] == f"{ANSWER}\n\n{facts}"
    written = notebook("# Title", ANSWER, said="text")
    head.add_facts(written, grid, run)
    assert "1 min to read" in written.cells[1].source


def test_a_run_that_took_longer_than_its_measurements_tells_its_own_time(grid):
    run = ran(grid, 90, (1, 3))
    node = notebook()
    head.add_facts(node, grid, run)
    assert "1.5 minutes, in a process of 3.0 GiB" in node.cells[0].outputs[0].data["text/markdown"]


def test_a_page_without_an_answer_stays_as_it_is(grid):
    node = notebook("# Title", said="no")
    head.add_facts(node, grid, ran(grid, 1))
    assert [*head.texts(node)] == ["# Title", "no"]
    assert head.answer(node) == ""


def test_the_answer_is_one_paragraph():
    assert head.answer(notebook("# Title")) == ANSWER.partition("\n\n")[0]


def test_what_is_folded_and_code_take_no_time_to_read():
    closed = "word " * 400
    folds = (
        f"```{{dropdown}} x\n{closed}\n```",
        f"````python\n{closed}\n````",
        f"<details>{closed}</details>",
    )
    assert head.minutes([notebook(*folds)]) == 1
    assert head.minutes([notebook(closed)]) == 2
