"""How stable is the choice among options, beside other sets of tokens? From table ``subsets``.

Numbers are means within each family of questions, then over families; intervals come from
families drawn anew, since questions of one family are alike.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from reporting.claims import OURS, Claim
from reporting.figures import Reference
from reporting.statistics import Estimate, counted, resampled
from reporting.words import percent

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
TAIL = 0.01  # options lie in the tail if they hold less than this together
CHANCE = 0.25
MOVES = {"noise": "In logits", "moved": "In probabilities"}
_X = tuple(0.1 * step for step in range(61))
LAW = Reference(
    x=_X, y=tuple(NormalDist().cdf(x / 2**0.5) for x in _X), label="two tokens, Gaussian noise"
)


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

    def _estimate(
        self,
        values: pd.DataFrame,
        combine: Callable[[np.ndarray], np.ndarray] = lambda means: means[:, 0],
    ) -> Estimate:
        """From values by family (index) and column: means within families, then over families
        (1 + R, columns), combined to one number."""
        families = values.dropna(how="all").groupby(level="family").mean()
        if families.empty:
            return Estimate(float("nan"), n=0)
        return Estimate.of(combine(resampled(families, self.seed)), counted(families))

    def _columns(self, metric: str, *names: str) -> pd.DataFrame:
        """A metric of some sets, question by question; of a set that there is not, missing."""
        wanted = pd.MultiIndex.from_product([[metric], names])
        return self.by_item.reindex(columns=wanted)[metric]

    def mean(self, metric: str, name: str = "options") -> Estimate:
        """A metric of one set of tokens."""
        return self._estimate(self._columns(metric, name))

    def noise(self, name: str = "options") -> Estimate:
        """Noise of one set in logits: root of the mean square."""
        return self._estimate(self._columns("noise2", name), lambda means: np.sqrt(means[:, 0]))

    def noise_ratio(self, name: str) -> Estimate:
        """Noise of the options over that of another set."""
        pair = self._columns("noise2", "options", name).dropna()
        return self._estimate(pair, lambda means: np.sqrt(means[:, 0] / means[:, 1]))

    def difference(self, metric: str, name: str) -> Estimate:
        """A metric of the options minus that of another set, question by question."""
        pair = self._columns(metric, "options", name)
        return self._estimate((pair["options"] - pair[name]).to_frame())

    def wide_and_narrow(self, name: str = "options") -> Estimate:
        """Survival of the sets with more than the median gap of their family minus that of the
        others: families differ in their gaps, and in more."""
        rows = self.rows[self.rows["set"] == name].set_index("family")
        wide = rows["gap"] > rows.groupby(level="family")["gap"].transform("median")
        survived = rows["survived"]
        halves = pd.DataFrame({"wide": survived.where(wide), "narrow": survived.where(~wide)})
        return self._estimate(halves, lambda means: means[:, 0] - means[:, 1])

    def common(self) -> Estimate:
        """Share of the change among options that is the same in every question: squared length of
        its mean over questions, by place, over the mean squared length."""
        squares = self.changes.pow(2).sum(axis=1).to_frame("all")
        return self._estimate(
            self.changes.join(squares), lambda means: (means[:, :-1] ** 2).sum(1) / means[:, -1]
        )

    def predicted(self, name: str = "options") -> float:
        """How often a Gaussian noise of the set's own size would leave the best token ahead of the
        second: the mean of Φ(gap / (√2 noise))."""
        level = self.noise(name).value * np.sqrt(2)
        gaps = self.rows[self.rows["set"] == name].set_index("family")["gap"]
        kept = gaps.map(lambda gap: NormalDist().cdf(gap / level) if level else 1.0)
        return self._estimate(kept.to_frame()).value

    @property
    def band_names(self) -> list[str]:
        """Bands of dense ranks from the likeliest tokens down, such as ``1–9``."""
        return sorted(self.bands["band"].unique(), key=lambda band: ends(band)[0])

    def band_ratio(self, metric: str, band: str, over: str) -> Estimate:
        """``noise`` or ``moved`` of a band of dense ranks, over that of another."""
        power = 2 if metric == "noise" else 1
        values = self.bands.assign(value=self.bands[metric] ** power)
        wide = values.pivot_table(index="family", columns="band", values="value")
        pair = pd.concat([wide[band], wide[over]], axis=1)
        return self._estimate(pair, lambda means: (means[:, 0] / means[:, 1]) ** (1 / power))

    @property
    def tail_noise(self) -> Estimate:
        """Noise of the least likely tokens over that of the likeliest."""
        return self.band_ratio("noise", self.band_names[-1], over=self.band_names[0])

    @property
    def top_moved(self) -> Estimate:
        """Mean |Δp| of the likeliest tokens over that of the least likely."""
        return self.band_ratio("moved", self.band_names[0], over=self.band_names[-1])

    @property
    def above_chance(self) -> bool:
        """Whether the dense model's choice is shown to be right more often than by chance."""
        return self.mean("right").above(CHANCE)


