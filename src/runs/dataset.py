"""All results as one tidy data set: a Parquet file for each kind of table, constants in columns.

What lies in a measurement's folder says once, in the manifest, what is the same in every row. Here
each row says it itself, and ``runs.parquet`` has a row for each run with all else that its manifest
says, so that a program that reads Parquet needs nothing of this project.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from runs import imported, store
from runs.columns import CONSTANTS, COUNT, FLAG, NUMBER, STRING, TEXT, Column
from runs.files import writable
from runs.parameters import RunParameters
from runs.store import Measurement

FOLDER = "tables"
RUNS = "runs"
MEASUREMENT = Column("measurement", TEXT, "name of the measurement; its folder holds the run's")
KINDS = {str: TEXT, int: pa.int64(), float: NUMBER, bool: FLAG}
MADE = (  # of a run, from its manifest
    Column("device", TEXT, "what it ran on"),
    Column("threads", COUNT, "threads that it had"),
    Column("processor", TEXT, "the processor"),
    Column("seconds", NUMBER, "how long it took"),
    Column("peak_memory_bytes", pa.int64(), "most memory that its process held"),
    Column("finished", STRING, "when it was finished, in ISO 8601"),
    Column("commit", TEXT, "commit of the book that measured it"),
)


def finished(results: Path) -> Iterator[Measurement]:
    """Every finished measurement of a results folder: those taken here, then those imported."""
    for path in sorted((results / "measurements").glob(f"*/*/{store.MANIFEST}")):
        if found := store.finished(path.parent):
            yield found
    for one in imported.measurements(results):
        yield Measurement(one.folder, one.manifest)


def asked_for(results: Path, manifests: Iterable[Mapping[str, Any]]) -> Iterator[Measurement]:
    """Each measurement that the manifests of runs list and that is there, taken here or imported,
    once, by name."""
    listed = {
        (one["name"], one["run"]) for said in manifests for one in said.get("measurements", [])
    }
    away = {one.folder.parts[-2:]: one for one in imported.measurements(results)}
    for name, run in sorted(listed):
        if found := store.finished(results / "measurements" / name / run):
            yield found
        elif one := away.get((name, run)):
            yield Measurement(one.folder, one.manifest)


def newest(measurements: Iterable[Measurement]) -> list[Measurement]:
    """Of the same measurement of the same parameters, models and device one: taken here if there is
    one, and the newest of these."""
    known = store.every_measurement()
    found: dict[str, Measurement] = {}

    def rank(one: Measurement) -> tuple[bool, str]:
        return "imported" not in one.manifest, one.manifest["finished"]

    for one in measurements:
        said = one.manifest
        stored = known.get(said["measurement"])
        threads = said["threads"] if stored and stored.by_threads else 0
        same = said["measurement"], said["parameters"], said["models"], said["device"], threads
        key = json.dumps(same, sort_keys=True)
        found[key] = max(found.get(key, one), one, key=rank)
    return sorted(found.values(), key=lambda one: (one.manifest["measurement"], one.run))


def tables() -> dict[str, list[Column]]:
    """Columns of each table of the data set by name: measurement, constants, then the table's own,
    of all measurements that write it; parts of measurements have none."""
    found: dict[str, dict[str, Column]] = {}
    for stored in store.every_measurement().values():
        for name, columns in stored.tables.items() if not stored.part else ():
            own = {column.name: column for column in columns}
            found[name] = found.get(name, {}) | own
    head = {column.name: column for column in (MEASUREMENT, *CONSTANTS)}
    return {name: list((head | own).values()) for name, own in sorted(found.items())}


def run_columns() -> list[Column]:
    """Columns of the table of runs: what a manifest says of each."""
    used = {name for stored in store.every_measurement().values() for name in stored.uses}
    parameters = [
        Column(name, KINDS.get(field.annotation, TEXT), str(field.description))  # type: ignore[arg-type]
        for name, field in RunParameters.model_fields.items()
        if name in used
    ]
    models = [
        Column(f"{kind}_fingerprint", TEXT, f"what pins the {kind}'s weights")
        for kind in ("model", "checkpoint")
    ]
    versions = [
        Column(f"{package}_version", TEXT, f"version of {package}")
        for package in store.NUMERICAL_PACKAGES
    ]
    file = Column("imported", TEXT, "the archive that it came in; missing if it was measured here")
    return [MEASUREMENT, CONSTANTS[0], *parameters, *models, *MADE, *versions, file]


def write(results: Path) -> dict[str, int]:
    """Write the data set of a results folder into its ``tables/``; the rows of each file.

    The folder is replaced as a whole. Of a measurement that was taken again the newest stands
    there; see :func:`newest`.
    """
    folder = writable(results) / FOLDER
    new, old = (results / f".{FOLDER}-{os.getpid()}-{which}" for which in ("new", "old"))
    try:
        new.mkdir()
        rows = _write(newest(finished(results)), new)
        if folder.exists():
            folder.replace(old)
        new.replace(folder)
    finally:
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)
    return rows


def _write(measurements: list[Measurement], folder: Path) -> dict[str, int]:
    rows = {RUNS: len(measurements)}
    pq.write_table(_runs(measurements), folder / f"{RUNS}.parquet", compression="zstd")
    for name, columns in tables().items():
        schema = _schema(columns)
        with pq.ParquetWriter(folder / f"{name}.parquet", schema, compression="zstd") as file:
            for one in measurements:
                path = one.folder / f"{name}.parquet"
                if path.is_file():
                    table = _labelled(pq.read_table(path), one, schema)
                    file.write_table(table)
                    rows[name] = rows.get(name, 0) + table.num_rows
    return rows


def _labelled(table: pa.Table, one: Measurement, schema: pa.Schema) -> pa.Table:
    """A table with its constants as columns, in the order and with the types of ``schema``."""
    said = {"measurement": one.manifest["measurement"], "run": one.run} | one.manifest["constants"]
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.repeat(pa.scalar(said.get(field.name), _plain(field.type)), len(table)).cast(
            field.type
        )
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _runs(measurements: list[Measurement]) -> pa.Table:
    schema = _schema(run_columns())
    rows = []
    for one in measurements:
        said = one.manifest
        models = {f"{kind}_fingerprint": pin for kind, pin in said["models"].items()}
        versions = {f"{name}_version": one for name, one in said["versions"].items()}
        file = said.get("imported", {}).get("file")
        parameters = {  # what an identity pins by something else, such as run_code, has no value
            name: value
            for name, value in said["parameters"].items()
            if RunParameters.model_fields[name].annotation is not bool or isinstance(value, bool)
        }
        rows.append(said | parameters | models | versions | {"imported": file})
    return pa.table(
        [
            pa.array([row.get(field.name) for row in rows], _plain(field.type)).cast(field.type)
            for field in schema
        ],
        schema=schema,
    )


def _schema(columns: list[Column]) -> pa.Schema:
    return pa.schema([(column.name, column.type) for column in columns])


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type of what a dictionary holds, else the type itself."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind
