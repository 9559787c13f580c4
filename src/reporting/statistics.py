"""How sure is a number? One estimate, one bootstrap over prompts, one rank correlation.

Prompts (or questions) are drawn anew, never steps or layers: those of one text are not independent.
Intervals of shares and of paired scores in closed form are in :mod:`helpers.evaluation.paired`.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

RESAMPLES = 2000
FEWEST = 5  # prompts, below which a bootstrap over them says nothing and no claim is judged
AT_ONCE = 200  # samples drawn at the same time, to bound memory


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% interval, and how many prompts or questions are behind it.

    ``low`` and ``high`` are None where there is no interval: with too few prompts, or of a number
    that was reported.
    """

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None

    @classmethod
    def of(cls, samples: np.ndarray, n: int, fewest: int = FEWEST) -> "Estimate":
        """From ``samples`` (1 + R,): first the number itself, then its resamples. Percentile
        interval; none with fewer than ``fewest`` prompts."""
        if n < fewest or not np.isfinite(samples[0]):
            return cls(float(samples[0]), n=n)
        low, high = np.nanpercentile(samples[1:], (2.5, 97.5))
        return cls(float(samples[0]), float(low), float(high), n)

    @property
    def point(self) -> dict[str, float | None]:
        """What a figure draws of it: ``mean``, ``low`` and ``high`` (NaN without an interval), and
        ``n``."""
        low, high = (np.nan if end is None else end for end in (self.low, self.high))
        return {"mean": self.value, "low": low, "high": high, "n": self.n}

    def widened(self, room: float, least: float = -np.inf, most: float = np.inf) -> "Estimate":
        """Where all samples are alike, ``room`` to either side, from ``least`` to ``most``: they
        tell of no doubt that there is. By the rule of three, 3 in n may be otherwise."""
        if self.low is None or self.low != self.high:
            return self
        ends = max(self.value - room, least), min(self.value + room, most)
        return Estimate(self.value, *ends, self.n)

    def text(self, form: str = ".2f") -> str:
        """``0.62 [0.55–0.71]``; a dash where there is no number."""
        if not np.isfinite(self.value):
            return "–"
        if self.low is None:
            return f"{self.value:z{form}}".replace("-", "−")
        value, low, high = (f"{each:z{form}}" for each in (self.value, self.low, self.high))
        join = " to " if low.startswith("-") else "–"
        return f"{value} [{low}{join}{high}]".replace("-", "−")

    def __str__(self) -> str:
        return self.text()

    def above(self, bound: float) -> bool:
        """Whether the whole interval lies above ``bound``."""
        return self.low is not None and self.low > bound

    def below(self, bound: float) -> bool:
        """Whether the whole interval lies below ``bound``."""
        return self.high is not None and self.high < bound

    def within(self, low: float = -np.inf, high: float = np.inf) -> bool | None:
        """Whether the whole interval lies between ``low`` and ``high``: True; wholly outside:
        False; None where the interval does not decide, or there is none."""
        if self.low is None or self.high is None:
            return None
        if self.above(low) and self.below(high):
            return True
        return None if self.high > low and self.low < high else False


def resampled(values: np.ndarray | pd.DataFrame, seed: int | list[int]) -> np.ndarray:
    """Means (1 + R, …) of ``values`` (N, …) over the first axis: first over all N prompts, then
    over R samples of N of them with replacement. Missing values are left out; NaN where a sample
    has no other."""
    table = np.asarray(values, dtype=float)
    draws = np.random.default_rng(seed).integers(len(table), size=(RESAMPLES, len(table)))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice")
        parts = [np.nanmean(table, axis=0, keepdims=True), *_means(table, draws)]
    return np.concatenate(parts)


def _means(table: np.ndarray, draws: np.ndarray) -> Iterator[np.ndarray]:
    for begin in range(0, len(draws), AT_ONCE):
        yield np.nanmean(table[draws[begin : begin + AT_ONCE]], axis=1)


def counted(by_prompt: np.ndarray | pd.DataFrame) -> int:
    """Prompts (rows) that have a value."""
    table = np.atleast_2d(np.asarray(by_prompt, dtype=float).T).T
    return int(np.isfinite(table).any(axis=1).sum())


def mean(by_prompt: np.ndarray | pd.Series | pd.DataFrame, seed: int) -> Estimate:
    """The mean over prompts of one number each (N,), with its interval; NaN if none has any."""
    values = np.asarray(by_prompt, dtype=float).reshape(len(by_prompt))
    if not np.isfinite(values).any():
        return Estimate(float("nan"), n=0)
    return Estimate.of(resampled(values, seed), counted(values))


def over_prompts(rows: pd.DataFrame, seed: int, column: str = "value") -> Estimate:
    """The mean of a ``column`` of tidy rows, within each ``prompt`` first and then over prompts,
    of those that have a value."""
    return mean(rows.groupby("prompt", observed=True)[column].mean().dropna(), seed)


def mean_right(above: np.ndarray, chance: float, seed: int) -> Estimate:
    """The mean of answers, right or wrong, ``above`` guessing (N,): 1 if right, and if wrong as far
    below 0 as ``chance`` makes it; never certain (:meth:`Estimate.widened`)."""
    step = 1 / (1 - chance)
    return mean(above, seed).widened(3 / max(len(above), 1) * step, least=1 - step, most=1.0)


def ratio(by_prompt: pd.DataFrame, above: str, below: str, seed: int) -> Estimate:
    """Mean of column ``above`` over mean of column ``below``, over the prompts that have both."""
    both = by_prompt[[above, below]].dropna()
    if both.empty:
        return Estimate(float("nan"), n=0)
    means = resampled(both, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Estimate.of(means[:, 0] / means[:, 1], counted(both))


def rank_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's correlation along the last axis of a and b (R, K), as (R,); ties share their
    mean rank, and columns where either is missing are left out. NaN where all are tied."""
    missing = ~(np.isfinite(a) & np.isfinite(b))
    ranks = [
        pd.DataFrame(np.where(missing, np.nan, values)).rank(axis=1).to_numpy() for values in (a, b)
    ]
    x, y = (rank - np.nanmean(rank, axis=1, keepdims=True) for rank in ranks)
    with np.errstate(invalid="ignore", divide="ignore"):
        result: np.ndarray = np.nansum(x * y, axis=1) / np.sqrt(
            np.nansum(x * x, axis=1) * np.nansum(y * y, axis=1)
        )
    return result
