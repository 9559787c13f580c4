"""Run one notebook with parameters: check first, execute, and keep only what is whole."""

import json
import resource
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from filelock import FileLock, Timeout
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from helpers import machine
from helpers.errors import InputError
from helpers.texts.data import select_prompts
from helpers.texts.passages import check_source
from runs import asked, declared, imported, kernel, provenance, source
from runs.files import room_in, writable
from runs.parameters import RunParameters, refuse_unknown, validate
from runs.planning.kept import read


def run_notebook(notebook: Path, output: Path, values: Mapping[str, Any]) -> None:
    """Execute ``notebook`` (MyST Markdown or .ipynb) with ``values`` into ``output`` (.ipynb).

    Everything that can be checked is checked before a kernel starts. The output and its manifest
    (``output`` with the suffix ``.json``) are renamed into place when whole; a failed run leaves
    neither. Waits while another run writes the same output, and takes what that one made if it
    was asked for the same. Raises :class:`InputError` for bad input and :class:`RuntimeError` for
    a run that failed, each with one line.
    """
    node = declared.read(notebook)
    _check_output(output, notebook)
    known = declared.parameters(node, notebook, given=values)
    for name in values:
        refuse_unknown(name, known)
    parameters = check(known | dict(values))
    writable(output.parent)
    with room_in(output.parent), _working_folder(output) as (work, waited):
        begin = time.perf_counter()
        described = {
            "notebook": notebook.name,
            "parameters": {name: getattr(parameters, name) for name in known},
            "source": source.digest(source.files_behind_notebook(notebook)),
            "code": source.notebook_digest(notebook),
            "commit": provenance.git_commit(source.SOURCES),
            "versions": provenance.versions(),
            "processor": provenance.processor_name(),
            "threads": machine.granted_threads(),
        }
        if waited and _made(output, described):
            return
        print(f"Running {notebook.name}, results in {parameters.results_folder()} …", flush=True)
        start, end, manifest = (work / name for name in ("in.ipynb", "out.ipynb", "out.json"))
        jupytext.write(node, start, fmt="ipynb")
        given = {name: getattr(parameters, name) for name in values}
        executed = _execute(start, end, given, notebook, {asked.FILE: str(work / "asked")})
        executed.metadata["papermill"] |= {"input_path": notebook.name, "output_path": output.name}
        nbformat.write(executed, end)
        described["seconds"] = round(time.perf_counter() - begin, 1)
        described["measurements"] = asked.listed(work / "asked")
        described["peak_memory_bytes"] = _peak_memory_bytes()
        described["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
        manifest.write_text(json.dumps(described, indent=1, sort_keys=True), encoding="utf-8")
        manifest.replace(output.with_suffix(".json"))
        end.replace(output)


def _peak_memory_bytes() -> int:
    """Largest resident memory of the kernel, which has ended."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit


def check(values: Mapping[str, Any]) -> RunParameters:
    """Validated parameters, and that what they name can be had: device, model, prompts, folder.

    What reads models is imported for a notebook that takes one: it costs more than a short run.
    """
    parameters = validate(values)
    select_prompts(parameters.prompts)
    check_source(parameters.calibration)
    if parameters.device not in ("auto", "cpu"):
        machine.resolve_device(parameters.device)
    if {"model", "encoder", "checkpoint"} & values.keys():
        _check_model(parameters, parameters.model, parameters.revision)
        _check_model(parameters, parameters.encoder)
        if parameters.checkpoint:
            folder = Path(parameters.checkpoint).name
            _check_model(parameters, parameters.checkpoint, name=folder)
    if "collections" in values:
        from helpers.evaluation import search_sets

        search_sets.names(parameters.collections, parameters.task_folder)
    if "tasks" in values:
        from runs.wanted_tasks import wanted_tasks

        wanted_tasks(parameters)
    writable(parameters.results_folder())
    return parameters


def _check_model(
    parameters: RunParameters, model: str, revision: str = "main", name: str = ""
) -> None:
    """That a model can be had, or that what somebody else measured of it was imported."""
    from helpers.models.load import check_exists

    try:
        check_exists(model)
    except InputError:
        if not imported.of_model(parameters.results_folder(), name or model, revision):
            raise


def _check_output(output: Path, notebook: Path) -> None:
    """Nothing may be overwritten but what a run has written."""
    if output.suffix != ".ipynb" or output.is_dir():
        raise InputError(f"output {output} must be a file whose name ends in .ipynb")
    if output.exists() and output.samefile(notebook):
        raise InputError(f"output {output} is the notebook itself: choose another name")
    manifest = output.with_suffix(".json")
    if manifest.exists() and not {"notebook", "parameters"} <= read(manifest).keys():
        raise InputError(
            f"the manifest of {output} would overwrite {manifest.name}, which no run has written: "
            "choose another name"
        )


def _made(output: Path, described: Mapping[str, Any]) -> bool:
    """Whether ``output`` is there, from the same notebook, parameters and code."""
    manifest = read(output.with_suffix(".json"))
    asked = json.loads(json.dumps(described))
    same = all(manifest.get(key) == asked[key] for key in ("notebook", "parameters", "code"))
    return output.is_file() and same


@contextmanager
def _working_folder(output: Path) -> Iterator[tuple[Path, bool]]:
    """A folder beside ``output`` that only this run writes in, and whether another run had to be
    waited for, such as one whose workflow was killed. What a killed run left is gone."""
    work = output.parent / f".run-{output.name}"
    lock, waited = FileLock(work / "lock"), False
    while not lock.is_locked:
        work.mkdir(exist_ok=True)
        try:
            lock.acquire(timeout=1 if waited else 0)
        except (Timeout, FileNotFoundError):  # held, or gone just now with the folder
            if not waited:
                print(f"Waiting for another run that writes {output} to end …", file=sys.stderr)
            waited = True
    try:
        for left in work.iterdir():
            if left.name != "lock":
                left.unlink()
        yield work, waited
    finally:
        shutil.rmtree(work, ignore_errors=True)
        lock.release()


def _execute(
    start: Path, end: Path, values: dict[str, Any], notebook: Path, variables: dict[str, str]
) -> Any:
    """The executed notebook; an error inside it in one line."""
    try:
        return kernel.execute(start, end, values, variables)
    except PapermillExecutionError as error:
        if error.ename == InputError.__name__:
            raise InputError(str(error.evalue)) from None
        raise RuntimeError(
            f"{notebook.name} failed in cell {error.exec_count}: {error.ename}: {error.evalue}"
        ) from error
    except DeadKernelError as error:
        raise RuntimeError(
            f"the kernel that ran {notebook.name} died (killed, or out of memory); run the same "
            "command again: finished measurements are kept"
        ) from error
