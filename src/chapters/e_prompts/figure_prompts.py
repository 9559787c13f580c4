"""How long prompts are: tokens of each, alone and in the chat template.

The input holds one row for each prompt, in order: `prompt`, `category`, `plain` and, where there
is a chat template, `template`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput
from reporting.figures.specification import Line, Panel
from reporting.figures.style import Style

FORMS = {
    "template": ("in the chat template", Style("#767676", "square", "7px,3px", thin=True)),
    "plain": ("text alone", Style("#767676", "circle")),
}


def prompt_profile(
    frame: pd.DataFrame, *, name: str, title: str, caption: str, provenance: Mapping[str, Any]
) -> FigureOutput:
    """Tokens of each prompt in the order of `frame`; lines break where the category changes."""
    lines = [_line(frame, form) for form in FORMS if form in frame.columns]
    top = max(value for line in lines for value in line.values())
    panel = Panel(
        title="Length of each prompt",
        lines=lines,
        x_label="prompt, in the order of the table",
        y_label="tokens",
        x_range=(0.5, len(frame) + 0.5),
        y_range=(0.0, 1.08 * top),
        x_whole=True,
    )
    return FigureOutput.of(
        [panel], frame, name=name, title=title, caption=caption, provenance=provenance
    )


def _line(frame: pd.DataFrame, form: str) -> Line:
    label, style = FORMS[form]
    x: list[float] = []
    tokens: list[float] = []
    points: list[str] = []
    before = None
    for place, row in enumerate(frame.to_dict("records"), 1):
        if before not in (None, row["category"]):  # a gap between two categories
            x.append(place - 0.5)
            tokens.append(math.nan)
            points.append("")
        x.append(place)
        tokens.append(row[form])
        points.append(f"{row['prompt']}, {row['category']}")
        before = row["category"]
    return Line(x=x, mean=tokens, style=style, label=label, points=points, value="tokens")
