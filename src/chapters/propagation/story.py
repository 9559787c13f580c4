"""What does a deviation in place say about the deviation at the output? Estimates and claims."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from reporting.claims import OURS, Claim
from reporting.figures import SPACES
from reporting.hierarchy import Hierarchy
from reporting.layers import LABELS, PLACE, by_prompt, layer_means, over_depth
from reporting.statistics import FEWEST, Estimate, rank_correlation, resampled
from reporting.step_frames import picked

CHOSEN = 8  # sublayers of one kind that are dropped together, as in the paper's Drop-8A and Drop-8M
OUTPUT = {"intervention": "propagated", "space": "probability", "lens": "normed"}
ALIKE = 0.5  # rank correlation above which one order is said to follow the other


@dataclass(frozen=True)
class Reach:
    """Mean deviations of every sublayer in place and at the output.

    ``places`` is an index of K sublayers and layers; ``here`` and ``there`` (1 + R, K) are means
    over prompts, the first row over all of them and the others over samples of them.
    """

    places: pd.MultiIndex
    here: np.ndarray
    there: np.ndarray
    prompts: int

    @classmethod
    def of(cls, here: pd.DataFrame, there: pd.DataFrame, seed: int) -> "Reach":
        """From rows of ``deviations``, one number per prompt, step and sublayer each: what is
        measured in place and what is measured at the output."""
        tables = [by_prompt(rows, PLACE) for rows in (here, there)]
        means = np.split(resampled(pd.concat(tables, axis=1), seed), 2, axis=1)
        return cls(tables[0].columns, means[0], means[1], len(tables[0]))

    def only(self, sublayer: str) -> "Reach":
        """Attention or MLP alone."""
        kept = self.places.get_level_values("sublayer") == sublayer
        return Reach(self.places[kept], self.here[:, kept], self.there[:, kept], self.prompts)

    @cached_property
    def ratio(self) -> np.ndarray:
        """Output over in place (1 + R, K): below 1 where the layers above repair. NaN where a
        sublayer does nothing in place."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.here > 0, self.there / self.here, np.nan)

    @property
    def correlation(self) -> Estimate:
        """Spearman correlation over sublayers between in place and output."""
        return Estimate.of(rank_correlation(self.here, self.there), self.prompts)

    @property
    def amplification(self) -> Estimate:
        """Median over sublayers of output over in place."""
        return Estimate.of(np.nanmedian(self.ratio, axis=1), self.prompts)

    @property
    def repaired(self) -> Estimate:
        """Number of sublayers whose deviation is smaller at the output than in place."""
        return Estimate.of((self.ratio < 1).sum(axis=1), self.prompts)

    @property
    def trend(self) -> Estimate:
        """Spearman correlation over sublayers between depth and output over in place."""
        depth = self.places.get_level_values("layer").to_numpy(float)
        return Estimate.of(
            rank_correlation(np.broadcast_to(depth, self.ratio.shape), self.ratio), self.prompts
        )

    def least(self, count: int, here: bool = True) -> np.ndarray:
        """Mask (1 + R, K) of the ``count`` sublayers that do least in place, or at the output;
        ties by lower index."""
        values = self.here if here else self.there
        mask = np.zeros(values.shape, bool)
        lowest = np.argsort(values, axis=1, kind="stable")[:, :count]
        np.put_along_axis(mask, lowest, True, axis=1)
        return mask

    def overlap(self, count: int) -> Estimate:
        """How many of the ``count`` sublayers that do least in place are among the ``count``
        that do least at the output."""
        return Estimate.of(
            (self.least(count) & self.least(count, here=False)).sum(axis=1), self.prompts
        )

    def table(self) -> pd.DataFrame:
        """One row per sublayer: ``here``, ``there``, their ratio (``mean``) with its interval
        ``low`` to ``high`` (missing with too few prompts), and ``n`` prompts."""
        low, high = np.percentile(self.ratio[1:], (2.5, 97.5), axis=0)
        nothing = np.full_like(low, np.nan)
        enough = self.prompts >= FEWEST
        columns = {
            "here": self.here[0],
            "there": self.there[0],
            "mean": self.ratio[0],
            "low": low if enough else nothing,
            "high": high if enough else nothing,
        }
        found = pd.DataFrame(columns, index=self.places).reset_index()
        return found.assign(layers=found["layer"].max() + 1, n=self.prompts)


def reaches(deviations: pd.DataFrame, lens: str, seed: int) -> dict[str, Reach]:
    """In place beside output by 1 − cos through one lens, in each space, and in the logit space
    once more without the offset that all logits share (``centred logit``)."""
    found = {}
    for name in (*SPACES, "centred logit"):
        where = {"space": name.removeprefix("centred "), "lens": lens, "metric": "angular"}
        rows = picked(deviations, name not in SPACES, **where)
        sides = [rows[rows["intervention"] == side] for side in ("in_place", "propagated")]
        found[name] = Reach.of(sides[0], sides[1], seed)
    return found


def choice(deviations: pd.DataFrame, seed: int) -> Reach:
    """LLM-Drop's importance, 1 − cos of the residual stream before and after a sublayer, beside
    what dropping it costs: KL in nats between the model's own output distributions."""
    before = {"intervention": "in_place", "space": "embedding", "lens": "raw", "metric": "angular"}
    after = OUTPUT | {"metric": "kl"}
    return Reach.of(picked(deviations, **before), picked(deviations, **after), seed)


def agreement(deviations: pd.DataFrame) -> pd.Series:
    """Share of positions at which the model without a sublayer still prefers the same token,
    averaged within each prompt and then over prompts; indexed by sublayer and layer."""
    rows = picked(deviations, **OUTPUT, metric="agreement")
    return by_prompt(rows, PLACE).mean().rename("agreement")


