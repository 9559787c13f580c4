"""Width or nonlinearity? Means, factors and claims from the ``dimensions`` table.

Every number is a mean over removed sublayers, steps and repeats within each prompt, then over
prompts; intervals draw prompts anew, and factors compare the same draws.
"""

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from reporting.claims import OURS, Claim, conditions, listed
from reporting.figures import Reference, Style, quantity_style, style_of
from reporting.figures.scales import Range, extent
from reporting.statistics import Estimate, resampled

CELL = ["lens", "family", "readout", "centred", "metric", "width"]
FAMILIES = {"projection": "random projection", "vocabulary": "random vocabulary"}
READOUTS = {"linear": "linear", "unit": "softmax at unit spread", "softmax": "softmax"}
AS_IS = "linear, offset kept"  # without subtracting the mean output
LENSES = {"raw": "Raw lens", "normed": "Normed lens"}
LIMIT = 0  # the width that stands for infinitely many outputs
CLOSE = (0.8, 1.25)  # a factor that we would call none
MIDDLE = (0.05, 0.95)  # nine in ten single readouts
CHANCE = 20_000  # draws
STYLES: dict[str, Style] = {
    "linear": style_of("logit"),
    "softmax at unit spread": quantity_style("probability", "bounded"),
    "softmax": style_of("probability"),
    "random vocabulary": style_of("logit"),
    "random projection": quantity_style("logit", "bounded"),
}


@dataclass(frozen=True)
class Widths:
    """``samples`` (1 + R rows) has one column per cell of the design, named as ``CELL``: first the
    mean over all prompts, then over each of R samples of prompts."""

    samples: pd.DataFrame
    prompts: int

    @classmethod
    def of(cls, table: pd.DataFrame, seed: int) -> "Widths":
        """From the rows of the table ``dimensions``."""
        keys = [*CELL, "prompt"]
        text = {name: table[name].astype(str) for name in keys if table[name].dtype == "category"}
        means = table.assign(**text).groupby(keys)["value"].mean().unstack("prompt")
        samples = pd.DataFrame(resampled(means.T, seed), columns=means.index)
        return cls(samples, means.shape[1])

    @property
    def widths(self) -> list[int]:
        """Numbers of outputs, from the fewest to the whole vocabulary."""
        found = set(self.samples.columns.get_level_values("width")) - {LIMIT}
        return sorted(int(width) for width in found)

    @property
    def ends(self) -> tuple[int, int]:
        """The fewest outputs, and the whole vocabulary."""
        return self.widths[0], self.widths[-1]

    def column(
        self, lens: str, family: str, readout: str, width: int, metric: str = "angular"
    ) -> np.ndarray:
        """Samples (1 + R,) of one cell. Angles of the linear readout are centred, since the
        softmax does not see what all outputs share."""
        centred = readout == "linear" and metric in ("angular", "spread")
        name = "linear" if readout == AS_IS else readout
        found: np.ndarray = self.samples[lens, family, name, centred, metric, width].to_numpy()
        return found

    def estimate(self, samples: np.ndarray) -> Estimate:
        """The number with its interval."""
        return Estimate.of(samples, self.prompts)

    def mean(
        self, lens: str, family: str, readout: str, width: int, metric: str = "angular"
    ) -> Estimate:
        """One cell, as :meth:`column` names it."""
        return self.estimate(self.column(lens, family, readout, width, metric))

    def by_width(self, lens: str, family: str, readout: str) -> Estimate:
        """Angular deviation over the whole vocabulary, relative to the fewest outputs."""
        few, whole = (self.column(lens, family, readout, width) for width in self.ends)
        return self.estimate(whole / few)

    def by_readout(self, lens: str, family: str, after: str, before: str, width: int) -> Estimate:
        """Angular deviation through readout ``after`` relative to ``before``, at one width."""
        one, other = (self.column(lens, family, readout, width) for readout in (after, before))
        return self.estimate(one / other)

    def curves(self, cells: dict[str, tuple[str, str, str]]) -> pd.DataFrame:
        """A line over the number of outputs for each series and its family, readout and metric, in
        one panel for each lens."""
        return pd.DataFrame(
            {
                "panel": panel,
                "series": series,
                "x": width,
                "point": f"{width:,} outputs",
                "space": "logit" if readout == "linear" else "probability",
            }
            | found.point
            for lens, panel in LENSES.items()
            for series, (family, readout, metric) in cells.items()
            for width in self.widths
            for found in [self.mean(lens, family, readout, width, metric)]
        )


