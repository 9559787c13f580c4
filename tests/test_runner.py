"""The project's own command, and plain papermill, on the real chapter with a tiny model."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jupytext
import nbformat
import net
import papermill
import psutil
import pytest
from safetensors.torch import load_file, save_file

from runs.__main__ import main

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
KEPT = Path(__file__).parent / "kept"
CHAPTER = NOTEBOOKS / "05-hierarchical-effects.md"
TINY = "the tiny model"  # stands for its folder, where a second model is asked for
CALIBRATED = {"calibration_samples": 2, "calibration_length": 64}
THREE = {"prompts": "MC2,Math1,Gen4"}
WRITES = THREE | {"max_new_tokens": 2}
DROPS = CALIBRATED | {"dropped": 2}
ASKED = CALIBRATED | {"tasks": "piqa", "items": 3, "probes": 1}
SEARCHES = {"encoder": TINY, "pruned_encoder": "Drop-1A", "collections": "fiqa"}
EVERYTHING = WRITES | DROPS | ASKED | SEARCHES | {"calibration_length": 32}
TWO = CALIBRATED | {"pruned": "Drop-1A,Wanda 50%", "probes": 1}
QUANTIZED = "Drop-2A,Wanda 50%,RTN 4,GPTQ 3,NF4,Wanda 50% + RTN 4"
SHORT = {
    "01-introduction": ASKED | {"pruned": "Drop-1A,Drop-1M,Drop-1B"},
    "03-background": {"max_new_tokens": 2, "calibration_samples": 2, "calibration_length": 32},
    "04-inconsistent-effects": EVERYTHING
    | {"pruned": "Drop-1A,Drop-1M,Wanda 50%", "tasks": "piqa,asdiv"},
    "05-hierarchical-effects": WRITES,
    "06-representation-analysis": WRITES,
    "07-multi-scale-effects": WRITES | DROPS | {"sweep_steps": 2, "repeats": 2},
    "08-effective-pruning": WRITES | DROPS | TWO,
    "a-perturbation": {},
    "b-kl-divergence": {},
    "c-angular-deviation": {},
    "d-error-propagation": THREE | DROPS | {"dropped": 1, "sweep_steps": 2},
    "decisions": WRITES | DROPS | {"max_new_tokens": 3, "sweep_steps": 3},
    "dimension": WRITES | {"repeats": 2},
    "e-prompts": {},
    "f-quantization": WRITES | ASKED | {"pruned": QUANTIZED, "group_size": 16},
    "g-more-models": ASKED | {"pruned": "SparseGPT 50%,Wanda 2:4"},
    "h-temperature": THREE | {"sweep_steps": 2},
    "i-supplementary": WRITES | CALIBRATED | {"sweep_steps": 1},
    "ladder": TWO,
    "noise-floor": WRITES,
    "probes": TWO,
    "propagation": WRITES,
    "pruning-by-hand": CALIBRATED | {"evaluation_samples": 1, "repeats": 2},
    "published-numbers": {},
    "should-i-prune": EVERYTHING | {"pruned": "Drop-1A,Wanda 50%,NF4"},
    "subspace": DROPS | {"probes": 1, "repeats": 2},
    "use-it-on-your-model": WRITES | DROPS | {"prompts": "MC2,Math1", "items": 3},
    "validity": WRITES | CALIBRATED | {"sweep_steps": 1},
}


@pytest.fixture(scope="module")
def short(tiny_folder, tmp_path_factory):
    """Parameters of the quickest run of the chapter."""
    results = tmp_path_factory.mktemp("results")
    values = {"model": tiny_folder, "prompts": "MC2,Math1,Gen4", "max_new_tokens": 2}
    return values | {"results": results, "device": "cpu"}


def arguments(values):
    return [text for name, value in values.items() for text in ("-p", name, str(value))]


def leftovers(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_every_chapter_has_its_quickest_parameters():
    assert {path.stem for path in NOTEBOOKS.glob("*.md")} == set(SHORT)


@pytest.mark.parametrize("name", SHORT)
def test_whole_chapter_runs(name, tiny_folder, tmp_path, request):
    given = {key: tiny_folder if value == TINY else value for key, value in SHORT[name].items()}
    values = given | {"model": tiny_folder, "device": "cpu", "results": tmp_path / "results"}
    output = tmp_path / "out" / "chapter.ipynb"
    assert main(["run", str(NOTEBOOKS / f"{name}.md"), str(output), *arguments(values)]) == 0
    manifest = json.loads(output.with_suffix(".json").read_text())
    assert manifest["parameters"]["model"] == str(tiny_folder)
    assert {"source", "commit", "versions", "seconds"} <= set(manifest)
    stored = sorted((tmp_path / "results" / "measurements").glob("*/*/manifest.json"))
    kept = [{"name": path.parts[-3], "run": path.parts[-2]} for path in stored]
    assert manifest["measurements"] == kept  # all that was taken, directly or not
    shown = [
        output.data
        for cell in nbformat.read(output, 4).cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    prose = " ".join(data.get("text/markdown", "") for data in shown)
    assert "measured at" in prose
    assert not re.search(r"\bnan\b", prose + " ".join(data.get("text/html", "") for data in shown))
    assert {path.name for path in output.parent.iterdir()} == {"chapter.ipynb", "chapter.json"}
    found = {
        KEPT / f"{name}.txt": net.outputs(output),
        KEPT / f"{name}.tables.txt": net.tables(values["results"]) + net.plotted(output),
    }
    if request.config.getoption("keep"):
        KEPT.mkdir(exist_ok=True)
        for path, text in found.items():
            path.write_text(text, encoding="utf-8")
    changes = [net.difference(path.read_text("utf-8"), text) for path, text in found.items()]
    if any(changes):
        pytest.fail(
            "\n".join(["what is shown or measured is not as kept", *changes]), pytrace=False
        )


def test_kept_is_of_a_chapter():
    assert {path.name.partition(".")[0] for path in KEPT.iterdir()} == set(SHORT)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("model", "smollm", "unknown model 'smollm': known are smollm2-135m"),
        ("temperature", "0", "parameter temperature=0 is not allowed"),
        ("max_new_tokens", "-1", "parameter max_new_tokens=-1 is not allowed"),
        ("device", "cuda", "device=cuda needs a CUDA GPU"),
        ("temprature", "1", "unknown parameter 'temprature': did you mean temperature?"),
        ("prompts", "MC9", "unknown prompt 'MC9'"),
        ("repeats", "2", "unknown parameter 'repeats'"),
        ("results", "/dev/null/results", "cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(name, value, message, tmp_path, capsys):
    import torch

    if name == "device" and torch.cuda.is_available():
        pytest.skip("a GPU is here, so device=cuda is no bad input")
    output = tmp_path / "out" / "chapter.ipynb"
    assert main(["run", str(CHAPTER), str(output), "-p", name, value]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not leftovers(tmp_path)


def test_folder_without_weights_is_one_line(tiny_folder, tmp_path, capsys):
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_text((tiny_folder / "config.json").read_text())
    output = tmp_path / "out" / "chapter.ipynb"
    assert main(["run", str(CHAPTER), str(output), "-p", "model", str(bare)]) == 2
    assert capsys.readouterr().err.strip().endswith("no *.safetensors file in it")
    assert not (tmp_path / "out").exists()


def test_layer_that_the_model_lacks_is_one_line(tiny_folder, tmp_path, capsys):
    values = SHORT["06-representation-analysis"] | {"model": tiny_folder, "layer": 9}
    given = arguments(values | {"results": tmp_path / "results", "device": "cpu"})
    chapter = NOTEBOOKS / "06-representation-analysis.md"
    assert main(["run", str(chapter), str(tmp_path / "out.ipynb"), *given]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last == "error: parameter layer=9 is not allowed: the model has layers 0 to 3"
    assert not (tmp_path / "out.ipynb").exists()


def test_one_prompt_is_no_sample(tiny_folder, tmp_path):
    """With one prompt there is no interval, no verdict and no comparison of categories."""
    values = {"model": tiny_folder, "prompts": "Math1", "max_new_tokens": 2, "device": "cpu"}
    output = tmp_path / "chapter.ipynb"
    given = arguments(values | {"results": tmp_path / "results"})
    assert main(["run", str(CHAPTER), str(output), *given]) == 0
    text = output.read_text()
    assert "too few data" in text
    assert "mean rank correlation between kinds –" in text
    assert not re.search(r"\bnan\b", text)


def test_chapter_takes_a_checkpoint(tiny_folder, tmp_path):
    """A folder that another tool pruned, and an exact copy, which deviates nowhere."""
    pruned = tmp_path / "pruned"
    shutil.copytree(tiny_folder, pruned)
    weights = load_file(pruned / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][:, ::2] = 0
    save_file(weights, pruned / "model.safetensors", metadata={"format": "pt"})
    for folder, words in ((pruned, "1 weights differ"), (tiny_folder, "an exact copy")):
        values = SHORT["05-hierarchical-effects"] | {"model": tiny_folder, "device": "cpu"}
        values |= {"method": "checkpoint", "checkpoint": folder, "results": tmp_path / "results"}
        output = tmp_path / f"{folder.name}.ipynb"
        assert main(["run", str(CHAPTER), str(output), *arguments(values)]) == 0
        text = output.read_text()
        assert words in text
        assert not re.search(r"\bnan\b", text)


def test_missing_notebook(tmp_path, capsys):
    assert main(["run", str(tmp_path / "no.md"), str(tmp_path / "out.ipynb")]) == 2
    assert "is not there" in capsys.readouterr().err


def test_error_inside_the_notebook_is_one_line(short, tiny_tokenizer, tmp_path, capsys):
    """Some input is only known to be bad once the model is there."""
    values = short | {"max_new_tokens": 4000}
    output = tmp_path / "out" / "chapter.ipynb"
    assert main(["run", str(CHAPTER), str(output), *arguments(values)]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: prompt and max_new_tokens make ")
    assert not leftovers(tmp_path)


def as_notebook(tmp_path):
    path = tmp_path / "in.ipynb"
    jupytext.write(jupytext.read(CHAPTER), path)
    return path


def test_plain_papermill_stops_at_a_misspelt_parameter(short, tmp_path):
    """papermill itself only warns; the last line of the exception says what is known."""
    values = {name: str(value) for name, value in short.items()} | {
        "max_new_tokens": 2,
        "max_new_token": 3,
        "results": str(tmp_path / "results"),
    }
    with pytest.raises(papermill.PapermillExecutionError) as caught:
        papermill.execute_notebook(
            as_notebook(tmp_path), tmp_path / "out.ipynb", values, progress_bar=False
        )
    last = str(caught.value).strip().splitlines()[-1]
    assert "unknown parameter 'max_new_token': did you mean max_new_tokens?" in last
    assert not (tmp_path / "results").exists()


def test_killed_kernel_is_one_line_and_the_next_run_finishes(short, tmp_path):
    """The kernel is killed while it measures; the same command then completes."""
    output = tmp_path / "chapter.ipynb"
    values = short | {"results": tmp_path / "results", "seed": 1, "max_new_tokens": 40}
    command = [sys.executable, "-m", "runs", "run", str(CHAPTER), str(output)]
    command += arguments(values)
    environment = os.environ | {"WHEN_PRUNING_WORKS_THREADS": "1"}
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    lock = tmp_path / "results" / "measurements" / "layer_profile"
    deadline = time.monotonic() + 120
    while not lock.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    for kernel in psutil.Process(run.pid).children():
        kernel.send_signal(signal.SIGKILL)
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 1
    assert "the kernel that ran 05-hierarchical-effects.md died" in errors.splitlines()[-1]
    assert not output.exists()
    assert not list((tmp_path / "results").rglob("manifest.json"))
    subprocess.run(command, check=True, env=environment, capture_output=True)
    assert output.exists()
    assert len(list((tmp_path / "results").rglob("manifest.json"))) == 1
