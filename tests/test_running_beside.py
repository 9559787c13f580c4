"""Runs beside other runs, in strange folders, ended on request, and of one's own notebooks."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import jupytext
import nbformat
import psutil
import pytest

from runs import imported, stopping
from runs.__main__ import main

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

import setup  # noqa: E402

from pages import staging  # noqa: E402

PARAMETERS = 'seed = 0\nprofile = "custom"\nresults = ""'


def own_notebook(path, *cells, parameters=PARAMETERS):
    """A notebook of a user's own: parameters, then code cells."""
    node = nbformat.v4.new_notebook()
    node.cells = [nbformat.v4.new_code_cell(each) for each in (parameters, *cells)]
    node.cells[0].metadata["tags"] = ["parameters"]
    if path.suffix == ".md":
        node.metadata["kernelspec"] = {"name": "python3", "display_name": "P", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    jupytext.write(node, path, fmt="md:myst" if path.suffix == ".md" else "ipynb")
    return path


def run(notebook, output, *given):
    return main(["run", str(notebook), str(output), *given])


def last_line(capsys):
    return capsys.readouterr().err.strip().splitlines()[-1]


@contextmanager
def started(command, *, until, cwd=None):
    """A process of its own, once the file ``until`` is there."""
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=cwd, preexec_fn=heard, **pipes)
    try:
        deadline = time.monotonic() + 120
        while not until.exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        assert until.exists(), process.communicate()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def heard():
    """Hear requests to end, whatever the tests themselves were told to ignore (``nohup``)."""
    for each in stopping.REQUESTS:
        signal.signal(each, signal.SIG_DFL)


def own_command(notebook, output, *given):
    return [sys.executable, "-m", "runs", "run", str(notebook), str(output), *given]


def waits(mark, seconds=100):
    """A cell that says by the file ``mark`` that it has begun, and then takes long."""
    return f"import pathlib, time\npathlib.Path({str(mark)!r}).touch()\ntime.sleep({seconds})"


@pytest.mark.parametrize(
    "parameters",
    [
        'seed: int = 3\nprofile: str = "mine"',
        '"""What is asked for."""\nseed = 3\nprofile = "mine"',
    ],
)
@pytest.mark.parametrize("suffix", [".md", ".ipynb"])
def test_own_notebook_runs_and_its_manifest_holds_every_parameter(suffix, parameters, tmp_path):
    notebook = own_notebook(tmp_path / f"own{suffix}", "%precision 3\nseed", parameters=parameters)
    output = tmp_path / "a {strange} folder" / "out.ipynb"
    digests = set()
    for given in ([], ["-p", "seed", "4"]):
        assert run(notebook, output, *given) == 0
        manifest = json.loads(output.with_suffix(".json").read_text())
        assert manifest["parameters"] == {"seed": 4 if given else 3, "profile": "mine"}
        digests.add(manifest["code"])
    assert {path.name for path in output.parent.iterdir()} == {"out.ipynb", "out.json"}
    text = output.read_text()
    assert ".run-" not in text
    assert str(tmp_path) not in text
    assert nbformat.read(output, 4).cells[-1].outputs[0].data["text/plain"] == "4"
    own_notebook(notebook, "%precision 3\nseed + 1", parameters=parameters)
    assert run(notebook, output) == 0
    assert json.loads(output.with_suffix(".json").read_text())["code"] not in digests
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("seed = int('3')", "plain value, which own.ipynb does not have in \"seed = int('3')\""),
        ("seed: int", "plain value, which own.ipynb does not have in 'seed: int'"),
        ("seed, repeats = 1, 2", "unknown parameter '(seed, repeats)'"),
        ("seed = 0\nseed += 1", "plain value"),
        ("if True:\n    seed = 1", "plain value"),
        ("alpha = 1", "unknown parameter 'alpha'"),
        ("seed = = 1", "a cell of own.ipynb is no Python"),
    ],
)
def test_parameters_that_cannot_be_read_are_one_line(parameters, message, tmp_path, capsys):
    notebook = own_notebook(tmp_path / "own.ipynb", parameters=parameters)
    assert run(notebook, tmp_path / "out.ipynb") == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["own.ipynb"]


def test_a_default_that_is_a_call_is_not_needed_where_the_parameter_is_given(tmp_path):
    notebook = own_notebook(tmp_path / "own.ipynb", "seed", parameters="seed = int('3')")
    assert run(notebook, tmp_path / "out.ipynb", "-p", "seed", "5") == 0
    assert json.loads((tmp_path / "out.json").read_text())["parameters"] == {"seed": 5}


@pytest.mark.parametrize("text", ["{", "no notebook", ""])
def test_a_file_that_is_no_notebook_is_one_line(text, tmp_path, capsys):
    (tmp_path / "own.ipynb").write_text(text)
    assert run(tmp_path / "own.ipynb", tmp_path / "out.ipynb") == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["own.ipynb", "../beside/own.ipynb", "folder.ipynb", "out.json"])