Found = Mapping[str, Subsets]


def ends(band: str) -> tuple[int, int]:
    """The first and last rank of a band, from 1.

    >>> ends("1,000–9,999")
    (1000, 9999)
    """
    first, last = (int(end.replace(",", "")) for end in band.split("–"))
    return first, last


def gap_frame(by_form: Mapping[str, Subsets]) -> pd.DataFrame:
    """Survival by gap over noise, for the sets of ``FOUR``, in ``BINS`` equal parts of each, a
    panel for each form: for ``figures.lines``."""
    rows = []
    for panel, one in by_form.items():
        for name in FOUR:
            sets = one.rows[one.rows["set"] == name]
            level = one.noise(name).value if len(sets) else 0.0
            if not level > 0:
                continue
            x = sets["gap"] / level
            parts = pd.qcut(x.rank(method="first"), min(BINS, len(x)))
            for _, part in sets.assign(x=x).groupby(parts, observed=True):
                survived = one._estimate(part.set_index("family")[["survived"]])
                rows.append(
                    {
                        "panel": panel,
                        "series": SETS[name],
                        "space": "probability" if name == "options" else "dense",
                        "x": part["x"].mean(),
                    }
                    | survived.point
                    | {"n": len(part)}
                )
    return pd.DataFrame(rows)


def band_frame(found: Found) -> pd.DataFrame:
    """Noise and mean |Δp| by dense rank relative to the first band, a panel for each and a line for
    each pruned model: for ``figures.lines``."""
    rows = []
    for setting, one in found.items():
        for metric, space in zip(MOVES, ("logit", "probability"), strict=True):
            for band in one.band_names:
                ratio = one.band_ratio(metric, band, over=one.band_names[0])
                rows.append(
                    {
                        "panel": MOVES[metric],
                        "series": setting,
                        "space": space,
                        "x": math.sqrt(math.prod(ends(band))),
                        "point": f"ranks {band}",
                    }
                    | ratio.point
                    | {"n": one.items}
                )
    return pd.DataFrame(rows)


def survival_table(found: Found) -> pd.DataFrame:
    """How often the best token of each set stays the best, one row per pruned model."""
    return pd.DataFrame(
        {"setting": setting}
        | {words: one.mean("survived", name).text() for name, words in SETS.items()}
        for setting, one in found.items()
    )


def cause_table(found: Found) -> pd.DataFrame:
    """Gap, noise and what follows, for the sets of four tokens of each pruned model."""
    return pd.DataFrame(
        {
            "setting": setting,
            "four tokens": SETS[name],
            "gap": one.mean("gap", name).value,
            "noise": one.noise(name).value,
            "change of the gap": one.mean("gap_change", name).text(),
            "survives": one.mean("survived", name).text(),
            "Gaussian law": f"{one.predicted(name):.2f}",
        }
        for setting, one in found.items()
        for name in FOUR
        if one.has(name)
    )


