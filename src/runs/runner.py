"""Run one notebook with parameters: check first, execute, and keep only what is whole."""

import ast
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jupytext
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from helpers import machine
from helpers.errors import InputError
from helpers.evaluation import search_sets
from helpers.models.load import check_exists
from helpers.texts.data import select_prompts
from helpers.texts.passages import check_source
from runs import provenance, source
from runs.parameters import RunParameters, refuse_unknown, validate
from runs.store import writable
from runs.wanted_tasks import wanted_tasks

TRANSPORT = "tcp" if os.name == "nt" else "ipc"  # files cannot be listened in on, ports can


def run_notebook(notebook: Path, output: Path, values: Mapping[str, Any]) -> None:
    """Execute ``notebook`` (MyST Markdown) with ``values`` into ``output`` (.ipynb).

    Everything that can be checked is checked before a kernel starts. The output and its manifest
    (``output`` with the suffix ``.json``) are renamed into place when whole; a failed run leaves
    neither. Raises :class:`InputError` for bad input and :class:`RuntimeError` for a run that
    failed, each with one line.
    """
    if not notebook.is_file():
        raise InputError(f"notebook {notebook} is not there: look in notebooks/")
    node = jupytext.read(notebook)
    declared = _declared_parameters(node, notebook)
    for name in values:
        refuse_unknown(name, declared)
    parameters = check(declared | dict(values))
    writable(output.parent)
    print(f"Running {notebook.name} …", flush=True)
    begin = time.perf_counter()
    for stale in output.parent.glob(f".run-{output.stem}-*"):
        shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".run-{output.stem}-", dir=output.parent) as work:
        start, end = Path(work) / "in.ipynb", Path(work) / output.name
        jupytext.write(node, start, fmt="ipynb")
        _execute(start, end, dict(values), notebook)
        manifest = _manifest(notebook, parameters, declared, time.perf_counter() - begin)
        described = end.with_suffix(".json")
        described.write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
        described.replace(output.with_suffix(".json"))
        end.replace(output)


def check(values: Mapping[str, Any]) -> RunParameters:
    """Validated parameters, and that what they name can be had: device, model, prompts, folder."""
    parameters = validate(values)
    machine.resolve_device(parameters.device)
    check_exists(parameters.model)
    check_exists(parameters.encoder)
    search_sets.names(parameters.collections, parameters.task_folder)
    wanted_tasks(parameters)
    if parameters.checkpoint:
        check_exists(parameters.checkpoint)
    select_prompts(parameters.prompts)
    check_source(parameters.calibration)
    writable(parameters.results_folder())
    return parameters


def _declared_parameters(node: Any, notebook: Path) -> dict[str, Any]:
    """Names and defaults that the cell tagged ``parameters`` assigns."""
    for cell in node.cells:
        if "parameters" in cell.metadata.get("tags", []):
            assigned = [
                line for line in ast.parse(cell.source).body if isinstance(line, ast.Assign)
            ]
            return {line.targets[0].id: ast.literal_eval(line.value) for line in assigned}  # type: ignore[attr-defined]
    raise InputError(f"notebook {notebook} has no cell tagged parameters")


@contextmanager
def _own_channels() -> Iterator[Config]:
    """Kernel settings with channels of this run's own: two runs that start together in one
    working directory would else choose the same names, and hear each other's messages.

    The folder is a short one, since the name of a socket may not be long.
    """
    with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
        channels = {"transport": TRANSPORT}
        if TRANSPORT == "ipc":
            channels["ip"] = str(Path(folder) / "channel")
        yield Config({"KernelManager": channels})


def _execute(start: Path, end: Path, values: dict[str, Any], notebook: Path) -> None:
    """papermill, with the notebook's progress bars on our standard error."""
    try:
        with _own_channels() as channels:
            papermill.execute_notebook(
                start,
                end,
                parameters=values,
                progress_bar=False,
                stderr_file=sys.stderr,
                config=channels,
                cwd=str(Path.cwd()),
            )
    except PapermillExecutionError as error:
        if error.ename == InputError.__name__:
            raise InputError(str(error.evalue)) from None
        raise RuntimeError(
            f"{notebook.name} failed in cell {error.exec_count}: {error.ename}: "
            f"{str(error.evalue).splitlines()[0] if error.evalue else ''}"
        ) from error
    except DeadKernelError:
        raise RuntimeError(
            f"the kernel that ran {notebook.name} died (killed, or out of memory); run the same "
            "command again: finished measurements are kept"
        ) from None


def _manifest(
    notebook: Path, parameters: RunParameters, declared: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
    files = source.files_behind_notebook(notebook)
    return {
        "notebook": notebook.name,
        "parameters": {name: getattr(parameters, name) for name in declared},
        "source": source.digest(files),
        "commit": provenance.git_commit(source.SOURCES),
        "versions": provenance.versions(),
        "threads": machine.granted_threads(),
        "seconds": round(seconds, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
