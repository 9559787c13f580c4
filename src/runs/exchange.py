"""Results travel: what is packed of a profile, and what of an archive is taken in.

An import is checked whole before anything of it is written, and then stands in a folder of its own,
``results/imported/DIGEST``, so that nothing that was measured here is touched.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from helpers.errors import InputError
from runs import archive, dataset, imported, store
from runs.archive import Archive
from runs.columns import Columns, check
from runs.files import writable
from runs.imported import Imported
from runs.profiles import Profile
from runs.store import Measurement

MOST_ROWS = 200_000_000  # of a table: many times those of the largest
OTHER_VERSION = "import it into the version that measured it, or have it measured by this one"
BATCH = 1_000_000  # rows that are checked at a time
Value = str | int | float | bool | None
Plain = Annotated[str, Field(pattern=r"^[\w.+ :-]*$")]  # what pages show of it has no markup


Kind = TypeVar("Kind", bound=BaseModel)


class Manifest(BaseModel):
    """What the manifest of an imported measurement must say."""

    model_config = ConfigDict(extra="allow", strict=True)
    measurement: str
    run: str
    parameters: dict[str, Value]
    constants: dict[str, Value]
    models: dict[str, Plain]
    facts: dict[str, Any]
    versions: dict[str, Plain]
    device: Plain
    source: Plain
    commit: Plain
    processor: str
    threads: int
    seconds: float
    peak_memory_bytes: int
    finished: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T[\d:+-]+$")]


class RunManifest(BaseModel):
    """What the manifest of an imported notebook's run must say."""

    model_config = ConfigDict(extra="allow", strict=True)
    notebook: str
    parameters: dict[str, Value]
    versions: dict[str, str]
    commit: str
    finished: str


def pack(profile: Profile, results: Path, file: Path) -> str:
    """Pack the tables and manifests of a profile's finished runs; one line that says what.

    Raises :class:`InputError` if no run is finished, a measurement that one lists is gone, two
    models have one name, or ``file`` is there and no archive of results.
    """
    manifests = {run.name: results / profile.name / f"{run.name}.json" for run in profile.runs}
    done = {name: path for name, path in manifests.items() if path.is_file()}
    if not done:
        raise InputError(
            f"no run of profile {profile.name} is finished in {results}: make book "
            f"PROFILE={profile.name} first"
        )
    if file.exists():
        archive.opened(file)
    said = [json.loads(path.read_text(encoding="utf-8")) for path in done.values()]
    measured = _asked_for(said, results)
    _refuse_two_models([Imported(one.folder, one.manifest) for one in measured])
    files = {f"runs/{name}.json": path for name, path in done.items()}
    for one in measured:
        inside = f"measurements/{one.manifest['measurement']}/{one.run}"
        files |= {f"{inside}/{path.name}": path for path in one.folder.iterdir()}
    left = sorted(manifests.keys() - done.keys())
    writable(file.parent)
    try:
        archive.write(file, metadata.version("when-pruning-works"), profile.name, left, files)
    except OSError as error:
        raise InputError(
            f"{file} cannot be written ({error.strerror}): make room or choose another file"
        ) from None
    return (
        f"Packed {len(done)} of {len(manifests)} runs, {len(measured)} measurements, "
        f"{file.stat().st_size / 1e6:.1f} MB: {file}"
    )


def _asked_for(runs: list[dict[str, Any]], results: Path) -> list[Measurement]:
    """The measurements that runs list in their manifests, parts left out; of a run that lists
    none, as those of earlier versions, all of its models, and of these the newest."""
    parts = {name for name, stored in store.every_measurement().items() if stored.part}
    kept: dict[tuple[str, str], Measurement] = {}
    for one in dataset.finished(results):
        kept.setdefault((one.manifest["measurement"], one.run), one)
    found: dict[tuple[str, str], Measurement] = {}
    for said in runs:
        if "measurements" in said:
            wanted = [(each["name"], each["run"]) for each in said["measurements"]]
        else:
            names = {said["parameters"].get(name) for name in ("model", "encoder")}
            own = [one for one in kept.values() if one.manifest["parameters"]["model"] in names]
            wanted = [(one.manifest["measurement"], one.run) for one in dataset.newest(own)]
        for key in wanted:
            if key[0] in parts:
                continue
            if key not in kept:
                raise InputError(
                    f"{said['notebook']} asked for {'/'.join(key)}, which is not in {results} any "
                    "more: run it again, then pack it"
                )
            found[key] = kept[key]
    return list(found.values())


