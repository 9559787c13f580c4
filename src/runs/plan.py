"""What will a profile take? Minutes, memory and disk of each run, before anything runs.

Needs no GPU, no weights and no network. A measurement that several runs share is counted for the
first of them; one that is there already, imported or measured here, costs nothing; one that was
taken here before, by other code, costs what it took then; all others what their work costs at the
machine's speed (:mod:`runs.planning`).
"""

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.errors import InputError
from helpers.machine import granted_threads, visible_gpus
from runs import status
from runs.needs import needs
from runs.parameters import RunParameters
from runs.planning import costs, kept, machines
from runs.planning.past import Identities, Past
from runs.planning.schedule import at_once, duration, together
from runs.planning.sizes import size_of
from runs.planning.steps import Step, steps
from runs.planning.work import PRUNED
from runs.profiles import ROOT, Profile, Run
from runs.status import number
from runs.store import write_whole

COLUMNS = (
    *("run", "chapter", "state", "model", "minutes", "memory_gb", "disk_mb"),
    *("measurements", "taken", "note"),
)
SPARE = 0.9  # share of a machine's memory that a plan may fill


class Plan:
    """The runs of a ``profile`` on a ``machine``: ``frame`` with :data:`COLUMNS`, one row each,
    ``minutes`` and so on of what is still to do; ``minutes`` until all of it is done, with so many
    runs ``at_once``. On another machine than this one nothing counts as done or known.
    """

    def __init__(
        self,
        profile: Profile,
        machine: machines.Machine,
        root: Path = ROOT,
        *,
        at_once: int = 1,
    ) -> None:
        self.profile, self.machine, self.root, self.at_once = profile, machine, root, at_once
        self.identities = Identities()
        here = machine.name == machines.HERE
        self.past = Past(root / "results" if here else None, self.identities)
        self.planned: set[Any] = set()
        self.weights: dict[str, int] = {}  # bytes of each hub model that is to be measured
        self.folder = root / "results" / profile.name if here else None
        self.frame = pd.DataFrame([self._row(run) for run in profile.runs], columns=list(COLUMNS))

    @property
    def minutes(self) -> float:
        """Until all is done, if whoever is idle takes the next run."""
        return together(self.frame["minutes"].tolist(), self.at_once)

    def _row(self, run: Run) -> dict[str, Any]:
        state = status.state(run, self.folder) if self.folder else status.MISSING
        asked = run.parameters
        model = asked.model if "model" in run.taken else ""
        row = {"run": run.name, "chapter": run.chapter, "state": state, "model": model, "note": ""}
        if state == status.DONE:
            return row | dict.fromkeys(("minutes", "memory_gb", "disk_mb"), 0.0)
        try:
            found = self._costs(run.chapter, asked)
        except InputError as error:
            return row | {"note": str(error)}
        measured = [cost for cost in found if cost]
        own = costs.notebook(run.chapter)
        memory = max([own.memory, *(cost.memory for cost in measured)])
        return row | {
            "minutes": (own.seconds + sum(cost.seconds for cost in measured)) / 60,
            "memory_gb": memory / 1e9,
            "disk_mb": (own.disk + sum(cost.disk for cost in measured)) / 1e6,
            "measurements": len(found),
            "taken": len(measured),
            "note": self._refused(memory),
        }

    def _costs(self, chapter: str, asked: RunParameters) -> list[costs.Cost | None]:
        """Of each measurement that a run takes; None for one that is there, or planned already.

        Raises :class:`InputError` for a model whose size is not known, and then plans nothing.
        """
        found: dict[Any, costs.Cost | None] = {}
        last: Any = None
        floors = costs.coefficients()["floors"].get(asked.model, ())
        for step in self._asked(steps(chapter, asked, floors)):
            key, name = self.identities.key(step), step.parameters.model
            if key in found or key in self.planned:
                found.setdefault(key, None)
                continue
            size = size_of(name, step.parameters.revision)
            if size is None:
                said = "give a folder with its config.json, or fetch it"
                raise InputError(f"the size of {name} is not known here: {said}")
            pruned = self.identities.pruned(step) if step.name in PRUNED else last
            fresh, last = pruned != last, pruned
            found[key] = self._cost(step, size, fresh)
            if found[key] and "/" in name and not Path(name).is_dir():
                self.weights[name] = size.bytes("bfloat16")
        self.planned |= found.keys()
        return list(found.values())

    def _asked(self, wanted: Iterable[Step]) -> Iterator[Step]:
        """Without the parts of what is imported, which nobody asks for."""
        parts = []
        for step in wanted:
            stored = self.identities.stored.get(step.name)
            if stored and stored.part:
                parts.append(step)
                continue
            if not self.past.is_imported(step):
                yield from parts
            parts = []
            yield step

    def _cost(self, step: Step, size: Any, fresh: bool) -> costs.Cost | None:
        before = self.past.of(step, self.machine.device)
        if (before and self.past.valid(before)) or self.past.is_imported(step):
            return None
        predicted = costs.cost(step, size, self.machine, fresh)
        same = before and (before["processor"], before["threads"]) == (
            self.machine.title,
            self.machine.threads,
        )
        if not before or not same:
            return predicted
        seconds = self.past.own_seconds[before["run"]]
        return costs.Cost(seconds, before["peak_memory_bytes"], predicted.disk)

    def _refused(self, memory: float) -> str:
        if memory > SPARE * self.machine.memory:
            return f"does not fit into {self.machine.memory / 1e9:.0f} GB"
        return ""

    @property
    def does_not_fit(self) -> pd.DataFrame:
        """Rows that need more memory than the machine has."""
        return self.frame[self.frame["note"].str.startswith("does not fit")]

    def keep(self) -> None:
        """Write what is predicted of the runs that are to do, where the status finds it; what was
        predicted of those that are done stays."""
        path = kept.predicted(self.profile, self.root)
        path.parent.mkdir(parents=True, exist_ok=True)
        found, now = kept.read(path), time.time()
        todo = self.frame[self.frame["state"].ne(status.DONE) & self.frame["minutes"].notna()]
        for row in todo.itertuples():
            found[row.run] = {"minutes": row.minutes, "memory_gb": row.memory_gb, "planned": now}
        write_whole(path, json.dumps(found, indent=1))


