"""Does a sublayer that moves the state little in place also move the model's output little?

Pure functions of ``deviations`` tables. Every number is taken on means over prompts, once on all
prompts and once on each of many samples of prompts drawn anew, which gives its interval.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from reporting.hierarchy import FEWEST_PROMPTS
from reporting.summaries import RESAMPLES

SPACES = ("embedding", "logit", "probability")


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% interval over prompts; no interval with too few prompts."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, samples: np.ndarray, enough: bool) -> "Estimate":
        """From samples (1 + R,): first the number itself, then its resamples."""
        if not enough or not np.isfinite(samples[0]):
            return cls(float(samples[0]))
        low, high = np.nanpercentile(samples[1:], (2.5, 97.5))
        return cls(float(samples[0]), float(low), float(high))

    def text(self, form: str = ".2f") -> str:
        """``0.62 [0.55–0.71]``; a dash where there is no number."""
        if not np.isfinite(self.value):
            return "–"
        if self.low is None:
            return f"{self.value:z{form}}".replace("-", "−")
        value, low, high = (f"{each:z{form}}" for each in (self.value, self.low, self.high))
        join = " to " if low.startswith("-") else "–"
        return f"{value} [{low}{join}{high}]".replace("-", "−")

    def above(self, bound: float) -> bool:
        """Whether the whole interval lies above ``bound``."""
        return self.low is not None and self.low > bound

    def below(self, bound: float) -> bool:
        """Whether the whole interval lies below ``bound``."""
        return self.high is not None and self.high < bound


@dataclass(frozen=True)
class Reach:
    """Mean deviations of every sublayer in place and at the output.

    ``places`` (K rows) holds ``sublayer`` and ``layer``; ``here`` and ``there`` (1 + R, K) are
    means over prompts, the first row over all of them and the others over samples of them.
    """

    places: pd.DataFrame
    here: np.ndarray
    there: np.ndarray
    prompts: int

    @classmethod
    def of(cls, here: pd.DataFrame, there: pd.DataFrame, seed: int) -> "Reach":
        """From rows of ``deviations``, one number per prompt, step and sublayer each: what is
        measured in place and what is measured at the output."""
        tables = _by_prompt(here), _by_prompt(there)
        places = tables[0].index.to_frame(index=False)
        count = tables[0].shape[1]
        draws = np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
        means = [
            np.vstack([table.mean(axis=1), table.to_numpy()[:, draws].mean(axis=-1).T])
            for table in tables
        ]
        return cls(places, means[0], means[1], count)

    def only(self, sublayer: str) -> "Reach":
        """Attention or MLP alone."""
        kept = self.places["sublayer"].eq(sublayer).to_numpy()
        places = self.places[kept].reset_index(drop=True)
        return replace(self, places=places, here=self.here[:, kept], there=self.there[:, kept])

    @property
    def sublayers(self) -> int:
        """Number of sublayers compared."""
        return len(self.places)

    @cached_property
    def ratio(self) -> np.ndarray:
        """Output over in place (1 + R, K): below 1 where the layers above repair. NaN where a
        sublayer does nothing in place."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.here > 0, self.there / self.here, np.nan)

    def least_here(self, count: int) -> pd.DataFrame:
        """``places`` of the ``count`` sublayers that do least in place."""
        return self.places[_lowest(self.here[:1], count)[0]]

    @property
    def correlation(self) -> Estimate:
        """Spearman correlation over sublayers between in place and output."""
        return self._estimate(rank_correlation(self.here, self.there))

    @property
    def amplification(self) -> Estimate:
        """Median over sublayers of output over in place."""
        return self._estimate(np.nanmedian(self.ratio, axis=1))

    @property
    def repaired(self) -> Estimate:
        """Number of sublayers whose deviation is smaller at the output than in place."""
        return self._estimate((self.ratio < 1).sum(axis=1))

    @property
    def trend(self) -> Estimate:
        """Spearman correlation over sublayers between depth and output over in place."""
        depth = np.broadcast_to(self.places["layer"].to_numpy(float), self.ratio.shape)
        return self._estimate(rank_correlation(depth, self.ratio))

    def overlap(self, count: int) -> Estimate:
        """How many of the ``count`` sublayers that do least in place are among the ``count``
        that do least at the output."""
        return self._estimate((_lowest(self.here, count) & _lowest(self.there, count)).sum(axis=1))

    def cost(self, count: int) -> dict[str, float]:
        """Mean deviation at the output of the ``count`` that do least in place (``chosen``), of
        the ``count`` that do least at the output (``best``), and of ``all``."""
        here, there = self.here[:1], self.there[:1]
        return {
            "chosen": float(there[_lowest(here, count)].mean()),
            "best": float(there[_lowest(there, count)].mean()),
            "all": float(there.mean()),
        }

    def table(self) -> pd.DataFrame:
        """One row per sublayer: ``sublayer``, ``layer``, ``layers``, ``here``, ``there``,
        ``ratio`` with its interval ``low`` to ``high`` (the ratio itself with too few prompts),
        and ``n`` prompts."""
        ratio = self.ratio
        edges = np.percentile(ratio[1:], (2.5, 97.5), axis=0)
        low, high = edges if self.prompts >= FEWEST_PROMPTS else (ratio[0], ratio[0])
        return self.places.assign(
            layers=int(self.places["layer"].max()) + 1,
            here=self.here[0],
            there=self.there[0],
            ratio=ratio[0],
            low=low,
            high=high,
            n=self.prompts,
        )

    def _estimate(self, samples: np.ndarray) -> Estimate:
        return Estimate.of(samples, self.prompts >= FEWEST_PROMPTS)


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


