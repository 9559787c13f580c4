"""Which choices survive pruning, and where tokens move: figures of sets of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.specification import Line, Panel, Reference
from reporting.figures.style import Style, ramp, style_of

GAP = "gap / noise of the set"
RANK = "rank of the tokens in the dense model (log scale)"
_X = tuple(0.1 * step for step in range(61))
LAW = Reference(
    x=_X,
    y=tuple(NormalDist().cdf(x / 2**0.5) for x in _X),
    label="two tokens, Gaussian noise",
)
MOVES = {
    "noise": ("In logits", "noise of log-likelihoods, relative to the likeliest tokens"),
    "moved": ("In probabilities", "mean |Δp|, relative to the likeliest tokens (log scale)"),
}


def gap_curves(
    frames: Mapping[str, pd.DataFrame],
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
) -> FigureOutput:
    """Share of choices that survive against gap over noise: one panel for each of `frames`.

    A frame has one line for each `series`, the first of them the options: columns `series`, `x`,
    `mean`, `low`, `high` and `n`, as from `subspace.Subsets.curve`. Only the options show their
    interval.
    """
    names = list(dict.fromkeys(each for frame in frames.values() for each in frame["series"]))
    looks = dict(zip(names, _looks(len(names)), strict=True))
    panels = [
        Panel(
            title=panel,
            lines=[
                _line(part, looks[str(series)], str(series), str(series) == names[0])
                for series, part in frame.groupby("series", sort=False)
            ],
            x_label=GAP,
            y_label="share of choices that survive",
            y_range=(0.0, 1.03),
            references=(LAW,),
        )
        for panel, frame in frames.items()
        if len(frame)
    ]
    data = pd.concat([frame.assign(panel=panel) for panel, frame in frames.items()])
    return FigureOutput.of(
        panels, data, name=name, title=title, caption=caption, provenance=provenance
    )


def band_profile(
    frame: pd.DataFrame, *, name: str, title: str, caption: str, provenance: Mapping[str, Any]
) -> FigureOutput:
    """How far tokens of each dense rank move, in logits and in probabilities.

    `frame` as from `subspace.band_frame`: `setting`, `band`, `metric` (`noise` or `moved`),
    `rank`, `mean` and `n`.
    """
    settings = list(dict.fromkeys(frame["setting"]))
    panels = []
    for metric, (title_of, y_label) in MOVES.items():
        rows = frame[frame["metric"] == metric]
        hue = "logit" if metric == "noise" else "probability"
        lines = [
            Line(
                x=part["rank"].tolist(),
                mean=part["mean"].tolist(),
                n=part["n"].tolist(),
                style=look,
                label=setting,
                points=[f"ranks {band}" for band in part["band"]],
                value="relative to the first band",
            )
            for setting, look in zip(settings, ramp(hue, len(settings)), strict=True)
            for part in [rows[rows["setting"] == setting]]
        ]
        top = 1.1 * max(max(line.mean) for line in lines)
        panels.append(
            Panel(
                title=title_of,
                lines=lines,
                x_label=RANK,
                y_label=y_label,
                x_scale="log",
                y_scale="linear" if metric == "noise" else "log",
                y_range=(0.0, top) if metric == "noise" else None,
            )
        )
    return FigureOutput.of(
        panels, frame, name=name, title=title, caption=caption, provenance=provenance
    )


def _looks(count: int) -> list[Style]:
    """The hue of probabilities for the first, shades towards grey for the others."""
    shades = ramp("probability", count)[:-1]
    return [Style(style_of("probability").colour, "diamond"), *reversed(shades)][:count]


def _line(part: pd.DataFrame, style: Style, label: str, band: bool) -> Line:
    rows = part.sort_values("x")
    return Line(
        x=rows["x"].tolist(),
        mean=rows["mean"].tolist(),
        low=rows["low"].astype(float).tolist(),
        high=rows["high"].astype(float).tolist(),
        band=band,
        n=rows["n"].tolist(),
        style=style,
        label=label,
        value="share that survives",
        edges="interval over families",
    )
