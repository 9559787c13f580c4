"""The same questions as a choice and as a text: one row for each model, a mark for each form."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.specification import EVERY_MARKER, Line, Panel, Reference
from reporting.figures.style import Style, style_of

FORMS = {  # label, look, and how far from the middle of the row
    "choice": ("best of four", replace(style_of("choosing"), dash=""), 0.13),
    "generation": ("written", replace(style_of("generating"), dash=""), -0.13),
}
BAND = 0.11  # half its height, in rows
ROWS = EVERY_MARKER // 2  # a line with more marks and gaps would show a few of them only
X_LABEL = "share right, above guessing"


def paired_probes(frame: pd.DataFrame, **words: Any) -> FigureOutput:
    """Scores of both forms, joined by a line, a panel for each way to ask.

    ``frame`` is that of :func:`chapters.probes.story.levels`, models in the order of their rows,
    the first at the top. ``words`` are the name, title, caption and provenance of the figure.
    """
    models = list(dict.fromkeys(frame["model"]))
    heights = {model: float(len(models) - 1 - place) for place, model in enumerate(models)}
    rows = frame.assign(
        height=frame["model"].map(heights) + frame["form"].map(lambda form: FORMS[form][2]),
        says=[_numbers(row) for row in frame.itertuples()],
    )
    left = min(-0.1, float(frame[["value", "low"]].min(axis=None)) - 0.03)
    panels = [
        Panel(
            title=str(name),
            lines=_lines(part),
            x_label=X_LABEL,
            y_label="model, dense at the top",
            x_range=(left, 1.03),
            y_range=(-0.55, len(models) - 0.45),
            y_ticks=[(height, model) for model, height in heights.items()],
            references=(
                Reference(x=(0, 0), y=(-1, len(models)), label="guessing", dash="2px,3px"),
            ),
        )
        for name, part in rows.groupby("panel", sort=False)
    ]
    return FigureOutput.of(panels, frame, alt=_described(frame), **words)


def _lines(rows: pd.DataFrame) -> list[Line]:
    """What joins the two marks of a model, then for each form its intervals and its marks."""
    thin = Style(style_of("dense").colour, "none", stroke=1.3)
    joined = _gapped(rows, np.where(rows["form"].eq("generation"), 2, 1))
    same = "same questions"
    lines = [_line(joined, thin, same, says=[same] * len(joined))]
    for form, (label, look, _) in FORMS.items():
        own = rows[rows["form"].eq(form)]
        if own["low"].notna().any():
            lines.append(_bands(own[own["low"].notna()], label, look))
        for begin in range(0, len(own), ROWS):
            marks = _gapped(own.iloc[begin : begin + ROWS], 2)
            told = {"points": list(marks["model"]), "says": list(marks["says"])}
            lines.append(_line(marks, look, label, **told))
    return lines


def _gapped(rows: pd.DataFrame, times: int | np.ndarray) -> pd.DataFrame:
    """Every row so many times, the later ones without a height: gaps that break a line."""
    repeated = rows.loc[rows.index.repeat(times)]
    return repeated.assign(height=repeated["height"].where(~repeated.index.duplicated()))


def _line(rows: pd.DataFrame, look: Style, label: str, **told: Any) -> Line:
    x, heights = rows["value"].tolist(), rows["height"].tolist()
    return Line(x=x, mean=heights, look=look, label=label, direct=False, **told)


def _bands(rows: pd.DataFrame, label: str, look: Style) -> Line:
    """The intervals, each a bar along its row, with a gap after it."""
    x = rows[["low", "high", "high"]].to_numpy().ravel()
    gaps = np.tile([0.0, 0.0, np.nan], len(rows))
    heights = np.repeat(rows["height"].to_numpy(), 3) + gaps
    return Line(
        x=list(x),
        low=list(heights - BAND),
        high=list(heights + BAND),
        mean=[np.nan] * len(x),
        look=look,
        label=label,
        direct=False,
    )


def _numbers(row: Any) -> str:
    """``0.83 [0.70 to 0.92], n = 84``"""
    around = "" if pd.isna(row.low) else f" [{_number(row.low)} to {_number(row.high)}]"
    return f"{_number(row.value)}{around}, n = {row.n}"


def _number(value: float) -> str:
    return f"{value:z.2f}".replace("-", "−")


def _described(frame: pd.DataFrame) -> str:
    """Every mark in words, row by row."""
    texts = [
        f"{X_LABEL}, one row for each model, with a mark for each form in which the same questions "
        "are asked."
    ]
    for name, rows in frame.groupby("panel", sort=False):
        marks = [
            f"{row.model} {FORMS[row.form][0]} {_number(row.value)}" for row in rows.itertuples()
        ]
        texts.append(f"{name}: {'; '.join(marks)}.")
    return " ".join(texts)
