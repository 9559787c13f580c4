"""The same questions as a choice and as a text: one row for each model, a mark for each form."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.score_curves import KINDS
from reporting.figures.specification import EVERY_MARKER, Line, Panel, Reference
from reporting.figures.style import Style, style_of

COLUMNS = ("panel", "model", "form", "value", "low", "high", "n")
X_LABEL, Y_LABEL = "share right, above guessing", "model, dense at the top"
FORMS = {  # label, look, and how far from the middle of the row
    "choice": ("best of four", replace(KINDS["choosing"], dash=""), 0.13),
    "generation": ("written", replace(KINDS["generating"], dash=""), -0.13),
}
_BAND = 0.11  # half its height, in rows
_GAP = math.nan  # breaks a line
_ROWS = EVERY_MARKER // 2  # a line with more marks and gaps would show a few of them only
_LEFT, _RIGHT = -0.1, 1.03


def paired_probes(frame: pd.DataFrame, **words: Any) -> FigureOutput:
    """Scores of both forms, joined by a line, a panel for each way to ask.

    `frame` has the columns `COLUMNS`, one row for each `panel`, `model` and `form` (`choice` and
    `generation`), models in the order of their rows, as from `probe_levels.levels`: `value` is the
    score above guessing, 1 if all is right, `low` and `high` its interval, missing where there is
    none, and `n` the questions. `words` are the name, title, caption and provenance of the figure.
    Raises ValueError for a table without these columns or rows, with another form, or with two
    numbers for one mark.
    """
    if missing := [column for column in COLUMNS if column not in frame.columns]:
        raise ValueError(f"the table lacks the columns {', '.join(missing)}")
    if frame.empty:
        raise ValueError("a figure of probes without a row")
    if unknown := sorted({*frame["form"].astype(str)} - {*FORMS}):
        raise ValueError(f"unknown form {unknown[0]!r}: use one of {', '.join(FORMS)}")
    if frame.duplicated(["panel", "model", "form"]).any():
        raise ValueError("give one number for each panel, model and form")
    data = frame.loc[:, list(COLUMNS)].reset_index(drop=True)
    models = list(dict.fromkeys(data["model"].astype(str)))
    heights = {model: float(len(models) - 1 - place) for place, model in enumerate(models)}
    least = min(_LEFT, float(data[["value", "low"]].min(axis=None)) - 0.03)
    panels = [
        _panel(str(name), part.assign(model=part["model"].astype(str)), heights, least)
        for name, part in data.groupby("panel", sort=False, observed=True)
    ]
    return FigureOutput.of(panels, data, alt=_described(data), **words)


def _panel(name: str, rows: pd.DataFrame, heights: dict[str, float], least: float) -> Panel:
    by_form = {form: part for form, part in rows.groupby("form", sort=False, observed=True)}
    lines = [_joined(rows, heights)]
    for form, (label, look, offset) in FORMS.items():
        if form not in by_form:
            continue
        part = by_form[form].assign(height=lambda one, up=offset: one["model"].map(heights) + up)
        if part["low"].notna().any():
            lines.append(_bands(part, label, look))
        lines += [
            _marks(part.iloc[begin : begin + _ROWS], label, look)
            for begin in range(0, len(part), _ROWS)
        ]
    top = max(heights.values())
    return Panel(
        title=name,
        lines=lines,
        x_label=X_LABEL,
        y_label=Y_LABEL,
        x_range=(least, _RIGHT),
        y_range=(-0.55, top + 0.55),
        y_ticks=[(height, model) for model, height in heights.items()],
        references=(
            Reference(x=(0.0, 0.0), y=(-1.0, top + 1.0), label="guessing", dash="2px,3px"),
        ),
    )


def _joined(rows: pd.DataFrame, heights: dict[str, float]) -> Line:
    """A thin line from one mark of a model to the other."""
    x: list[float] = []
    y: list[float] = []
    for model, part in rows.groupby("model", sort=False):
        for form, value in zip(part["form"], part["value"], strict=True):
            x.append(float(value))
            y.append(heights[str(model)] + FORMS[str(form)][2])
        x.append(x[-1])
        y.append(_GAP)
    look = Style(style_of("dense").colour, "none", stroke=1.3)
    said = ["same questions"] * len(x)
    return Line(x=x, mean=y, style=look, label="same questions", end_label="", says=said)


def _bands(part: pd.DataFrame, label: str, look: Style) -> Line:
    """The intervals, each a bar along its row."""
    x: list[float] = []
    low: list[float] = []
    high: list[float] = []
    for row in part[part["low"].notna()].itertuples():
        x += [row.low, row.high, row.high]
        low += [row.height - _BAND] * 2 + [_GAP]
        high += [row.height + _BAND] * 2 + [_GAP]
    nothing = [_GAP] * len(x)
    return Line(x=x, low=low, high=high, mean=nothing, style=look, label=label, end_label="")


def _marks(part: pd.DataFrame, label: str, look: Style) -> Line:
    """One mark in each row; the gaps between keep them from being joined."""
    x: list[float] = []
    y: list[float] = []
    points: list[str] = []
    says: list[str] = []
    for row in part.itertuples():
        x += [row.value, row.value]
        y += [row.height, _GAP]
        points += [row.model] * 2
        says += [_numbers(row)] * 2
    return Line(x=x, mean=y, style=look, label=label, end_label="", points=points, says=says)


def _numbers(row: Any) -> str:
    """``0.83 [0.70 to 0.92], n = 84``"""
    around = "" if row.low != row.low else f" [{_number(row.low)} to {_number(row.high)}]"
    return f"{_number(row.value)}{around}, n = {row.n}"


def _number(value: float) -> str:
    return f"{value:z.2f}".replace("-", "−")


def _mark(form: Any, value: float) -> str:
    return f"{FORMS[str(form)][0]} {_number(value)}"


def _described(data: pd.DataFrame) -> str:
    """Every mark in words, row by row."""
    count = data["panel"].nunique()
    texts = [
        f"{'One panel' if count == 1 else f'{count} panels, one above the other'}: {X_LABEL}, one "
        "row for each model, with a mark for each form in which the same questions are asked."
    ]
    for name, rows in data.groupby("panel", sort=False, observed=True):
        models = [
            f"{model} " + ", ".join(map(_mark, part["form"], part["value"]))
            for model, part in rows.groupby("model", sort=False, observed=True)
        ]
        texts.append(f"{name}: {'; '.join(models)}.")
    return " ".join(texts)
