"""How fast is a machine? This one by a measurement of a few seconds, kept; others by a table."""

import csv
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from helpers import machine
from helpers.errors import InputError
from runs import provenance
from runs.planning import kept
from runs.store import write_whole

HERE = "here"  # the name of this machine
TABLE = Path(__file__).with_name("machines.csv")
REACHED = {"bfloat16": 0.5, "float32": 0.7, "moved": 0.8}  # share of a datasheet's figure
LAUNCHED = 12_000.0  # sublayers a second: what Python needs to start some ten kernels each
DISK = 1.5e9  # bytes of weights a second, into a GPU
SIZE, VALUES, AGAIN = 1024, 2**24, 20  # of the measurement: matrices, vectors, how often
ROUNDS = 10  # of the smallest operations, which cost as much as calling one sublayer


@dataclass(frozen=True)
class Machine:
    """What a plan must know: ``speeds`` are units of :mod:`runs.planning.work` per second, with
    ``threads`` threads on a CPU; ``memory`` bytes of the device, ``disk`` bytes free, or None."""

    name: str
    title: str
    device: str
    memory: int
    disk: int | None
    threads: int
    speeds: dict[str, float]


def known() -> list[str]:
    """Names of the machines that are in the table."""
    return [row["name"] for row in _rows()]


def named(name: str) -> Machine:
    """A machine of the table. Raises :class:`InputError` for another name."""
    row = next((row for row in _rows() if row["name"] == name.casefold()), None)
    if row is None:
        raise InputError(
            f"unknown machine {name!r}: known are {', '.join(known())}, or none for this one"
        )
    speeds = {
        "float32": float(row["float32_tflops"]) * 1e12 * REACHED["float32"],
        "bfloat16": float(row["bfloat16_tflops"]) * 1e12 * REACHED["bfloat16"],
        "moved": float(row["moved_gb"]) * 1e9 * REACHED["moved"],
        "calls": LAUNCHED,
        "loaded": DISK,
    }
    memory = int(float(row["memory_gb"]) * 1e9)
    return Machine(row["name"], row["title"], "cuda", memory, None, 1, speeds)


def this(threads: int, folder: Path, anew: bool = True) -> Machine:
    """This machine with so many threads, its disk that of ``folder``. Its speed is measured, for
    some three seconds, and the best that was ever seen is kept in the cache under the processor's
    name: others may be at work. Unless ``anew``, what is kept is enough.

    Where it has a GPU, that is measured.
    """
    import torch

    device = machine.resolve_device("auto")
    name = torch.cuda.get_device_name() if device != "cpu" else provenance.processor_name()
    key = f"{name}, {threads} threads, torch {torch.__version__}"
    speeds = kept.read(kept.speeds()).get(key, {})
    if anew or not speeds:
        now = measured(device, threads)
        speeds = {unit: max(speed, speeds.get(unit, 0.0)) for unit, speed in now.items()}
        kept.speeds().parent.mkdir(parents=True, exist_ok=True)
        every = kept.read(kept.speeds()) | {key: speeds}
        write_whole(kept.speeds(), json.dumps(every, indent=1))
    if device == "cpu":
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    else:
        memory = torch.cuda.get_device_properties(0).total_memory
    kind = device.partition(":")[0]
    return Machine(HERE, name, kind, memory, _free(folder), threads, speeds)


def measured(device: str, threads: int) -> dict[str, float]:
    """Units per second, the best of a few tries: products of matrices, a sum of two vectors, and
    sublayers of a model so small that only calling them takes time."""
    import torch

    def best(units: float, work: Callable[[], object]) -> float:
        times = []
        work()
        for _ in range(AGAIN):
            _finish(device)
            begin = time.perf_counter()
            work()
            _finish(device)
            times.append(time.perf_counter() - begin)
        return units / min(times)

    with machine.threads(threads), torch.inference_mode():
        found = {}
        for dtype in ("float32", "bfloat16"):
            square = torch.ones(SIZE, SIZE, dtype=getattr(torch, dtype), device=device)
            found[dtype] = best(2.0 * SIZE**3, lambda each=square: each @ each)  # type: ignore[misc]
        left, right = torch.ones(2, VALUES, device=device)
        into = torch.empty_like(left)
        found["moved"] = best(3.0 * 4 * VALUES, lambda: torch.add(left, right, out=into))
        narrow, weights = torch.ones(1, 1, 64, device=device), torch.ones(64, 64, device=device)

        def sublayers() -> None:
            state = narrow
            for _ in range(100 * ROUNDS):
                seen = state * torch.rsqrt(state.square().mean(-1, keepdim=True) + 1e-6)
                for _ in range(4):
                    seen = torch.nn.functional.silu(seen @ weights)
                state = state + seen
            _finish(device)

        found["calls"] = best(100, sublayers)
        found["loaded"] = found["moved"] / 8 if device == "cpu" else DISK
    return found


def _finish(device: str) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize()


def _free(folder: Path) -> int:
    here = next(each for each in (folder, *folder.parents) if each.exists())
    found = os.statvfs(here)
    return found.f_bavail * found.f_frsize


def as_json(one: Machine) -> dict[str, object]:
    """What is kept beside coefficients that were fitted on a machine."""
    return {key: value for key, value in asdict(one).items() if key not in ("disk", "name")}


def _rows() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
