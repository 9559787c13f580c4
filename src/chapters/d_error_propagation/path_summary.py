"""By which path does an upstream error enter an attention? From ``paths`` tables to numbers.

Pure functions of frames, one frame for each pruned model. Each number is a mean within each prompt
first and over prompts then.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch

from helpers import theory
from helpers.theory.attention_paths import PATHS
from reporting.reach import Estimate
from reporting.resampling import counted, resampled

NAMES = {"value": "values", "weight": "weights", "remainder": "remainder"}
SMALL = 2.0**-4  # up to here the largest term of an expansion rules
KEYS = ["layer", "cause", "term", "metric"]


@dataclass(frozen=True)
class Paths:
    """The table ``paths`` of one pruned model; intervals are drawn with ``seed``."""

    table: pd.DataFrame
    seed: int

    @cached_property
    def means(self) -> pd.DataFrame:
        """Means within each prompt at full size: prompts × (layer, cause, term, metric). Layers
        that nothing upstream reaches are left out."""
        whole = self.table[self.table["scale"] == 1]
        text = whole.assign(**{name: whole[name].astype(str) for name in ("prompt", *KEYS[1:])})
        wide = text.groupby([*KEYS, "prompt"])["value"].mean().unstack(KEYS)
        changed = wide.xs(("inputs", "change", "size"), axis=1, level=KEYS[1:]).mean() > 0
        kept = wide.columns.get_level_values("layer").isin(changed.index[changed])
        return wide.loc[:, kept]

    @property
    def layers(self) -> list[int]:
        """Layers whose attention is there and reads something else than in the dense model."""
        return sorted(set(self.means.columns.get_level_values("layer")))

    @property
    def own(self) -> bool:
        """Whether the attention's own parameters were pruned too."""
        return bool(self.samples("change", "size", "parameters")[0].any())

    def samples(self, term: str, metric: str, cause: str = "inputs") -> np.ndarray:
        """Means over prompts (1 + R, layers), see :func:`reporting.resampling.resampled`."""
        part = self.means.xs((cause, term, metric), axis=1, level=KEYS[1:])
        return resampled(part.reindex(columns=self.layers), self.seed)

    def at(self, layer: int, term: str, metric: str, cause: str = "inputs") -> Estimate:
        """One number of one layer."""
        return self._estimate(self.samples(term, metric, cause)[:, self.layers.index(layer)])

    def median(self, term: str, metric: str, cause: str = "inputs") -> Estimate:
        """Median over layers."""
        return self._estimate(_median(self.samples(term, metric, cause)))

    @property
    def missed(self) -> np.ndarray:
        """What the first order misses (1 + R, layers): length of the remainder over that of the
        whole change."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found: np.ndarray = self.samples("remainder", "size") / self.samples("change", "size")
        return found

    def missed_at(self, layer: int) -> Estimate:
        """What the first order misses at one layer."""
        return self._estimate(self.missed[:, self.layers.index(layer)])

    @property
    def missed_median(self) -> Estimate:
        """What the first order misses, median over layers."""
        return self._estimate(_median(self.missed))

    @property
    def by_values(self) -> Estimate:
        """Share of the layers where the values account for more of the change than the weights."""
        more = self.samples("value", "share") > self.samples("weight", "share")
        return self._estimate(more.mean(axis=1))

    @property
    def dominant(self) -> Estimate:
        """Share of the layers where the remainder is shorter than each of the two paths."""
        rest = self.samples("remainder", "size")
        paths = [self.samples(path, "size") for path in PATHS[:2]]
        return self._estimate(((rest < paths[0]) & (rest < paths[1])).mean(axis=1))

    @property
    def from_first(self) -> tuple[int, float]:
        """The layer where the first token's value accounts for most of the change, and its share
        there, mean over prompts."""
        share = self.samples("value", "first")[0]
        place = int(np.nanargmax(share))
        return self.layers[place], float(share[place])

    def _estimate(self, samples: np.ndarray) -> Estimate:
        return Estimate.of(samples, counted(self.means))


def by_depth(found: dict[str, Paths]) -> pd.DataFrame:
    """Shares of the three terms at every layer, for ``figures.step_series``: columns ``panel`` (the
    pruned model), ``series``, ``step`` (the layer), ``mean``, ``low`` and ``high`` (prompts) and
    ``n``.
    """
    parts = []
    for name, one in found.items():
        for term, label in NAMES.items():
            part = one.means.xs(("inputs", term, "share"), axis=1, level=KEYS[1:])
            line = part.agg(["mean", "min", "max", "count"]).T
            line.columns = pd.Index(["mean", "low", "high", "n"])
            line = line.rename_axis("step").reset_index()
            parts.append(line.assign(panel=name, series=label, space="embedding"))
    return pd.concat(parts, ignore_index=True)


def scaled(found: dict[str, Paths]) -> pd.DataFrame:
    """Length of each term as the change of the inputs is scaled, for ``figures.error_orders``:
    columns ``state`` (the pruned model), ``path``, ``size``, ``error``, ``order``, ``slope``."""
    parts = []
    for name, one in found.items():
        table = one.table
        rows = table[(table["cause"] == "inputs") & (table["metric"] == "size")]
        layers = rows.loc[rows["scale"] < 1, "layer"].unique()
        rows = rows[rows["layer"].isin(layers) & rows["term"].isin(PATHS)]
        grouped = rows.assign(term=rows["term"].astype(str)).groupby(["term", "scale"])["value"]
        lengths = grouped.mean().unstack("term")
        if lengths.empty or not (lengths > 0).all(axis=None):
            continue
        small = lengths[lengths.index <= SMALL]
        for term, label in NAMES.items():
            parts.append(
                pd.DataFrame(
                    {
                        "state": name,
                        "path": label,
                        "size": lengths.index,
                        "error": lengths[term].to_numpy(),
                        "order": 2 if term == "remainder" else 1,
                        "slope": theory.order(_tensor(small.index), _tensor(small[term])),
                    }
                )
            )
    columns = ["state", "path", "size", "error", "order", "slope"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _tensor(values: pd.Series | pd.Index) -> torch.Tensor:
    return torch.tensor(values.to_numpy(float))


def _median(samples: np.ndarray) -> np.ndarray:
    middle: np.ndarray = np.nanmedian(samples, axis=1)
    return middle
