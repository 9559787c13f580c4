"""Measurements: heavy, pure functions of parameters, computed once and kept with provenance.

A measurement's folder is ``results/measurements/NAME/IDENTITY``; it holds one Parquet file per
table and ``manifest.json``, which is written last and by rename. A folder without a manifest is
unfinished and is computed again.
"""

import hashlib
import importlib
import inspect
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from helpers import machine
from helpers.errors import InputError
from helpers.models.load import fingerprint
from helpers.texts import data, passages
from runs import asked, imported, provenance, source
from runs.columns import Columns, check
from runs.files import room_in, writable, write_whole
from runs.parameters import RunParameters

MANIFEST = "manifest.json"
NUMERICAL_PACKAGES = ("torch", "transformers")

_away: dict[tuple[Path, str, str], str] = {}  # models that were looked for in vain by this process


@dataclass(frozen=True)
class Measured:
    """What a measurement function returns: its tables, facts for the manifest (JSON), and what was
    removed from the model, where that is not what the parameters remove from a whole one."""

    tables: dict[str, pa.Table | pd.DataFrame]
    facts: dict[str, Any]
    removed: dict[str, Any] | None = None


@dataclass(frozen=True)
class Measurement:
    """A finished measurement in the store."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def run(self) -> str:
        """Identity of the run, which names its folder."""
        return str(self.manifest["run"])

    def table(self, name: str, **equal: Any) -> pd.DataFrame:
        """Table ``name`` as a frame, only the rows where each named column equals the value."""
        filters = [(column, "=", value) for column, value in equal.items()] or None
        return pq.read_table(self.folder / f"{name}.parquet", filters=filters).to_pandas()

    def labelled(self, name: str, **equal: Any) -> pd.DataFrame:
        """As :meth:`table`, with what is constant in the run (:data:`runs.columns.CONSTANTS`) as
        columns before its own: to read several runs together, or to hand a table on."""
        rows = self.table(name, **equal)
        constants = {"run": self.run} | self.manifest["constants"]
        for place, column in enumerate(each for each in constants if each not in rows):
            rows.insert(place, column, constants[column])
        return rows


Function = Callable[[RunParameters], Measured]
Pins = Mapping[str, Callable[[RunParameters], str]]


@dataclass(frozen=True)
class Stored:
    """A measurement function behind its store: call it with parameters."""

    function: Function
    uses: tuple[str, ...]
    tables: Mapping[str, Columns]
    by_threads: bool = False
    pins: Pins = field(default_factory=dict)
    part: bool = False

    @property
    def name(self) -> str:
        """What its folder is called."""
        return self.function.__name__

    def __call__(self, parameters: RunParameters) -> Measurement:
        """The stored measurement of these parameters, taken now if it is not there."""
        found = _stored(self, parameters)
        parts = [] if "imported" in found.manifest else found.manifest["measurements"]
        asked.note([*parts, {"name": self.name, "run": found.run}])
        return found


def measurement(
    *uses: str,
    tables: Mapping[str, Columns],
    by_threads: bool = False,
    pins: Pins | None = None,
    part: bool = False,
) -> Callable[[Function], Stored]:
    """Store what a function measures, under an identity made of all that it depends on.

    ``uses`` names the parameters that the function reads, ``tables`` the columns of each table that
    it returns. What is the same in all rows of a run stands in its manifest. The identity covers
    ``uses``, all but those that mean nothing to the method (``RunParameters.unread``), the device
    kind, the models' fingerprints, the source of every helper that the function's module reaches,
    the versions of torch and transformers and, with ``by_threads``, the number of threads. ``pins``
    gives for the name of a parameter what stands for it there, such as a hash of the files that it
    names. A ``part`` is what only other measurements read: it stays where it was taken. The
    function is called with the parameters, by one process at a time.
    """
    return lambda function: Stored(function, uses, tables, by_threads, pins or {}, part)


def every_measurement() -> dict[str, Stored]:
    """All measurements of this project, by name; imports the modules that hold them."""
    found: dict[str, Stored] = {}
    for path in sorted(source.SOURCES.rglob("*.py")):
        if "\n@measurement(" in path.read_text(encoding="utf-8"):
            name = ".".join(path.relative_to(source.SOURCES).with_suffix("").parts)
            values = vars(importlib.import_module(name)).values()
            held = [each for each in values if isinstance(each, Stored)]
            found |= {one.name: one for one in held if one.function.__module__ == name}
    return found


def _stored(stored: Stored, parameters: RunParameters) -> Measurement:
    depends = _dependencies(stored, parameters)
    text = json.dumps({"measurement": stored.name, **depends}, sort_keys=True)
    run = hashlib.sha256(text.encode()).hexdigest()[:16]
    folder = writable(parameters.results_folder()) / "measurements" / stored.name / run
    found = finished(folder) or _imported(stored, parameters, depends)
    if found:
        return found
    writable(folder.parent)
    with room_in(folder.parent), FileLock(folder.parent / f".{run}.lock"):
        found = finished(folder)
        return found or _compute(stored, parameters, run, folder, depends)


def _dependencies(stored: Stored, parameters: RunParameters) -> dict[str, Any]:
    function, uses = stored.function, stored.uses
    known = provenance.versions()
    ignored = parameters.unread(uses)
    used = {name: getattr(parameters, name) for name in uses if name not in ignored}
    if "prompts" in used:
        used["prompts"] = data.identity(parameters.prompts)
    results = parameters.results_folder()
    models = {"model": _pinned(results, parameters.model, parameters.revision)}
    if parameters.checkpoint and "checkpoint" in uses:
        used["checkpoint"] = Path(parameters.checkpoint).name
        models["checkpoint"] = _pinned(results, parameters.checkpoint, name=used["checkpoint"])
    if "calibration" in used:
        used["calibration"] = passages.identity(parameters.calibration)
    used |= {name: pin(parameters) for name, pin in stored.pins.items() if name in used}
    threads = {"threads": machine.granted_threads()} if stored.by_threads else {}
    return threads | {
        "parameters": used,
        "device": machine.resolve_device(parameters.device).partition(":")[0],
        "models": models,
        "source": source.digest(source.files_behind(inspect.getmodule(function).__name__)),  # type: ignore[union-attr]
        "versions": {package: known[package] for package in NUMERICAL_PACKAGES},
    }


def _pinned(results: Path, model: str, revision: str = "main", name: str = "") -> str:
    """A model's fingerprint; of one that is not on this machine, as an import has it by its name
    (or by ``name``)."""
    place = (results, model, revision)
    if place not in _away:
        try:
            return fingerprint(model, revision)
        except InputError:
            known = imported.of_model(results, name or model, revision)
            if not known:
                raise
            _away[place] = known[0][0]
    return _away[place]


def _imported(
    stored: Stored, parameters: RunParameters, depends: dict[str, Any]
) -> Measurement | None:
    """What somebody else measured, for a chapter and not as a part of what is measured here.

    Raises :class:`InputError` if nothing fits and the model is not on this machine.
    """
    if asked.taking():
        return None
    results = parameters.results_folder()
    if found := imported.find(results, stored.name, depends):
        return Measurement(found.folder, found.manifest)
    if (results, parameters.model, parameters.revision) in _away:
        raise InputError(
            f"model {parameters.model!r} is not on this machine, and no import has {stored.name} "
            f"as it is asked for: {imported.nearest(results, stored.name, depends)}"
        )
    return None


def _compute(
    stored: Stored,
    parameters: RunParameters,
    run: str,
    folder: Path,
    depends: dict[str, Any],
) -> Measurement:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    threads = machine.granted_threads()
    try:
        with all_cores(threads):
            machine.use_threads(threads)
            provenance.reset_peak_memory()
            begin = time.perf_counter()
            with asked.noted() as taken:
                measured = stored.function(parameters)
            seconds = time.perf_counter() - begin
        for name, table in measured.tables.items():
            checked = check(name, stored.tables[name], table)
            pq.write_table(checked, folder / f"{name}.parquet", compression="zstd")
        manifest = {
            "run": run,
            "measurement": stored.name,
            **depends,
            "constants": _constants(stored, parameters, measured),
            "facts": measured.facts,
            "measurements": taken,
            "versions": provenance.versions(),
            "commit": provenance.git_commit(source.SOURCES),
            "processor": provenance.processor_name(),
            "threads": threads,
            "seconds": round(seconds, 1),
            "peak_memory_bytes": provenance.peak_memory_bytes(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_whole(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Measurement(folder, manifest)


def _constants(stored: Stored, parameters: RunParameters, measured: Measured) -> dict[str, Any]:
    """What is the same in every row: model, number format, seed, and what was removed."""
    known = {name: getattr(parameters, name) for name in ("model", "dtype") if name in stored.uses}
    removed = measured.removed
    if removed is None:
        removed = parameters.removed if "method" in stored.uses else {}
    return known | removed | ({"seed": parameters.seed} if "seed" in stored.uses else {})


def finished(folder: Path) -> Measurement | None:
    """The measurement in a folder; None if there is none, or an unfinished one."""
    try:
        return Measurement(folder, json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


@contextmanager
def all_cores(threads: int) -> Iterator[None]:
    """Claim the machine's cores for one measurement at a time, if it uses more than one.

    Two runs that each use every core are many times slower than one after the other. A
    measurement that takes another one holds the same lock twice.
    """
    if threads < 2:
        yield
        return
    lock = FileLock(machine.cache_folder() / "measuring.lock", is_singleton=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print("Waiting for another measurement on this machine to end …", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
