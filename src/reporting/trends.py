"""Does a number grow along a text, or is it flat? Slopes within texts, and means of windows.

Tables have ``prompt``, ``seed``, ``step`` and ``value``. A slope is taken within texts, so that
long texts that differ from short ones make no trend. Intervals are over prompts.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from reporting.statistics import Estimate, mean, resampled


@dataclass(frozen=True)
class Trend:
    """Samples (1 + R,), the first of all prompts: the mean, within prompts and then over them,
    and the change of the value per step, one slope for all texts; with the longest text's steps."""

    means: np.ndarray
    slopes: np.ndarray
    steps: int
    prompts: int

    @classmethod
    def of(cls, rows: pd.DataFrame, seed: int) -> "Trend":
        """From rows of a table; a text of one step has a mean and no slope."""
        texts = rows.groupby(["prompt", "seed"], observed=True)
        apart = rows["step"] - texts["step"].transform("mean")
        parts = rows.assign(squares=apart**2, products=apart * rows["value"])
        prompts = parts.groupby("prompt", observed=True)
        found = prompts.agg(
            value=("value", "mean"), products=("products", "sum"), squares=("squares", "sum")
        )
        means, products, squares = resampled(found, seed).T
        slopes = np.full_like(means, np.nan)
        np.divide(products, squares, out=slopes, where=squares > 0)
        return cls(means, slopes, int(rows["step"].max()) + 1, len(found))

    @property
    def mean(self) -> Estimate:
        """The mean."""
        return Estimate.of(self.means, self.prompts)

    @property
    def slope(self) -> Estimate:
        """The change per step."""
        return Estimate.of(self.slopes, self.prompts)

    @property
    def growth(self) -> Estimate:
        """By what share of its mean the value changes from the first step to the last of the
        longest text, along the slope."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share = self.slopes * (self.steps - 1) / np.abs(self.means)
        return Estimate.of(np.where(np.isfinite(share), share, np.nan), self.prompts)


def windows(rows: pd.DataFrame, edges: list[int], seed: int, at: str = "step") -> pd.DataFrame:
    """Means within windows of column ``at``, within each prompt and then over prompts.

    ``edges`` are the first steps of the windows; the last window has no end. Columns: ``x``, the
    mean of ``at``; ``point`` (``steps 8 to 15``), ``mean``, ``low`` and ``high`` (95% bootstrap
    interval, missing with too few prompts) and ``n``, prompts. Empty windows are left out.
    """
    place = np.searchsorted(edges, rows[at].to_numpy(), side="right") - 1
    found = []
    for number in sorted(set(place[place >= 0])):
        part = rows[place == number]
        means = part.groupby("prompt", observed=True)["value"].mean()
        first, last = int(part[at].min()), int(part[at].max())
        found.append(
            {
                "x": float(part[at].mean()),
                "point": f"step {first}" if first == last else f"steps {first} to {last}",
            }
            | mean(means, seed).point
            | {"n": len(means)}
        )
    return pd.DataFrame(found)
