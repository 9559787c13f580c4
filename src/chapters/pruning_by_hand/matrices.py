"""A small matrix of weights as a coloured table, and a row of them for the steps of a method.

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
    steps: Sequence[Matrix],
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
) -> HtmlOutput:
    """Steps side by side where there is room, one below the other where there is not."""
    shapes = {step.values.shape for step in steps}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ValueError(f"figure {name!r}: the matrices must have one shape, not {shapes}")
    html = (
        f'<figure class="book-figure" id="fig-{escape(name)}">'
        f'<p class="figure-title">{escape(title)}</p>'
        f'<div class="matrix-steps">{"".join(_step(step) for step in steps)}</div>'
        f'<figcaption><p class="figure-caption">{escape(caption)}</p>'
        f"{line(provenance, name)}</figcaption></figure>"
    )
    return HtmlOutput(html, f"{title}\n{caption}")


def _step(step: Matrix) -> str:
    largest = float(np.abs(step.values).max()) or 1.0
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
