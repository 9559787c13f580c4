"""A corner of a real weight pruned step by step, and what pruning costs the whole model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from chapters.pruning_by_hand.matrices import Matrix
from helpers.pruning import METHODS, Recipe
from helpers.pruning.methods import Evidence
from helpers.pruning.sparsegpt import HessianFactor, hessian_factor, layer_error
from reporting.claims import OURS, Claim
from reporting.layers import LABELS as SUBLAYERS
from reporting.layers import PANELS
from runs.store import Measurement

# the control first, then as the registry has them
TITLES = {
    name: METHODS[name].title for name in sorted(METHODS, key=lambda name: not METHODS[name].drawn)
}
CONTROLS = [METHODS[name].title for name in METHODS if METHODS[name].drawn]


@dataclass(frozen=True)
class Corner:
    """A few outputs and inputs of one weight, treated as if they were the whole matrix.

    ``weight`` (rows, columns) and ``product`` (columns, columns), XXᵀ of those inputs over the
    calibration text, float64. It is all that a method may ask of the inputs.
    """

    weight: Tensor
    product: Tensor

    @classmethod
    def of(cls, measured: Measurement) -> Corner:
        """The corner that :func:`chapters.pruning_by_hand.measure.weight_corner` stored."""
        table = measured.table("weights").pivot(
            index=["quantity", "row"], columns="column", values="value"
        )
        return cls(*(torch.tensor(table.loc[name].to_numpy()) for name in ("weight", "product")))

    @property
    def norms(self) -> Tensor:
        """‖X_j‖ (columns,) of each input, relative to their mean."""
        norms = self.product.diagonal().sqrt()
        return norms / norms.mean()

    def factor(self, damping: float, where: str) -> HessianFactor:
        """What SparseGPT walks along."""
        return hessian_factor(self.product, damping, where)

    def error(self, after: Matrix) -> float:
        """‖WX − ŴX‖ / ‖WX‖ of the corner alone."""
        new, nothing = torch.from_numpy(after.values), torch.zeros_like(self.weight)
        whole = layer_error(self.weight, nothing, self.product)
        return float(layer_error(self.weight, new, self.product) / whole)


def steps(corner: Corner, method: str, sparsity: float = 0.5, pattern: str = "") -> list[Matrix]:
    """Before, what decides, mask and after, of any registered method; with ``pattern`` N:M in
    place of a share."""
    chosen = METHODS[method]
    seen = Evidence(corner.weight, corner, torch.Generator(device="cpu"))
    after, keep = chosen.remove(
        seen, Recipe(method, ratio=None if pattern else sparsity, pattern=pattern)
    )
    before, kept = corner.weight.numpy(), keep.numpy()
    if chosen.score:
        decides = Matrix("Score", chosen.score(seen).numpy())
    else:
        decides = Matrix("Added to what stays", ((after - corner.weight) * keep).numpy(), kept)
    return [
        Matrix("Before", before),
        decides,
        Matrix("Mask", np.ones_like(before), kept, digits=None),
        Matrix("After", after.numpy(), kept),
    ]


def over_seeds(rows: pd.DataFrame, *by: str) -> pd.DataFrame:
    """``mean``, ``low``, ``high`` (the range) and ``n`` over seeds."""
    grouped = rows.groupby(list(by), observed=True)["value"]
    return grouped.agg(mean="mean", low="min", high="max", n="size")


def perplexities(prunings: pd.DataFrame) -> pd.DataFrame:
    """Perplexity by (method, setting) over seeds, methods by their titles. Settings are a share
    such as ``50%``, or a pattern such as ``2:4``."""
    rows = prunings[(prunings["metric"] == "perplexity") & prunings["method"].isin(list(TITLES))]
    share = rows["amount"].map("{:.0%}".format)
    setting = rows["pattern"].astype(str).where(rows["pattern"] != "", share)
    method = rows["method"].astype(str).map(TITLES)
    rows = rows.assign(
        method=pd.Categorical(method, list(TITLES.values())),
        setting=pd.Categorical(setting, list(dict.fromkeys(setting))),
    )
    return over_seeds(rows, "method", "setting")


def cost_table(found: pd.DataFrame, column: str) -> pd.DataFrame:
    """Perplexities in words, a column for each value of the index level ``column``; ranges over
    seeds where there are several."""

    def text(row: pd.Series) -> str:
        value = number(row["mean"])
        return value if row["n"] < 2 else f"{value} [{number(row['low'])}–{number(row['high'])}]"

    table: pd.DataFrame = found.apply(text, axis=1).unstack(column)
    return table.rename_axis(columns=None).reset_index()


def published_order(found: pd.DataFrame, share: str) -> list[Claim]:
    """Is the order of the methods, and of the patterns, here what was published?"""
    means = found["mean"]
    order = [means[title, share] for title in ("SparseGPT", "Wanda", "Magnitude")]
    patterns = {
        title: (means[title, "4:8"], means[title, "2:4"])
        for title in means.index.unique("method").drop(CONTROLS)
    }
    return [
        Claim(
            f"SparseGPT ≤ Wanda < Magnitude at {share} (published elsewhere)",
            OURS,
            "; ".join(number(value) for value in order),
            "mean perplexities in this order, each pair a condition",
            [order[0] <= order[1], order[1] < order[2]],
        ),
        Claim(
            "4:8 is better than 2:4 (published elsewhere)",
            OURS,
            "; ".join(
                f"{title} {number(four)} against {number(two)}"
                for title, (four, two) in patterns.items()
            ),
            "mean perplexity below, for every method but the control",
            [four < two for four, two in patterns.values()],
        ),
    ]


def layer_errors(prunings: pd.DataFrame) -> pd.DataFrame:
    """Mean relative layer error over layers (and seeds): one row per kind of weight, one column
    per method."""
    rows = prunings[prunings["metric"] == "layer_error"].astype({"method": str, "sublayer": str})
    means = rows.groupby(["sublayer", "weight", "method"], observed=True)["value"].mean()
    table = means.unstack("method").rename(columns=TITLES, index=SUBLAYERS, level=None)
    wanted = [title for title in TITLES.values() if title in table]
    return table[wanted].rename_axis(columns=None).reset_index().astype({"weight": str})


def importances(prunings: pd.DataFrame) -> pd.DataFrame:
    """Importance of every sublayer over seeds, as a frame for :func:`reporting.figures.lines`,
    with its ``layer``; the least important ones of each kind are called by their names."""
    rows = prunings[prunings["metric"] == "importance"].astype({"sublayer": str})
    found = over_seeds(rows, "sublayer", "layer").reset_index()
    last = int(found["layer"].max())
    found["call"] = ""
    for name in SUBLAYERS:
        first = found["sublayer"].eq(name) & found["layer"].isin(least(found, name))
        found.loc[first, "call"] = found["layer"].map("layer {}".format)
    return found.assign(
        panel=found["sublayer"].map(PANELS),
        series="1 − cos",
        x=found["layer"],
        point=found["layer"].map(f"layer {{}} of 0–{last}".format),
        space="embedding",
    )


def least(found: pd.DataFrame, sublayer: str, count: int = 3) -> list[int]:
    """The layers of the ``count`` least important attentions or MLPs, least first."""
    layers: list[int] = (
        found[found["sublayer"] == sublayer].nsmallest(count, "mean")["layer"].tolist()
    )
    return layers


def drops(prunings: pd.DataFrame) -> pd.DataFrame:
    """Perplexity after dropping the least important sublayers, by (sublayers, how many)."""
    rows = prunings[(prunings["method"] == "drop") & (prunings["metric"] == "perplexity")]
    return over_seeds(
        rows.assign(
            sublayers=pd.Categorical(
                rows["target"].astype(str).map(SUBLAYERS), list(SUBLAYERS.values())
            ),
            dropped=rows["amount"].map("{:.0f} dropped".format),
        ),
        "sublayers",
        "dropped",
    )


def number(perplexity: float) -> str:
    """``44.5`` or ``1,279``."""
    return f"{perplexity:,.1f}" if perplexity < 1000 else f"{perplexity:,.0f}"
