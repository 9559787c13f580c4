"""How well does an estimate track the truth? Pure functions of the ``deviations`` table.

Statistics are taken within each prompt and averaged over prompts; intervals draw prompts anew,
since steps and sublayers of one text are not independent.
"""

from dataclasses import dataclass

import pandas as pd

from reporting import statistics
from reporting.statistics import Estimate

PLACE = ["metric", "prompt", "step", "layer", "sublayer", "lens", "space", "centred", "temperature"]
FLOOR = 1e-9  # below, the measured number itself is within its tolerance of zero
TAIL = 0.9  # the tail: truths above this quantile of their prompt
NEAR = 0.1  # "within 10%"
CLOSE = (0.8, 1.25)  # a median estimate/truth that we would call close
RANKED = 0.9  # a rank correlation that we would call close
CRITERION = f"rank correlation above {RANKED}; median ratio {CLOSE[0]}–{CLOSE[1]}"


def side_by_side(deviations: pd.DataFrame) -> pd.DataFrame:
    """Truth beside every estimate of it: rows of one metric, as long as there are estimates.

    Columns: those of ``PLACE``, ``quantity``, ``truth``, ``estimate`` and ``ratio`` (estimate /
    truth, missing where the truth is at or below ``FLOOR``).
    """
    keys = [name for name in PLACE if name in deviations.columns]
    truth = deviations[deviations["quantity"] == "measured"].set_index(keys)["value"]
    rows = deviations[deviations["quantity"] != "measured"]
    found = rows.set_index(keys)[["quantity", "value"]].rename(columns={"value": "estimate"})
    found = found.join(truth.rename("truth")).reset_index()
    ratio = (found["estimate"] / found["truth"]).where(found["truth"] > FLOOR)
    return found.assign(ratio=ratio)


def theorem(deviations: pd.DataFrame) -> pd.DataFrame:
    """:func:`side_by_side` for the paper's theorems alone, logits as they are."""
    found = side_by_side(deviations[~deviations["centred"]])
    return found[found["quantity"] == "theorem"]


@dataclass(frozen=True)
class Tracking:
    """How one estimate tracks the truth: rank correlation (Spearman), median estimate / truth, the
    share of estimates within 10% of the truth, and the number of comparisons."""

    rank: Estimate
    ratio: Estimate
    near: Estimate
    comparisons: int

    @property
    def conditions(self) -> list[bool | None]:
        """Whether it ranks like the truth, and whether it is of its size."""
        return [self.rank.within(RANKED), self.ratio.within(*CLOSE)]

    @property
    def close(self) -> bool | None:
        """Whether it matches the truth closely: meets both conditions of ``CRITERION``."""
        found = self.conditions
        return False if False in found else None if None in found else True

    def cells(self) -> dict[str, str]:
        """What a table says of it."""
        return {
            "rank correlation": self.rank.text(),
            "median estimate / truth": self.ratio.text(),
            "within 10%": self.near.text(".0%"),
            "n": f"{self.comparisons:,}",
        }


def ranked(pairs: pd.DataFrame) -> float:
    """Spearman correlation of estimate and truth."""
    return float(pairs["truth"].rank().corr(pairs["estimate"].rank()))


def tracking(pairs: pd.DataFrame, seed: int, tail: bool = False) -> Tracking:
    """How the estimates of ``pairs`` (as from :func:`side_by_side`, of one quantity) track the
    truth. ``tail`` keeps the largest tenth of each prompt's truths."""
    rows = pairs.dropna(subset="ratio")
    if tail:
        edge = rows.groupby("prompt", observed=True)["truth"].transform("quantile", TAIL)
        rows = rows[rows["truth"] >= edge]
    prompts = rows.groupby("prompt", observed=True)
    near = rows.assign(near=(rows["ratio"] - 1).abs() <= NEAR)
    each = (
        pd.Series({prompt: ranked(part) for prompt, part in prompts}, dtype=float),
        prompts["ratio"].median(),
        near.groupby("prompt", observed=True)["near"].mean(),
    )
    rank, ratio, share = (statistics.mean(values.dropna(), seed) for values in each)
    return Tracking(rank, ratio, share, len(rows))
