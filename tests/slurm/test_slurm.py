"""The book's runs on a real Slurm: the same tables as here, also after jobs were lost."""

import signal
import subprocess
import tempfile
import time
from pathlib import Path

import jupytext
import psutil
import pytest
import yaml
from books import ROOT, Book, assert_same, files
from cluster import cluster, missing
from nbformat.v4 import new_code_cell, new_notebook

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(bool(missing()), reason=missing()),
]

CORES = 4
# Slurm is asked for news every other second, not every forty.
OPTIONS = ("--executor", "slurm", "--", "--slurm-init-seconds-before-status-checks", "2")
TINY = {
    "minutes": 5,
    "memory_gb": 1.5,
    "cores": 1,
    "chapters": {
        "05-hierarchical-effects": {"prompts": "MC2,Math1,Gen4", "max_new_tokens": 2},
        "06-representation-analysis": {"prompts": "MC2,Math1,Gen4", "max_new_tokens": 2},
        "h-temperature": {"prompts": "MC2,Math1,Gen4", "sweep_steps": 2},
    },
}
SHORT = ("03-background", "05-hierarchical-effects", "06-representation-analysis", "e-prompts")


@pytest.fixture(scope="module", autouse=True)
def slurm():
    """A cluster of one node."""
    with (
        tempfile.TemporaryDirectory(prefix="slurm-") as folder,
        cluster(Path(folder) / "cluster", CORES),
    ):
        yield


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path / "book")


def jobs(*states):
    """Numbers of the jobs in these states; all that are not over if none is named."""
    asked = ["squeue", "--noheader", "--format=%i", *(f"--states={each}" for each in states)]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()


def time_limit(job):
    asked = ["squeue", "--noheader", "--states=all", "--format=%l", f"--jobs={job}"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def until(holds, seconds=120):
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.1)
    return found


@pytest.mark.parametrize("chapters", [SHORT, None], ids=["short", "whole"])
def test_smoke_profile_gives_the_tables_of_a_local_run(chapters, book, tmp_path):
    """``short`` is a part of the smoke profile, of a few minutes."""
    described = yaml.safe_load((ROOT / "workflow" / "profiles" / "smoke.yaml").read_text())
    if chapters:
        described["chapters"] = {name: described["chapters"][name] for name in chapters}
    here = Book(tmp_path / "here")
    for each in (book, here):
        each.profile("smoke", described)
    before = set(jobs("COMPLETED"))
    assert book.run("smoke", *OPTIONS, timeout=3000) == 0, book.log.read_text()
    done = set(jobs("COMPLETED"))
    assert len(done - before) == len(described["chapters"])
    assert here.run("smoke", timeout=3000) == 0, here.log.read_text()
    assert_same(here.results, book.results)
    assert book.run("smoke", *OPTIONS) == 0
    assert set(jobs("COMPLETED")) == done


def test_jobs_and_the_build_itself_are_lost(book, tiny_folder, tmp_path):
    """A job dies with all its processes, then the build while others run: nothing is lost, and
    nothing is done twice."""
    here = Book(tmp_path / "here")
    for each in (book, here):
        each.profile("tiny", TINY | {"shared": {"model": str(tiny_folder)}})
    process = book.start("tiny", *OPTIONS)
    until(lambda: len(jobs("RUNNING")) > 1 and list(book.results.glob("tiny/.run-*")))
    lost, *others = jobs("RUNNING")
    subprocess.run(["scancel", "--signal=KILL", "--full", lost], check=True)
    until(lambda: lost not in jobs("RUNNING"))
    for each in [process, *psutil.Process(process.pid).children(recursive=True)]:
        each.kill()
    process.wait()
    assert set(others) <= set(jobs())
    assert book.run("tiny", *OPTIONS) == 0, book.log.read_text()
    until(lambda: not jobs())
    assert here.run("tiny") == 0, here.log.read_text()
    assert_same(here.results, book.results)


def test_a_run_that_is_too_long_is_tried_once_more_with_twice_the_time(book, tmp_path):
    """The limit is a minute, which Slurm looks at twice a minute; the second try is quick."""
    tries = tmp_path / "tries"
    cells = [
        'seed = 0\nprofile = "custom"\nresults = ""',
        f"import pathlib, time\ntries = pathlib.Path({str(tries)!r})\n"
        "with tries.open('a') as file: file.write('x')\n"
        "time.sleep(300 if tries.read_text() == 'x' else 1)",
    ]
    node = new_notebook(cells=[new_code_cell(each) for each in cells])
    node.cells[0].metadata["tags"] = ["parameters"]
    node.metadata["kernelspec"] = {"name": "python3", "display_name": "P", "language": "python"}
    (book.root / "notebooks").unlink()
    (book.root / "notebooks").mkdir()
    jupytext.write(node, book.root / "notebooks" / "long.md", fmt="md:myst")
    book.profile("long", {"minutes": 1, "cores": 1, "chapters": {"long": None}})
    before = set(jobs("all"))
    assert book.run("long", *OPTIONS) == 0, book.log.read_text()
    assert tries.read_text() == "xx"
    first, second = sorted(set(jobs("all")) - before, key=int)
    assert (time_limit(first), time_limit(second)) == ("1:00", "2:00")
    assert files(book.results) >= {"long/long.ipynb", "long/long.json"}
    assert not list(book.results.rglob(".run-*"))


def test_a_stopped_build_takes_its_jobs_along(book, tiny_folder):
    book.profile("tiny", TINY | {"shared": {"model": str(tiny_folder)}})
    process = book.start("tiny", *OPTIONS)
    until(lambda: jobs("RUNNING"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    until(lambda: not jobs(), 30)