def test_an_output_that_would_overwrite_or_fail_is_refused_first(name, tmp_path, capsys):
    notebook = own_notebook(tmp_path / "beside" / "own.ipynb", "raise SystemExit('ran')")
    (notebook.parent / "folder.ipynb").mkdir()
    before = notebook.read_bytes()
    assert run(notebook, notebook.parent / name) == 2
    assert "output" in last_line(capsys)
    assert notebook.read_bytes() == before
    assert {path.name for path in notebook.parent.iterdir()} == {"own.ipynb", "folder.ipynb"}


def test_a_manifest_overwrites_nothing_but_a_manifest(tmp_path, capsys):
    notebook, values = own_notebook(tmp_path / "own.ipynb"), tmp_path / "out.json"
    values.write_text('{"seed": 3}')
    given = ["--parameters-file", str(values)]
    assert run(notebook, tmp_path / "out.ipynb", *given) == 2
    assert "would overwrite out.json" in last_line(capsys)
    assert values.read_text() == '{"seed": 3}'


def test_a_run_leaves_those_beside_it_alone(tmp_path):
    """Outputs whose names begin alike run together."""
    slow = own_notebook(tmp_path / "slow.ipynb", waits(tmp_path / "begun", 2))
    quick = own_notebook(tmp_path / "quick.ipynb", "1")
    with started(own_command(slow, tmp_path / "xa-1.ipynb"), until=tmp_path / "begun") as process:
        assert run(quick, tmp_path / "xa.ipynb") == 0
        assert process.wait(60) == 0
    assert (tmp_path / "xa.ipynb").exists()
    assert (tmp_path / "xa-1.ipynb").exists()
    assert not list(tmp_path.glob(".run-*"))


def test_a_second_run_to_one_output_waits_and_runs_only_what_is_not_the_same(tmp_path, capsys):
    count = f"with open({str(tmp_path / 'runs')!r}, 'a') as file: file.write('x')\n"
    slow = own_notebook(tmp_path / "slow.ipynb", count + waits(tmp_path / "begun", 2))
    output = tmp_path / "out.ipynb"
    for given, times in (([], 1), (["-p", "seed", "1"], 3)):
        (tmp_path / "begun").unlink(missing_ok=True)
        with started(own_command(slow, output), until=tmp_path / "begun") as process:
            assert run(slow, output, *given) == 0
            assert process.wait(60) == 0
        assert "Waiting for another run that writes" in capsys.readouterr().err
        assert (tmp_path / "runs").read_text() == times * "x"
    assert json.loads(output.with_suffix(".json").read_text())["parameters"]["seed"] == 1
    assert not list(tmp_path.glob(".run-*"))


def test_what_a_killed_run_left_is_cleared(tmp_path):
    left = tmp_path / ".run-out.ipynb"
    left.mkdir()
    for name in ("lock", "in.ipynb", "out.ipynb"):
        (left / name).touch()
    assert run(own_notebook(tmp_path / "own.ipynb", "1"), tmp_path / "out.ipynb") == 0
    assert not left.exists()


def test_temporary_folder_with_a_long_path(tmp_path, monkeypatch):
    """The name of a socket holds about 100 letters."""
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    assert run(own_notebook(tmp_path / "own.ipynb", "1"), tmp_path / "out.ipynb") == 0
    assert not list(long.iterdir())


MEASURES = """
from runs import parameters
from runs.store import Measured, measurement

@measurement("seed", tables={})
def takes_long(run):
    WAITS
    return Measured({}, {})

takes_long(parameters.read({"seed": seed, "results": results}))
"""


@pytest.mark.parametrize("request_to_end", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_ended_on_request(request_to_end, tmp_path):
    """In the middle of a measurement: the usual exit code, one line, and nothing is left."""
    number = signal.Signals[request_to_end]
    long = waits(tmp_path / "begun").replace("\n", "; ")
    notebook = own_notebook(tmp_path / "own.ipynb", MEASURES.replace("WAITS", long))
    output, results = tmp_path / "out" / "out.ipynb", tmp_path / "my results"
    given = ["-p", "results", str(results)]
    with started(own_command(notebook, output, *given), until=tmp_path / "begun") as process:
        family = psutil.Process(process.pid).children(recursive=True)
        assert family
        assert list(results.glob("measurements/takes_long/*/"))
        process.send_signal(number)
        said, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert errors.strip().splitlines() == [
        f"stopped by {request_to_end}: finished measurements are kept"
    ]
    assert f"results in {results}" in said
    assert not psutil.wait_procs(family, timeout=5)[1]
    assert not list(output.parent.iterdir())
    assert not [each for each in results.glob("measurements/takes_long/*") if each.is_dir()]


def test_a_kernel_that_does_not_listen_is_killed(tmp_path):
    deaf = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    notebook = own_notebook(tmp_path / "own.ipynb", deaf + waits(tmp_path / "begun"))
    output = tmp_path / "out" / "out.ipynb"
    with started(own_command(notebook, output), until=tmp_path / "begun") as process:
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert not psutil.wait_procs(family, timeout=5)[1]
    assert not list(output.parent.iterdir())


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("1 / 0", "own.ipynb failed in cell 2: ZeroDivisionError: division by zero"),
        ("raise ValueError('one of:\\n(1) a\\n(2) b')", "ValueError: one of: (1) a (2) b"),
        ("raise KeyError(str(list(range(1000))))", "KeyError: '[0, 1, 2,"),
        ("import os; os._exit(3)", "the kernel that ran own.ipynb died"),
    ],
)
def test_what_nobody_foresaw_is_one_line_with_its_log(cell, message, tmp_path, capsys):
    notebook, output = own_notebook(tmp_path / "own.ipynb", cell), tmp_path / "out.ipynb"
    log = tmp_path / "out.ipynb.log"
    assert run(notebook, output) == 1
    last = last_line(capsys)
    assert message in last
    assert last.endswith(f"(log: {log})")
    assert len(last) < 420 + len(str(log))
    assert "Traceback" in log.read_text()
    assert not output.exists()
    own_notebook(notebook, "1")
    assert run(notebook, output) == 0
    assert not log.exists()


