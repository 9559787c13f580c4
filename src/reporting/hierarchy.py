"""Do embedding, logit and probability space move alike? What Section 5 needs of one model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from reporting.claims import OURS, Claim, Printed
from reporting.figures import SPACES
from reporting.layers import KEYS, LABELS, by_prompt, layer_means
from reporting.statistics import FEWEST, Estimate, resampled

STABLE = 0.95  # a cosine that Section 5 would call high: most of its embedding curves lie above it


@dataclass(frozen=True)
class Hierarchy:
    """Cosines of one lens: ``means`` as from :func:`layers.layer_means`, with their 95% interval
    ``lower`` to ``upper``, and ``samples`` (1 + R rows; columns sublayer, layer, space), the means
    over all prompts and over samples of them."""

    means: pd.DataFrame
    samples: pd.DataFrame
    prompts: int = 1

    @classmethod
    def of(cls, deviations: pd.DataFrame, seed: int) -> "Hierarchy":
        """From rows of ``deviations``, cosines of one lens."""
        table = by_prompt(deviations, KEYS)
        samples = pd.DataFrame(resampled(table, seed), columns=table.columns)
        edges = np.full((2, len(table.columns)), np.nan)
        if len(table) >= FEWEST:
            edges = np.nanpercentile(samples[1:], (2.5, 97.5), axis=0)
        interval = pd.DataFrame(edges.T, table.columns, ["lower", "upper"]).reset_index()
        return cls(layer_means(deviations).merge(interval, on=KEYS), samples, len(table))

    @classmethod
    def of_means(cls, means: pd.DataFrame) -> "Hierarchy":
        """From means alone, such as a reported curve: no intervals."""
        return cls(means, means.set_index(KEYS)["mean"].sort_index().to_frame().T)

    @property
    def layers(self) -> int:
        """Depth of the model."""
        return int(self.means["layers"].iloc[0])

    @property
    def enough(self) -> bool:
        """Whether there are prompts enough for intervals and verdicts."""
        return self.prompts >= FEWEST

    def below(self, sublayer: str | None = None) -> Estimate:
        """In how many sublayers (of one kind, if named) probabilities are less similar than
        embeddings, by the mean."""
        return self._count("probability", "embedding", sublayer)

    def above(self, sublayer: str | None = None) -> Estimate:
        """In how many sublayers logits are more similar than embeddings, by the mean."""
        return self._count("embedding", "logit", sublayer)

    def below_minimum(self, sublayer: str) -> int:
        """In how many layers the lowest single probability cosine is below the embedding's."""
        rows = self.means[self.means["sublayer"] == sublayer]
        lowest = rows.pivot(index="layer", columns="space", values="low")
        return int((lowest["probability"] < lowest["embedding"]).sum())

    def gap(self, sublayer: str | None = None) -> Estimate:
        """Median over layers of embedding cosine minus probability cosine."""
        apart = self._of("embedding", sublayer) - self._of("probability", sublayer)
        return Estimate.of(np.median(apart, axis=1), self.prompts)

    def median(self, space: str) -> Estimate:
        """Median over all sublayers of the mean cosine in a space."""
        return Estimate.of(np.median(self._of(space), axis=1), self.prompts)

    @property
    def medians(self) -> str:
        """The key numbers of a figure: the median cosine of each space."""
        return ", ".join(f"{space} {self.median(space).value:.2f}" for space in SPACES)

    @property
    def deviations(self) -> str:
        """The same as deviations, 1 − cosine."""
        return ", ".join(f"{space} {1 - self.median(space).value:.2g}" for space in SPACES)

    def lowest(self, space: str) -> float:
        """Median over sublayers of the lowest single cosine in a space."""
        return float(self.means.loc[self.means["space"] == space, "low"].median())

    def counts(self, name: Literal["below", "above"]) -> str:
        """:meth:`below` or :meth:`above` for both kinds of sublayer, in a cell of a table."""
        counts = {label: getattr(self, name)(kind) for kind, label in LABELS.items()}
        return "; ".join(f"{key} {one.text('.0f')} of {self.layers}" for key, one in counts.items())

    def in_most(self, name: Literal["below", "above"]) -> list[bool | None]:
        """For each kind of sublayer, whether that is so in more than half of the layers."""
        return [getattr(self, name)(kind).within(self.layers / 2) for kind in LABELS]

    def seen_in_most(self, name: Literal["below", "above"]) -> list[bool]:
        """:meth:`in_most` by the means alone, for curves that have no intervals."""
        return [getattr(self, name)(kind).value > self.layers / 2 for kind in LABELS]

    def ends(self) -> dict[str, dict[str, Estimate]]:
        """For each kind of sublayer the median embedding cosine of the ``inner`` layers, the lower
        one of the first and last, ``outer``, and by how much that is less, ``drop``."""
        found = {}
        for kind, label in LABELS.items():
            cosines = self._of("embedding", kind)
            nothing = np.full((len(cosines), 1), np.nan)
            inner = np.median(cosines[:, 1:-1] if self.layers > 2 else nothing, axis=1)
            outer = cosines[:, [0, -1]].min(axis=1)
            numbers = {"inner": inner, "outer": outer, "drop": inner - outer}
            found[label] = {name: Estimate.of(each, self.prompts) for name, each in numbers.items()}
        return found

    @property
    def fluctuates(self) -> tuple[str, bool]:
        """The lowest single cosine of probabilities against that of embeddings, in words; and
        whether it is less than half of that."""
        lowest = self.lowest("probability"), self.lowest("embedding")
        return f"{lowest[0]:.2f} against {lowest[1]:.2f}", lowest[0] < lowest[1] / 2

    def _count(self, lower: str, higher: str, sublayer: str | None) -> Estimate:
        less = self._of(lower, sublayer) < self._of(higher, sublayer)
        return Estimate.of(less.sum(axis=1), self.prompts)

    def _of(self, space: str, sublayer: str | None = None) -> np.ndarray:
        """Mean cosines (1 + R, K)."""
        found = self.samples.xs(space, axis=1, level="space")
        return (found if sublayer is None else found[sublayer]).to_numpy()