def reaches(deviations: pd.DataFrame, lens: str, seed: int) -> dict[str, Reach]:
    """In place beside output by 1 − cos through one lens, in each space, and in the logit space
    once more without the offset that all logits share (``centred logit``)."""
    found = {}
    for name, space, centred in (
        *((space, space, False) for space in SPACES),
        ("centred logit", "logit", True),
    ):
        here, there = (
            _pick(deviations, side, space, lens, "angular", centred)
            for side in ("in_place", "propagated")
        )
        found[name] = Reach.of(here, there, seed)
    return found


def choice(deviations: pd.DataFrame, seed: int) -> Reach:
    """LLM-Drop's importance, 1 − cos of the residual stream before and after a sublayer, beside
    what dropping it costs: KL in nats between the model's own output distributions."""
    here = _pick(deviations, "in_place", "embedding", "raw", "angular")
    return Reach.of(here, _pick(deviations, "propagated", "probability", "normed", "kl"), seed)


def agreement(deviations: pd.DataFrame) -> pd.Series:
    """Share of positions at which the model without a sublayer still prefers the same token,
    averaged within each prompt and then over prompts; indexed by sublayer and layer."""
    rows = _pick(deviations, "propagated", "probability", "normed", "agreement")
    return _by_prompt(rows).mean(axis=1).rename("agreement")


def _pick(
    deviations: pd.DataFrame,
    intervention: str,
    space: str,
    lens: str,
    metric: str,
    centred: bool = False,
) -> pd.DataFrame:
    wanted = {"intervention": intervention, "space": space, "lens": lens, "metric": metric}
    kept = deviations["centred"].eq(centred)
    for column, value in wanted.items():
        kept &= deviations[column].eq(value)
    return deviations[kept]


def _by_prompt(rows: pd.DataFrame) -> pd.DataFrame:
    """Means within each prompt: sublayers (index: sublayer, layer) × prompts."""
    keys = ["sublayer", "layer", "prompt"]
    text = rows.assign(sublayer=rows["sublayer"].astype(str), prompt=rows["prompt"].astype(str))
    return text.groupby(keys)["value"].mean().unstack("prompt")


def _lowest(values: np.ndarray, count: int) -> np.ndarray:
    """Mask (R, K) of the ``count`` smallest of each row of values (R, K), ties by lower index."""
    places = np.argsort(values, axis=1, kind="stable")[:, :count]
    mask = np.zeros(values.shape, bool)
    np.put_along_axis(mask, places, True, axis=1)
    return mask
