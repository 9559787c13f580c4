"""Weights, history or other tokens: what makes two models' outputs differ while both write?

Pure functions of ``terms`` tables, one for each pruned model. Each number is a mean over the steps
of each prompt first, and over prompts then. The terms are vectors between states after the final
norm, in the embedding space.
"""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from reporting.reach import Estimate
from reporting.resampling import FLOOR, estimate, ratio

TERMS = ("parameters", "history", "tokens")
ORDERS = {"parameters_first": "parameters first", "tokens_first": "tokens first"}
FEWEST_STEPS = 4  # a text with fewer has no earlier and later half


@dataclass(frozen=True)
class Terms:
    """The table ``terms`` of one pruned model; intervals are drawn with ``seed``."""

    table: pd.DataFrame
    seed: int

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Shares and sizes in the embedding space, and KL."""
        table = self.table
        kept = table["metric"].isin(["share", "relative", "kl"])
        rows = table[kept & (table["space"].ne("logit"))]
        words = ("prompt", "order", "term", "metric")
        return rows.assign(**{name: rows[name].astype(str) for name in words})

    @property
    def largest_residual(self) -> float:
        """How far the terms miss the whole difference that two other passes find, at most."""
        return float(self.table.loc[self.table["metric"] == "residual", "value"].max())

    @property
    def at_floor(self) -> bool:
        """Whether the pruned model has collapsed at its first step, as Section 7 counts it."""
        table = self.table
        kept = table["step"].eq(0) & table["term"].eq("whole") & table["metric"].eq("angular")
        kept &= table["space"].eq("probability") & table["order"].eq("parameters_first")
        return bool(1 - table.loc[kept, "value"].mean() < FLOOR)

    @property
    def partings(self) -> pd.Series:
        """Step at which each prompt's texts, as read, first differ; missing where they never do."""
        steps = self.rows["step"].where(self.rows["parted"]).groupby(self.rows["prompt"])
        return steps.min()

    @property
    def before_parting(self) -> float:
        """Length of the largest tokens term, relative to the dense state, while texts are equal."""
        rows = self.pick("tokens", "relative")
        return float(rows.loc[~rows["parted"], "value"].max())

    def value(
        self, term: str, metric: str, parted: bool, order: str = "parameters_first"
    ) -> Estimate:
        """Mean of one number over the steps before, or after, the texts have parted; over the
        prompts that have such steps."""
        rows = self.pick(term, metric, order)
        means = rows[rows["parted"] == parted].groupby("prompt")["value"].mean().to_frame()
        return estimate(means, self.seed) if len(means) else Estimate(float("nan"))

    def rise(self, term: str = "whole", metric: str = "relative") -> Estimate:
        """Mean after the texts have parted over the mean before, over prompts that have both."""
        rows = self.pick(term, metric)
        wide = rows.groupby(["prompt", "parted"])["value"].mean().unstack()
        wide = wide.reindex(columns=[False, True]).set_axis(["before", "after"], axis=1)
        return ratio(wide, "after", "before", self.seed)

    def growth(self, term: str, parted: bool | None = None, metric: str = "relative") -> Estimate:
        """Mean over the later half of each text's steps over the mean of the earlier half: above 1
        where a term grows. ``parted`` keeps the steps after (True) or before the parting."""
        rows = self.pick(term, metric)
        rows = rows if parted is None else rows[rows["parted"] == parted]
        steps = rows.groupby("prompt")["step"]
        rows = rows[steps.transform("size") >= FEWEST_STEPS]
        place = rows.groupby("prompt")["step"].rank(pct=True)
        half = (place > 0.5).map({False: "earlier", True: "later"})
        wide = rows.groupby(["prompt", half.rename("half")])["value"].mean().unstack()
        return ratio(wide.reindex(columns=["earlier", "later"]), "later", "earlier", self.seed)

    def pick(self, term: str, metric: str, order: str = "parameters_first") -> pd.DataFrame:
        """Rows of one term and metric in one order."""
        rows = self.rows
        kept = rows["metric"].eq(metric) & rows["term"].eq(term) & rows["order"].eq(order)
        return rows[kept]


def by_step(found: dict[str, Terms], metric: str, order: str) -> pd.DataFrame:
    """Means over prompts at each step, for ``figures.step_series``: columns ``panel`` (the pruned
    model), ``series`` (the term), ``step``, ``mean``, ``low`` and ``high`` (prompts), ``n``."""
    parts = []
    for name, one in found.items():
        for term in TERMS:
            rows = one.pick(term, metric, order)
            line = rows.groupby("step")["value"].agg(mean="mean", low="min", high="max", n="size")
            line = line.reset_index()
            parts.append(line.assign(panel=name, series=term, space="embedding"))
    return pd.concat(parts, ignore_index=True)


def parting_words(one: Terms) -> str:
    """``11 of 12, after 1 to 16 steps``."""
    steps = one.partings
    count = f"{steps.notna().sum()} of {len(steps)}"
    if steps.notna().sum() == 0:
        return count
    low, high = int(steps.min()), int(steps.max())
    return f"{count}, at step {low}" + (f" to {high}" if high > low else "")
