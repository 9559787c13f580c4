"""How far a build is, from what real bars, manifests and folders say."""

import json
import os
import pty
import subprocess
import sys
import time

import pytest
from tqdm import tqdm

from runs import profiles, progress
from runs.planning import kept

TEXT = """chapters:
  05-hierarchical-effects: {axes: {sparsity: [0.25, 0.5]}}
  e-prompts:
  ladder:
"""


@pytest.fixture
def build(tmp_path):
    """A build that has begun, two runs at a time, of four runs that are planned at ten minutes."""
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT)
    profile = profiles.read(str(path))
    (tmp_path / "results" / "mine" / "logs").mkdir(parents=True)
    (tmp_path / "_build").mkdir()
    one = progress.Progress(profile, tmp_path, 2)
    _plan(one, **{run.name: 10.0 for run in profile.runs})
    return one


def _plan(build, **minutes):
    found = {name: {"minutes": each, "planned": time.time()} for name, each in minutes.items()}
    kept.predicted(build.profile, build.root).write_text(json.dumps(found))


def _end(build, name, minutes, ending=".json"):
    (build.folder / f"{name}{ending}").write_text(json.dumps({"seconds": 60 * minutes}))


def _runs(build, name, *bars):
    (build.folder / f".run-{name}.ipynb").mkdir()
    with (build.folder / "logs" / f"{name}.log").open("w") as log:
        for bar in bars:
            list(tqdm(range(3), bar, file=log))


def test_what_is_left_is_shared_between_those_that_run(build):
    assert build.line() == "0 of 4 · about 20 min left"


def test_the_last_bar_says_what_a_run_does(build):
    _runs(build, "ladder", "Loading weights", "Asking the probes")
    assert build.line() == "0 of 4 · ladder, asking the probes · about 20 min left"


def test_a_point_of_a_grid_says_which(build):
    _runs(build, "05-hierarchical-effects--sparsity-0-5", "Comparing 60 sublayers, step")
    said = "05 hierarchical effects (0.5), comparing 60 sublayers"
    assert build.line() == f"0 of 4 · {said} · about 20 min left"


def test_the_pace_of_what_has_ended_counts_for_what_is_left(build):
    _end(build, "e-prompts", 15.0)
    assert build.line() == "1 of 4 · about 30 min left"
    _end(build, "ladder", 15.0, ".failed.json")
    assert build.line() == "2 of 4 · about 15 min left"


def test_what_was_done_before_is_not_waited_for(build):
    _end(build, "e-prompts", 1.0)
    os.utime(build.folder / "e-prompts.json", (1, 1))
    assert build.line() == "0 of 4 · about 20 min left"  # it is planned, so it runs anew
    _plan(build, ladder=3.0)
    for run in build.profile.runs[:2]:
        _end(build, run.name, 1.0)
    assert build.line() == "3 of 4 · about 3 min left"


def test_without_a_plan_nothing_is_said_of_time(build):
    kept.predicted(build.profile, build.root).unlink()
    assert build.line() == "0 of 4"


FOLLOWED = """
import subprocess, sys
from runs import progress
progress.MOVING, progress.PLAIN = 0.05, 0.2
words = [sys.executable, "-uc", "import time; print('first'); time.sleep(1); print('last')"]
one = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
sys.exit(progress.follow(one, lambda: "3 of 7"))
"""


def test_on_a_terminal_the_line_moves_under_what_is_said():
    ours, theirs = pty.openpty()
    done = subprocess.run([sys.executable, "-c", FOLLOWED], stdout=theirs, timeout=60)
    os.close(theirs)
    text = b""
    while chunk := _read(ours):
        text += chunk
    assert done.returncode == 0
    shown = text.decode().split("\r\x1b[2K")
    assert [each.strip() for each in shown if "st" in each] == ["first\r\n3 of 7", "last\r\n3 of 7"]
    assert shown.count("3 of 7") > 5
    assert shown[-1] == ""


def _read(descriptor):
    try:
        return os.read(descriptor, 4096)
    except OSError:  # the other end is closed
        return b""


def test_elsewhere_it_is_a_plain_line_now_and_then():
    words = [sys.executable, "-c", FOLLOWED]
    lines = subprocess.run(words, capture_output=True, text=True, timeout=60).stdout.splitlines()
    assert lines[0] == "first"
    assert lines[-1] == "last"
    assert 2 <= lines.count("3 of 7") <= 6
    assert len(lines) == 2 + lines.count("3 of 7")
