"""Which results that somebody else measured answer what is asked here?

An import lies in ``results/imported/DIGEST`` as its archive held it, with ``import.json`` beside.
The code that measured it may be another: what must agree is the measurement's name, its parameters
and the fingerprints of its models, which stand for their names. A chapter takes what was measured
here before an import, and an import before it measures: whoever imports into a results folder wants
it read there. What is measured here is made of parts that were measured here, so that nothing of
this alters it.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from helpers.errors import InputError

FOLDER, NOTE = "imported", "import.json"
SWITCH = "WHEN_PRUNING_WORKS_IMPORTS"
PINNED = ("model", "revision")  # parameters that a fingerprint stands for


@dataclass(frozen=True)
class Imported:
    """An imported measurement: its folder, and its manifest with what tells of the import."""

    folder: Path
    manifest: dict[str, Any]

    def differences(self, depends: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Parameters and fingerprints that are not the same here and among what a measurement
        ``depends`` on: its own and the other, None where there is none."""
        own, wanted = _compared(self.manifest), _compared(depends)
        names = sorted(own.keys() | wanted.keys())
        pairs = {name: (own.get(name), wanted.get(name)) for name in names}
        return {
            name: pair
            for name, pair in pairs.items()
            if pair[0] != pair[1] or (name in own) != (name in wanted)
        }

    def named(self) -> list[tuple[str, str, str]]:
        """Name, revision and fingerprint of its models; a checkpoint is named by its folder."""
        parameters = self.manifest["parameters"]
        names = {
            "model": (parameters.get("model", ""), parameters.get("revision", "main")),
            "checkpoint": (parameters.get("checkpoint", ""), "main"),
        }
        return [(*names[kind], pin) for kind, pin in self.manifest["models"].items()]


def measurements(results: Path, name: str = "*") -> Iterator[Imported]:
    """All imported measurements of a results folder, or those of one ``name``; none where the
    variable ``SWITCH`` says no."""
    if os.environ.get(SWITCH) == "no":
        return
    for note in notes(results):
        folder = results / FOLDER / note["digest"]
        for path in sorted(folder.glob(f"measurements/{name}/*/manifest.json")):
            yield Imported(path.parent, told(_read(path), note["file"]))


def notes(results: Path) -> list[dict[str, Any]]:
    """What was noted of each import: its file and digest, when, and who packed it."""
    return [_read(path) for path in sorted((results / FOLDER).glob(f"*/{NOTE}"))]


def told(manifest: dict[str, Any], file: str) -> dict[str, Any]:
    """A manifest with what a page tells of its import from a ``file``: the book's version, or the
    commit where none is known, and the day of the measurement."""
    version = manifest["versions"].get("when-pruning-works", manifest["commit"])
    day = manifest["finished"][:10]
    return manifest | {"imported": {"version": version, "date": day, "file": file}}


def find(results: Path, name: str, depends: Mapping[str, Any]) -> Imported | None:
    """The import of a measurement that ``depends`` on these parameters and models: that of the
    same code and device where there is one, else the newest."""

    def nearness(one: Imported) -> tuple[bool, bool, str]:
        same = (one.manifest[key] == depends[key] for key in ("source", "device"))
        return (*same, one.manifest["finished"])

    fitting = [one for one in measurements(results, name) if not one.differences(depends)]
    return max(fitting, key=nearness, default=None)


def nearest(results: Path, name: str, depends: Mapping[str, Any]) -> str:
    """By what the import that comes nearest to the measurement differs from it, in words."""
    found = [one.differences(depends) for one in measurements(results, name)]
    pairs = min(found, key=len, default={})
    said = ", ".join(f"{key}={own!r}, not {other!r}" for key, (own, other) in pairs.items())
    return f"the nearest has {said}" if said else "they have none"


def of_model(results: Path, name: str, revision: str = "main") -> list[tuple[str, Imported]]:
    """Fingerprint and imported measurement, one for each that has a model of that name.

    Raises :class:`InputError` if they mean different models by it.
    """
    found = [
        (pin, one)
        for one in measurements(results)
        for said, of, pin in one.named()
        if (said, of) == (name, revision)
    ]
    refuse_two(name, {pin for pin, _ in found})
    return found


def refuse_two(name: str, pins: set[str]) -> None:
    """Raise :class:`InputError` for a name that stands for several fingerprints."""
    if len(pins) > 1:
        said = " and ".join(sorted(pins))
        raise InputError(
            f"results mean different models by {name!r} ({said}): only those of one can travel; "
            "make forget-imports removes what was imported"
        )


def _compared(depends: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {key: one for key, one in depends["parameters"].items() if key not in PINNED}
    return parameters | {f"fingerprint of {kind}": pin for kind, pin in depends["models"].items()}


@cache  # what is imported never changes
def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
