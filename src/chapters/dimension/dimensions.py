"""Width or nonlinearity? Means and factors from the ``dimensions`` table, as pure functions.

Every number is a mean over removed sublayers, steps and repeats within each prompt, then over
prompts; intervals draw prompts anew, and factors compare the same draws.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from reporting.hierarchy import FEWEST_PROMPTS
from reporting.reach import Estimate
from reporting.summaries import RESAMPLES

CELL = ["lens", "family", "readout", "centred", "metric", "width"]
FAMILIES = {"projection": "random projection", "vocabulary": "random vocabulary"}
READOUTS = {
    "linear": "linear",
    "unit": "softmax at unit spread",
    "softmax": "softmax",
}
AS_IS = "linear, offset kept"  # without subtracting the mean output
LIMIT = 0  # the width that stands for infinitely many outputs
MIDDLE = (0.05, 0.95)  # nine in ten single readouts
CHANCE = 20_000  # draws


@dataclass(frozen=True)
class Widths:
    """Means for every cell of the design and lens.

    ``samples`` (1 + R rows) has one column per cell, named as ``CELL``: first the mean over all
    prompts, then over each of R samples of prompts.
    """

    samples: pd.DataFrame
    prompts: int

    @classmethod
    def of(cls, table: pd.DataFrame, seed: int) -> "Widths":
        """From the rows of the table ``dimensions``."""
        keys = [*CELL, "prompt"]
        text = {name: table[name].astype(str) for name in keys if table[name].dtype == "category"}
        means = table.assign(**text).groupby(keys)["value"].mean().unstack("prompt")
        count = means.shape[1]
        draws = np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
        values = means.to_numpy()
        rows = [values.mean(axis=1), *(values[:, chosen].mean(axis=1) for chosen in draws)]
        return cls(pd.DataFrame(np.stack(rows), columns=means.index), count)

    @property
    def widths(self) -> list[int]:
        """Numbers of outputs, from the fewest to the whole vocabulary."""
        found = set(self.samples.columns.get_level_values("width")) - {LIMIT}
        return sorted(int(width) for width in found)

    @property
    def enough(self) -> bool:
        """Whether there are prompts enough for an interval."""
        return self.prompts >= FEWEST_PROMPTS

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
        return Estimate.of(samples, self.enough)

    def mean(self, *cell: str | int) -> Estimate:
        """One cell, as :meth:`column` names it."""
        return self.estimate(self.column(*cell))  # type: ignore[arg-type]

    def by_width(self, lens: str, family: str, readout: str) -> Estimate:
        """Angular deviation over the whole vocabulary, relative to the fewest outputs."""
        first, last = self.widths[0], self.widths[-1]
        few, all_ = (self.column(lens, family, readout, width) for width in (first, last))
        return self.estimate(all_ / few)

    def by_readout(self, lens: str, family: str, after: str, before: str, width: int) -> Estimate:
        """Angular deviation through readout ``after`` relative to ``before``, at one width."""
        pair = (self.column(lens, family, readout, width) for readout in (after, before))
        return self.estimate(next(pair) / next(pair))

    def curve(self, lens: str, family: str, readout: str, metric: str = "angular") -> pd.DataFrame:
        """``width``, ``mean``, ``low``, ``high`` (the mean itself with too few prompts), ``n``."""
        rows = []
        for width in self.widths:
            found = self.mean(lens, family, readout, width, metric)
            ends = (found.low, found.high) if self.enough else (found.value, found.value)
            rows.append((width, found.value, *ends, self.prompts))
        return pd.DataFrame(rows, columns=["width", "mean", "low", "high", "n"])


def curves(found: Widths, family: str) -> pd.DataFrame:
    """The three readouts of one family over width, one panel per lens."""
    return pd.concat(
        [
            found.curve(lens, family, readout).assign(
                panel=f"{lens.capitalize()} lens", series=words
            )
            for lens in ("raw", "normed")
            for readout, words in READOUTS.items()
        ],
        ignore_index=True,
    )


def decisions(found: Widths) -> pd.DataFrame:
    """How often the largest output stays the same, over width, one panel per lens."""
    return pd.concat(
        [
            found.curve(lens, family, "linear", "agreement").assign(
                panel=f"{lens.capitalize()} lens", series=words
            )
            for lens in ("raw", "normed")
            for family, words in FAMILIES.items()
        ],
        ignore_index=True,
    )


def levels(found: Widths, family: str) -> dict[str, dict[str, float]]:
    """By panel of :func:`curves`: 1 − cos of the states themselves and, for random projections,
    what the softmax would reach over infinitely many outputs."""
    named: dict[str, dict[str, float]] = {}
    for lens in ("raw", "normed"):
        heights = {"the states": found.mean(lens, "projection", "linear", LIMIT).value}
        if family == "projection":
            endless = found.mean(lens, "projection", "softmax", LIMIT).value
            heights["softmax, limit"] = endless
        named[f"{lens.capitalize()} lens"] = heights
    return named


def sublayer_means(table: pd.DataFrame, lens: str) -> pd.DataFrame:
    """Mean 1 − cos of every sublayer, averaged within each prompt first: one row per sublayer and
    layer, columns family, readout (linear: centred) and width."""
    rows = table[
        table["lens"].eq(lens)
        & table["metric"].eq("angular")
        & table["quantity"].eq("measured")
        & table["centred"].eq(table["readout"].eq("linear"))
    ]
    keys = ["family", "readout", "width", "sublayer", "layer", "prompt"]
    means = rows.groupby(keys, observed=True)["value"].mean()
    return means.groupby(keys[:-1], observed=True).mean().unstack(keys[:3])


def concentration(table: pd.DataFrame, lens: str) -> pd.DataFrame:
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
    ratio = (rows["value"] / rows["own"]).where(rows["own"] > 0).groupby(rows["width"])
    found = pd.DataFrame(
        {"mean": ratio.mean()}
        | {name: ratio.quantile(share) for name, share in zip(("low", "high"), MIDDLE, strict=True)}
    ).reset_index()
    generator = np.random.default_rng(0)
    low, high = zip(*(_by_chance(int(width), generator) for width in found["width"]), strict=True)
    return found.assign(chance_low=low, chance_high=high)


def _by_chance(width: int, generator: np.random.Generator) -> tuple[float, float]:
    """Where nine in ten ratios of χ² of ``width`` − 1 and ``width`` degrees of freedom lie."""
    along, across = (generator.chisquare(degrees, CHANCE) for degrees in (width, width - 1))
    low, high = np.quantile(across / along, MIDDLE)
    return float(low), float(high)
