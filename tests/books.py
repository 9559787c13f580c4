"""A book to build that shares this checkout's sources, and what two builds are compared by."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import net
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

ROOT = Path(__file__).parents[1]
SHARED = ("src", "notebooks", "book", "requirements", "_config.yml", "_toc.yml")


class Book:
    """A folder with a workflow, profiles and results of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.log = root, root.with_name(f"{root.name}.log")
        shutil.copytree(ROOT / "workflow", root / "workflow")
        for name in SHARED:
            (root / name).symlink_to(ROOT / name)
        (root / ".venv").symlink_to(sys.prefix)
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("WHEN_PRUNING_WORKS_RESULTS", "WHEN_PRUNING_WORKS_THREADS")
        } | {"PYTHONPATH": str(root / "src")}

    @property
    def results(self) -> Path:
        """Where its runs are kept."""
        return self.root / "results"

    def profile(self, name: str, described: Mapping[str, object]) -> None:
        """Add a profile."""
        text = yaml.safe_dump(dict(described), sort_keys=False)
        (self.root / "workflow" / "profiles" / f"{name}.yaml").write_text(text, encoding="utf-8")

    def start(self, profile: str, *options: str) -> subprocess.Popen[bytes]:
        """The runs of a profile, without a site, in the background."""
        python = self.root / ".venv" / "bin" / "python"
        command = [python, "workflow/build.py", "--profile", profile, "--only-runs", *options]
        with self.log.open("w") as said:
            return subprocess.Popen(
                command, cwd=self.root, env=self.environment, stdout=said, stderr=said
            )

    def run(self, profile: str, *options: str, timeout: float = 3000) -> int:
        """Exit code of the runs of a profile; what was said is in the log."""
        return self.start(profile, *options).wait(timeout)


def files(results: Path) -> set[str]:
    """Every file under a results folder, but for the locks that stay beside measurements."""
    found = (path for path in results.rglob("*") if path.is_file())
    return {str(path.relative_to(results)) for path in found if path.suffix != ".lock"}


def tables(results: Path) -> dict[str, pa.Table]:
    """Every table of every measurement, by its path."""
    return {
        str(path.relative_to(results)): pq.read_table(path)
        for path in results.glob("measurements/*/*/*.parquet")
    }


TIMED = "measurements/running_cost/"  # seconds and growth of memory: never twice the same


def assert_same(one: Path, other: Path) -> None:
    """The same files, the same tables to the last bit but for what a clock or the operating system
    gave, and notebooks that show the same."""
    assert files(one) == files(other)
    left, right = tables(one), tables(other)
    assert left
    for name, table in left.items():
        twin = right[name]
        if name.startswith(TIMED):
            assert (table.schema, len(table)) == (twin.schema, len(twin)), name
        else:
            assert table.equals(twin, check_metadata=True), name
    notebooks = sorted(one.glob("*/*.ipynb"))
    assert notebooks
    for notebook in notebooks:
        again = other / notebook.relative_to(one)
        assert net.outputs(notebook) == net.outputs(again), notebook.name
