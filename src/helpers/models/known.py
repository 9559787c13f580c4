"""Models that have a name here: where each is, pinned, and what it needs."""

import csv
from dataclasses import dataclass
from importlib import resources
from typing import Any

EMBEDDED = "smollm2-135m"
BYTES = {"float32": 4, "bfloat16": 2}  # of a weight
SIZES = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))


@dataclass(frozen=True)
class Known:
    """One model: its ``name`` here, the ``title`` of its release, its place on the ``hub`` (empty:
    it comes with the book) and the commit that is meant (``revision``).

    ``parameters`` has the release, ``counted`` are there once it is loaded: more where a head that
    the release ties to its embedding is stored apart. ``gated``: the hub asks for an agreement to
    terms before it gives the files. A model that is one GGUF file names it (``file``), its
    ``quantization`` and its ``sha256``.
    """

    name: str
    title: str
    hub: str
    revision: str
    parameters: int
    counted: int
    licence: str
    gated: bool
    quantization: str
    file: str
    sha256: str

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return f"{self.hub}, {self.file}" if self.hub and self.file else self.hub or "embedded"

    def gigabytes(self, dtype: str) -> float:
        """What its weights take in memory."""
        return self.counted * BYTES[dtype] / 1e9


def _read() -> dict[str, Known]:
    text = resources.files("helpers.models").joinpath("known.csv").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = list(csv.DictReader(text.splitlines()))
    numbers = ("parameters", "counted")
    return {
        row["name"]: Known(
            **row | {key: int(row[key]) for key in numbers} | {"gated": bool(row["gated"])}
        )
        for row in rows
    }


KNOWN = _read()


def size_in_words(parameters: int) -> str:
    """134515008 → ``135M``; 7615616512 → ``7.6B``."""
    for unit, letter in SIZES:
        if parameters >= unit:
            value = parameters / unit
            return f"{value:.0f}{letter}" if value >= 10 else f"{value:.1f}{letter}"
    return str(parameters)


def listed() -> list[dict[str, str]]:
    """One row for each model, as text: what it is, where, and what it needs."""
    return [
        {
            "name": one.name,
            "hub id": one.place,
            "revision": one.revision or "–",
            "size": size_in_words(one.parameters)
            + (f" ({one.quantization})" if one.quantization else ""),
            "licence": one.licence,
            "GB in float32": f"{one.gigabytes('float32'):.1f}",
            "GB in bfloat16": f"{one.gigabytes('bfloat16'):.1f}",
            "gated": "yes" if one.gated else "no",
        }
        for one in KNOWN.values()
    ]