def levels(found: Widths, family: str) -> dict[str, list[Reference]]:
    """By panel: 1 − cos of the states themselves and, for random projections, what the softmax
    would reach over infinitely many outputs."""
    named = {"the states": "linear"}
    named |= {"softmax, limit": "softmax"} if family == "projection" else {}
    return {
        panel: [
            Reference(x=(1, 1e9), y=(height, height), label=label)
            for label, readout in named.items()
            for height in [found.mean(lens, "projection", readout, LIMIT).value]
        ]
        for lens, panel in LENSES.items()
    }


def reach(frame: pd.DataFrame, references: dict[str, list[Reference]]) -> Range:
    """A logarithmic range that holds the curves and the lines to compare with."""
    heights = [height for each in references.values() for one in each for height in one.y]
    ends = frame[["mean", "low", "high"]].to_numpy().ravel()
    return extent([], [*ends[np.isfinite(ends)], *heights], "log")


def factor_table(found: Widths, lens: str) -> pd.DataFrame:
    """What multiplies 1 − cos when one thing changes and the others are held fixed."""
    few, whole = found.ends
    rows = [
        (f"outputs, {few} to {whole:,}", words, family, found.by_width(lens, family, readout))
        for readout, words in ({AS_IS: AS_IS} | READOUTS).items()
        for family in FAMILIES
    ]
    steps = {
        "linear to softmax at unit spread": ("unit", "linear"),
        "unit spread to the model's own": ("softmax", "unit"),
        "linear to softmax, both": ("softmax", "linear"),
    }
    rows += [
        (words, f"{width:,} outputs", family, found.by_readout(lens, family, *step, width))
        for words, step in steps.items()
        for width in dict.fromkeys(found.ends)
        for family in FAMILIES
    ]
    return _wide(rows, "changed", "held fixed")


def count_table(table: pd.DataFrame, lens: str) -> pd.DataFrame:
    """In how many sublayers does the mean 1 − cos, averaged within each prompt first, rise when
    one thing changes?"""
    rows = table[
        table["lens"].eq(lens)
        & table["metric"].eq("angular")
        & table["quantity"].eq("measured")
        & table["centred"].eq(table["readout"].eq("linear"))
    ]
    keys = ["family", "readout", "width", "sublayer", "layer", "prompt"]
    means = rows.groupby(keys, observed=True)["value"].mean()
    means = means.groupby(keys[:-1], observed=True).mean().unstack(keys[:3])
    widths = means.columns.get_level_values("width")
    few, whole = int(widths.min()), int(widths.max())
    compared = {
        f"{whole:,} outputs over {few}, linear": (("linear", whole), ("linear", few)),
        f"{whole:,} outputs over {few}, softmax": (("softmax", whole), ("softmax", few)),
        f"softmax over linear, {few} outputs": (("softmax", few), ("linear", few)),
        f"softmax over linear, {whole:,} outputs": (("softmax", whole), ("linear", whole)),
    }
    counts = [
        (words, family, (means[family, *after] > means[family, *before]).sum())
        for words, (after, before) in compared.items()
        for family in FAMILIES
    ]
    return _wide([(*cell, f"{count} of {len(means)}") for *cell, count in counts], "compared")


def _wide(rows: list[tuple[Any, ...]], *names: str) -> pd.DataFrame:
    """A table with a column for each family, from rows of ``names``, a family and a value."""
    frame = pd.DataFrame(rows, columns=[*names, "family", "value"])
    frame = frame.assign(family=frame["family"].map(FAMILIES), value=frame["value"].astype(str))
    wide = frame.set_index([*names, "family"])["value"].unstack("family", sort=False)
    return wide.rename_axis(columns=None).reset_index()


def spread_table(found: Widths) -> pd.DataFrame:
    """How wide the logits spread, and on how many outputs the softmax puts its mass."""
    return pd.DataFrame(
        {
            "lens": lens,
            "read by": label,
            "spread of the logits": found.mean(
                lens, family, "linear", found.ends[1], "spread"
            ).text(".1f"),
        }
        | {
            f"effective outputs of {width:,}": found.mean(
                lens, family, "softmax", width, "effective"
            ).text(".1f")
            for width in found.ends
        }
        for lens in LENSES
        for family, label in FAMILIES.items()
    )


