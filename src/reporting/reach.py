"""What other modules still ask of this one, until they ask :mod:`reporting.statistics`."""

from dataclasses import dataclass

import numpy as np

from reporting import statistics
from reporting.statistics import rank_correlation

__all__ = ["Estimate", "rank_correlation"]


@dataclass(frozen=True)
class Estimate(statistics.Estimate):
    """The estimate whose ``of`` takes whether there are enough prompts, not how many."""

    @classmethod
    def of(cls, samples: np.ndarray, enough: bool) -> "Estimate":  # type: ignore[override]
        """From samples (1 + R,): first the number itself, then its resamples."""
        if not enough or not np.isfinite(samples[0]):
            return cls(float(samples[0]))
        low, high = np.nanpercentile(samples[1:], (2.5, 97.5))
        return cls(float(samples[0]), float(low), float(high))
