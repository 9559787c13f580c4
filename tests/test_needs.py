"""What is granted to a run: cores, memory, time and GPUs; and what its start does not import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from make_models import FOLDER as MODELS
from test_running_beside import own_notebook

from helpers import machine
from helpers.errors import InputError
from helpers.models import load
from runs import needs, profiles

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

import build  # noqa: E402

HEAVY = ("torch", "transformers", "pandas", "lm_eval", "mteb", "datasets")


def _needs(folder, text, cores, gpus, attempt=1):
    (folder / "mine.yaml").write_text(text)
    profile = profiles.read(str(folder / "mine.yaml"))
    return needs.needs(profile, profile.runs[0], cores=cores, gpus=gpus, attempt=attempt)


@pytest.mark.parametrize(
    ("given", "cores", "gpus", "granted"),
    [
        ("", 2, 0, (1, 0)),  # side by side with one thread each
        ("", 3, 0, (1, 0)),
        ("", 16, 0, (16, 0)),  # one real model on a machine of CPUs
        ("cores: 1", 16, 0, (1, 0)),
        ("cores: 8", 4, 0, (4, 0)),
        ("", 16, 1, (16, 1)),  # one notebook for each GPU
        ("", 16, 4, (4, 1)),
        ("shared: {device: cpu}", 16, 4, (16, 0)),
        ("shared: {device: cuda}", 16, 0, (16, 1)),  # asked for on a machine that has none
        ("shared: {device: 'cuda:1'}", 16, 2, (8, 1)),
        ("shared: {device: spread}", 16, 4, (16, 4)),
    ],
)
def test_cores_and_gpus(given, cores, gpus, granted, tmp_path):
    found = _needs(tmp_path, f"{given}\nchapters: {{h-temperature: }}\n", cores, gpus)
    assert (found.cores, found.gpus) == granted


def test_a_larger_model_and_a_later_attempt_get_more(tmp_path):
    chapter = "chapters: {h-temperature: }"
    small = _needs(tmp_path, f"shared: {{model: org/a-135M}}\n{chapter}", 4, 0)
    large = _needs(tmp_path, f"shared: {{model: org/a-7B-it}}\n{chapter}", 4, 0)
    again = _needs(tmp_path, f"shared: {{model: org/a-7B-it}}\n{chapter}", 4, 0, attempt=2)
    assert small.memory_mb < large.memory_mb < again.memory_mb == 2 * large.memory_mb
    assert small.minutes < large.minutes < again.minutes == 2 * large.minutes
    assert large.memory_mb > 7e9 * 4 / 2**20  # its weights in float32


@pytest.mark.parametrize("name", ["llama", "qwen2"])
def test_parameters_of_a_folder_are_about_those_that_it_holds(name):
    found = needs.parameters(str(MODELS / name))
    assert found == pytest.approx(load(str(MODELS / name)).decoder.parameter_count, rel=0.1)


def test_parameters_are_read_off_a_name():
    assert needs.parameters("Qwen/Qwen2.5-0.5B-Instruct") == 0.5e9
    assert needs.parameters("intfloat/e5-mistral-7b-instruct") == 7e9
    assert needs.parameters("smollm2-135m") == 135e6
    assert needs.parameters("org/nobody-knows") == needs.UNKNOWN


def test_two_runs_take_two_gpus_and_a_third_waits(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said = "import os, sys; from helpers import machine\nwith machine.one_gpu():\n "
    said += "print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", said]
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT / "src")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    holders = []
    for _ in range(2):
        holders.append(subprocess.Popen(command, env=environment, **pipes))
        holders[-1].seen = holders[-1].stdout.readline().strip()
    assert [each.seen for each in holders] == ["3", "GPU-5"]
    third = subprocess.Popen(command, env=environment, **pipes)
    with pytest.raises(subprocess.TimeoutExpired):
        third.wait(timeout=2)
    holders[0].kill()  # whoever is killed holds nothing
    assert third.stdout.readline().strip() == "3"
    for each in (*holders, third):
        each.kill()
        each.communicate()
    with machine.one_gpu():
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,GPU-5"


@pytest.mark.parametrize(("visible", "names"), [("", []), ("-1", []), ("0, 2", ["0", "2"])])
def test_gpus_that_may_be_used(visible, names, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine.visible_gpus() == names
    with machine.one_gpu():
        assert os.environ["CUDA_VISIBLE_DEVICES"] == (names[0] if len(names) > 1 else visible)


def test_a_run_without_a_model_starts_light(tmp_path):
    """Else each of many short runs would take seconds to start."""
    notebook = own_notebook(tmp_path / "own.md", "seed")
    code = f"""
import sys
from runs import profiles
from runs.__main__ import main
profiles.read("smoke")
assert main(["run", {str(notebook)!r}, {str(tmp_path / "out.ipynb")!r}]) == 0
print([name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr


def test_a_profile_is_seen_from_where_it_was_asked_for(tmp_path, monkeypatch):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "mine.yaml").touch()
    monkeypatch.chdir(tmp_path)
    below = str(tmp_path / "below" / "mine.yaml")
    assert build.seen_from("below/mine.yaml", "/elsewhere") == "below/mine.yaml"
    assert build.seen_from("mine.yaml", str(tmp_path / "below")) == below
    assert build.seen_from(below, "/elsewhere") == below
    assert build.seen_from("smoke", str(tmp_path)) == "smoke"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone.yaml", "error: unknown profile"),
        ("smoke.yaml", "error: profile smoke.yaml: the name smoke is taken"),
        ("mine.yaml", "error: profile mine.yaml: axis seed must be a list"),
    ],
)
def test_a_bad_profile_is_one_line_before_anything_runs(name, said, tmp_path):
    for each in ("smoke", "mine"):
        text = "axes: {seed: []}\nchapters: {h-temperature: }\n"
        (tmp_path / f"{each}.yaml").write_text(text)
    command = [sys.executable, str(ROOT / "workflow" / "build.py"), "--profile", name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(said)
    assert {path.name for path in tmp_path.iterdir()} == {"smoke.yaml", "mine.yaml"}


def test_an_executor_that_is_not_here_is_one_line(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="executor 'nowhere' is not installed"):
        build.elsewhere("nowhere")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="no Slurm here"):
        build.slurm_options()
