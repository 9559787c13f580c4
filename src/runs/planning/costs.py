"""What does a measurement cost on a machine? Its work, its factors, and the machine's speed."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from runs.planning.machines import Machine
from runs.planning.sizes import Size
from runs.planning.steps import Step
from runs.planning.work import FLOAT, Work, work

HELD_ON_GPU = 2.0  # there memory is given back, so that peaks do not grow from model to model
FILE = Path(__file__).with_name("costs.json")  # made by benchmarks/fit_costs.py from real runs


@dataclass(frozen=True)
class Cost:
    """Seconds; bytes held at once; bytes stored."""

    seconds: float = 0.0
    memory: float = 0.0
    disk: float = 0.0


@cache
def coefficients() -> dict[str, Any]:
    """``start``: seconds before a measurement works; ``times``, ``memory`` and ``disk``: for each
    measurement, how many times its counted seconds, numbers held and numbers stored it takes;
    ``base``: bytes of a process without a model; ``chapters``: ``seconds`` and ``bytes`` of the
    notebook itself; ``floors``: tasks of a model that are at their floor, which no pruned one is
    asked; ``fitted``: from how many measurements on which machine."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def counted(done: Work, machine: Machine) -> float:
    """Seconds that the counts take if one is done after the other at the machine's speed."""
    speeds = machine.speeds | {"float16": machine.speeds["bfloat16"]}
    return sum(count / speeds[unit] for unit, count in done.counts.items())


def cost(step: Step, size: Size, machine: Machine, fresh: bool = True) -> Cost:
    """What one measurement costs by itself. A measurement that only puts others together is
    ``start`` alone."""
    known = coefficients()
    done = work(step, size, fresh)
    times, held, written = (known[each].get(step.name, 1.0) for each in ("times", "memory", "disk"))
    held = HELD_ON_GPU if machine.device == "cuda" else held
    seconds = counted(done, machine)
    return Cost(
        times * seconds + (known["start"] if seconds else known["small"]),
        known["base"] + done.models * size.bytes(done.dtype) + held * done.held * FLOAT,
        known["stored"] + written * done.written,
    )


def notebook(chapter: str) -> Cost:
    """What a chapter's notebook costs without its measurements: start-up, frames and figures."""
    own = coefficients()["chapters"]
    found = own.get(chapter, own["any"])
    return Cost(found["seconds"], coefficients()["base"], found["bytes"])