def concentration_table(table: pd.DataFrame, lens: str) -> pd.DataFrame:
    """One linear projection of a pair of states beside the pair itself, by width.

    The ratio of the two values of 1 − cos: its mean, and where nine in ten single projections
    lie; and what chance alone gives for a small angle, where the ratio is that of two
    independent χ² of m − 1 and m degrees of freedom (drawn here, not tabulated).
    """
    rows = table[
        table["family"].eq("projection")
        & table["lens"].eq(lens)
        & table["readout"].eq("linear")
        & table["metric"].eq("angular")
        & ~table["centred"]
    ]
    place = ["prompt", "step", "layer", "sublayer"]
    rows = rows.astype({name: str for name in ("prompt", "sublayer")})
    own = rows[rows["width"] == LIMIT].set_index(place)["value"].rename("own")
    rows = rows[rows["width"] != LIMIT].join(own, on=place)
    ratios = (rows["value"] / rows["own"]).where(rows["own"] > 0).groupby(rows["width"])
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "outputs": f"{width:,}",
            "mean ratio": f"{ratio.mean():.3f}",
            "nine in ten lie in": "{:.2f}–{:.2f}".format(*ratio.quantile(MIDDLE)),
            "by chance": "{:.2f}–{:.2f}".format(*by_chance(int(width), generator)),
        }
        for width, ratio in ratios
    )


def by_chance(width: int, generator: np.random.Generator) -> np.ndarray:
    """Where nine in ten ratios of χ² of ``width`` − 1 and ``width`` degrees of freedom lie."""
    along, across = (generator.chisquare(degrees, CHANCE) for degrees in (width, width - 1))
    return np.quantile(across / along, MIDDLE)


def claims(found: Widths, lens: str) -> list[Claim]:
    """What dimension does and what the softmax does, through one lens."""
    few, whole = found.ends
    low, high = CLOSE
    factor = f"{whole:,} outputs over {few}"
    linear, softmax = (
        {label: found.by_width(lens, family, readout) for family, label in FAMILIES.items()}
        for readout in ("linear", "softmax")
    )
    added, unit = (
        {
            label: [found.by_readout(lens, family, readout, "linear", m) for m in found.widths]
            for family, label in FAMILIES.items()
        }
        for readout in ("softmax", "unit")
    )
    at_few = {label: each[0] for label, each in added.items()}
    more, same = {}, {}
    for family, label in FAMILIES.items():
        angle = {
            cell: found.column(lens, family, *cell)
            for cell in (("softmax", few), ("softmax", whole), ("linear", few))
        }
        ratio = angle["softmax", few] / angle["linear", few]
        more[label] = found.estimate(ratio / (angle["softmax", whole] / angle["softmax", few]))
        kept = [found.column(lens, family, "linear", m, "agreement") for m in found.ends]
        same[label] = found.estimate(kept[1] - kept[0])
    return [
        Claim(
            "Dimension alone does not explain the gap",
            "5-dimension-not-enough",
            listed(at_few),
            f"linear, {factor}: between {low} and {high}; softmax over linear at "
            f"{few} outputs: above 1",
            [
                *conditions(linear.values(), low, high),
                *conditions(at_few.values(), 1),
            ],
            numbers=linear | at_few,
        ),
        Claim.of(
            "Read linearly, the number of outputs does not matter (ours)",
            OURS,
            linear,
            f"1 − cos, {factor}: between {low} and {high}",
            low=low,
            high=high,
        ),
        Claim(
            "At the same number of outputs, the softmax deviates more",
            "6.2-softmax-amplifies",
            "least: " + listed({label: min(each, key=_low) for label, each in added.items()}),
            "1 − cos, softmax over linear: above 1 at every number of outputs",
            conditions(chain(*added.values()), 1),
        ),
        Claim.of(
            "Through the softmax, more outputs deviate more",
            "4-many-outputs",
            softmax,
            f"1 − cos of the softmax, {factor}: above 1",
            low=1,
        ),
        Claim.of(
            "The softmax matters more than the number of outputs (ours)",
            OURS,
            more,
            f"softmax over linear at {few} outputs, divided by {factor} "
            "through the softmax: above 1",
            low=1,
        ),
        Claim(
            "At unit spread the softmax adds nothing (ours)",
            OURS,
            "most: " + listed({label: max(each, key=_high) for label, each in unit.items()}),
            f"1 − cos, softmax at unit spread over linear: below {high} at every number of outputs",
            conditions(chain(*unit.values()), high=high),
        ),
        Claim.of(
            "Among more outputs the largest one changes more often (ours)",
            OURS,
            same,
            f"share with the same largest output, {whole:,} minus {few}: below 0",
            high=0,
        ),
    ]


def _low(one: Estimate) -> float:
    return one.value if one.low is None else one.low


def _high(one: Estimate) -> float:
    return one.value if one.high is None else one.high
