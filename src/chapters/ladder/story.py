"""Among how many candidates do models still find the answer? What the ladders of several show.

Pure functions of ``ladder`` tables. All intervals are over questions.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from helpers.evaluation import paired
from reporting import prose
from reporting.claims import OURS, Claim
from reporting.figures import Reference
from reporting.statistics import FEWEST, RESAMPLES, Estimate
from reporting.words import shown

PREFIX, PLAIN = "generation, prefix", "generation, plain"
PANELS = {
    "random": "Random rivals",
    "matched": "Rivals next to the answer in dense rank",
    "kind": "Answers of the same kind, then all tokens",
}
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
        kept = [family for family in self.families if family not in self.floored]
        return self.among(kept) if kept else self

    def among(self, families: Iterable[str]) -> "Ladders":
        """The same for some families of questions."""
        kept = self.ranks.index.get_level_values("family").isin(list(families))
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

    @property
    def few_and_many(self) -> tuple[int, int]:
        """The two numbers of random candidates that words and tables name."""
        sizes = self.sizes("random")
        return sizes[min(1, len(sizes) - 1)], sizes[min(9, len(sizes) - 1)]

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
        low, high = paired.score_interval(values) or (None, None)
        return Estimate(float(values.mean()), low, high, len(values))

    def span(self, kind: str, size: int | None = None) -> str:
        """Accuracy of the pruned models, from the worst to the best: ``52% to 97%``."""
        return prose.span((self.score(one, kind, size).value for one in self.pruned), ".0%")

    def change(self, setting: str, kind: str, size: int | None = None) -> Estimate:
        """Accuracy of a pruned model minus that of the dense one, with its paired interval."""
        before, after = (self.values(one, kind, size) for one in (self.dense, setting))
        low, high = paired.paired_interval(before, after) or (None, None)
        return Estimate(paired.paired_difference(before, after), low, high, len(before))

    @property
    def steepest(self) -> str:
        """The pruned model that loses most between few candidates and all tokens; the dense one
        if there is no other."""
        few, _ = self.few_and_many
        return max(
            self.pruned,
            key=lambda one: self.change(one, "random", few).value - self.change(one, WHOLE).value,
            default=self.dense,
        )

    def fewest(self, setting: str, share: float) -> Estimate:
        """The fewest random candidates, on the ladder's rungs, among which a pruned model has less
        than ``share`` of the dense accuracy; infinite if it keeps that much among all tokens.

        The interval is over questions drawn anew within each family.
        """
        rungs = [*(("random", size) for size in self.sizes("random")), (WHOLE, self.vocabulary)]
        sizes = np.array([size for _, size in rungs], float)
        weights = self._drawn()
        before, after = (
            weights @ np.column_stack([self.values(one, *rung) for rung in rungs])
            for one in (self.dense, setting)
        )
        below = after < share * before - TINY
        reached = np.where(below.any(axis=1), sizes[below.argmax(axis=1)], np.inf)
        if self.questions < FEWEST:
            return Estimate(float(reached[0]), n=self.questions)
        low, high = np.quantile(reached[1:], (0.025, 0.975), method="nearest")
        return Estimate(float(reached[0]), float(low), float(high), self.questions)

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
        """Accuracy against the number of candidates, for ``figures.lines``.

        Every panel ends at the vocabulary. Families differ in size: of the same kind there are the
        sizes that all questions have, then the whole family, at the median of its sizes; nothing
        leads from there to the vocabulary.
        """
        points: list[tuple[str, str, int | None, int, str]] = []
        for kind in PANELS:
            sizes = self.sizes(kind)
            points += [(kind, kind, size, size, f"{size:,} candidates") for size in sizes]
            if kind == "kind" and self.family.max() > 1:
                among = f"all {prose.span(self.family, '.0f')} answers of the family"
                points.append((kind, kind, None, int(self.family.median()), among))
            if kind == "kind":
                points.append((kind, "", None, self.vocabulary, ""))
            points.append((kind, WHOLE, None, self.vocabulary, f"all {self.vocabulary:,} tokens"))
        rows = []
        for setting in self.settings:
            for panel, kind, size, x, point in points:
                score = self.score(setting, kind, size) if kind else Estimate(np.nan)
                place = {"panel": PANELS[panel], "series": setting, "x": x, "point": point}
                rows.append(place | score.point | {"n": self.questions})
        return pd.DataFrame(rows)

    def accuracies(self) -> pd.DataFrame:
        """Accuracy by number and kind of candidates, one row for each model, with the numbers of
        random candidates that cost a tenth and half of the dense accuracy."""
        few, many = self.few_and_many
        columns: dict[str, tuple[str, int | None]] = {
            f"{few} random": ("random", few),
            f"{many:,} random": ("random", many),
            "its family": ("kind", None),
            f"{few} next in rank": ("matched", few),
            "all tokens": (WHOLE, None),
        }
        lost = {"a tenth lost at": 0.9, "half lost at": 0.5}
        return pd.DataFrame(
            {"model": setting}
            | {name: self.score(setting, *rung).text() for name, rung in columns.items()}
            | {
                name: "–" if setting == self.dense else rung_text(self.fewest(setting, share))
                for name, share in lost.items()
            }
            for setting in self.settings
        )

    def replaced(self, instead: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What is likeliest in place of an answer, for each of these questions that a model
        misses; ``instead`` is the fact of its measurement for this form."""
        items = self.ranks.index.get_level_values("item")
        return [instead[item] for item in items if item in instead]

    def ahead(self, instead: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
        """What stands above the answer, one row for each model: its rank among all tokens, and
        what is likeliest in its place. ``instead`` by model."""
        rows = []
        for setting in self.settings:
            lost = self.replaced(instead[setting])
            ranks = self.ranks[setting]
            common = Counter(shown(one["token"]) or "∅" for one in lost).most_common(3)
            rows.append(
                {
                    "model": setting,
                    "median rank": f"{ranks.median():g}",
                    "nine in ten within": f"{ranks.quantile(0.9, interpolation='higher'):,.0f}",
                    "another token first": f"{len(lost)} of {self.questions}",
                    "no answer of the family": of_another_kind(lost),
                    "most often": ", ".join(f"{text} ({count})" for text, count in common) or "–",
                }
            )
        return pd.DataFrame(rows)

    def claim(self) -> Claim:
        """Is anything lost where neither softmax nor time has a part? Not to be judged where the
        dense model is at its floor in every family."""
        found = {one: self.change(one, WHOLE) for one in self.pruned}
        return Claim.of(
            "Pruning loses answers by rivals alone, without softmax and without time (ours)",
            OURS,
            found,
            "accuracy among all tokens, at the first step, pruned minus dense, below 0",
            high=0,
            judged=self.families != self.floored,
        )


def of_another_kind(lost: Iterable[Mapping[str, Any]]) -> int:
    """In how many cases what is likeliest begins no answer of the family."""
    return sum(not one["kind"] for one in lost)


def rung_text(found: Estimate) -> str:
    """A number of candidates with its interval: ``4,096 [2,048–8,192]``; ``none`` where no number
    of them is enough. An interval that is one number is left out."""
    texts = [
        "none" if value == np.inf else f"{value:,.0f}"
        for value in (found.value, found.low, found.high)
        if value is not None
    ]
    return texts[0] if len(set(texts)) == 1 else f"{texts[0]} [{texts[1]}–{texts[2]}]"


def axis(whole: int) -> dict[str, Any]:
    """The axes of :meth:`Ladders.curve` for a vocabulary of ``whole`` tokens: ticks at powers of 8
    times 2, as far as they stand clear of the last; and guessing, 1/k, which is a curve there."""
    ticks = [2 * 8**power for power in range(8) if 2 * 8**power < whole / 4]
    low, high = 1.7, 1.12 * whole
    steps = [low * (high / low) ** (step / 60) for step in range(61)]
    guessing = Reference(x=steps, y=[1 / x for x in steps], label="guessing", dash="1px,3px")
    return {
        "x_label": "candidates, up to all tokens (log)",
        "x_scale": "log",
        "x_range": (low, high),
        "x_ticks": [*((float(size), f"{size:,}") for size in ticks), (float(whole), "all")],
        "y_label": "accuracy",
        "y_range": (-0.03, 1.04),
        "references": [guessing],
    }
