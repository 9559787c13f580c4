"""One file that carries results, and that can be checked before anything of it is written.

It is a ZIP archive that stores every file as it is: Parquet is compressed by itself, the same
results make the same bytes, and no file can claim to be longer than what is there.
``contents.json`` stands first, with the schema of the archive, who packed what, and the length and
SHA-256 of every other file.
"""

import hashlib
import json
import os
import re
import stat
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from helpers.errors import InputError

FORMAT, SCHEMA = "when-pruning-works results", 1
CONTENTS = "contents.json"
LONGEST_CONTENTS = 2**26  # bytes
AGAIN = "get the file again, or let it be packed again by make export"
UNREADABLE = (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError)
EARLIEST = (1980, 1, 1, 0, 0, 0)  # of a file in a ZIP archive; the true times are in manifests
NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
INSIDE = re.compile(
    rf"runs/{NAME}\.json|measurements/{NAME}/[0-9a-f]{{16}}/({NAME}\.parquet|manifest\.json)"
)


class File(BaseModel):
    """Length in bytes and SHA-256 in hexadecimal digits of a file in an archive."""

    model_config = ConfigDict(extra="forbid", strict=True)
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Contents(BaseModel):
    """What an archive says of itself."""

    model_config = ConfigDict(extra="forbid", strict=True)
    format: str
    schema_version: int = Field(ge=1)
    version: str  # of the book that packed it
    profile: str
    unfinished: list[str]  # runs of the profile that the archive lacks
    files: dict[str, File]


def write(
    path: Path, version: str, profile: str, unfinished: list[str], files: Mapping[str, Path]
) -> None:
    """Pack ``files``, by their names inside, into a new archive that replaces ``path`` whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    listed = {name: _described(files[name]) for name in sorted(files)}
    contents = Contents(
        format=FORMAT,
        schema_version=SCHEMA,
        version=version,
        profile=profile,
        unfinished=sorted(unfinished),
        files=listed,
    )
    try:
        with zipfile.ZipFile(temporary, "w") as archive:
            archive.writestr(_entry(CONTENTS), contents.model_dump_json(indent=1))
            for name in listed:
                archive.writestr(_entry(name), files[name].read_bytes())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _described(path: Path) -> File:
    content = path.read_bytes()
    return File(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EARLIEST)
    entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16  # as on Unix
    return entry


@dataclass(frozen=True)
class Archive:
    """An archive whose list of files agrees with what it holds."""

    path: Path
    contents: Contents
    digest: str  # of the contents, and so of all

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Name and content of each file; :class:`InputError` if one is not what the list says."""
        name = CONTENTS
        try:
            with zipfile.ZipFile(self.path) as archive:
                for name, listed in self.contents.files.items():
                    content = archive.read(name)
                    if hashlib.sha256(content).hexdigest() != listed.sha256:
                        raise zipfile.BadZipFile("wrong checksum")
                    yield name, content
        except UNREADABLE as error:
            raise InputError(f"{self.path.name} is damaged at {name} ({error}): {AGAIN}") from None


def opened(path: Path) -> Archive:
    """The archive at ``path``, its structure checked and no table read yet.

    Raises :class:`InputError` for a file that is none or is cut off, a newer schema, and any file
    inside that is not listed, is listed and missing, stands there twice, is packed, encrypted, a
    link, or has a name or a length that it may not have.
    """
    if not path.is_file():
        raise InputError(f"archive {path} is not there: give a file that make export has packed")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            text = _contents(path, archive)
    except UNREADABLE as error:
        raise InputError(
            f"{path.name} is no archive of results, or it is cut off ({error}): {AGAIN}"
        ) from None
    contents = _checked_contents(path.name, text)
    _check_entries(path, entries, contents)
    return Archive(path, contents, hashlib.sha256(text).hexdigest()[:16])


def _contents(path: Path, archive: zipfile.ZipFile) -> bytes:
    first = [entry for entry in archive.infolist() if entry.filename == CONTENTS]
    if len(first) != 1:
        raise InputError(f"{path.name} is no archive of results: it has no {CONTENTS}; {AGAIN}")
    if first[0].file_size > LONGEST_CONTENTS:
        raise InputError(f"{path.name}: {CONTENTS} claims {first[0].file_size:,} bytes: {AGAIN}")
    return archive.read(first[0])


def _checked_contents(name: str, text: bytes) -> Contents:
    try:
        said: Any = json.loads(text)
        of_ours = said["format"] == FORMAT
        schema = int(said["schema_version"])
    except (ValueError, TypeError, KeyError, RecursionError):
        of_ours, schema = False, 0
    if not of_ours:
        raise InputError(f"{name} is no archive of results: {CONTENTS} does not say so; {AGAIN}")
    if schema > SCHEMA:
        raise InputError(
            f"{name} was packed with schema {schema}, and this version of the book reads schemas "
            f"up to {SCHEMA}: update the book, then import it"
        )
    try:
        return Contents.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{name}: {CONTENTS} is wrong at {place} ({first['msg']}): {AGAIN}"
        ) from None


def _check_entries(path: Path, entries: list[zipfile.ZipInfo], contents: Contents) -> None:
    """Raise :class:`InputError` for the first file that is not as listed or as it must be."""
    seen: set[str] = set()
    room = path.stat().st_size
    for entry in entries:
        name, fault = entry.filename, ""
        kind = stat.S_IFMT(entry.external_attr >> 16)
        room -= entry.file_size
        if name.casefold() in seen:
            fault = "is there twice"
        elif name != CONTENTS and not INSIDE.fullmatch(name):
            fault = "has a name that leads out of the results, or that no result has"
        elif kind not in (0, stat.S_IFREG):
            fault = "is a link or no plain file"
        elif entry.flag_bits & 1 or entry.compress_type != zipfile.ZIP_STORED:
            fault = "is packed or encrypted, which results are not"
        elif entry.file_size != entry.compress_size or room < 0:
            fault = f"claims {entry.file_size:,} bytes, more than the archive has"
        elif name != CONTENTS and name not in contents.files:
            fault = "is not in its list"
        elif name != CONTENTS and contents.files[name].bytes != entry.file_size:
            fault = f"has {entry.file_size:,} bytes, not the {contents.files[name].bytes:,} listed"
        if fault:
            raise InputError(f"{path.name}: {name[:200]!r} {fault}: {AGAIN}")
        seen.add(name.casefold())
    for name in contents.files:
        if name.casefold() not in seen:
            raise InputError(f"{path.name}: {name[:200]!r} is listed and missing: {AGAIN}")