def same_gap_table(found: Mapping[str, Found]) -> pd.DataFrame:
    """Options beside other tokens whose logits lie as far apart, by form and pruned model."""
    return pd.DataFrame(
        {
            "asked": form,
            "setting": setting,
            "options survive": one.mean("survived").text(),
            "minus same gaps": one.difference("survived", "same_gaps").text(),
            "noise / same gaps": one.noise_ratio("same_gaps").text(),
            "change of the gap, minus same gaps": one.difference("gap_change", "same_gaps").text(),
            "common to all questions": one.common().text(),
        }
        for form, by_setting in found.items()
        for setting, one in by_setting.items()
    )


def family_table(found: Found) -> pd.DataFrame:
    """In how many questions of each family the best option stays the best: too few of each for an
    interval."""
    options = {name: one.by_item.xs("options", axis=1, level="set") for name, one in found.items()}
    by_family = {name: rows.groupby(level="family") for name, rows in options.items()}
    right = next(iter(by_family.values()))["right"]
    columns = {
        "right, dense": right.sum().map("{:.0f}".format) + " of " + right.size().astype(str)
    } | {name: rows["survived"].sum().map("{:.0f}".format) for name, rows in by_family.items()}
    table = pd.DataFrame(columns).reset_index()
    return table.assign(family=table["family"].str.replace("_", " "))


def right_table(found: Mapping[str, Found]) -> pd.DataFrame:
    """How often the best option is right, dense and pruned, and what the options hold."""
    return pd.DataFrame(
        {
            "asked": form,
            "setting": setting,
            "right, dense": one.mean("right").text(),
            "right, pruned": one.mean("right_pruned").text(),
            "options hold, dense": percent(one.mean("mass").value),
            "options hold, pruned": percent(one.mean("mass_pruned").value),
        }
        for form, by_setting in found.items()
        for setting, one in by_setting.items()
    )


def claims(found: Found, weak: bool = False) -> dict[str, Claim]:
    """Every claim over all pruned models that have tokens with the same gaps; none is judged of a
    ``weak`` model, whose dense choice is at its floor."""
    beside = {name: one for name, one in found.items() if one.has("same_gaps")}

    def claim(
        words: str,
        tests: str,
        criterion: str,
        number: Callable[[Subsets], Estimate],
        **bounds: Any,
    ) -> Claim:
        answers = {name: number(one) for name, one in beside.items()}
        return Claim.of(words, tests, answers, criterion, judged=not weak, **bounds)

    wider = "with the wider half of their family's gaps survive more often"
    return {
        "tail": claim(
            "Options lie in the tail even with an answer prefix, which the paper has not",
            "7.2-tail",
            f"all four together hold less than {TAIL:.0%}",
            lambda one: one.mean("mass"),
            high=TAIL,
            form=".1%",
        ),
        "vocabulary": claim(
            "The choice among options survives where the likeliest token does not",
            "7.2-choice-preserved",
            "options survive more often than the best of the vocabulary",
            lambda one: one.difference("survived", "vocabulary"),
            low=0,
        ),
        "moved": claim(
            "In the tail probabilities shift less (nearly by construction)",
            "7.2-tail-shifts-less",
            "mean |Δp| of the likeliest tokens over that of the least likely, above 1",
            lambda one: one.top_moved,
            low=1,
            form=",.0f",
        ),
        "noise": claim(
            "… and so do log-likelihoods (ours)",
            OURS,
            "noise of the least likely tokens over that of the likeliest, below 1",
            lambda one: one.tail_noise,
            high=1,
        ),
        "quiet": claim(
            "Options move less than other tokens (ours)",
            OURS,
            "noise among options over that among tokens with the same gaps, below 1",
            lambda one: one.noise_ratio("same_gaps"),
            high=1,
        ),
        "special": claim(
            "The option subspace is special (ours)",
            OURS,
            "options survive more often than tokens with the same gaps",
            lambda one: one.difference("survived", "same_gaps"),
            low=0,
        ),
        "random": claim(
            "A lead protects random tokens (ours)",
            OURS,
            f"of four random tokens, sets {wider}",
            lambda one: one.wide_and_narrow("random"),
            low=0,
        ),
        "lead": claim(
            "… and options (ours)",
            OURS,
            f"of the options, those {wider}",
            Subsets.wide_and_narrow,
            low=0,
        ),
    }
