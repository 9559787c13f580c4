"""One figure out of many: a block of the page in which the reader chooses, say, the layer.

There may be several lists, such as prompt, model and form. Lists of one page that have the same
label go together: what is chosen in one is chosen in all that have it. The static picture, for
print and for readers without scripts, is that of the default choice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from html import escape, unescape
from itertools import product, repeat
from typing import Any

import pandas as pd

from reporting.figures.html import FigureOutput, block, key_list
from reporting.figures.identity import download, entries, file_name
from reporting.figures.interactive import plot
from reporting.figures.layout import key
from reporting.figures.specification import Figure
from reporting.figures.tables import HtmlOutput

COLUMNS = ["choice", "panel", "series", "x", "point", "y", "low", "high", "n"]


Choice = str | tuple[str, ...]


def chooser(
    choices: Mapping[str, Figure | FigureOutput] | Mapping[tuple[str, ...], Figure | FigureOutput],
    *,
    name: str,
    label: Choice,
    default: Choice | None = None,
    shared_y: bool = True,
) -> HtmlOutput:
    """A figure with a list, and buttons for previous and next, to switch among `choices`.

    `label` names the list, such as "Layer"; `default` is the choice shown first (the first one
    unless given). With several lists all three are tuples, and there is a figure for every
    combination. All choices have equal numbers of panels and come from one run. With `shared_y`
    each panel keeps one y range over all choices of the same scales, so that they can be compared.
    Title, caption, key, alternative text and download change with the choice; the
    downloaded values are those drawn, at six significant digits.
    """
    labels = _tuple(label)
    given = {_tuple(text): each for text, each in choices.items()}
    lists = [list(dict.fromkeys(texts)) for texts in zip(*given, strict=True)]
    if given and (len(lists) != len(labels) or set(product(*lists)) != set(given)):
        raise ValueError(f"chooser {name!r}: a combination of {', '.join(labels)} has no figure")
    first = next(iter(given), ("",)) if default is None else _tuple(default)
    if first not in given:
        wanted = ", ".join(first)
        raise ValueError(f"chooser {name!r}: the default {wanted!r} is not among the choices")
    figures = {
        ", ".join(texts): replace(_figure(given[texts]), name=name) for texts in product(*lists)
    }
    _check(figures, name)
    if shared_y:
        figures = _on_one_scale(figures)
    place = list(product(*lists)).index(first)
    shown = list(figures.values())[place]
    usual = key_list(key(shown))
    plots = [_choice(text, each, usual) for text, each in figures.items()]
    content = {
        "choices": plots,
        "default": place,
        "head": "".join(f"# {fact}: {value}\n" for fact, value in entries(shown.provenance)),
    }
    link = download(
        _drawn(plots[place]), _name(", ".join(first), shown), shown.title, shown.provenance
    )
    controls = "".join(
        _list(name if at == 0 else f"{name}-{at + 1}", *each)
        for at, each in enumerate(zip(labels, lists, first, strict=True))
    )
    html = block(shown, content, link, f'<div class="figure-chooser">{controls}</div>')
    offered = "; ".join(
        f"{one}: {', '.join(all_)}" for one, all_ in zip(labels, lists, strict=True)
    )
    return HtmlOutput(html, f"{shown.title}\n{shown.caption}\n({offered})")


def _tuple(text: Choice) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text


def _figure(given: Figure | FigureOutput) -> Figure:
    return given.figure if isinstance(given, FigureOutput) else given


def _check(figures: Mapping[str, Figure], name: str) -> None:
    """All choices have as many panels, and one origin."""
    if len({len(figure.panels) for figure in figures.values()}) != 1:
        raise ValueError(f"chooser {name!r}: the choices differ in their panels")
    origin, *others = (figure.provenance for figure in figures.values())
    if any(other != origin for other in others):
        raise ValueError(f"chooser {name!r}: the choices come from different runs")


def _on_one_scale(figures: Mapping[str, Figure]) -> dict[str, Figure]:
    """The figures with each panel's y range widened to that of all choices with its scales."""

    def scales(figure: Figure) -> list[str]:
        return [panel.y_scale for panel in figure.panels]

    found = {}
    for text, figure in figures.items():
        alike = [each for each in figures.values() if scales(each) == scales(figure)]
        pairs = [[each.y_range(panel) for panel in each.panels] for each in alike]
        panels = [
            replace(panel, y_range=(min(low for low, _ in own), max(high for _, high in own)))
            for panel, own in zip(figure.panels, zip(*pairs, strict=True), strict=True)
        ]
        found[text] = replace(figure, panels=panels)
    return found


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


def _list(name: str, label: str, texts: list[str], first: str) -> str:
    """One list; with buttons for previous and next unless two choices are all there are."""
    options = "".join(
        f'<option value="{index}"{" selected" if text == first else ""}>{escape(text)}</option>'
        for index, text in enumerate(texts)
    )
    words = escape(label.lower() if label[1:].islower() else label)
    buttons = (
        f'<button type="button" data-step="-1" aria-label="previous {words}">‹</button>'
        f'<button type="button" data-step="1" aria-label="next {words}">›</button>'
    )
    return (
        f'<span><label for="{name}-choice">{escape(label)}</label> '
        f'<select id="{name}-choice" autocomplete="off">{options}</select> '
        f"{buttons if len(texts) > 2 else ''}</span>"
    )


def _drawn(choice: Mapping[str, Any]) -> pd.DataFrame:
    """What is drawn of one choice, one row a point; `figures.js` writes the same columns."""
    rows = []
    for trace in choice["plot"]["data"]:
        named = [choice["choice"], trace.get("meta", {}).get("panel"), trace.get("name")]
        points = trace.get("text") or repeat(None)
        told = trace.get("customdata") or repeat([])
        grounded = trace.get("meta", {}).get("grounded", {})
        places = enumerate(zip(trace["x"], points, trace["y"], told, strict=False))
        for at, (x, point, y, more) in places:
            y = grounded.get(str(at), y)
            n, low, high = [*more, None, None, None][:3]
            rows.append([*named, x, point and unescape(point), y, low, high, n])
    return pd.DataFrame(rows, columns=COLUMNS, dtype=object).dropna(subset="panel")


def _name(text: str, figure: Figure) -> str:
    """The name of one choice's data."""
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "choice"
    return f"{figure.name}-{slug}"
