"""A run of scores that is killed goes on where it was, and ends with the same tables."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from measurements.scores import scores, task_items
from runs.parameters import validate
from runs.settings import dense

TASKS = ("piqa", "openbookqa", "asdiv")
QUESTIONS = 5


def piqa(number, right="0"):
    return {
        "goal": f"To open box {number}",
        "sol1": "pull the lid",
        "sol2": f"push {number} times",
        "label": right,
    }


def openbookqa(number, right="A"):
    options = ["a plant", "some ice", f"rock {number}", "the sun"]
    return {
        "question_stem": f"Thing {number} is warm, so it is",
        "choices": {"text": options, "label": list("ABCD")},
        "answerKey": right,
    }


def asdiv(number, right="1"):
    return {"body": f"Ann has {number} nuts.", "question": "How many?", "answer": f"{right} (nuts)"}


def write(folder, answers):
    """Files of all tasks, with the right answers as given, by task and question."""
    splits = {"piqa": "validation", "openbookqa": "test", "asdiv": "validation"}
    for name, row in (("piqa", piqa), ("openbookqa", openbookqa), ("asdiv", asdiv)):
        right = answers.get(name, [None] * QUESTIONS)
        rows = [row(at, *([] if key is None else [key])) for at, key in enumerate(right)]
        (folder / name).mkdir(exist_ok=True)
        lines = "\n".join(map(json.dumps, rows))
        (folder / name / f"{splits[name]}.jsonl").write_text(lines, encoding="utf-8")


@pytest.fixture
def parameters(tiny_folder, tmp_path):
    """Questions that the tiny model gets right, for right is what it chooses: it is not at its
    floor there. What it writes is never right."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    write(folder, {})
    chosen = {"model": str(tiny_folder), "device": "cpu", "task_folder": str(folder), "items": 0}
    asked = {"tasks": "piqa,openbookqa", "dropped": 0, "results": str(tmp_path / "first")}
    table = task_items(validate(chosen | asked)).table("items").sort_values("item")
    said = {task: part["answer"].tolist() for task, part in table.groupby("task", observed=True)}
    right = {
        "piqa": [str(int(text != "pull the lid")) for text in said["piqa"]],
        "openbookqa": [
            "ABCD"[openbookqa(at)["choices"]["text"].index(text)]
            for at, text in enumerate(said["openbookqa"])
        ],
    }
    write(folder, right)
    more = {"tasks": ",".join(TASKS), "target": "mlp", "dropped": 2, "profile": "published"}
    more |= {"calibration_samples": 2, "calibration_length": 32}
    return validate(chosen | more | {"results": str(tmp_path / "killed")})


def finished(results, name="*"):
    """Measurements that are done, by folder, with the time of their manifests."""
    found = Path(results).glob(f"measurements/{name}/*/manifest.json")
    return {path.parent: path.stat().st_mtime_ns for path in found}


def tables(results):
    """Every table of answers and of scores, as its bytes, by place."""
    found = [
        path
        for name in ("task_items", "scores")
        for path in sorted(Path(results).glob(f"measurements/{name}/*/*.parquet"))
    ]
    return {str(path.relative_to(results)): path.read_bytes() for path in found}


def kill_in_the_middle(parameters, after):
    """Start a process that takes the scores, and kill it once ``after`` tasks are done."""
    code = (
        "import sys; from runs.parameters import RunParameters; "
        "from measurements.scores import scores; "
        "scores(RunParameters.model_validate_json(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, parameters.model_dump_json()]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while len(finished(parameters.results, "task_items")) < after and process.poll() is None:
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, process.communicate()[1]


def test_killed_resumed_and_finished(parameters, tmp_path):
    kill_in_the_middle(parameters, after=4)  # the dense model's three tasks, one of the pruned's
    before = finished(parameters.results)
    assert len(finished(parameters.results, "task_items")) == 4
    assert not finished(parameters.results, "scores")

    resumed = scores(parameters)
    after = finished(parameters.results)
    assert {folder: after[folder] for folder in before} == before, "a finished task was taken again"
    assert len(finished(parameters.results, "task_items")) == 5  # a floor needs the dense one only
    assert len(finished(parameters.results, "scores")) == 1

    whole = parameters.model_copy(update={"results": str(tmp_path / "whole")})
    assert scores(whole).run == resumed.run
    assert tables(parameters.results) == tables(whole.results)
    assert len(tables(whole.results)) == 6

    rows = resumed.table("scores").set_index("task")
    assert rows.index.tolist() == list(TASKS)
    assert rows["dense_value"].tolist() == [1, 1, 0]
    assert rows["n"].tolist() == [QUESTIONS, QUESTIONS, 0]
    assert rows["verdict"].tolist()[2] == "at_floor"
    assert rows["value"].tolist()[:2] != [1, 1], "the pruned model answers for itself"
    facts = resumed.manifest["facts"]
    assert facts["asked"] == dict.fromkeys(TASKS, QUESTIONS)
    assert facts["parameters_left"] < facts["dense_parameters"]
    assert facts["pruned"].startswith("dropped mlp of layers")

    # the dense model by itself: nothing is asked again, and it is the same in both
    taken = len(finished(parameters.results))
    own = scores(dense(parameters)).table("scores").set_index("task")
    assert own["value"].tolist() == [1, 1, 0]
    assert len(finished(parameters.results)) == taken + 1
