"""Time and peak memory of two ways to do one thing, measured in turns."""

import contextlib
import ctypes
import gc
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self

import psutil


@dataclass(frozen=True)
class Result:
    """One benchmark: seconds of ours, of the baseline and of the floor (what no way can beat,
    such as the bare matrix product), ``ratio`` = baseline / ours, and the extra memory of ours
    and of the baseline."""

    name: str
    ours_s: float
    baseline_s: float | None
    ratio: float | None
    floor_s: float | None
    peak_mb: float
    baseline_peak_mb: float | None = None

    def row(self) -> dict[str, object]:
        """As written to ``build/bench.json``."""
        return asdict(self)


class PeakMemory:
    """Largest resident memory above that at the start, sampled every few milliseconds."""

    def __enter__(self) -> Self:
        self._process = psutil.Process()
        self._start = self._process.memory_info().rss
        self.bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.005):
            self.bytes = max(self.bytes, self._process.memory_info().rss - self._start)


def compare(
    name: str,
    ours: Callable[[], object],
    baseline: Callable[[], object] | None = None,
    floor: Callable[[], object] | None = None,
    *,
    repeats: int = 3,
    baseline_share: float = 1.0,
    clock: Callable[[], float] = time.perf_counter,
) -> Result:
    """Medians over ``repeats`` rounds, each of which runs every way once, by ``clock``.

    ``baseline_share`` is the part of the work that the baseline did, for baselines too slow to
    run whole; its time is divided by it.
    """
    ways = {"ours": ours, "baseline": baseline, "floor": floor}
    seconds: dict[str, list[float]] = {key: [] for key, way in ways.items() if way}
    peaks: dict[str, float] = {}
    for _ in range(repeats):
        for key, way in ways.items():
            if way is not None:
                give_memory_back()
                with PeakMemory() as peak:
                    begin = clock()
                    way()
                    seconds[key].append(clock() - begin)
                peaks[key] = max(peaks.get(key, 0.0), peak.bytes / 2**20)
    middle = {key: statistics.median(values) for key, values in seconds.items()}
    slow = middle["baseline"] / baseline_share if baseline else None
    return Result(
        name=name,
        ours_s=middle["ours"],
        baseline_s=slow,
        ratio=slow / middle["ours"] if slow else None,
        floor_s=middle.get("floor"),
        peak_mb=peaks["ours"],
        baseline_peak_mb=peaks.get("baseline"),
    )


def give_memory_back() -> None:
    """Return freed memory to the system, so that a peak is that of the way measured."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