def plan(profile: Profile, machine: str = "", root: Path = ROOT, *, anew: bool = True) -> Plan:
    """The plan of a profile on the machine of that name, or on this one, its speed measured, or
    unless ``anew`` as it was measured before.

    Raises :class:`InputError` for a machine that is not known.
    """
    if machine:
        return Plan(profile, machines.named(machine), root)
    cores, gpus = granted_threads(), len(visible_gpus())
    each = needs(profile, profile.runs[0], cores=cores, gpus=gpus).cores
    found = machines.this(each, root / "results", anew)
    return Plan(profile, found, root, at_once=at_once(profile, cores, gpus))


def as_text(one: Plan, profile: str) -> str:
    """The plan for a terminal: a line for each run, sums, what will not do, and how to begin."""
    frame, machine = one.frame, one.machine
    lines = [f"{'run':44} {'state':11} {'minutes':>8} {'GB':>6} {'disk MB':>8}  to measure"]
    for row in frame.itertuples():
        numbers = f"{number(row.minutes):>8} {number(row.memory_gb):>6} {number(row.disk_mb):>8}"
        count = "" if pd.isna(row.taken) else f"  {row.taken:.0f} of {row.measurements:.0f}"
        lines.append(f"{row.run:44} {row.state:11} {numbers}{count}")
        if row.note:
            lines.append(f"  {row.note}")
    todo = frame[frame["state"].ne(status.DONE)]
    if todo.empty:
        return "\n".join([*lines, f"All {len(frame)} runs are done"])
    unknown = int(todo["minutes"].isna().sum())
    lines.append(
        f"{len(todo)} of {len(frame)} runs to do on {machine.title}, {one.at_once} at a time: "
        f"{duration(one.minutes)}; at most {todo['memory_gb'].max():.1f} GB of memory for each, "
        f"{todo['disk_mb'].sum() / 1000:.1f} GB of disk"
    )
    if unknown:
        lines.append(f"Not known, and not counted: {unknown} runs, see above")
    if len(one.does_not_fit):
        lines.append(f"Too large for the machine: {len(one.does_not_fit)} runs, see above")
    if one.weights:
        sizes = [f"{name} {size / 1e9:.0f} GB" for name, size in one.weights.items()]
        lines.append(f"Weights that it reads, besides: {', '.join(sizes)}")
    if machine.disk is not None and todo["disk_mb"].sum() * 1e6 > machine.disk:
        lines.append(f"Too little disk: {machine.disk / 1e9:.1f} GB are free")
    lines.append(f"To begin: make book PROFILE={profile}")
    return "\n".join(lines)
