"""One number at every layer of a model: its means, its lines over depth, and two such numbers
beside each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from reporting.figures import FigureOutput, HtmlOutput, chooser, cosine_range, lines
from reporting.statistics import Estimate, resampled

LABELS = {"attention": "attention", "mlp": "MLP"}
PANELS = {"attention": "Attention", "mlp": "MLP"}
PLACE = ["sublayer", "layer"]
KEYS = [*PLACE, "space"]
DEPTH: Mapping[str, Any] = {
    "x_label": "relative depth (0 = first, 1 = last layer)",
    "x_range": (-0.02, 1.02),
}
COSINE = "cosine similarity, dense to pruned (1 = unchanged)"
DEVIATION = "1 − cosine, dense to pruned (log scale)"
SCALE = "Scale"  # of a chooser between the two
VIEWS = ("1 − cosine, logarithmic", "cosine, as in the paper")


def layer_means(deviations: pd.DataFrame, by: tuple[str, ...] = ()) -> pd.DataFrame:
    """One metric per sublayer, layer and space: averaged within each prompt, then over prompts.

    ``low`` and ``high`` are the smallest and largest single value, ``n`` the number of values,
    ``prompts`` the number of prompts and ``layers`` the depth of the model. ``by`` adds columns
    to group by, such as ``category``.
    """
    keys = [*by, *KEYS]
    within = deviations.groupby([*keys, "prompt"], observed=True)["value"]
    prompts = within.agg(["mean", "min", "max", "size"]).reset_index()
    grouped = prompts.groupby(keys, observed=True)
    table = grouped.agg(
        mean=("mean", "mean"),
        low=("min", "min"),
        high=("max", "max"),
        n=("size", "sum"),
        prompts=("prompt", "size"),
    ).reset_index()
    text = {name: table[name].astype(str) for name in keys if name != "layer"}
    return table.assign(layers=int(deviations["layer"].max()) + 1, **text)


def over_depth(means: pd.DataFrame, series: str = "space") -> pd.DataFrame:
    """Rows of :func:`layer_means` as lines for ``figures.lines``: attention above MLP, over the
    relative depth layer / (layers − 1), so that models of different depth can be compared. Bands
    are the intervals ``lower`` to ``upper`` where the rows have them."""
    last = (means["layers"] - 1).clip(lower=1)
    point = "layer " + means["layer"].astype(str) + " of 0–" + (means["layers"] - 1).astype(str)
    frame = means.assign(
        panel=means["sublayer"].map(PANELS),
        series=means[series],
        x=means["layer"] / last,
        point=point,
    )
    if "lower" in means:
        frame = frame.assign(low=means["lower"], high=means["upper"])
    return frame.sort_values("panel", kind="stable", ignore_index=True)


def views(
    frame: pd.DataFrame, titles: tuple[str, str], axis: Mapping[str, Any] = DEPTH, **words: Any
) -> dict[str, FigureOutput]:
    """Cosines over an ``axis`` (lines of ``figures.lines``) twice, for ``figures.chooser`` with the
    label ``SCALE``: as deviations 1 − cosine on a logarithmic scale, where a factor of ten is a
    distance that one sees, and as they are. ``titles`` are one for each view. The logarithmic scale
    is as long as the means need it; bands may leave it."""
    turned = frame.assign(mean=1 - frame["mean"], low=1 - frame["high"], high=1 - frame["low"])
    limits = cosine_range(frame[["mean", "low", "high"]].to_numpy(float).ravel())
    upright: list[tuple[pd.DataFrame, dict[str, Any]]] = [
        (turned, {"y_label": DEVIATION, "y_scale": "log", "y_range": log_range(turned)}),
        (frame, {"y_label": COSINE, "y_range": limits}),
    ]
    return {
        view: lines(rows, **axis, **scale, title=title, **words)
        for view, title, (rows, scale) in zip(VIEWS, titles, upright, strict=True)
    }


def log_range(frame: pd.DataFrame) -> tuple[float, float] | None:
    """A logarithmic range around all that is positive among ``mean``; None where nothing is."""
    means = frame.loc[frame["mean"] > 0, "mean"].astype(float)
    return (means.min() / 2, means.max() * 1.6) if len(means) else None


def draw(frame: pd.DataFrame, titles: tuple[str, str], **words: Any) -> HtmlOutput:
    """:func:`views` in one figure; ``words`` are those of ``figures.lines``."""
    return chooser(views(frame, titles, **words), name=words["name"], label=SCALE)


def inner_and_outer(means: pd.DataFrame, space: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of :func:`layer_means` of one space: of the inner layers, and of the first and last."""
    rows = means[means["space"] == space]
    outer = rows["layer"].isin([0, int(rows["layers"].iloc[0]) - 1])
    return rows[~outer], rows[outer]


def by_prompt(deviations: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Means within each prompt: prompts × ``keys``."""
    plain = deviations.astype({name: str for name in [*keys, "prompt"] if name != "layer"})
    return plain.groupby(["prompt", *keys])["value"].mean().unstack(keys).sort_index(axis=1)


@dataclass(frozen=True)
class Contrast:
    """One number beside another at each of ``layers`` sublayers: in how many it is lower
    (``below``), and the median over them of their ratio."""

    layers: int
    below: Estimate
    ratio: Estimate

    @property
    def in_most(self) -> bool | None:
        """Whether it is lower in more than half of them; None if the interval does not decide."""
        return self.below.within(self.layers / 2)

    def __str__(self) -> str:
        return f"{self.below.text('.0f')} of {self.layers}"


def contrast(base: pd.DataFrame, other: pd.DataFrame, seed: int) -> Contrast:
    """``other`` beside ``base``, each of them rows of one metric, space and lens.

    Sublayers that were not touched, as a checkpoint may leave some, are not compared."""
    places, prompts, here, there = _beside(base, other, seed)
    if not len(places):
        return Contrast(0, Estimate(0.0), Estimate(float("nan")))
    return Contrast(
        len(places),
        Estimate.of((there < here).sum(axis=1), prompts),
        Estimate.of(np.nanmedian(_over(there, here), axis=1), prompts),
    )


def ratios(base: pd.DataFrame, other: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Means of ``other`` over those of ``base`` (as for :func:`contrast`): one row a sublayer with
    ``mean``, its 95% interval ``low`` to ``high`` (missing with too few prompts), ``n`` prompts and
    the ``layers`` of the model."""
    places, prompts, here, there = _beside(base, other, seed)
    points = pd.DataFrame([Estimate.of(each, prompts).point for each in _over(there, here).T])
    found = places.to_frame(index=False).assign(layers=int(base["layer"].max()) + 1)
    return found.join(points)


def _beside(
    base: pd.DataFrame, other: pd.DataFrame, seed: int
) -> tuple[pd.MultiIndex, int, np.ndarray, np.ndarray]:
    """The sublayers (K) that were touched, the number of prompts, and means (1 + R, K) of both."""
    first, second = (by_prompt(rows, PLACE) for rows in (base, other))
    touched = (first > 0).any()
    first, second = first.loc[:, touched], second.loc[:, touched]
    both = resampled(pd.concat([first, second], axis=1), seed)
    return first.columns, len(first), *np.split(both, 2, axis=1)


def _over(there: np.ndarray, here: np.ndarray) -> np.ndarray:
    return np.divide(there, here, out=np.full_like(here, np.nan), where=here > 0)
