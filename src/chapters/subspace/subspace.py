"""How stable is the choice among options, beside other sets of tokens? From table ``subsets``.

Numbers are means within each family of questions, then over families; intervals come from
families drawn anew, since questions of one family are alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
import pandas as pd

from reporting.reach import Estimate
from reporting.resampling import counted, estimate, resampled

SETS = {
    "options": "options",
    "answers": "answers of the family",
    "matched": "next to them in rank",
    "same_gaps": "elsewhere, same gaps",
    "random": "random tokens",
    "top": "likeliest four",
    "vocabulary": "whole vocabulary",
}
FOUR = ("options", "matched", "same_gaps", "random")  # as many tokens as options, one by one
BINS = 4


@dataclass(frozen=True)
class Subsets:
    """All sets of one setting and form: one row per question, set and draw, with a column for
    each metric. ``bands`` are sets by rank, ``changes`` (questions × places) what pruning adds to
    each option beside the mean of all."""

    rows: pd.DataFrame
    bands: pd.DataFrame
    changes: pd.DataFrame
    seed: int

    @classmethod
    def of(cls, table: pd.DataFrame, form: str, seed: int) -> "Subsets":
        """From a ``subsets`` table, the questions asked in one form."""
        part = table[table["form"] == form].astype(
            {"family": str, "item": str, "set": str, "band": str, "metric": str}
        )
        single = part["metric"] == "change"
        changes = part[single].pivot(index=["family", "item"], columns="draw", values="value")
        keys = ["family", "item", "set", "band", "draw", "size"]
        wide = part[~single].pivot(index=keys, columns="metric", values="value").reset_index()
        wide = wide.rename_axis(columns=None)
        banded = wide["set"] == "band"
        rows, bands = (wide[each].reset_index(drop=True) for each in (~banded, banded))
        return cls(rows, bands, changes, seed)

    @property
    def items(self) -> int:
        """Number of questions."""
        return self.rows["item"].nunique()

    @property
    def families(self) -> list[str]:
        """Families of the questions."""
        return sorted(self.rows["family"].unique())

    def has(self, name: str) -> bool:
        """Whether there is such a set in any question."""
        return name in self.by_item["survived"]

    @cached_property
    def by_item(self) -> pd.DataFrame:
        """Means over draws: questions (index family, item) × (metric, set)."""
        rows = self.rows.assign(noise2=self.rows["noise"] ** 2)
        means = rows.drop(columns=["band", "draw"]).groupby(["family", "item", "set"]).mean()
        return means.unstack("set")

    def mean(self, metric: str, name: str = "options") -> Estimate:
        """A metric of one set of tokens."""
        return estimate(_families(self.by_item[[(metric, name)]]), self.seed)

    def noise(self, name: str = "options") -> Estimate:
        """Noise of one set in logits: root of the mean square."""
        samples = resampled(_families(self.by_item[[("noise2", name)]]), self.seed)[:, 0]
        return Estimate.of(np.sqrt(samples), self._enough)

    def noise_ratio(self, name: str) -> Estimate:
        """Noise of the options over that of another set."""
        pair = _families(self.by_item[[("noise2", "options"), ("noise2", name)]].dropna())
        means = resampled(pair, self.seed)
        return Estimate.of(np.sqrt(means[:, 0] / means[:, 1]), self._enough)

    def difference(self, metric: str, name: str) -> Estimate:
        """A metric of the options minus that of another set, question by question."""
        gap = self.by_item[metric, "options"] - self.by_item[metric, name]
        return estimate(_families(gap.dropna().to_frame()), self.seed)

    def wide_and_narrow(self, name: str = "options") -> Estimate:
        """Survival of the sets with more than the median gap of their family minus that of the
        others: families differ in their gaps, and in more."""
        rows = self.rows[self.rows["set"] == name].set_index("family")
        wide = rows["gap"] > rows.groupby(level="family")["gap"].transform("median")
        survived = rows["survived"]
        halves = pd.DataFrame({"wide": survived.where(wide), "narrow": survived.where(~wide)})
        means = resampled(_families(halves), self.seed)
        return Estimate.of(means[:, 0] - means[:, 1], self._enough)

    def common(self) -> Estimate:
        """Share of the change among options that is the same in every question: squared length of
        its mean over questions, by place, over the mean squared length."""
        squares = self.changes.pow(2).sum(axis=1).to_frame("all")
        means = resampled(_families(self.changes.join(squares)), self.seed)
        return Estimate.of((means[:, :-1] ** 2).sum(axis=1) / means[:, -1], self._enough)

    def predicted(self, name: str = "options") -> float:
        """How often a Gaussian noise of the set's own size would leave the best token ahead of the
        second: the mean of Φ(gap / (√2 noise))."""
        level = self.noise(name).value * np.sqrt(2)
        rows = self.rows[self.rows["set"] == name]
        law = NormalDist()
        kept = [law.cdf(gap / level) if level else 1.0 for gap in rows["gap"]]
        return float(_families(rows.assign(kept=kept).set_index("family")[["kept"]]).mean().item())

    def curve(self) -> pd.DataFrame:
        """Survival by gap over noise, for the sets of ``FOUR``, in ``BINS`` equal parts of each:
        ``series``, ``x`` (mean of the part), ``mean``, ``low`` and ``high`` (interval over
        families, missing where a part has too few of them) and ``n`` sets."""
        found = []
        for name in FOUR:
            rows = self.rows[self.rows["set"] == name]
            level = self.noise(name).value
            if rows.empty or not level > 0:
                continue
            x = rows["gap"] / level
            bins = pd.qcut(x.rank(method="first"), min(BINS, len(x)))
            for _, part in rows.assign(x=x).groupby(bins, observed=True):
                survived = estimate(_families(part.set_index("family")[["survived"]]), self.seed)
                nothing = float("nan")
                found.append(
                    {
                        "series": SETS[name],
                        "x": part["x"].mean(),
                        "mean": survived.value,
                        "low": nothing if survived.low is None else survived.low,
                        "high": nothing if survived.high is None else survived.high,
                        "n": len(part),
                    }
                )
        columns = ["series", "x", "mean", "low", "high", "n"]
        return pd.DataFrame(found, columns=columns)

    def band_ratio(self, metric: str, band: str) -> Estimate:
        """``noise`` or ``moved`` of a band of dense ranks, over that of the first band."""
        means = resampled(self._banded(metric)[[self.band_names[0], band]], self.seed)
        ratio = means[:, 1] / means[:, 0]
        return Estimate.of(np.sqrt(ratio) if metric == "noise" else ratio, self._enough)

    @property
    def band_names(self) -> list[str]:
        """Bands from the likeliest tokens down."""
        names = self.bands["band"].unique()
        return sorted(names, key=first_rank)

    def _banded(self, metric: str) -> pd.DataFrame:
        values = self.bands[metric] ** (2 if metric == "noise" else 1)
        return self.bands.assign(value=values).pivot_table(
            index="family", columns="band", values="value"
        )

    @property
    def _enough(self) -> bool:
        return counted(_families(self.by_item[[("gap", "options")]]))


def first_rank(band: str) -> int:
    """The likeliest rank of a band, from 1.

    >>> first_rank("1,000–9,999")
    1000
    """
    return int(band.partition("–")[0].replace(",", ""))


def band_frame(found: Mapping[str, Subsets]) -> pd.DataFrame:
    """Noise and mean |Δp| by dense rank relative to the first band, one row per setting, band and
    metric: ``setting``, ``band``, ``metric``, ``rank`` (geometric middle), ``mean``, ``low``,
    ``high``, ``n`` questions."""
    rows = []
    for setting, one in found.items():
        for band in one.band_names:
            ends = [int(end.replace(",", "")) for end in band.split("–")]
            for metric in ("noise", "moved"):
                ratio = one.band_ratio(metric, band)
                rows.append(
                    {
                        "setting": setting,
                        "band": band,
                        "metric": metric,
                        "rank": float(np.sqrt(ends[0] * ends[1])),
                        "mean": ratio.value,
                        "low": ratio.low,
                        "high": ratio.high,
                        "n": one.items,
                    }
                )
    return pd.DataFrame(rows)


def _families(frame: pd.DataFrame) -> pd.DataFrame:
    """Means within families: families × columns."""
    return frame.groupby(level="family").mean()
