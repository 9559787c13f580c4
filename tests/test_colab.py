"""A chapter's notebook on Colab, from its first cell to its last, in an environment that has what
Colab has and nothing else. It takes several GB, most of it torch: `make test-colab` asks for it.

COLAB_ENV is the folder of the environment (else build/colab-env), which is made once and then left
as it is; COLAB_PYTHON the interpreter, of Colab's version.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from pages import elsewhere  # noqa: E402

RUNTIME = Path(__file__).parent / "colab" / "runtime-2026.01.txt"
PYTHON = (3, 12)
CHAPTER = "03-background"

pytestmark = pytest.mark.colab


def has() -> dict[str, str]:
    """Versions of what Colab has, by name."""
    lines = [line for line in RUNTIME.read_text().splitlines() if not line.startswith("#")]
    pairs = (line.split("==") for line in lines)
    return {str(canonicalize_name(name)): version for name, version in pairs}


def run(*command: object, **options: object) -> str:
    """What a command says; a failure shows its end."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def colab():
    """The folder of packages of an environment that is like Colab's, and its interpreter."""
    folder = Path(os.environ.get("COLAB_ENV", ROOT / "build" / "colab-env"))
    complete = folder / "complete.txt"
    if not complete.is_file() or complete.read_text() != RUNTIME.read_text():
        interpreter = os.environ.get("COLAB_PYTHON") or shutil.which("python3.12")
        if not interpreter:
            pytest.fail("no Python 3.12: name it in COLAB_PYTHON")
        shutil.rmtree(folder, ignore_errors=True)
        run(interpreter, "-m", "venv", folder)
        install = (folder / "bin" / "python", "-m", "pip", "install", "--quiet")
        wanted = [f"{name}=={version}" for name, version in has().items()]
        # A torch from the registry may need libraries of CUDA that Colab's has inside.
        torch = next(each for each in wanted if each.startswith("torch=="))
        run(*install, "--no-deps", *(each for each in wanted if each != torch))
        run(*install, torch)
        complete.write_text(RUNTIME.read_text())
    python = folder / "bin" / "python"
    version = run(python, "-c", "import sys; print(*sys.version_info[:2])")
    assert tuple(map(int, version.split())) == PYTHON
    return python


@pytest.fixture
def fresh(colab, tmp_path):
    """An interpreter that sees those packages, and installs into a folder of its own."""
    run(colab, "-m", "venv", tmp_path / "own")
    python = tmp_path / "own" / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own, seen = (Path(run(each, "-c", ask).strip()) for each in (python, colab))
    (own / "colab.pth").write_text(f"{seen}\n")
    return python


def test_the_environment_is_colabs(fresh):
    listed = json.loads(run(fresh, "-m", "pip", "list", "--format", "json"))
    found = {canonicalize_name(one["name"]): one["version"] for one in listed}
    for name, version in has().items():
        assert found[name].partition("+")[0] == version, name
    assert "lm-eval" not in found
    assert "when-pruning-works" not in found


def test_a_chapter_runs_from_start_to_end(fresh, tmp_path):
    commit = run("git", "-C", ROOT, "rev-parse", "HEAD").strip()
    node = elsewhere.portable(ROOT / "notebooks" / f"{CHAPTER}.md", str(ROOT), commit)
    content = tmp_path / "content"
    content.mkdir()
    nbformat.write(node, content / "chapter.ipynb")
    kept = ("PATH", "HOME", "LANG", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "TMPDIR")
    bare = {name: value for name, value in os.environ.items() if name in kept}
    bare |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    bare |= {"WHEN_PRUNING_WORKS_CACHE": str(tmp_path / "cache")}
    run(
        *(fresh, "-m", "nbconvert", "--to", "notebook", "--execute", "chapter.ipynb"),
        *("--output", "done.ipynb", "--ExecutePreprocessor.timeout=-1"),
        cwd=content,
        env=bare,
    )
    done = nbformat.read(content / "done.ipynb", as_version=4)
    cells = [cell for cell in done.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    shown = [output.get("data", {}) for cell in cells for output in cell.outputs]
    assert any("book-figure" in data.get("text/html", "") for data in shown)
    assert any("The answer" in data.get("text/markdown", "") for data in shown)
    measured = content / "when-pruning-works" / "results" / "measurements"
    manifests = [json.loads(one.read_text()) for one in measured.glob("*/*/manifest.json")]
    assert manifests
    for manifest in manifests:
        assert manifest["commit"] == commit[:12]
        assert manifest["versions"]["python"].startswith("3.12.")
        assert manifest["versions"]["torch"].partition("+")[0] == has()["torch"]
        assert manifest["versions"]["pandas"] == has()["pandas"]