def lines(found: Mapping[str, Reach]) -> pd.DataFrame:
    """Output over in place in each space over depth, with ``here`` and ``there``."""
    parts = [found[space].table().assign(space=space) for space in SPACES]
    return over_depth(pd.concat(parts, ignore_index=True))


def correlation_table(found: Mapping[str, Mapping[str, Reach]]) -> pd.DataFrame:
    """One row per lens and space: how alike the two orders are, and what the layers above do."""
    return pd.DataFrame(
        {
            "lens": lens,
            "space": space,
            "rank correlation": one.correlation.text(),
            "output / in place": one.amplification.text(),
            "smaller at the output": f"{one.repaired.text('.0f')} of {len(one.places)}",
            "ratio against depth": one.trend.text(),
        }
        for lens, by_space in found.items()
        for space, one in by_space.items()
    )


def above_by_position(in_place: pd.DataFrame, at_output: pd.DataFrame) -> pd.DataFrame:
    """In how many sublayers logits are more similar than embeddings at each step by itself, step 0
    being the last token of the prompt: ``step``, ``in place``, ``at the output``. Cosines of one
    lens."""
    counts = {
        side: {
            int(step): int(Hierarchy.of_means(layer_means(part)).above().value)
            for step, part in rows.groupby("step")
        }
        for side, rows in (("in place", in_place), ("at the output", at_output))
    }
    return pd.DataFrame(counts).rename_axis("step").reset_index()


def choice_table(found: Reach, same: pd.Series) -> pd.DataFrame:
    """What choosing by importance in place costs at the output, for each kind of sublayer: eight
    chosen, but at most a third. ``same`` as from :func:`agreement`; ``by chance`` is the overlap of
    two unrelated choices."""
    rows = []
    for sublayer, label in LABELS.items():
        one = found.only(sublayer)
        total = len(one.places)
        count = max(1, min(CHOSEN, total // 3))
        here, there = one.least(count)[0], one.least(count, here=False)[0]
        rows.append(
            {
                "sublayers": f"{count} of {total} {label}",
                "in both choices": one.overlap(count).text(".0f"),
                "by chance": f"{count * count / total:.1f}",
                "KL, chosen in place": one.there[0, here].mean(),
                "KL, best": one.there[0, there].mean(),
                "KL, all": one.there[0].mean(),
                "same top token, chosen": same[one.places[here]].mean(),
            }
        )
    return pd.DataFrame(rows)


def heaviest(found: Reach, same: pd.Series, count: int = 6) -> pd.DataFrame:
    """The sublayers whose removal costs the output most, with their rank in place."""
    table = found.table().join(same, on=PLACE)
    table["rank"] = table["here"].rank(ascending=False).astype(int)
    table = table.sort_values("there", ascending=False, ignore_index=True).head(count)
    return pd.DataFrame(
        {
            "sublayer": table["sublayer"].map(LABELS) + " " + table["layer"].astype(str),
            "KL at the output": table["there"],
            "same top token": table["agreement"],
            "1 − cos in place": table["here"],
            "rank in place": table["rank"],
        }
    )


def claims(
    spaces: Mapping[str, Reach],
    found: Reach,
    as_is: Hierarchy,
    centred: Hierarchy,
    positions: pd.DataFrame,
) -> list[Claim]:
    """What in place says about the output, for one lens. ``spaces`` as from :func:`reaches`,
    ``found`` from :func:`choice`, ``positions`` from :func:`above_by_position`; the hierarchies
    summarize cosines at the output, with logits as they are and centred."""
    alike = {space: spaces[space].correlation for space in SPACES}
    sizes = {space: spaces[space].amplification for space in SPACES}
    trends = {space: spaces[space].trend for space in SPACES}
    chosen = {label: found.only(sublayer).correlation for sublayer, label in LABELS.items()}
    held = positions["at the output"] >= positions["in place"] / 2
    counts = ", ".join(positions["at the output"].astype(str))
    return [
        Claim.of(
            "What moves little in place moves little at the output (ours)",
            OURS,
            alike,
            f"rank correlation over sublayers above {ALIKE}, in each space",
            low=ALIKE,
        ),
        Claim.of(
            "The layers above repair: the deviation shrinks on its way (ours)",
            OURS,
            sizes,
            "median of output over in place below 1, in each space",
            high=1,
        ),
        Claim.of(
            "The more layers lie above, the more it grows (ours)",
            OURS,
            trends,
            "output over in place falls with depth (rank correlation below 0), in each space",
            high=0,
        ),
        Claim(
            "The hierarchy reaches the output",
            "5-probability-fluctuates",
            as_is.counts("below"),
            "probability below embedding in most layers",
            as_is.in_most("below"),
        ),
        Claim(
            "At the output, too, logits are even more similar than embeddings",
            "5-logit-more-similar",
            as_is.counts("above"),
            "logit above embedding in most layers",
            as_is.in_most("above"),
        ),
        Claim(
            "… also without the offset that all logits share (ours)",
            OURS,
            centred.counts("above"),
            "the same with centred logits",
            centred.in_most("above"),
        ),
        Claim(
            "… at every position: the last of the prompt, and each written token (ours)",
            OURS,
            f"{counts} of {2 * as_is.layers} sublayers, position by position",
            "at least half as many sublayers at the output as in place",
            held.tolist() if as_is.enough else [None],
        ),
        Claim.of(
            "Importance in place finds the sublayers that the output misses least",
            "4-depths-unequal",
            chosen,
            f"rank correlation with the KL at the output above {ALIKE}, for attention and for MLP",
            low=ALIKE,
        ),
    ]
