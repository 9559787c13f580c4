"""Does the noise on a margin say how often greedy decoding changes its mind?

At a step the dense model's choice leads its runner-up by a margin m. Pruning adds noise n to that
lead. The choice flips if the lead is gone, or if a third token comes first. All is written for
tables of steps as :func:`steps` makes them, both models having read the dense text.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from reporting import statistics
from reporting.statistics import Estimate, rank_correlation

METRICS = ("agreement", "margin", "margin_noise", "margin_pruned")
FAR = 3.0  # standard deviations beyond which a Gaussian has next to nothing
GAUSSIAN_FAR = 0.0027  # the share that it has there

Law = Callable[[pd.DataFrame, np.ndarray], np.ndarray]


def steps(deviations: pd.DataFrame) -> pd.DataFrame:
    """One row for each teacher-forced step: ``prompt``, ``seed``, ``step``, ``margin``, ``noise``
    (both in logits), ``flip`` (1 where the likeliest token has changed) and ``overtaken`` (1
    where the runner-up is ahead of the dense choice)."""
    rows = deviations[deviations["decoding"].eq("forced") & deviations["metric"].isin(METRICS)]
    rows = rows.assign(prompt=rows["prompt"].astype(str), metric=rows["metric"].astype(str))
    wide = rows.pivot_table(index=["prompt", "seed", "step"], columns="metric", values="value")
    wide = wide.reset_index().rename_axis(columns=None)
    left = wide["margin"] + wide["margin_noise"]
    return wide.assign(
        noise=wide["margin_noise"],
        flip=1.0 - wide["agreement"],
        overtaken=left.lt(0).astype(float),
    )[["prompt", "seed", "step", "margin", "noise", "flip", "overtaken"]]


def gaussian(others: pd.DataFrame, margin: np.ndarray) -> np.ndarray:
    """Φ(−(m + μ)/σ), with mean and standard deviation of the noise in ``others``."""
    centre, spread = moments(others)
    return _below(-margin, centre, spread)


def any_shape(others: pd.DataFrame, margin: np.ndarray) -> np.ndarray:
    """How often the noise in ``others`` is below −m: the same law without the Gaussian."""
    order = np.argsort(others["noise"].to_numpy())
    noise, share = others["noise"].to_numpy()[order], np.cumsum(weights(others)[order])
    found: np.ndarray = np.concatenate([[0.0], share])[np.searchsorted(noise, -margin)]
    return found


LAWS: dict[str, Law] = {"Gaussian": gaussian, "any shape": any_shape}


def predicted(found: pd.DataFrame) -> pd.DataFrame:
    """``found`` with one column for each law: the probability of being overtaken at this step, as
    the law has it from the steps of all *other* prompts. With one prompt there are no others."""
    parts = []
    for prompt, own in found.groupby("prompt", sort=False):
        others = found[found["prompt"] != prompt]
        laws = {
            name: law(others, own["margin"].to_numpy()) if len(others) else np.nan
            for name, law in LAWS.items()
        }
        parts.append(own.assign(**laws))
    return pd.concat(parts).loc[found.index]


def mean(found: pd.DataFrame, name: str, seed: int, less: str = "") -> Estimate:
    """Mean of a column within prompts and then over them, or of its difference to another."""
    values = found[name] - (found[less] if less else 0.0)
    return statistics.mean(values.groupby(found["prompt"]).mean(), seed)


def ratio(found: pd.DataFrame, name: str, to: str, seed: int) -> Estimate:
    """Mean of one column over the mean of another, both within prompts and then over them."""
    return statistics.ratio(found.groupby("prompt")[[name, to]].mean(), name, to, seed)


def moments(found: pd.DataFrame) -> tuple[float, float]:
    """Mean and standard deviation of the noise, in logits; every prompt weighs the same."""
    weight, noise = weights(found), found["noise"].to_numpy()
    centre = float(weight @ noise)
    return centre, float(np.sqrt(weight @ (noise - centre) ** 2))


def beyond(found: pd.DataFrame) -> float:
    """Share of steps whose noise lies more than ``FAR`` standard deviations from its mean."""
    centre, spread = moments(found)
    return float(weights(found) @ (np.abs(found["noise"] - centre) > FAR * spread))


def growth(found: pd.DataFrame, seed: int) -> Estimate:
    """Rank correlation, over the steps of each prompt and then averaged, of a step's margin with
    the size of the noise on it."""
    centre = moments(found)[0]
    values = {}
    for prompt, own in found.groupby("prompt"):
        size = (own["noise"] - centre).abs().to_numpy()
        values[prompt] = rank_correlation(own["margin"].to_numpy()[None], size[None])[0]
    return statistics.mean(pd.Series(values), seed)


def weights(found: pd.DataFrame) -> np.ndarray:
    """Weights (N,) of steps, 1 together: every prompt weighs the same, and so do its steps."""
    sizes = found.groupby("prompt")["prompt"].transform("size").to_numpy()
    result: np.ndarray = 1.0 / (sizes * found["prompt"].nunique())
    return result


def binned(found: pd.DataFrame, by: str, names: tuple[str, ...], count: int) -> pd.DataFrame:
    """Steps in bins of equal numbers along column ``by``: the mean of it, ``x``, of every column in
    ``names``, and ``n``; at most ``count`` bins."""
    order = found[by].rank(method="first")
    bins = np.ceil(order * min(count, len(found)) / len(found)).astype(int)
    grouped = found.groupby(bins)
    means = grouped[list(names)].mean()
    return means.assign(x=grouped[by].mean(), n=grouped.size()).reset_index(drop=True)


def _below(bound: np.ndarray, centre: np.ndarray | float, spread: np.ndarray | float) -> np.ndarray:
    """P(noise < bound) of a Gaussian; without spread it is 0 or 1."""
    gap = bound - centre
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(spread > np.zeros_like(gap), gap / spread, np.where(gap > 0, np.inf, -np.inf))
    return torch.special.ndtr(torch.from_numpy(z)).numpy()
