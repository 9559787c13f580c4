"""Means over prompts, once over all of them and once over each of many samples drawn anew."""

import warnings
from collections.abc import Iterable

import numpy as np
import pandas as pd

from reporting.hierarchy import FEWEST_PROMPTS
from reporting.reach import Estimate
from reporting.summaries import RESAMPLES

FLOOR = 0.1  # mean probability cosine at the first step below which nothing is left to lose


def resampled(by_prompt: pd.DataFrame, seed: int) -> np.ndarray:
    """Means (1 + R, K) of ``by_prompt`` (prompts × K): first over all prompts, then over R samples
    of them with replacement. Prompts, not steps, are drawn: steps of one text are not independent.
    Missing values are left out; NaN where a sample has no other.
    """
    values = by_prompt.to_numpy(float)
    draws = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice")
        first = np.nanmean(values, axis=0, keepdims=True)
        return np.concatenate([first, np.nanmean(values[draws], axis=1)])


def counted(by_prompt: pd.DataFrame) -> bool:
    """Whether there are enough prompts, with a value each, for an interval."""
    return bool(by_prompt.notna().any(axis=1).sum() >= FEWEST_PROMPTS)


def estimate(by_prompt: pd.DataFrame, seed: int) -> Estimate:
    """The mean of one column over prompts, with its interval."""
    return Estimate.of(resampled(by_prompt, seed)[:, 0], counted(by_prompt))


def judged(found: Iterable[Estimate], low: float = -np.inf, high: float = np.inf) -> str:
    """``held`` if every whole interval lies between ``low`` and ``high``, ``partly`` if some do;
    ``not`` if none does and some lie wholly outside; ``open`` if no interval decides."""
    given = [one for one in found if one.low is not None]
    if not given:
        return "too few prompts"
    inside = [one.above(low) and one.below(high) for one in given]
    if any(inside):
        return "held" if all(inside) else "partly"
    outside = any(not reaches(one, low, high) for one in given)
    return "not" if outside else "open"


def reaches(one: Estimate, low: float = -np.inf, high: float = np.inf) -> bool:
    """Whether any of the interval lies strictly between ``low`` and ``high``."""
    return one.low is None or one.high is None or (one.high > low and one.low < high)


def ratio(by_prompt: pd.DataFrame, above: str, below: str, seed: int) -> Estimate:
    """Mean of column ``above`` over mean of column ``below``, over the prompts that have both."""
    both = by_prompt[[above, below]].dropna()
    if both.empty:
        return Estimate(float("nan"))
    means = resampled(both, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Estimate.of(means[:, 0] / means[:, 1], counted(both))
