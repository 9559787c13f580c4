"""Tables and badges as accessible HTML, in the look of the figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, TypeVar

import pandas as pd

from reporting import verdicts
from reporting.figures.style import SPACES, style_of

T = TypeVar("T")


@dataclass(frozen=True)
class HtmlOutput:
    """A piece of HTML as the value of a notebook cell, with `text` where HTML is not shown."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text


def by_name(
    found: Mapping[str, T], heading: str, columns: Mapping[str, Callable[[T], object]]
) -> pd.DataFrame:
    """One row for each of what was `found`, under `heading` its name, and one column for each of
    `columns`, as text: the value of a function of it."""
    rows = [
        {heading: name} | {head: str(of(one)) for head, of in columns.items()}
        for name, one in found.items()
    ]
    return pd.DataFrame(rows)


def table(
    frame: pd.DataFrame, caption: str, formats: Mapping[str, str] | None = None
) -> HtmlOutput:
    """A table with a caption; the first column names the rows.

    `formats` maps a column to a format such as `".3f"`; other floats show three significant
    digits. Missing values show as a dash. A column named `space` shows coloured badges. The
    table scrolls sideways, by keyboard too, where it is wider than the screen.
    """
    formats = formats or {}
    if unknown := [name for name in formats if name not in frame.columns]:
        raise ValueError(f"formats name columns that the table lacks: {', '.join(unknown)}")
    numeric = {name: pd.api.types.is_numeric_dtype(frame[name]) for name in frame.columns}
    align = {name: ' class="number"' if numeric[name] else "" for name in frame.columns}
    head = "".join(
        f'<th scope="col"{align[name]}>{escape(str(name))}</th>' for name in frame.columns
    )
    rows = []
    for record in frame.itertuples(index=False, name=None):
        cells = []
        for position, (name, value) in enumerate(zip(frame.columns, record, strict=True)):
            text = _cell(str(name), value, formats.get(name))
            tag = 'th scope="row"' if position == 0 else "td"
            cells.append(f"<{tag}{align[name]}>{text}</{tag.split()[0]}>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    html = (
        f'<p class="table-caption" aria-hidden="true">{escape(caption)}</p>'
        f'<div class="book-table" role="region" tabindex="0" aria-label="{escape(caption)}">'
        f'<table aria-label="{escape(caption)}">'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{chr(10).join(rows)}</tbody></table></div>"
    )
    return HtmlOutput(html, f"{caption}\n{frame.to_string(index=False)}")


def folded_tables(
    tables: Mapping[str, pd.DataFrame], caption: str, formats: Mapping[str, str] | None = None
) -> HtmlOutput:
    """A list of tables that open one by one, without a script; the keys are the lines to open
    them with. ``caption`` stands above the list, ``formats`` is that of
    :func:`~reporting.figures.tables.table`. Raises ValueError if there is no table."""
    if not tables:
        raise ValueError(f"no table to fold under {caption!r}")
    shown = {line: table(frame, f"{caption}: {line}", formats) for line, frame in tables.items()}
    blocks = "".join(  # without the caption above a table, which its line gives already
        f'<details class="text-more"><summary>{escape(line)}</summary>'
        f"{each.html.partition('</p>')[2]}</details>"
        for line, each in shown.items()
    )
    html = f'<div class="book-folded"><p class="table-caption">{escape(caption)}</p>{blocks}</div>'
    return HtmlOutput(html, "\n\n".join(each.text for each in shown.values()))


def badge(space: str) -> str:
    """The coloured name of a space with its marker, as inline HTML.

    >>> "■" in badge("logit")
    True
    """
    if space not in SPACES:
        raise ValueError(f"unknown space {space!r}: use one of {', '.join(SPACES)}")
    return (
        f'<span class="space-badge space-{space}" style="--space-colour:{style_of(space).colour}">'
        f'<span aria-hidden="true">{style_of(space).glyph}</span> {space}</span>'
    )


def _cell(name: str, value: Any, form: str | None) -> str:
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return "–"
    if name == "space" and value in SPACES:
        return badge(value)
    if isinstance(value, str):
        verdict, rest = verdicts.said(value)
        return verdicts.badge(verdict) + escape(rest) if verdict else escape(value)
    if form:
        return escape(format(value, form))
    return escape(f"{value:.3g}" if isinstance(value, float) else str(value))
