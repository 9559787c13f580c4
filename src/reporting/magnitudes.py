"""How large is the perturbation beside the state, before and after the LM head? (Section 6.1)"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from reporting.hierarchy import FEWEST_PROMPTS, LABELS, Verdict, verdict
from reporting.summaries import RESAMPLES

CASES = {
    ("raw", False): "raw, as they are",
    ("raw", True): "raw, centred",
    ("normed", False): "normed, as they are",
    ("normed", True): "normed, centred",
}


@dataclass(frozen=True)
class Contrast:
    """One metric in the logit space against the embedding space, over layers of one sublayer.

    ``below`` counts layers whose mean is lower in the logit space; ``ratio`` is the median over
    layers of logit / embedding. Intervals (95%, over prompts) are NaN with too few prompts.
    """

    layers: int
    below: int
    below_low: float
    below_high: float
    ratio: float
    ratio_low: float
    ratio_high: float

    @property
    def counted(self) -> str:
        """``29 of 30 [28–30]``."""
        text = f"{self.below} of {self.layers}"
        if np.isnan(self.below_low):
            return text
        return f"{text} [{self.below_low:.0f}–{self.below_high:.0f}]"

    @property
    def shrunk(self) -> str:
        """The median ratio with its interval."""
        text = f"{self.ratio:.2f}" if self.layers else "–"
        if np.isnan(self.ratio_low):
            return text
        return f"{text} [{self.ratio_low:.2f}–{self.ratio_high:.2f}]"

    @property
    def in_most(self) -> bool:
        """Lower in more than half of the layers, at the lower end of the interval."""
        return self.below_low > self.layers / 2


def contrast(deviations: pd.DataFrame, sublayer: str, centred: bool, seed: int) -> Contrast:
    """Compare logit with embedding in rows of one metric and lens, for one kind of sublayer.

    Layers that were not touched, as a checkpoint may leave some, are not compared."""
    rows = deviations[deviations["sublayer"] == sublayer]
    embedding = _by_prompt(rows[rows["space"] == "embedding"])
    logit = _by_prompt(rows[(rows["space"] == "logit") & rows["centred"].eq(centred)])
    touched = (embedding > 0).any(axis=1)
    embedding, logit = embedding[touched], logit[touched]
    if not len(embedding):
        return Contrast(0, 0, *[float("nan")] * 5)
    whole = np.arange(embedding.shape[1])[None]
    below, ratio = _compare(embedding, logit, whole)
    ends = [float("nan")] * 4
    if embedding.shape[1] >= FEWEST_PROMPTS:
        size = (RESAMPLES, embedding.shape[1])
        drawn = np.random.default_rng(seed).integers(embedding.shape[1], size=size)
        ends = [
            float(np.percentile(values, share))
            for values in _compare(embedding, logit, drawn)
            for share in (2.5, 97.5)
        ]
    return Contrast(len(embedding), int(below[0]), ends[0], ends[1], float(ratio[0]), *ends[2:])


def _by_prompt(rows: pd.DataFrame) -> np.ndarray:
    """Means (layers, prompts)."""
    means = rows.groupby(["layer", "prompt"], observed=True)["value"].mean()
    return means.unstack("prompt").to_numpy()


def _compare(
    embedding: np.ndarray, logit: np.ndarray, drawn: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Layers where logit is below embedding, and the median ratio, for each draw of prompts."""
    first, second = embedding[:, drawn].mean(-1), logit[:, drawn].mean(-1)
    ratio = np.divide(second, first, out=np.full_like(first, np.nan), where=first > 0)
    return (second < first).sum(0), np.nanmedian(ratio, axis=0)


def contrasts(orthogonal: pd.DataFrame, seed: int) -> dict[tuple[str, bool], dict[str, Contrast]]:
    """:func:`contrast` for both lenses, logits as they are and centred, and both sublayers."""
    return {
        (lens, centred): {
            kind: contrast(orthogonal[orthogonal["lens"] == lens], kind, centred, seed)
            for kind in LABELS
        }
        for lens, centred in CASES
    }


def contrast_table(found: dict[tuple[str, bool], dict[str, Contrast]], what: str) -> pd.DataFrame:
    """One row per reading; for each sublayer the count of layers and the median ratio."""
    rows = []
    for case, kinds in found.items():
        row: dict[str, str] = {"logits read": CASES[case]}
        for kind, one in kinds.items():
            row[f"{LABELS[kind]}: {what}"] = one.counted
            row[f"{LABELS[kind]}: logit / embedding"] = one.shrunk
        rows.append(row)
    return pd.DataFrame(rows)


def shrinks(kinds: dict[str, Contrast]) -> Verdict:
    """Is the metric lower after the head in most layers, for both sublayers?"""
    if any(np.isnan(one.below_low) for one in kinds.values()):
        return "too few prompts"
    return verdict(*(one.in_most for one in kinds.values()))


def ends_and_middle(means: pd.DataFrame, space: str) -> tuple[float, float]:
    """Median of a metric over the inner layers, and its largest value at the first and last.

    ``means`` as from :func:`summaries.layer_means`.
    """
    rows = means[means["space"] == space]
    outer = rows["layer"].isin([0, int(rows["layers"].iloc[0]) - 1])
    inner = rows[~outer] if (~outer).any() else rows
    return float(inner["mean"].median()), float(rows.loc[outer, "mean"].max())