def layer_table(found: dict[str, Hierarchy]) -> pd.DataFrame:
    """In how many layers is the probability space below the embedding space? One row per source
    (measured lens, or reported) and kind of sublayer."""
    return pd.DataFrame(
        {
            "source": source,
            "sublayer": label,
            "by mean": f"{one.below(kind).text('.0f')} of {one.layers}",
            "by minimum": f"{one.below_minimum(kind)} of {one.layers}",
            "median gap": one.gap(kind).text(".3f"),
            "logit above embedding": f"{one.above(kind).text('.0f')} of {one.layers}",
        }
        for source, one in found.items()
        for kind, label in LABELS.items()
    )


def claims(as_is: Hierarchy, centred: Hierarchy, paper: Hierarchy | None = None) -> list[Claim]:
    """The claims of Section 5 for one lens; ``as_is`` uses logits as they are, ``centred`` logits
    with their mean subtracted. ``paper`` is what it drew through that lens."""
    ends, (lowest, far) = as_is.ends(), as_is.fluctuates
    drawn = [Printed("")] * 3
    if paper:
        printed, (fluctuating, apart) = paper.ends(), paper.fluctuates
        met = [
            met
            for one in printed.values()
            for met in (one["inner"].value > STABLE, one["drop"].value > 0)
        ]
        drawn = [
            Printed(_told(printed), met),
            Printed(
                f"{paper.counts('below')}; lowest {fluctuating}",
                [*paper.seen_in_most("below"), apart],
            ),
            Printed(paper.counts("above"), paper.seen_in_most("above")),
        ]
    return [
        Claim(
            "Embeddings stay similar, except at the first and last layers",
            "5-embedding-similar",
            _told(ends),
            f"median inner cosine above {STABLE}; first or last layer lower",
            [
                met
                for one in ends.values()
                for met in (one["inner"].within(STABLE), one["drop"].within(0))
            ],
            drawn[0],
            {f"{label}, {place}": each[place] for label, each in ends.items() for place in each},
        ),
        Claim(
            "Probabilities fluctuate although embeddings are alike",
            "5-probability-fluctuates",
            f"{as_is.counts('below')}; lowest {lowest}",
            "mean below embedding in most layers; lowest value less than half of the embedding's",
            [*as_is.in_most("below"), far if as_is.enough else None],
            drawn[1],
            {label: as_is.below(kind) for kind, label in LABELS.items()},
        ),
        Claim(
            "Logits are even more similar than embeddings",
            "5-logit-more-similar",
            as_is.counts("above"),
            "mean above embedding in most layers",
            as_is.in_most("above"),
            drawn[2],
            {label: as_is.above(kind) for kind, label in LABELS.items()},
        ),
        Claim(
            "… also without the offset that all logits share (ours)",
            OURS,
            centred.counts("above"),
            "the same with centred logits",
            centred.in_most("above"),
        ),
    ]


def _told(ends: Mapping[str, Mapping[str, Estimate]]) -> str:
    return "; ".join(
        f"{label} {one['inner'].text('.3f')} inner, {one['outer'].text('.3f')} outer"
        for label, one in ends.items()
    )


def agreement(by_category: pd.DataFrame, space: str) -> Estimate:
    """Mean Spearman correlation, over pairs of categories, of their means along all sublayers:
    1 if every category ranks the sublayers alike; no number with fewer than two categories."""
    rows = by_category[by_category["space"] == space]
    wide = rows.pivot(index=["sublayer", "layer"], columns="category", values="mean")
    correlation = wide.corr(method="spearman").to_numpy()
    pairs = correlation[np.triu_indices(len(correlation), k=1)]
    return Estimate(float(pairs.mean()) if len(pairs) else float("nan"))
