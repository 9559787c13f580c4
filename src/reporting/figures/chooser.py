"""One figure out of many: a block of the page in which the reader chooses, say, the layer.

The static picture, for print and for readers without scripts, is that of the default choice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from html import escape, unescape
from itertools import repeat
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput, block, key_list
from reporting.figures.identity import download, entries, file_name
from reporting.figures.interactive import plot
from reporting.figures.layout import key
from reporting.figures.specification import Figure
from reporting.figures.tables import HtmlOutput

COLUMNS = ["choice", "panel", "series", "x", "point", "y", "low", "high", "n"]


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
    downloaded values are those drawn, at six significant digits.
    """
    figures = {
        text: replace(each.figure if isinstance(each, FigureOutput) else each, name=name)
        for text, each in choices.items()
    }
    first = next(iter(figures), "") if default is None else default
    if first not in figures:
        raise ValueError(f"chooser {name!r}: the default {first!r} is not among the choices")
    _check(figures, name)
    if shared_y:
        figures = _on_one_scale(figures)
    shown = figures[first]
    usual = key_list(key(shown))
    plots = [_choice(text, each, usual) for text, each in figures.items()]
    content = {
        "choices": plots,
        "default": list(figures).index(first),
        "head": "".join(f"# {fact}: {value}\n" for fact, value in entries(shown.provenance)),
    }
    drawn = _drawn(plots[list(figures).index(first)])
    link = download(drawn, _name(first, shown), shown.title, shown.provenance)
    html = block(shown, content, link, _controls(list(figures), name, label, first))
    return HtmlOutput(html, f"{shown.title}\n{shown.caption}\n({label}: {', '.join(figures)})")


def _check(figures: Mapping[str, Figure], name: str) -> None:
    """All choices have one structure and one origin."""
    structures = {
        tuple((panel.x_scale, panel.y_scale) for panel in figure.panels)
        for figure in figures.values()
    }
    if len(structures) != 1:
        raise ValueError(f"chooser {name!r}: the choices differ in their panels or scales")
    origin, *others = (figure.provenance for figure in figures.values())
    if any(other != origin for other in others):
        raise ValueError(f"chooser {name!r}: the choices come from different runs")


def _on_one_scale(figures: Mapping[str, Figure]) -> dict[str, Figure]:
    """The figures with each panel's y range widened to that of all choices."""
    pairs = [[each.y_range(panel) for panel in each.panels] for each in figures.values()]
    ranges = [
        (min(low for low, _ in own), max(high for _, high in own))
        for own in zip(*pairs, strict=True)
    ]
    return {
        text: replace(
            figure,
            panels=[
                replace(panel, y_range=limits)
                for panel, limits in zip(figure.panels, ranges, strict=True)
            ],
        )
        for text, figure in figures.items()
    }


def _choice(text: str, figure: Figure, usual: str) -> dict[str, Any]:
    """One choice as the script needs it; the key is left out where it is the usual one."""
    own = key_list(key(figure))
    return {
        "choice": text,
        "file": file_name(_name(text, figure), figure.provenance),
        "title": figure.title,
        "caption": figure.caption,
        "alt": figure.alt,
        "key": None if own == usual else own,
        "plot": plot(figure),
    }


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


def _drawn(choice: Mapping[str, Any]) -> pd.DataFrame:
    """What is drawn of one choice, one row a point; `figures.js` writes the same columns."""
    rows = []
    for trace in choice["plot"]["data"]:
        named = [choice["choice"], trace.get("meta", {}).get("panel"), trace.get("name")]
        points = trace.get("text") or repeat(None)
        told = trace.get("customdata") or repeat([])
        for x, point, y, more in zip(trace["x"], points, trace["y"], told, strict=False):
            n, low, high = [*more, None, None, None][:3]
            rows.append([*named, x, point and unescape(point), y, low, high, n])
    return pd.DataFrame(rows, columns=COLUMNS, dtype=object).dropna(subset="panel")


def _name(text: str, figure: Figure) -> str:
    """The name of one choice's data."""
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "choice"
    return f"{figure.name}-{slug}"
