"""Killed at any moment, also in the middle of a write, or out of room: the next call finishes
exactly what is missing, and the tables are those of an undisturbed run."""

import random
import shutil
import signal
import subprocess
import time

import nbformat
import numpy as np
import psutil
import pyarrow as pa
import pytest
from books import Book, assert_same, files
from nbformat.v4 import new_code_cell, new_notebook

from helpers.errors import InputError
from runs import imported
from runs.__main__ import main
from runs.columns import Column
from runs.parameters import validate
from runs.store import Measured, measurement

FOUR = {  # jobs at a time
    "cores": 1,
    "chapters": {
        "05-hierarchical-effects": {"prompts": "MC2,Math1,Gen4", "max_new_tokens": 2},
        "06-representation-analysis": {"prompts": "MC2,Math1,Gen4", "max_new_tokens": 2},
        "h-temperature": {"prompts": "MC2,Math1,Gen4", "sweep_steps": 2},
        "noise-floor": {"prompts": "MC2,Math1,Gen4", "max_new_tokens": 2},
    },
}
PARALLEL = ("--cores", "4")


def family(process):
    """The process and all that it has started, parents first."""
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def still_alive(book):
    """Processes that work in the book's folder."""
    found = []
    for each in psutil.process_iter():
        try:
            if each.cwd() == str(book.root) and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
        except (psutil.Error, FileNotFoundError):
            continue
    return found


def writing(book):
    """Whether some measurement has a table and no manifest yet."""
    return any(
        not (table.parent / "manifest.json").exists()
        for table in book.results.glob("measurements/*/*/*.parquet")
    )


def kill(processes):
    for each in processes:
        try:
            each.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue


def kill_once(book, process, chance, longest):
    """Kill at a random moment, or in the first write after it: everything, only what starts the
    runs, or any one process. False if the build ended first."""
    deadline = time.monotonic() + chance.uniform(0.5, longest)
    in_a_write = chance.random() < 0.5
    while time.monotonic() < deadline or (in_a_write and not writing(book)):
        if process.poll() is not None:
            return False
        time.sleep(0.002)
    found = family(process)
    match chance.choice(("all", "all", "parents", "one")):
        case "all":
            kill(found)
        case "parents":
            kill(found[:2])
        case "one":
            kill([chance.choice(found)])
    return True


def run_with_kills(book, profile, times, longest, seed):
    """Run a profile that is killed so many times, until it is finished, each time at most
    ``longest`` seconds after it was begun or killed before. One that ends before all kills were
    had starts from nothing."""
    chance = random.Random(seed)
    killed = 0
    while killed < times:
        process = book.start(profile, *PARALLEL)
        while killed < times and kill_once(book, process, chance, longest):
            killed += 1
        if process.wait() == 0 and killed < times:
            shutil.rmtree(book.results)
    assert book.run(profile, *PARALLEL) == 0, book.log.read_text()


def compare_with_undisturbed(tmp_path, profile, described, times, share, seed):
    """``share`` of an undisturbed run's time is the longest that a kill is waited for."""
    undisturbed, killed = Book(tmp_path / "undisturbed"), Book(tmp_path / "killed")
    for book in (undisturbed, killed):
        if described:
            book.profile(profile, described)
    begin = time.monotonic()
    assert undisturbed.run(profile, *PARALLEL) == 0, undisturbed.log.read_text()
    longest = share * (time.monotonic() - begin)
    run_with_kills(killed, profile, times, longest, seed)
    assert_same(undisturbed.results, killed.results)
    assert not list(killed.results.rglob(".run-*"))
    assert not psutil.wait_procs(still_alive(killed), timeout=5)[1]


def test_three_kills(tiny_folder, tmp_path):
    described = FOUR | {"shared": {"model": str(tiny_folder)}}
    compare_with_undisturbed(tmp_path, "four", described, times=3, share=0.8, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_twenty_kills_of_the_smoke_profile(tmp_path):
    compare_with_undisturbed(tmp_path, "smoke", None, times=20, share=0.2, seed=2)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, as a folder, and a function that gives it another size."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True, text=True)

    made = mount("size=40k")
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    yield folder, lambda size: mount(f"size={size}", "remount")
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@measurement("seed", tables={"noise": (Column("value", pa.float64(), "a number"),)})
def much_noise(parameters):
    noise = np.random.default_rng(parameters.seed).normal(size=20_000)
    return Measured({"noise": pa.table({"value": noise})}, {})


def test_a_measurement_that_fills_the_disk_is_one_line_and_leaves_nothing(small_disk):
    folder, resize = small_disk
    parameters = validate({"results": str(folder)})
    with pytest.raises(InputError, match=f"no room left on the disk of {folder}"):
        much_noise(parameters)
    assert files(folder) == set()
    resize("1m")
    assert len(much_noise(parameters).table("noise")) == 20_000


def test_a_notebook_that_fills_the_disk_is_one_line_and_leaves_nothing(
    small_disk, tmp_path, capsys
):
    folder, resize = small_disk
    cells = [new_code_cell('seed = 0\nresults = ""'), new_code_cell("print('x' * 100_000)")]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(new_notebook(cells=cells), tmp_path / "own.ipynb")
    given = ["run", str(tmp_path / "own.ipynb"), str(folder / "out.ipynb")]
    assert main(given) == 2
    assert f"error: no room left on the disk of {folder}" in capsys.readouterr().err
    assert not list(folder.iterdir())
    resize("1m")
    assert main(given) == 0
    assert files(folder) == {"out.ipynb", "out.json"}


@pytest.mark.slow
def test_a_book_that_fills_the_disk_goes_on_when_there_is_room(small_disk, tiny_folder, tmp_path):
    folder, resize = small_disk
    book, undisturbed = Book(tmp_path / "book"), Book(tmp_path / "undisturbed")
    book.results.symlink_to(folder)
    chapters = {"h-temperature": FOUR["chapters"]["h-temperature"]}
    for each in (book, undisturbed):
        each.environment[imported.SWITCH] = "no"  # what comes packed with the book is larger
        each.profile("one", FOUR | {"chapters": chapters, "shared": {"model": str(tiny_folder)}})
    assert book.run("one", *PARALLEL) == 1
    said = [line for line in book.log.read_text().splitlines() if "no room left" in line]
    assert len(said) == 1
    assert said[0].startswith("error: h-temperature: no room left on the disk of results")
    assert not any((folder / "one" / f"h-temperature.{end}").exists() for end in ("json", "ipynb"))
    resize("64m")
    assert book.run("one", *PARALLEL) == 0, book.log.read_text()
    assert undisturbed.run("one", *PARALLEL) == 0, undisturbed.log.read_text()
    assert_same(undisturbed.results, book.results)
