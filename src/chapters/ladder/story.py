"""Among how many candidates do models still find the answer? What the ladders of several show.

Pure functions of ``ladder`` tables. All intervals are over questions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from helpers.evaluation import paired
from reporting.hierarchy import FEWEST_PROMPTS
from reporting.reach import Estimate
from reporting.summaries import RESAMPLES

PREFIX, PLAIN = "generation, prefix", "generation, plain"
KINDS = ("random", "matched", "kind")
WHOLE = "vocabulary"
TINY = 1e-9  # what rounding may do to a mean


@dataclass(frozen=True)
class Ladders:
    """Ladders of a dense and of pruned models on the same questions, in one form.

    ``rungs`` holds for each setting what every question (index: family, item) scores, one column
    for each kind of candidates and size, missing where a family has no more answers; ``ranks`` the
    rank of the right token among all, from 1. The first setting is the dense model.
    """

    rungs: Mapping[str, pd.DataFrame]
    ranks: pd.DataFrame
    seed: int

    @classmethod
    def of(cls, tables: Mapping[str, pd.DataFrame], seed: int, form: str = PREFIX) -> "Ladders":
        """From a ``ladder`` table for each setting, the dense model's first.

        Raises :class:`ValueError` if they do not hold the same questions.
        """
        keys, rungs, ranks = ["family", "item"], {}, {}
        for setting, table in tables.items():
            rows = table[table["form"] == form].astype(dict.fromkeys([*keys, "candidates"], str))
            rungs[setting] = rows.pivot(index=keys, columns=["candidates", "size"], values="value")
            ranks[setting] = rows.groupby(keys)["rank"].first()
        found = pd.DataFrame(ranks)
        if found.isna().any(axis=None):
            raise ValueError("the ladders are not of the same questions")
        return cls(rungs, found, seed)

    @cached_property
    def floored(self) -> list[str]:
        """Families of which the dense model finds too little over the vocabulary for any loss to
        mean something: see :func:`helpers.evaluation.paired.verdict`."""
        found = self.values(self.dense, WHOLE).groupby(level="family", sort=False)
        return [str(name) for name, part in found if paired.verdict(part) == "at_floor"]

    def above_floor(self) -> "Ladders":
        """The same without the families at their floor; with all of them if all are."""
        kept = ~self.ranks.index.get_level_values("family").isin(self.floored)
        if not kept.any():
            return self
        rungs = {
            setting: found[kept].dropna(axis=1, how="all") for setting, found in self.rungs.items()
        }
        return Ladders(rungs, self.ranks[kept], self.seed)

    @property
    def families(self) -> list[str]:
        """The families of the questions."""
        return [str(name) for name in self.ranks.index.get_level_values("family").unique()]

    @property
    def settings(self) -> list[str]:
        """All models, the dense one first."""
        return [str(name) for name in self.ranks.columns]

    @property
    def dense(self) -> str:
        """The dense model's name."""
        return self.settings[0]

    @property
    def pruned(self) -> list[str]:
        """All but the dense model."""
        return self.settings[1:]

    @property
    def questions(self) -> int:
        """Number of questions."""
        return len(self.ranks)

    @cached_property
    def vocabulary(self) -> int:
        """Number of all tokens."""
        return int(self.rungs[self.dense][WHOLE].columns[0])

    @cached_property
    def family(self) -> pd.Series:
        """How many candidates of its kind each question has, its own answer among them; 1 where
        there is no other."""
        if "kind" not in self.rungs[self.dense]:
            return self.ranks[self.dense] * 0 + 1
        found = self.rungs[self.dense]["kind"].notna()
        return (found * found.columns.to_numpy()).max(axis=1).clip(lower=1)

    def sizes(self, kind: str) -> list[int]:
        """Numbers of candidates that every question has, short of all there are."""
        if kind not in self.rungs[self.dense]:
            return []
        values = self.rungs[self.dense][kind]
        fewest = int(self.family.min()) if kind == "kind" else self.vocabulary
        return [
            int(size) for size in sorted(values) if size < fewest and values[size].notna().all()
        ]

    def values(self, setting: str, kind: str, size: int | None = None) -> pd.Series:
        """What every question scores among ``size`` candidates, or among all of that kind."""
        rungs = self.rungs[setting]
        if size is not None:
            return rungs[kind][size]
        if kind != "kind":
            return rungs[WHOLE][self.vocabulary]
        alone = pd.Series(1.0, index=self.ranks.index)
        if "kind" not in rungs:
            return alone
        return rungs["kind"].sort_index(axis=1).ffill(axis=1).iloc[:, -1].fillna(alone)

    def score(self, setting: str, kind: str, size: int | None = None) -> Estimate:
        """Accuracy of a model, with its interval: see
        :func:`helpers.evaluation.paired.score_interval`."""
        values = self.values(setting, kind, size)
        return Estimate(float(values.mean()), *(paired.score_interval(values) or ()))

    def change(self, setting: str, kind: str, size: int | None = None) -> Estimate:
        """Accuracy of a pruned model minus that of the dense one, with its paired interval."""
        before, after = (self.values(one, kind, size) for one in (self.dense, setting))
        found = paired.paired_interval(before, after) or ()
        return Estimate(paired.paired_difference(before, after), *found)

    def fewest(self, setting: str, share: float) -> Estimate:
        """The fewest random candidates, on the ladder's rungs, among which a pruned model has less
        than ``share`` of the dense accuracy; infinite if it keeps that much among all tokens.

        The interval is over questions drawn anew within each family.
        """
        sizes = np.array([*self.sizes("random"), self.vocabulary], float)
        weights = self._drawn()
        before, after = (
            weights
            @ np.column_stack(
                [
                    *(self.values(one, "random", size) for size in self.sizes("random")),
                    self.values(one, WHOLE),
                ]
            )
            for one in (self.dense, setting)
        )
        below = after < share * before - TINY
        reached = np.where(below.any(axis=1), sizes[below.argmax(axis=1)], np.inf)
        if self.questions < FEWEST_PROMPTS:
            return Estimate(float(reached[0]))
        low, high = np.quantile(reached[1:], (0.025, 0.975), method="nearest")
        return Estimate(float(reached[0]), float(low), float(high))

    def _drawn(self) -> np.ndarray:
        """Weights (1 + R, N) of the questions: first all alike, then how often each is drawn when
        as many are drawn anew, with replacement, from each family."""
        generator = np.random.default_rng(self.seed)
        weights = np.ones((1 + RESAMPLES, self.questions))
        families = self.ranks.index.get_level_values("family")
        for family in dict.fromkeys(families):
            places = np.flatnonzero(families == family)
            shares = np.full(len(places), 1 / len(places))
            weights[1:, places] = generator.multinomial(len(places), shares, size=RESAMPLES)
        return weights / self.questions

    def curve(self) -> pd.DataFrame:
        """One row for each point of the figure: ``kind``, ``setting``, ``size``, ``point`` (the
        candidates in words), ``mean``, ``low``, ``high`` and ``n``.

        Every kind ends at the vocabulary. Families differ in size: of ``kind`` there are the sizes
        that all questions have, then the whole family, at the median of its sizes.
        """
        rows = []
        for kind in KINDS:
            points: list[tuple[str, int | None, int, str]] = [
                (kind, size, size, f"{size:,} candidates") for size in self.sizes(kind)
            ]
            if kind == "kind" and self.family.max() > 1:
                points.append((kind, None, int(self.family.median()), self.family_words))
            points.append((WHOLE, None, self.vocabulary, f"all {self.vocabulary:,} tokens"))
            for setting in self.settings:
                for source, size, x, point in points:
                    score = self.score(setting, source, size)
                    rows.append(
                        {
                            "kind": kind,
                            "setting": setting,
                            "size": x,
                            "point": point,
                            "mean": score.value,
                            "low": score.low,
                            "high": score.high,
                            "n": self.questions,
                        }
                    )
        return pd.DataFrame(rows).astype({"low": float, "high": float})

    @property
    def few_and_many(self) -> tuple[int, int]:
        """The two numbers of random candidates that words and tables name."""
        sizes = self.sizes("random")
        return sizes[min(1, len(sizes) - 1)], sizes[min(9, len(sizes) - 1)]

    def replaced(self, instead: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What is likeliest in place of an answer, for each of these questions that a model
        misses."""
        items = self.ranks.index.get_level_values("item")
        return [instead[item] for item in items if item in instead]

    @property
    def family_words(self) -> str:
        """``all 11 to 44 answers of the family``."""
        low, high = int(self.family.min()), int(self.family.max())
        return f"all {low if low == high else f'{low} to {high}'} answers of the family"