def take_in(file: Path, results: Path) -> str:
    """Check an archive whole, then let it stand beside what was measured here; one line that says
    so. An archive that stands there already is left as it is.

    Raises :class:`InputError` for all that :func:`runs.archive.opened` refuses, a checksum that is
    wrong, a manifest that is damaged or has not its tables, a table with other columns or values
    than this version writes, and a name that stands for another model in an earlier import.
    """
    found = archive.opened(file)
    home = results / imported.FOLDER
    folder = home / found.digest
    if (folder / imported.NOTE).is_file():
        return f"{file.name} was imported before: nothing to do"
    measured = _checked(found, results)
    with FileLock(writable(home) / ".lock"):
        new = home / ".new"
        shutil.rmtree(new, ignore_errors=True)  # of one that was killed
        try:
            _unpack(found, new)
            if not folder.exists():
                new.replace(folder)
        except OSError as error:
            raise InputError(
                f"{file.name} cannot be unpacked in {home} ({error.strerror}): make room or choose "
                "another folder for results"
            ) from None
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return f"Imported {measured} measurements of {file.name} into {folder}"


def _unpack(found: Archive, folder: Path) -> None:
    for name, content in found.files():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    note = {
        "file": found.path.name,
        "digest": found.digest,
        "imported": datetime.now(UTC).isoformat(timespec="seconds"),
        **found.contents.model_dump(exclude={"files"}),
    }
    (folder / imported.NOTE).write_text(json.dumps(note, indent=1), encoding="utf-8")


def _checked(found: Archive, results: Path) -> int:
    """How many measurements an archive holds; :class:`InputError` for the first fault of any."""
    known = store.every_measurement()
    manifests: dict[tuple[str, str], Manifest] = {}
    tables: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name, content in found.files():
        where = f"{found.path.name}: {name}"
        if name.startswith("runs/"):
            _model(RunManifest, content, where)
            continue
        _, measurement, run, leaf = name.split("/")
        if measurement not in known:
            raise InputError(
                f"{where}: this version of the book has no measurement {measurement!r}: "
                f"{OTHER_VERSION}"
            )
        described = known[measurement].tables
        if leaf == store.MANIFEST:
            said = manifests[measurement, run] = _model(Manifest, content, where)
            if (said.measurement, said.run) != (measurement, run):
                raise InputError(f"{where} is of {said.measurement}/{said.run}: {archive.AGAIN}")
        elif table := leaf.removesuffix(".parquet"):
            if table not in described:
                raise InputError(
                    f"{where} is no table of {measurement}, which has {', '.join(described)}"
                )
            tables[measurement, run].add(table)
            _check_table(table, described[table], content, where)
    for key in sorted(manifests.keys() | tables.keys()):
        missing = known[key[0]].tables.keys() - tables[key]
        lacking = [f"{table}.parquet" for table in sorted(missing)]
        lacking += [] if key in manifests else [store.MANIFEST]
        if lacking:
            raise InputError(
                f"{found.path.name}: measurements/{'/'.join(key)} has no {', '.join(lacking)}: "
                f"{archive.AGAIN}"
            )
    own = [Imported(found.path, said.model_dump()) for said in manifests.values()]
    _refuse_two_models([*own, *imported.measurements(results)])
    return len(manifests)


def _model(kind: type[Kind], content: bytes, where: str) -> Kind:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "its start"
        raise InputError(
            f"{where} is damaged at {place} ({first['msg']}): {archive.AGAIN}"
        ) from None


def _check_table(table: str, columns: Columns, content: bytes, where: str) -> None:
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        found = {field.name: field.type for field in file.schema_arrow}
        wanted = {column.name: column.type for column in columns}
        if odd := sorted(found.keys() ^ wanted.keys()):
            raise ValueError(f"columns missing or unknown: {', '.join(odd)}")
        if odd := [f"{name} is {kind}" for name, kind in found.items() if kind != wanted[name]]:
            raise ValueError(f"columns of another type: {', '.join(odd)}")
        if file.metadata.num_rows > MOST_ROWS:
            raise ValueError(
                f"claims {file.metadata.num_rows:,} rows, at most {MOST_ROWS:,} may be"
            )
        for batch in file.iter_batches(BATCH):
            check(table, columns, pa.Table.from_batches([batch]))
    except (ValueError, pa.ArrowException, OSError) as error:
        raise InputError(f"{where} cannot be used ({error}): {OTHER_VERSION}") from None


def _refuse_two_models(measured: Iterable[Imported]) -> None:
    pins = defaultdict(set)
    for one in measured:
        for name, revision, pin in one.named():
            pins[name, revision].add(pin)
    for (name, _), found in sorted(pins.items()):
        imported.refuse_two(name, found)


def forget(results: Path) -> str:
    """Remove all that was imported; one line that says what."""
    home = results / imported.FOLDER
    files = [note["file"] for note in imported.notes(results)]
    shutil.rmtree(home, ignore_errors=True)
    return f"Forgot {', '.join(files) or 'nothing: nothing was imported'}"
