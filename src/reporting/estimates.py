"""How well does an estimate track the truth? Pure functions of the ``deviations`` table.

Statistics are taken within each prompt and averaged over prompts; intervals draw prompts anew,
since steps and sublayers of one text are not independent.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from reporting.hierarchy import FEWEST_PROMPTS, Verdict, verdict
from reporting.summaries import RESAMPLES

PLACE = ["metric", "prompt", "step", "layer", "sublayer", "lens", "space", "centred", "temperature"]
FLOOR = 1e-9  # below, the measured number itself is within its tolerance of zero
TAIL = 0.9  # the tail: truths above this quantile of their prompt
NEAR = 0.1  # "within 10%"
CLOSE = (0.8, 1.25)  # a median estimate/truth that we would call close
RANKED = 0.9  # a rank correlation that we would call close


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


@dataclass(frozen=True)
class Tracking:
    """How one estimate tracks the truth: a statistic, its 95% interval over prompts, and the
    numbers of comparisons and prompts. ``low`` and ``high`` are NaN with too few prompts."""

    statistic: str
    value: float
    low: float
    high: float
    comparisons: int
    prompts: int

    @property
    def text(self) -> str:
        """``0.93 [0.91–0.95]``."""
        form = "{:.0%}" if self.statistic == "near" else "{:.2f}"
        middle = form.format(self.value) if np.isfinite(self.value) else "–"
        if not np.isfinite(self.low):
            return middle
        return f"{middle} [{form.format(self.low)}–{form.format(self.high)}]"


STATISTICS = ("rank", "ratio", "near")


def tracking(pairs: pd.DataFrame, seed: int, tail: bool = False) -> dict[str, Tracking]:
    """``rank``: Spearman correlation; ``ratio``: median estimate/truth; ``near``: share of
    estimates within 10% of the truth. ``tail`` keeps the largest tenth of each prompt's truths.

    ``pairs`` as from :func:`side_by_side`, of one quantity.
    """
    rows = pairs.dropna(subset="ratio")
    if tail:
        edge = rows.groupby("prompt", observed=True)["truth"].transform("quantile", TAIL)
        rows = rows[rows["truth"] >= edge]
    groups = rows.groupby("prompt", observed=True)
    each = pd.DataFrame(
        {
            "rank": {
                prompt: part["truth"].rank().corr(part["estimate"].rank())
                for prompt, part in groups
            },
            "ratio": groups["ratio"].median(),
            "near": groups["ratio"].apply(lambda ratio: ((ratio - 1).abs() <= NEAR).mean()),
        }
    )
    return {
        name: _with_interval(name, each[name].dropna().to_numpy(), len(rows), seed)
        for name in STATISTICS
    }


def _with_interval(name: str, values: np.ndarray, comparisons: int, seed: int) -> Tracking:
    low, high = interval(values, seed)
    middle = float(values.mean()) if len(values) else float("nan")
    return Tracking(name, middle, low, high, comparisons, len(values))


def interval(values: np.ndarray, seed: int, resamples: int = RESAMPLES) -> tuple[float, float]:
    """95% percentile interval of the mean of one value per prompt (N,); NaN with too few."""
    if len(values) < FEWEST_PROMPTS:
        return float("nan"), float("nan")
    draws = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def tracking_table(pairs: pd.DataFrame, seed: int, by: tuple[str, ...] = ()) -> pd.DataFrame:
    """One row per group of ``by`` and estimate: rank correlation and median ratio, overall and in
    the tail, and the share within 10%."""
    rows = []
    for key, part in pairs.groupby([*by, "quantity"], sort=False, observed=True):
        overall, tail = tracking(part, seed), tracking(part, seed, tail=True)
        rows.append(
            dict(zip((*by, "quantity"), map(str, key), strict=True))
            | {
                "rank correlation": overall["rank"].text,
                "median ratio": overall["ratio"].text,
                "within 10%": overall["near"].text,
                "rank, largest tenth": tail["rank"].text,
                "ratio, largest tenth": tail["ratio"].text,
                "n": overall["rank"].comparisons,
            }
        )
    return pd.DataFrame(rows)


def close_match(found: dict[str, Tracking]) -> Verdict:
    """Does an estimate match closely? Rank correlation and median ratio at the unfavourable ends
    of their intervals."""
    rank, ratio = found["rank"], found["ratio"]
    if not np.isfinite(rank.low):
        return "too few prompts"
    return verdict(rank.low >= RANKED, CLOSE[0] <= ratio.low and ratio.high <= CLOSE[1])


def reported_tracking(drawn: pd.DataFrame) -> dict[str, dict[str, Tracking]]:
    """:func:`tracking` by metric of what the paper drew for one text (columns ``step``,
    ``metric``, ``quantity``, ``value``): no intervals."""
    frame = drawn.assign(prompt="reported")
    return {
        metric: tracking(side_by_side(part), 0)
        for metric, part in frame.groupby("metric", sort=False)
    }
