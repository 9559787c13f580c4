"""One figure out of many: a block of the page in which the reader chooses, say, the layer.

All choices travel as one compact piece of JSON. The static picture, for print and for readers
without scripts, is that of the default choice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from html import escape
from typing import Any

import pandas as pd

from reporting.figures.compact import compact, pooled, rounded
from reporting.figures.html import FigureOutput, key_list
from reporting.figures.identity import download, entries, line
from reporting.figures.interactive import script_text
from reporting.figures.labels import key
from reporting.figures.specification import Figure
from reporting.figures.static import svg
from reporting.figures.tables import HtmlOutput


def chooser(
    choices: Mapping[str, Figure | FigureOutput],
    *,
    name: str,
    label: str,
    default: str | None = None,
    shared_y: bool = True,
) -> HtmlOutput:
    """A figure with a list, and buttons for previous and next, to switch among `choices`.

    `label` names the list, such as "Layer"; `default` is the choice shown first (the first one
    unless given). All choices have equal numbers of panels, with equal scales, and come from one
    run. With `shared_y` each panel keeps one y range over all choices, so that they can be
    compared. Title, caption, key, alternative text and download change with the choice; the
    downloaded values are those drawn, at five significant digits.
    """
    figures = {
        text: each.figure if isinstance(each, FigureOutput) else each
        for text, each in choices.items()
    }
    first = next(iter(figures), "") if default is None else default
    if first not in figures:
        raise ValueError(f"chooser {name!r}: the default {first!r} is not among the choices")
    _check(figures, name)
    if shared_y:
        figures = dict(zip(figures, _on_one_scale(list(figures.values())), strict=True))
    shown = replace(figures[first], name=name)
    content = {
        "chooser": pooled([_choice(text, each) for text, each in figures.items()]),
        "default": list(figures).index(first),
        "head": "".join(f"# {fact}: {value}\n" for fact, value in entries(shown.provenance)),
        "run": str(shown.provenance.get("run", "")),
    }
    data = download(_drawn(first, shown), f"{name}-{_slug(first)}", shown.title, shown.provenance)
    html = "\n".join(
        [
            f'<figure class="book-figure" id="fig-{name}">',
            _controls(list(figures), name, label, first),
            f'<p class="figure-title" id="{name}-title" aria-live="polite">'
            f"{escape(shown.title)}</p>",
            key_list(key(shown)),
            f'<div class="figure-interactive" data-figure="{name}" role="group" '
            f'aria-label="{escape(shown.alt)}">'
            f'<script type="application/json">{script_text(content)}</script></div>',
            f'<div class="figure-static">{svg(shown)}</div>',
            f'<figcaption><p class="figure-note">{escape(shown.caption)}</p>',
            line(shown.provenance, name, data),
            "</figcaption>",
            "</figure>",
        ]
    )
    return HtmlOutput(html, f"{shown.title}\n{shown.caption}\n({label}: {', '.join(figures)})")


def _check(figures: Mapping[str, Figure], name: str) -> None:
    """All choices have one structure and one origin."""
    structures = {
        tuple((panel.x_scale, panel.y_scale) for panel in figure.panels)
        for figure in figures.values()
    }
    if len(structures) != 1:
        raise ValueError(f"chooser {name!r}: the choices differ in their panels or scales")
    origins = list(figures.values())
    if any(figure.provenance != origins[0].provenance for figure in origins):
        raise ValueError(f"chooser {name!r}: the choices come from different runs")


def _on_one_scale(figures: list[Figure]) -> list[Figure]:
    """The figures with each panel's y range widened to that of all choices."""
    ranges = []
    for index in range(len(figures[0].panels)):
        pairs = [figure.y_range(figure.panels[index]) for figure in figures]
        ranges.append((min(low for low, _ in pairs), max(high for _, high in pairs)))
    return [
        replace(
            figure,
            panels=[
                replace(panel, y_range=limits)
                for panel, limits in zip(figure.panels, ranges, strict=True)
            ],
        )
        for figure in figures
    ]


def _choice(text: str, figure: Figure) -> dict[str, Any]:
    words = {
        "choice": text,
        "slug": _slug(text),
        "title": figure.title,
        "caption": figure.caption,
        "alt": figure.alt,
        "key": key_list(key(figure)),
    }
    return words | compact(figure)


def _controls(texts: list[str], name: str, label: str, first: str) -> str:
    options = "".join(
        f'<option value="{index}"{" selected" if text == first else ""}>{escape(text)}</option>'
        for index, text in enumerate(texts)
    )
    words = escape(label.lower() if label[1:].islower() else label)
    return (
        f'<div class="figure-chooser"><label for="{name}-choice">{escape(label)}</label> '
        f'<select id="{name}-choice" autocomplete="off">{options}</select> '
        f'<button type="button" data-step="-1" aria-label="previous {words}">‹</button>'
        f'<button type="button" data-step="1" aria-label="next {words}">›</button></div>'
    )


def _drawn(text: str, figure: Figure) -> pd.DataFrame:
    """What is drawn of one choice, one row a point; `figures.js` writes the same columns."""
    rows: list[dict[str, Any]] = []
    for panel in figure.panels:
        for each in sorted(panel.lines, key=lambda line: not line.reported):
            nothing = [None] * len(each.x)
            counts = nothing if each.n is None or isinstance(each.n, int) else list(each.n)
            columns = zip(
                rounded(each.x),
                each.points or nothing,
                rounded(each.mean),
                nothing if each.low is None else rounded(each.low),
                nothing if each.high is None else rounded(each.high),
                counts,
                strict=True,
            )
            rows += [
                {"choice": text, "panel": panel.title, "series": each.label}
                | dict(zip(("x", "point", "y", "low", "high", "n"), values, strict=True))
                for values in columns
            ]
    return pd.DataFrame(rows).astype({"x": object, "y": object, "low": object, "high": object})


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "choice"
