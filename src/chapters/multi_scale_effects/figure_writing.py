"""Figures of two models that write side by side: around the parting, and how many have parted."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.specification import Line, Panel, Reference
from reporting.figures.style import Style, style_of

PARTING = "step from the parting (0: texts still equal)"


def unpruned_level(value: float) -> tuple[Reference, ...]:
    """The deviation of the unpruned model on other words, as a line to compare with; nothing where
    there is no number."""
    if not math.isfinite(value):
        return ()
    return (Reference(x=(-1e6, 1e6), y=(value, value), label="unpruned, other words"),)


def around_parting(
    frame: pd.DataFrame, unpruned: float, *, y_label: str, **words: Any
) -> FigureOutput:
    """A deviation of the probability space before and after the texts part, a panel for each
    pruned model (column `panel`).

    `frame` has one row for each `decoding` and `step`: `mean`, quartiles `low` and `high`, and
    `n`. `unpruned` is drawn as the level of the unpruned model on other words. `words` are the
    name, title, caption and provenance of the figure.
    """
    hue = style_of("probability")
    looks = {
        "free": ("each reads its own text", hue),
        "forced": ("both read the dense text", Style(hue.colour, "circle", "", thin=True)),
    }
    panels = [
        Panel(
            title=str(panel),
            lines=[
                _line(rows[rows["decoding"] == decoding], label, style, "mean", "quartiles")
                for decoding, (label, style) in looks.items()
            ],
            x_label=PARTING,
            y_label=y_label,
            x_whole=True,
            references=unpruned_level(unpruned),
        )
        for panel, rows in frame.groupby("panel", sort=False)
    ]
    return FigureOutput.of(panels, frame, **words)


def survival_curves(frame: pd.DataFrame, **words: Any) -> FigureOutput:
    """Share of texts that have not parted, a panel for each value of `panel` and up to two lines
    in each, by `series`; columns as for the step series. All is neutral: this is in no space."""
    grey = style_of("dense").colour
    looks = (Style(grey, "circle"), Style(grey, "square", "7px,3px", thin=True))
    names = list(dict.fromkeys(frame["series"]))
    styles = dict(zip(names, looks, strict=True))
    panels = [
        Panel(
            title=str(panel),
            lines=[
                _line(part, str(series), styles[series], "share not parted", "interval")
                for series, part in rows.groupby("series", sort=False)
            ],
            x_label="decoding step",
            y_label="share of texts not yet parted",
            y_range=(-0.03, 1.03),
            x_whole=True,
        )
        for panel, rows in frame.groupby("panel", sort=False)
    ]
    return FigureOutput.of(panels, frame, **words)


def _line(rows: pd.DataFrame, label: str, style: Style, value: str, edges: str) -> Line:
    part = rows.sort_values("step")
    banded = bool(part[["low", "high"]].notna().all(axis=None))
    return Line(
        x=part["step"].tolist(),
        mean=part["mean"].tolist(),
        low=part["low"].tolist() if banded else None,
        high=part["high"].tolist() if banded else None,
        n=[int(count) for count in part["n"]],
        style=style,
        label=label,
        points=[f"step {step}" for step in part["step"]],
        value=value,
        edges=edges,
    )
