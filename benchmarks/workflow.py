"""What the workflow itself costs: a large grid planned and predicted, and runs that do nothing."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jupytext

from benchmarks.harness import Result, compare

ROOT = Path(__file__).parents[1]
LINKED = ("src", "book", "requirements", "_config.yml", "_toc.yml")
PLANNED, RUNS, JOBS = 2000, 60, 2
REAL = """axes:
  model: [smollm2-135m, Qwen/Qwen2.5-0.5B-Instruct, Qwen/Qwen2.5-1.5B-Instruct, Qwen/Qwen3-0.6B]
  seed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
chapters:
  01-introduction: {axes: {items: [10, 20, 40, 80], shots: [0, 2, 4]}}
  05-hierarchical-effects: {axes: {method: [wanda, sparsegpt], sparsity: [0.25, 0.5, 0.75]}}
  07-multi-scale-effects: {axes: {sparsity: [0.25, 0.5, 0.75], max_new_tokens: [8, 16, 32]}}
  04-inconsistent-effects: {axes: {sparsity: [0.25, 0.5, 0.75]}}
  ladder: {axes: {probes: [1, 2, 4, 8], calibration_samples: [2, 4, 8, 16, 32]}}
"""
NOTHING = """---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

```{code-cell}
:tags: [parameters]

seed = 0
profile = "custom"
results = ""
```
"""
PLAIN = """
rule all:
    input: [f"plain/{seed}.ipynb" for seed in range(%d)]

rule run:
    output: "plain/{seed}.ipynb"
    shell: "%s -m papermill nothing.ipynb {output} -p seed {wildcards.seed} --no-progress-bar"
"""


def benchmarks() -> Iterator[Result]:
    """Seconds to plan a grid of 2,000 runs, and to predict what one takes; seconds a run of a
    notebook that does nothing, two at a time, beside plain papermill under Snakemake."""
    with tempfile.TemporaryDirectory() as folder:
        book = Path(folder) / "book"
        _make(book)
        planned = compare(
            f"plan {PLANNED:,} runs", lambda: _snakemake(book, "planned", "--dry-run"), repeats=1
        )
        yield planned
        (book / "real.yaml").write_text(REAL)
        yield compare(
            f"predict {PLANNED:,} runs of real chapters",
            lambda: _predict(book / "real.yaml"),
            repeats=1,
        )
        ours = _seconds(lambda: _snakemake(book, "nothing"))
        plain = _seconds(lambda: _call(book, "--snakefile", "Plain", "--cores", str(JOBS)))
        name = f"a run that does nothing, of {RUNS} runs, {JOBS} at a time"
        yield Result(name, ours / RUNS, plain / RUNS, plain / ours, None, 0.0)


def _make(book: Path) -> None:
    """A book of one chapter that does nothing, and two grids of it."""
    shutil.copytree(ROOT / "workflow", book / "workflow")
    for name in LINKED:
        (book / name).symlink_to(ROOT / name)
    (book / "notebooks").mkdir()
    (book / "notebooks" / "nothing.md").write_text(NOTHING)
    jupytext.write(jupytext.reads(NOTHING, fmt="md:myst"), book / "nothing.ipynb")
    for name, points in (("planned", PLANNED), ("nothing", RUNS)):
        seeds = ", ".join(map(str, range(points)))
        text = f"cores: 1\naxes: {{seed: [{seeds}]}}\nchapters: {{nothing: }}\n"
        (book / f"{name}.yaml").write_text(text)
    (book / "Plain").write_text(PLAIN % (RUNS, sys.executable))


def _predict(profile: Path) -> None:
    _run(ROOT, "runs", "plan", str(profile), "--machine", "a100")


def _snakemake(book: Path, profile: str, *options: str) -> None:
    given = ("--config", f"profile={book / profile}.yaml", "--cores", str(JOBS), *options)
    _call(book, "--snakefile", "workflow/Snakefile", *given, "--", "runs")


def _call(book: Path, *words: str) -> None:
    _run(book, "snakemake", "--nolock", *words)


def _run(book: Path, module: str, *words: str) -> None:
    command = [sys.executable, "-m", module, *words]
    environment = {"PYTHONPATH": str(book / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=book, env=os.environ | environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])


def _seconds(way: Callable[[], None]) -> float:
    begin = time.perf_counter()
    way()
    return time.perf_counter() - begin