def test_an_error_of_the_runner_itself_is_one_line_with_its_log(tmp_path, capsys, monkeypatch):
    """A kernel that cannot start: the folder for temporary files is gone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert run(own_notebook(tmp_path / "own.ipynb", "1"), tmp_path / "out.ipynb") == 1
    assert "error: own.ipynb failed: FileNotFoundError: " in last_line(capsys)
    assert {path.name for path in tmp_path.iterdir()} == {"own.ipynb", "out.ipynb.log"}


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_an_environment_in_a_folder_with_blanks(locale, tmp_path, monkeypatch):
    """Whatever the locale; the link to the code is as setuptools makes it, an absolute path."""
    root = tmp_path / "my book – ü"
    (root / "src").mkdir(parents=True)
    (root / "src" / "ours.py").write_text("print('found')")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / ".venv"], check=True)
    (packages,) = root.glob(".venv/lib/python*/site-packages")
    (packages / "__editable__.ours-1.pth").write_text(f"{root / 'src'}\n")
    monkeypatch.setattr(setup, "ROOT", root)
    monkeypatch.setattr(setup, "VENV", root / ".venv")
    setup.link_from_inside()
    command = [root / ".venv" / "bin" / "python", "-c", "import ours"]
    said = subprocess.run(command, env={"LC_ALL": locale}, capture_output=True, text=True)
    assert (said.stdout, said.stderr) == ("found\n", "")


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A book of one chapter that takes long, in a folder with blanks in its name."""
    root = tmp_path / "my book – ü"
    shutil.copytree(ROOT / "workflow", root / "workflow")
    for name in ("src", "book", "requirements", "_config.yml", "_toc.yml", "CITATION.cff"):
        (root / name).symlink_to(ROOT / name)
    (root / ".venv").symlink_to(sys.prefix)
    (root / "workflow" / "profiles" / "short.yaml").write_text("chapters: {own: }\n")
    monkeypatch.setenv("PYTHONPATH", str(root / "src"))
    monkeypatch.delenv("WHEN_PRUNING_WORKS_RESULTS")
    monkeypatch.setenv(imported.SWITCH, "no")
    return root


def test_a_chapter_of_a_book_in_a_folder_with_blanks(book):
    own_notebook(book / "notebooks" / "own.md", "seed")
    command = [book / ".venv" / "bin" / "python", "-m", "snakemake", "--cores", "1", "--nolock"]
    command += ["--snakefile", "workflow/Snakefile", "results/short/own.ipynb"]
    command += ["--config", "profile=short"]
    done = subprocess.run(command, cwd=book, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["Running own …"]
    made = {path.name for path in (book / "results" / "short").iterdir()}
    assert made == {"own.ipynb", "own.json", "logs"}


@pytest.mark.parametrize("request_to_end", ["SIGINT", "SIGTERM"])
def test_a_build_ended_on_request(request_to_end, book, tmp_path):
    """Only the parent is asked; it ends all that it has started."""
    own_notebook(book / "notebooks" / "own.md", waits(tmp_path / "begun"))
    command = [book / ".venv" / "bin" / "python", "workflow/build.py", "--profile", "short"]
    with started(command, until=tmp_path / "begun", cwd=book) as process:
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.Signals[request_to_end])
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.Signals[request_to_end]
    assert errors.splitlines()[-1] == f"stopped by {request_to_end}: finished chapters are kept"
    assert "Traceback" not in errors
    assert not psutil.wait_procs(family, timeout=5)[1]
    assert [path.name for path in (book / "results").rglob("*.*")] == ["own.log"]


def test_nothing_of_this_machine_is_published(tmp_path):
    """Warnings name the file that they come from; the site shows none, and hands out none."""
    notebook = own_notebook(tmp_path / "own.ipynb", "import warnings\nwarnings.warn('look')\n7")
    executed = tmp_path / "out.ipynb"
    assert run(notebook, executed) == 0
    assert "ipykernel_" in executed.read_text()
    node = nbformat.read(executed, 4)
    (data,) = staging.shown(node, str)
    assert not re.search(r"ipykernel_|\.run-|/tmp/", nbformat.writes(node))
    assert data["text/plain"] == "7"
