"""What greedy decoding sees, put in order for tables and figures: one ``Seen`` a pruned model."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from chapters.decisions import aftermath, margins
from reporting import parting, trends
from runs.parameters import RunParameters
from runs.settings import WORDS
from runs.store import Measurement

BINS = 6
SATURATED = 0.95  # share of flips above which there is nothing left to grow
STEPS = [0, 4, 8, 16, 32]  # where windows of steps begin; the last one has no end
LAGS = [0, 1, 3, 5, 9, 17, 33]  # and windows of steps since the parting
KINDS = {"attention": "Attention dropped", "mlp": "MLP dropped", "block": "Blocks dropped"}
ALL, UNPARTED = "all texts", "texts that have not parted"
CURVES = {
    "survival": ("not parted", "measured"),
    "product": ("product of 1 − e", "theorem"),
    "constant": ("one rate for all steps", "bounded"),
}


@dataclass(frozen=True)
class Seen:
    """The run of one pruned model: ``name``, ``kind`` of pruning (a panel), its tables."""

    name: str
    kind: str
    deviations: pd.DataFrame
    tokens: pd.DataFrame
    seed: int

    @classmethod
    def of(cls, name: str, measured: Measurement, parameters: RunParameters) -> "Seen":
        """From a measurement ``generation`` and its parameters."""
        if parameters.method == "drop":
            kind = KINDS[parameters.target]
        else:
            kind = f"Weights: {WORDS.get(parameters.method, 'checkpoint')}"
        tables = measured.table("deviations"), measured.table("tokens")
        return cls(name, kind, *tables, parameters.seed)

    @cached_property
    def steps(self) -> pd.DataFrame:
        """Margins, noise, flips and what the laws predict, at every teacher-forced step."""
        return margins.predicted(margins.steps(self.deviations))

    @property
    def saturated(self) -> bool:
        """Whether nearly every choice flips, so that nothing can grow."""
        return margins.mean(self.steps, "flip", self.seed).value > SATURATED

    @cached_property
    def matches(self) -> pd.DataFrame:
        """Where both models choose the same token, both having read the dense text."""
        return parting.matches(self.deviations)

    @cached_property
    def course(self) -> parting.Course:
        """How the texts part."""
        return parting.Course.of(self.matches, self.seed)

    @cached_property
    def text(self) -> pd.DataFrame:
        """Tokens of both texts by their distance from the parting."""
        return aftermath.since(self.tokens)

    def along(self, metric: str) -> pd.DataFrame:
        """A teacher-forced metric at every step, and whether its text has ``parted`` before;
        ``flip`` is 1 − agreement."""
        rows = trends.metric(self.deviations, "agreement" if metric == "flip" else metric)
        if metric == "flip":
            rows = rows.assign(value=1.0 - rows["value"])
        keys = ["prompt", "seed", "step"]
        known = self.matches.assign(parted=parting.parted_before(self.matches))
        return rows.merge(known[[*keys, "parted"]], on=keys)

    def after(self, writer: str) -> pd.DataFrame:
        """Tokens of a text after the parting."""
        return aftermath.stage(aftermath.written(self.text, writer), "after")


def mildest_and_last(pruned: Mapping[str, RunParameters]) -> list[str]:
    """Two of several pruned models: the one with the fewest MLPs dropped, and the last."""
    mlp = [name for name, one in pruned.items() if one.method == "drop" and one.target == "mlp"]
    names = list(pruned)
    return list(dict.fromkeys([*mlp[:1], names[-1]]))


def alive(seen: Mapping[str, Seen]) -> dict[str, Seen]:
    """The models that are not at the floor, or all if all are."""
    return {name: one for name, one in seen.items() if not one.saturated} or dict(seen)


def by_margin(one: Seen) -> pd.DataFrame:
    """Flips against the margin, measured and by law, for ``figures.curves``; and the prediction
    against what came, in the second panel. Each point is a bin of equally many steps."""
    series = {
        "flip": ("choice flipped", "measured"),
        "overtaken": ("runner-up ahead", "exact"),
        "Gaussian": ("Gaussian law", "theorem"),
    }
    found = one.steps.dropna(subset="Gaussian")
    parts = []
    for panel, by in (("Against the margin", "margin"), ("Predicted and measured", "Gaussian")):
        bins = margins.binned(found, by, tuple(series), BINS)
        for column, (label, quantity) in series.items():
            if column != by:
                parts.append(
                    _bins(bins, column, by).assign(
                        panel=panel, series=label, quantity=quantity, space="logit"
                    )
                )
    return pd.concat(parts, ignore_index=True)


def calibration(seen: Mapping[str, Seen]) -> pd.DataFrame:
    """Predicted chance of a flip against the measured share, one panel for each kind of pruning."""
    parts = []
    for name, one in seen.items():
        bins = margins.binned(one.steps.dropna(subset="Gaussian"), "Gaussian", ("flip",), BINS)
        parts.append(
            _bins(bins, "flip", "Gaussian").assign(
                panel=one.kind, series=name, quantity="measured", space="logit"
            )
        )
    return pd.concat(parts, ignore_index=True)


def survival(seen: Mapping[str, Seen]) -> pd.DataFrame:
    """Share of texts not parted at each step, and what two rates make of it, one panel for each
    setting, for ``figures.step_series``, up to the step at which the last text parts."""
    parts = []
    curves = {name: parting.survival(one.matches, one.seed) for name, one in seen.items()}
    last = max(int(known.loc[known["at_risk"] > 0, "step"].max()) for known in curves.values())
    for name, one in seen.items():
        known = curves[name]
        for curve, (label, quantity) in CURVES.items():
            measured = curve == "survival"
            parts.append(
                pd.DataFrame(
                    {
                        "panel": name,
                        "series": label,
                        "quantity": quantity,
                        "space": "probability",
                        "step": known["step"],
                        "mean": getattr(one.course, curve)[0],
                        "low": known["low"] if measured else np.nan,
                        "high": known["high"] if measured else np.nan,
                        "n": known["at_risk"],
                    }
                )
            )
    found = pd.concat(parts, ignore_index=True)
    return found[found["step"] <= last + 1]


def along(one: Seen) -> pd.DataFrame:
    """Flips and KL along the text, teacher-forced, in windows of steps: over all texts, and over
    those that have not parted."""
    parts = []
    for panel, metric in (("Flips", "flip"), ("KL", "kl")):
        rows = one.along(metric)
        for series, part in ((ALL, rows), (UNPARTED, rows[~rows["parted"]])):
            parts.append(
                trends.windows(part, STEPS, one.seed).assign(
                    panel=panel,
                    series=series,
                    quantity="measured" if series == ALL else "bounded",
                    space="probability",
                )
            )
    return pd.concat(parts, ignore_index=True).rename(columns={"window": "point"})


def since_parting(seen: Mapping[str, Seen]) -> pd.DataFrame:
    """Log-likelihood of the pruned texts in windows of steps since the parting, and of the dense
    texts at the same steps, one panel for each setting. Settings that never part are left out."""
    parts = []
    for name, one in seen.items():
        for writer, series, space in (
            ("pruned", "pruned model's text", "probability"),
            ("dense", "dense model's text", "dense"),
        ):
            rows = aftermath.written(one.text, writer)
            rows = rows[rows["lag"] >= 0]
            if len(rows):
                found = trends.windows(rows, LAGS, one.seed, at="lag")
                parts.append(
                    found.assign(panel=name, series=series, space=space, quantity="measured")
                )
    return _lagged(parts)


def helped(found: Mapping[str, pd.DataFrame], seed: int) -> pd.DataFrame:
    """The same for a pruned model that is helped: its own tokens, one line for each k. ``found``
    holds tables as :func:`aftermath.since` makes them, by setting."""
    parts = []
    for name, rows in found.items():
        every = sorted({int(k) for k in rows.loc[rows["writer"] == "pruned", "every"]} - {0})
        lines = [("dense", 0, "dense model's text")]
        lines += [("pruned", k, f"one token in {k}") for k in every]
        for writer, k, series in [*lines, ("pruned", 0, "no help")]:
            own = aftermath.stage(aftermath.written(rows, writer, k), "after")
            if len(own):
                windows = trends.windows(own, LAGS, seed, at="lag")
                parts.append(
                    windows.assign(
                        panel=name, series=series, space="probability", quantity="measured"
                    )
                )
    return _lagged(parts)


def _lagged(parts: list[pd.DataFrame]) -> pd.DataFrame:
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["window"])
    return found.rename(columns={"window": "point"}).assign(
        point=lambda rows: rows["point"].astype(str) + " after the parting"
    )


def _bins(bins: pd.DataFrame, column: str, by: str) -> pd.DataFrame:
    unit = "margin {:.2g} logits" if by == "margin" else "predicted {:.0%}"
    return pd.DataFrame(
        {
            "x": bins["x"],
            "mean": bins[column],
            "low": np.nan,
            "high": np.nan,
            "n": bins["n"],
            "point": [unit.format(value) for value in bins["x"]],
        }
    )
