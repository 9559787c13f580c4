"""Whole grids through the workflow: what runs, what fails, and what is kept of it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from make_models import FOLDER as MODELS
from make_models import SHAPES, make
from safetensors.torch import load_file
from test_running_beside import own_notebook

from runs import profiles

ROOT = Path(__file__).parents[1]
KILLED = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A book in a folder of its own, with the real workflow and no chapter."""
    root = tmp_path / "book"
    shutil.copytree(ROOT / "workflow", root / "workflow")
    for name in ("src", "book", "requirements", "_config.yml", "_toc.yml"):
        (root / name).symlink_to(ROOT / name)
    monkeypatch.setenv("PYTHONPATH", str(root / "src"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return root


def build(book, profile, *options):
    """What `make book` calls, for the runs alone."""
    command = [sys.executable, "workflow/build.py", "--profile", str(profile), "--only-runs"]
    return subprocess.run([*command, *options], cwd=book, capture_output=True, text=True)


def failures(folder):
    """The agreed record of each run that failed, by name."""
    found = {path: json.loads(path.read_text()) for path in folder.glob("*.failed.json")}
    return {path.name.removesuffix(".failed.json"): told for path, told in found.items()}


def test_a_failed_run_stops_no_other_and_keeps_what_it_said(book):
    """An error, a run that is killed, and one that waits for one that fails; then all is mended."""
    chapters = book / "notebooks"
    own_notebook(chapters / "own.md", "print('so far', flush=True)\n1 / (seed - 1)")
    own_notebook(chapters / "killed.md", KILLED)
    own_notebook(chapters / "05-hierarchical-effects.md", "raise KeyError('05')")
    own_notebook(chapters / "06-representation-analysis.md", "seed")
    (book / "mine.yaml").write_text(
        "axes: {seed: [0, 1, 2]}\n"
        "chapters: {own: , killed: {seed: 0}, 05-hierarchical-effects: {seed: 0}, "
        "06-representation-analysis: {seed: 0}}\n"
    )
    done = build(book, "mine.yaml")
    folder = book / "results" / "mine"
    failed = failures(folder)
    assert done.returncode == 1
    assert set(failed) == {"own--seed-1", "killed", "05-hierarchical-effects"}
    assert {path.stem for path in folder.glob("[!.]*.ipynb")} == {
        *("own", "own--seed-2", "06-representation-analysis")
    }
    told = failed["own--seed-1"]
    assert told["error"] == "own.md failed in cell 3: ZeroDivisionError: division by zero"
    assert (told["run"], told["chapter"], told["exit"]) == ("own--seed-1", "own", 1)
    assert told["attempts"] == 2
    assert told["log"] == "results/mine/logs/own--seed-1.log"
    assert "Traceback" in (book / told["log"]).read_text()
    assert "ended from outside" in failed["killed"]["error"]
    lines = done.stdout.splitlines()
    assert sum(line == "Running own--seed-1 …" for line in lines) == 2  # tried once more
    assert sum("error: own--seed-1: " in line and told["log"] in line for line in lines) == 2
    assert "so far" not in done.stdout + done.stderr
    last = "error: 3 of 6 runs failed, each with a log in results/mine/logs"
    assert done.stderr.splitlines() == [last]

    for name in ("own", "killed", "05-hierarchical-effects"):
        own_notebook(chapters / f"{name}.md", "seed")
    done = build(book, "mine.yaml")
    assert done.returncode == 0, done.stdout
    assert not failures(folder)
    assert len(list(folder.glob("[!.]*.ipynb"))) == 6
    assert "Running 06" not in done.stdout
    assert "Running" not in build(book, "mine.yaml").stdout


def test_bad_input_is_not_tried_again(book):
    """What only a run can know to be wrong: its notebook says so."""
    refuses = "from helpers.errors import InputError\nraise InputError('no such seed: give 1')"
    own_notebook(book / "notebooks" / "own.md", refuses)
    (book / "mine.yaml").write_text("chapters: {own: }\n")
    done = build(book, "mine.yaml")
    assert done.returncode == 1
    assert done.stdout.count("Running") == 1
    told = failures(book / "results" / "mine")["own"]
    assert (told["error"], told["exit"], told["attempts"]) == ("no such seed: give 1", 2, 1)


def test_a_model_that_is_not_there_fails_in_its_row_alone(book):
    """Real chapters on tiny models: a row that cannot run is marked, the others are measured."""
    (book / "notebooks").symlink_to(ROOT / "notebooks")
    text = (ROOT / "tests" / "grid.yaml").read_text()
    text = text.replace("models/llama, models/qwen2", f"{MODELS}/llama, {MODELS}/qwen2, gone")
    text = text.replace("[0.25, 0.5, 0.75]", "[0.5]")
    (book / "mine.yaml").write_text(text[: text.index("  06-")])
    done = build(book, "mine.yaml")
    folder = book / "results" / "mine"
    assert done.returncode == 1
    assert {path.stem for path in folder.glob("*.ipynb")} == {
        *("05-hierarchical-effects", "05-hierarchical-effects--model-qwen2")
    }
    (told,) = failures(folder).values()
    assert told["run"] == "05-hierarchical-effects--model-gone"
    assert told["error"].startswith("unknown model 'gone': known are smollm2-135m")
    assert told["attempts"] == 1


def test_a_grid_for_tests_has_eighteen_runs_of_two_models():
    grid = profiles.read(str(ROOT / "tests" / "grid.yaml"))
    assert len(grid.runs) == 18
    assert {run.parameters.model for run in grid.runs} == {
        *("tests/models/llama", "tests/models/qwen2")
    }
    assert all((ROOT / run.parameters.model / "model.safetensors").is_file() for run in grid.runs)


def test_the_models_of_the_grid_are_those_that_are_made(tmp_path):
    make(tmp_path)
    for name in SHAPES:
        kept, made = (load_file(root / name / "model.safetensors") for root in (MODELS, tmp_path))
        assert kept.keys() == made.keys()
        assert all(torch.equal(kept[key], made[key]) for key in kept)
        configs = [
            json.loads((root / name / "config.json").read_text()) for root in (MODELS, tmp_path)
        ]
        assert configs[0] == configs[1]
