"""Small matrices of weights as coloured tables: the steps of one method, of several to choose from.

Colour carries sign and size: blue below zero, orange above, faint near zero. A removed weight is
an empty cell with a dot, so that nothing depends on colour alone. Plain HTML: the same on both
themes, in print and without scripts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from reporting.figures.identity import line
from reporting.figures.tables import HtmlOutput

NEGATIVE, POSITIVE = "0, 114, 178", "213, 94, 0"
STRONGEST = 0.85  # opacity of the largest value
SAME_SCALE = {"After": "Before"}  # titles whose colours share a scale


@dataclass(frozen=True)
class Matrix:
    """One step: a title, values (rows, columns), and which of them are kept (all, if None).

    ``digits`` after the point are shown; None shows what is kept and nothing else.
    """

    title: str
    values: np.ndarray
    keep: np.ndarray | None = None
    digits: int | None = 2


def matrices(
    choices: Mapping[str, Sequence[Matrix]],
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
) -> HtmlOutput:
    """One method at a time, its steps side by side where there is room, one below the other where
    there is not. The reader chooses among the ``choices`` without a script; on paper all stand
    below one another. Matrices of one title have one scale of colours over all choices, and so do
    those before and after."""
    every = [step for steps in choices.values() for step in steps]
    shapes = {step.values.shape for step in every}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ValueError(f"figure {name!r}: the matrices must have one shape, not {shapes}")
    largest: dict[str, float] = {}
    for step in every:
        key = SAME_SCALE.get(step.title, step.title)
        largest[key] = max(largest.get(key, 0.0), float(np.abs(step.values).max()))
    picks = "".join(
        f'<input type="radio" name="{name}" id="{name}-{at}"{" checked" if at == 0 else ""}>'
        f'<label for="{name}-{at}">{escape(text)}</label>'
        for at, text in enumerate(choices)
    )
    shown = "".join(
        f'<div class="matrix-choice"><p>{escape(text)}</p><div class="matrix-steps">'
        + "".join(
            _step(step, largest[SAME_SCALE.get(step.title, step.title)] or 1.0) for step in steps
        )
        + "</div></div>"
        for text, steps in choices.items()
    )
    html = (
        f'<figure class="book-figure full-width" id="fig-{escape(name)}">'
        f'<p class="figure-title" id="{name}-title">{escape(title)}</p>'
        f'<div class="matrix-methods" role="radiogroup" aria-label="Method">{picks}'
        f'<div class="matrix-choices">{shown}</div></div>'
        f'<figcaption><p class="figure-caption">{escape(caption)}</p>'
        f"{line(provenance, name)}</figcaption></figure>"
    )
    return HtmlOutput(html, f"{title}\n{caption}\n({', '.join(choices)})")


def _step(step: Matrix, largest: float) -> str:
    keep = np.ones(step.values.shape, bool) if step.keep is None else step.keep
    rows = "".join(
        "<tr>"
        + "".join(
            _cell(value, kept, largest, step.digits)
            for value, kept in zip(values, kept_row, strict=True)
        )
        + "</tr>"
        for values, kept_row in zip(step.values.tolist(), keep.tolist(), strict=True)
    )
    removed = int((~keep).sum())
    words = f"{removed} of {keep.size} removed" if removed else f"{keep.size} weights"
    return (
        f'<div class="matrix-step"><table class="matrix" aria-label="{escape(step.title)}">'
        f"<caption>{escape(step.title)} <small>({words})</small></caption>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cell(value: float, kept: bool, largest: float, digits: int | None) -> str:
    if not kept:
        return '<td class="removed"><span aria-label="removed">·</span></td>'
    if digits is None:
        return '<td class="kept"><span aria-label="kept">1</span></td>'
    colour = NEGATIVE if value < 0 else POSITIVE
    strength = STRONGEST * abs(value) / largest
    text = f"{value:z.{digits}f}".replace("-", "−")  # z: no negative zero
    return f'<td style="background: rgba({colour}, {strength:.2f})">{text}</td>'
