"""Figures over the depth of a model: one point for each sublayer, attention above MLP.

The x axis is relative depth, layer / (layers − 1), so that models with different numbers of
layers can be compared. The input is one row for each sublayer, layer and line, with the columns
of `COLUMNS`: cosine similarities (no unit) between the dense and the pruned state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.specification import Line, Panel, cosine_range
from reporting.figures.style import SPACES, Style, ramp

COLUMNS = ("sublayer", "layer", "layers", "space", "mean", "low", "high", "n")
SUBLAYERS = {"attention": "Attention", "mlp": "MLP"}
DEPTH = "relative depth (0 = first, 1 = last layer)"
COSINE = "cosine similarity, dense to pruned (1 = unchanged)"
VARIANCE = "Var(Δz) in squared logits"
MAGNITUDE = "‖Δ⊥‖ / ‖state‖ (0 = direction unchanged)"


def layer_profile(
    frame: pd.DataFrame,
    reported: pd.DataFrame | None = None,
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
    reported_model: str = "another model",
    alt: str | None = None,
) -> FigureOutput:
    """Similarity in the three spaces at every layer: mean lines with min–max bands.

    `reported`, of the same columns, adds what a paper printed for `reported_model` as thin
    hollow lines. `alt` is written from the data unless given.
    """
    measured = _prepared(frame).assign(quantity="measured")
    parts = [measured]
    if reported is not None and len(reported):
        parts.append(_prepared(reported).assign(quantity="reported"))
    data = pd.concat(parts, ignore_index=True)

    def lines(rows: pd.DataFrame) -> list[Line]:
        found = []
        for quantity in ("measured", "reported"):
            for space in SPACES:
                part = rows[(rows["quantity"] == quantity) & (rows["space"] == space)]
                if part.empty:
                    continue
                if quantity == "measured":
                    found.append(_line(part, space, space))
                else:
                    label = f"reported ({reported_model}, {part['layers'].iloc[0]} layers)"
                    found.append(_line(part, space, label, reported=True, end_label="reported"))
        return found

    return _figure(data, lines, name, title, caption, provenance, alt)


def category_profile(
    frame: pd.DataFrame,
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
    space: str = "probability",
    alt: str | None = None,
) -> FigureOutput:
    """One space, one mean line for each category of prompts (column `category`)."""
    data = _prepared(frame, "category")
    return _variants(data, "category", space, name, title, caption, provenance, alt)


def magnitude_profile(
    frame: pd.DataFrame, *, y_label: str = MAGNITUDE, **words: Any
) -> FigureOutput:
    """A positive quantity of each space at every layer, on a logarithmic scale: mean lines with
    min–max bands. Columns as `COLUMNS`; spaces that are not in `frame` are left out. `words` are
    the name, title, caption and provenance of the figure."""

    def lines(rows: pd.DataFrame) -> list[Line]:
        parts = ((space, rows[rows["space"] == space]) for space in SPACES)
        return [_line(part, space, space) for space, part in parts if len(part)]

    return _stacked(_prepared(frame), lines, words, y_label=y_label, y_scale="log")


def variance_profile(frame: pd.DataFrame, *, y_label: str = VARIANCE, **words: Any) -> FigureOutput:
    """Several positive quantities at every layer (column `series`), on a logarithmic scale."""
    data = _prepared(frame, "series")
    names = list(dict.fromkeys(data["series"]))
    styles = dict(zip(names, ramp("probability", len(names)), strict=True))

    def lines(rows: pd.DataFrame) -> list[Line]:
        parts = ((each, rows[rows["series"] == each]) for each in names)
        return [_line(part, styles[each], each, band=False) for each, part in parts if len(part)]

    return _stacked(data, lines, words, y_label=y_label, y_scale="log")


def _variants(
    data: pd.DataFrame,
    by: str,
    space: str,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
    alt: str | None,
) -> FigureOutput:
    """Lines of one space, one for each value of the column `by`, in order of appearance."""
    data = data[data["space"] == space].reset_index(drop=True)
    values = list(dict.fromkeys(data[by].astype(str)))
    styles = dict(zip(values, ramp(space, len(values)), strict=True))

    def lines(rows: pd.DataFrame) -> list[Line]:
        groups = ((value, rows[rows[by].astype(str) == value]) for value in values)
        return [
            _line(part, styles[value], value, band=False) for value, part in groups if len(part)
        ]

    return _figure(data, lines, name, title, caption, provenance, alt, f", {space} space")


def _prepared(frame: pd.DataFrame, *more: str) -> pd.DataFrame:
    """The columns that are plotted, with the relative depth, in a fixed order of rows."""
    needed = (*COLUMNS, *more)
    if missing := [column for column in needed if column not in frame.columns]:
        raise ValueError(f"the table lacks the columns {', '.join(missing)}")
    if unknown := sorted(set(frame["sublayer"]) - set(SUBLAYERS)):
        raise ValueError(f"unknown sublayer {unknown[0]!r}: use {' or '.join(SUBLAYERS)}")
    if unknown := sorted(set(frame["space"]) - set(SPACES)):
        raise ValueError(f"unknown space {unknown[0]!r}: use one of {', '.join(SPACES)}")
    data = frame.loc[:, list(needed)].sort_values("layer", kind="stable", ignore_index=True)
    last = (data["layers"] - 1).clip(lower=1)
    return data.assign(depth=data["layer"] / last)


def _line(part: pd.DataFrame, style: str | Style, label: str, **options: Any) -> Line:
    if part["layer"].duplicated().any():
        raise ValueError(f"line {label!r} has more than one row for a layer: average them first")
    return Line(
        x=part["depth"].tolist(),
        mean=part["mean"].tolist(),
        low=part["low"].tolist(),
        high=part["high"].tolist(),
        n=part["n"].tolist(),
        style=style,
        label=label,
        points=[
            f"layer {layer} of 0–{layers - 1}"
            for layer, layers in zip(part["layer"], part["layers"], strict=True)
        ],
        **options,
    )


def _figure(
    data: pd.DataFrame,
    lines: Callable[[pd.DataFrame], list[Line]],
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
    alt: str | None,
    scope: str = "",
) -> FigureOutput:
    """Cosines of attention above MLP; `lines` makes the lines of one panel."""
    if data.empty:
        raise ValueError(f"figure {name!r} has no rows to draw")
    drawn = [line for key in SUBLAYERS for line in lines(data[data["sublayer"] == key])]
    limits = cosine_range([value for line in drawn for value in line.values()])
    words = {"name": name, "title": title, "caption": caption, "provenance": provenance}
    return _stacked(data, lines, words, scope, alt or "", y_label=COSINE, y_range=limits)


def _stacked(
    data: pd.DataFrame,
    lines: Callable[[pd.DataFrame], list[Line]],
    words: Mapping[str, Any],
    scope: str = "",
    alt: str = "",
    **axes: Any,
) -> FigureOutput:
    """Attention above MLP over relative depth, on shared axes."""
    drawn = {key: lines(rows) for key in SUBLAYERS if len(rows := data[data["sublayer"] == key])}
    panels = [
        Panel(
            title=SUBLAYERS[key] + scope, lines=each, x_label=DEPTH, x_range=(-0.02, 1.02), **axes
        )
        for key, each in drawn.items()
        if each
    ]
    return FigureOutput.of(panels, data, alt=alt, **words)
