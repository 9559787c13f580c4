"""Fit ``src/runs/planning/costs.json`` to real runs: ``python -m benchmarks.fit_costs PROFILE``.

Reads what ``make book`` left of the profile, at best on a machine that did nothing else, and
measures the machine's speed. Each measurement has one factor: the seconds that it took by itself,
over those that its counts take at that speed.
"""

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runs import profiles
from runs.planning import costs, machines, steps
from runs.planning.past import Identities, Past, Span, span
from runs.planning.sizes import size_of
from runs.planning.work import FLOAT, PRUNED, Work, work
from runs.store import write_whole

START, SMALL = 1.0, 0.2  # seconds
STORED = 5000  # bytes of a measurement without its tables
NOT_STORED = ("in_the_notebook",)
TOGETHER = ("scores", "probe_scores", "retrieval_scores")  # of others, without work of their own


@dataclass
class Taken:
    """A measurement that a run asked for: by which run it was taken, and what it had to do."""

    asked: str
    run: str
    name: str
    manifest: dict[str, Any]
    seconds: float
    done: Work

    @property
    def span(self) -> Span:
        """When it was taken."""
        return span(self.manifest)


def taken(profile: profiles.Profile, results: Path, past: Past) -> Iterator[Taken]:
    """Every measurement that each run asked for, with the first run within whose time it was
    taken. Runs come in the order in which they began."""
    spans = {}
    for run in profile.runs:
        path = results / profile.name / f"{run.name}.json"
        if path.is_file():
            spans[run.name] = span(json.loads(path.read_text()))
    owner: dict[str, str] = {}
    for name in sorted(spans, key=lambda name: spans[name]):
        run, last = profile[name], None
        for step in steps.steps(run.chapter, run.parameters):
            size, found = size_of(step.parameters.model), past.of(step, "cpu")
            pruned = past.identities.pruned(step) if step.name in PRUNED else last
            fresh, last = pruned != last, pruned
            if not found or not size:
                continue
            end = span(found)[1]
            if spans[name][0] - 1 <= end <= spans[name][1] + 1:
                owner.setdefault(found["run"], name)
            own = owner.get(found["run"], "")
            seconds = past.own_seconds[found["run"]]
            yield Taken(name, own, step.name, found, seconds, work(step, size, fresh))


class Book:
    """What a build of a profile left in a results folder: each measurement once, ``by_name`` and
    ``by_run``, and all that runs ``asked`` for."""

    def __init__(self, profile: profiles.Profile, results: Path) -> None:
        self.profile, self.results = profile, results
        self.past = Past(results, Identities())
        every = taken(profile, results, self.past)
        self.asked = [one for one in every if one.name not in TOGETHER]
        self.by_name: dict[str, list[Taken]] = defaultdict(list)
        self.by_run: dict[str, list[Taken]] = defaultdict(list)
        own = {one.manifest["run"]: one for one in self.asked if one.run == one.asked}
        for one in own.values():
            self.by_name[one.name].append(one)
            self.by_run[one.run].append(one)

    def notebooks(self) -> dict[str, costs.Cost]:
        """What is left of each run, by chapter, without its measurements, and without waiting for
        those that another run was taking."""
        found = {}
        for run in (one for one in self.profile.runs if one.first):
            path = self.results / self.profile.name / f"{run.name}.json"
            if not path.is_file():
                continue
            manifest = json.loads(path.read_text())
            begin, end = span(manifest)
            others = [one for one in self.asked if one.asked == run.name and one.run != run.name]
            waited = {
                one.manifest["run"]: min(one.span[1], end) - max(one.span[0], begin)
                for one in others
            }
            inside = sum(one.seconds for one in self.by_run[run.name])
            inside += sum(max(0.0, each) for each in waited.values())
            size = path.with_suffix(".ipynb").stat().st_size
            found[run.chapter] = costs.Cost(max(manifest["seconds"] - inside, 3.0), disk=size)
        return found


