"""What did measurements take before? Their manifests, found by what they were asked for."""

import json
from collections import defaultdict
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from helpers.errors import InputError
from helpers.texts import data, passages
from runs import imported, source
from runs.parameters import CALIBRATION, SETTING
from runs.planning.kept import read
from runs.planning.steps import Step
from runs.store import MANIFEST, Stored, every_measurement

PINS = {  # what stands in a manifest for a parameter, besides what a measurement says of its own
    "prompts": lambda run: data.identity(run.prompts),
    "calibration": lambda run: passages.identity(run.calibration),
    "checkpoint": lambda run: Path(run.checkpoint).name,
}
INNER = ("masks", "ranking")  # taken inside the time of those that step them
WHOLE = ("model", "revision", "dtype", "seed", *SETTING, *CALIBRATION)  # a pruned model
READ = frozenset(  # of a manifest
    {"measurement", "run", "parameters", "device", "processor", "threads", "source", "finished"}
    | {"seconds", "peak_memory_bytes"}
)
SLACK = 1.5  # seconds: manifests hold whole ones

Key = tuple[Any, ...]
Manifest = dict[str, Any]
Span = tuple[float, float]


class Identities:
    """What tells measurements apart: their name, and the parameters that mean something to it."""

    @cached_property
    def stored(self) -> dict[str, Stored]:
        """All measurements of the book, by name."""
        return every_measurement()

    def key(self, step: Step) -> Key:
        """Equal for two steps exactly where they are one measurement, on one machine."""
        if step.name not in self.stored:
            return (step.name, id(step))
        uses = self.stored[step.name].uses
        run = step.parameters
        ignored = run.unread(uses)
        return (step.name, *((name, getattr(run, name)) for name in uses if name not in ignored))

    def pruned(self, step: Step) -> Key:
        """Equal for two steps that work on one pruned model."""
        run = step.parameters
        ignored = run.unread(WHOLE)
        return tuple(getattr(run, name) for name in WHOLE if name not in ignored)

    def current(self, name: str) -> str:
        """The digest of the code behind a measurement, as it is now."""
        if name not in self._digests:
            module = self.stored[name].function.__module__
            self._digests[name] = source.digest(source.files_behind(module))
        return self._digests[name]

    @cached_property
    def _digests(self) -> dict[str, str]:
        return {}


class Past:
    """Manifests below a results folder, if there is one. Asks no network, and reads no model."""

    def __init__(self, results: Path | None, identities: Identities) -> None:
        self.identities = identities
        paths = results.glob(f"measurements/*/*/{MANIFEST}") if results else ()
        self.manifests = [found for path in paths if (found := read(path)).keys() >= READ]
        others = imported.measurements(results) if results else ()
        self._here = _by_key(self.manifests)
        self._imported = _by_key([one.manifest for one in others])
        self._asked = cache(self._described)

    def of(self, step: Step, device: str) -> Manifest | None:
        """The newest measurement of a step on this kind of device, by any code; one by the
        code as it is now comes first."""
        found = self._here.get(self._asked(step), ()) if self._here else ()
        mine = [each for each in found if each["device"] == device]
        return max(mine, key=lambda each: (self.valid(each), each["finished"]), default=None)

    def is_imported(self, step: Step) -> bool:
        """Whether somebody else's measurement answers a step, if its models are those here."""
        return bool(self._imported) and self._asked(step) in self._imported

    def _described(self, step: Step) -> str:
        """Name and parameters of a step as manifests have them; empty if they name what is not
        there."""
        stored, run = self.identities.stored.get(step.name), step.parameters
        if not stored:
            return ""
        ignored, pins = run.unread(stored.uses), PINS | dict(stored.pins)
        try:
            used = {
                name: pins[name](run) if name in pins else getattr(run, name)
                for name in stored.uses
                if name not in ignored
            }
        except InputError:
            return ""
        return _key(step.name, used)

    def valid(self, manifest: Manifest) -> bool:
        """Whether the code behind a measurement is still the same."""
        return bool(manifest["source"] == self.identities.current(manifest["measurement"]))

    @cached_property
    def own_seconds(self) -> dict[str, float]:
        """Seconds of each run of a measurement without those that it took inside its time."""
        spans = [(each, *span(each)) for each in self.manifests]
        inner = [one for one in spans if one[0]["measurement"] in INNER]
        found = {}
        for each, begin, end in spans:
            inside = [
                other["seconds"]
                for other, first, last in inner
                if other is not each
                and begin - SLACK <= first
                and last <= end + SLACK
                and other["seconds"] <= each["seconds"]
                and _inside(other["parameters"], each["parameters"])
            ]
            found[each["run"]] = max(each["seconds"] - sum(inside), 0.0)
        return found


def _inside(inner: dict[str, Any], outer: dict[str, Any]) -> bool:
    """Whether both were asked of the same model, pruned in the same way."""
    return all(outer[name] == value for name, value in inner.items() if name in outer)


def _by_key(manifests: list[Manifest]) -> dict[str, list[Manifest]]:
    found: dict[str, list[Manifest]] = defaultdict(list)
    for each in manifests:
        found[_key(each["measurement"], each["parameters"])].append(each)
    return found


def _key(name: str, used: dict[str, Any]) -> str:
    return json.dumps([name, used], sort_keys=True)


def span(manifest: Manifest) -> Span:
    """When a measurement or a run began and ended, in seconds since 1970."""
    end = datetime.fromisoformat(manifest["finished"]).timestamp()
    return end - manifest["seconds"], end
