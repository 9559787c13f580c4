"""How much of a score above chance does a pruned model keep? Means, and samples of questions."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from helpers.evaluation.paired import FEWEST
from reporting.reach import Estimate
from reporting.summaries import RESAMPLES

AT_ONCE = 200  # samples drawn at the same time
SCORE = ["task", "form", "metric"]


@dataclass(frozen=True)
class Kept:
    """Scores above chance of a dense and a pruned model, averaged over ``scores`` of one kind.

    ``means`` (2, 1 + R) are those averages, dense then pruned: first over all questions, then over
    R samples of them. Questions are drawn anew within each task, the same ones for both models and
    for all scores of a task. ``fewest`` is the number of questions of the smallest score.
    ``unseen`` is how far those averages may be off where no answer of n changes: by the rule of
    three, as if 3 in n did.
    """

    scores: int
    items: int
    fewest: int
    means: np.ndarray
    unseen: float

    @classmethod
    def of(cls, items: pd.DataFrame, seed: int) -> "Kept":
        """From rows with ``task``, ``form``, ``metric``, ``item``, ``chance``, and what both
        models' answers score (``dense``, ``pruned``); at least one."""
        parts = [part.sort_values("item") for _, part in items.groupby(SCORE, observed=True)]
        found = []
        for part in parts:
            chance = part["chance"].to_numpy(float)[:, None]
            corrected = (part[["dense", "pruned"]].to_numpy(float) - chance) / (1 - chance)
            task = zlib.crc32(str(part["task"].iloc[0]).encode())
            found.append(resampled(corrected, np.random.default_rng([seed, task])).T)
        sizes = [len(part) for part in parts]
        unseen = np.mean([3 / len(part) / (1 - part["chance"].mean()) for part in parts])
        return cls(len(parts), sum(sizes), min(sizes), np.mean(found, axis=0), float(unseen))

    @property
    def dense(self) -> float:
        """The dense model's average above chance."""
        return float(self.means[0, 0])

    @property
    def pruned(self) -> float:
        """The pruned model's average above chance."""
        return float(self.means[1, 0])

    @cached_property
    def ratio(self) -> np.ndarray:
        """Pruned over dense (1 + R,); NaN where a sample's dense average is not above chance."""
        old, new = self.means
        return np.divide(new, old, out=np.full(len(new), np.nan), where=old > 0)

    @property
    def share(self) -> Estimate:
        """Pruned over dense, with its interval. Where no answer changes, samples do not differ, and
        the interval is that of ``unseen``."""
        return _with_room(Estimate.of(self.ratio, self.fewest >= FEWEST), self._room)

    def more_than(self, other: "Kept") -> Estimate:
        """How much larger the share is than that of ``other``, with an interval alike."""
        enough = min(self.fewest, other.fewest) >= FEWEST
        found = Estimate.of(self.ratio - other.ratio, enough)
        return _with_room(found, self._room + other._room)

    @property
    def _room(self) -> float:
        return self.unseen / self.dense if self.dense > 0 else 0.0


def _with_room(found: Estimate, room: float) -> Estimate:
    """The estimate, with ``room`` to either side if its interval has no width."""
    if found.low is None or found.low != found.high:
        return found
    return Estimate(found.value, found.value - room, found.value + room)


def resampled(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Means (1 + R, K) of ``values`` (N, K) over rows: first over all, then over R samples of N
    rows with replacement."""
    return np.concatenate([values.mean(axis=0, keepdims=True), *_samples(values, generator)])


def _samples(values: np.ndarray, generator: np.random.Generator) -> Iterator[np.ndarray]:
    for begin in range(0, RESAMPLES, AT_ONCE):
        size = (min(AT_ONCE, RESAMPLES - begin), len(values))
        yield values[generator.integers(len(values), size=size)].mean(axis=1)