def fit(books: list[Book], machine: machines.Machine) -> dict[str, Any]:
    """All coefficients; see :func:`runs.planning.costs.coefficients`. Measurements are those of the
    first book; start-up varies, so that notebooks' own time is the (lower) median over all."""
    first = books[0]
    base = min(one.manifest["peak_memory_bytes"] for one in first.by_name["prompt_lengths"])
    named = sorted(first.by_name.items())
    chapters = _chapters(books)
    return {
        "start": START,
        "small": SMALL,
        "base": base,
        "stored": STORED,
        "times": {name: _times(ones, machine) for name, ones in named}
        | _in_notebooks(first.profile, chapters, machine),
        "memory": _memory(first.by_run, base),
        "disk": {name: _disk(ones, first.results) for name, ones in named},
        "chapters": chapters,
        "floors": _floors(first.past),
        "fitted": {
            "measurements": sum(len(ones) for _, ones in named),
            "books": len(books),
            "on": machines.as_json(machine),
        },
    }


def _times(ones: list[Taken], machine: machines.Machine) -> float:
    counted = sum(costs.counted(one.done, machine) for one in ones)
    spent = sum(max(one.seconds - START, 0.1) for one in ones)
    return round(spent / counted, 3) if counted else 1.0


def _memory(by_run: dict[str, list[Taken]], base: float) -> dict[str, float]:
    """A peak counts for the measurement that raised that of its process."""
    found: dict[str, list[float]] = defaultdict(list)
    for ones in by_run.values():
        highest = 0.0
        for one in sorted(ones, key=lambda one: one.manifest["finished"]):
            peak = one.manifest["peak_memory_bytes"]
            if peak > 1.01 * highest and one.done.held:
                weights = one.done.models * one.done.size.bytes(one.done.dtype)
                rest = max(peak - base - weights, 0) / (FLOAT * one.done.held)
                found[one.name].append(rest)
            highest = max(highest, peak)
    return {name: round(statistics.median(rest), 2) for name, rest in sorted(found.items())}


def _disk(ones: list[Taken], results: Path) -> float:
    stored = sum(_bytes(results / "measurements" / one.name / one.manifest["run"]) for one in ones)
    written = sum(one.done.written for one in ones)
    return round(max(stored - STORED * len(ones), 0) / written, 3) if written else 1.0


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _chapters(books: list[Book]) -> dict[str, dict[str, float]]:
    every = [book.notebooks() for book in books]
    found = {}
    for chapter, first in every[0].items():
        seconds = statistics.median_low(one[chapter].seconds for one in every if chapter in one)
        found[chapter] = {"seconds": round(seconds, 1), "bytes": first.disk}
    middle = {
        unit: statistics.median(one[unit] for one in found.values())
        for unit in ("seconds", "bytes")
    }
    return found | {"any": middle}


def _in_notebooks(
    profile: profiles.Profile, chapters: dict[str, dict[str, float]], machine: machines.Machine
) -> dict[str, float]:
    """Of what a notebook does itself and does not store; its own seconds become middling ones."""
    found = {}
    for run in profile.runs:
        for step in steps.steps(run.chapter, run.parameters):
            size = size_of(step.parameters.model)
            if step.name in NOT_STORED and size and run.chapter in chapters:
                own, usual = chapters[run.chapter], chapters["any"]["seconds"]
                spent = own["seconds"] - usual - START
                found[step.name] = round(spent / costs.counted(work(step, size), machine), 3)
                own["seconds"] = usual
    return found


def _floors(past: Past) -> dict[str, list[str]]:
    """Tasks that the dense model scored no better on than a guess, by model."""
    found: dict[str, set[str]] = defaultdict(set)
    for each in past.manifests:
        if each["measurement"] == "scores" and each["facts"]["at_floor"]:
            found[each["parameters"]["model"]] |= set(each["facts"]["at_floor"])
    return {model: sorted(tasks) for model, tasks in found.items()}


def main() -> None:
    """Fit, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profile", nargs="?", default="default")
    parser.add_argument("--results", type=Path, default=profiles.ROOT / "results")
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="results of other builds")
    given = parser.parse_args()
    profile, machine = profiles.read(given.profile), machines.this(1, given.results, anew=False)
    found = fit([Book(profile, each) for each in (given.results, *given.also)], machine)
    write_whole(costs.FILE, json.dumps(found, indent=1) + "\n")
    print(f"{costs.FILE}: {found['fitted']['measurements']} measurements")


if __name__ == "__main__":
    main()
