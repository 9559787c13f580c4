"""Tables and badges as accessible HTML, in the look of the figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, TypeVar

import pandas as pd

from reporting import verdicts
from reporting.figures.style import SPACES, style_of

T = TypeVar("T")
NUMBER = re.compile(r"-?\d[\d.,]*(?:e[-+]\d+)?%?")
LONG = 25  # rows, beyond which a table is folded
ROOMY = 32  # characters of a cell, beyond which a row is a card on a phone


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
    digits. Missing values show as a dash, and a minus as one; what is a line in a cell stays one. A
    column named `space` shows coloured badges. On a phone each row is a card where cells hold
    words, and else the first column stays while the others scroll. A table of more than 25 rows is
    folded under its caption.
    """
    body, label = _table(frame, caption, formats), escape(caption)
    html = (
        _folded(f"{caption} ({len(frame)} rows)", body)
        if len(frame) > LONG
        else f'<p class="table-caption" aria-hidden="true">{label}</p>{body}'
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
    blocks = "".join(
        _folded(line, _table(frame, f"{caption}: {line}", formats))
        for line, frame in tables.items()
    )
    html = f'<div class="book-folded"><p class="table-caption">{escape(caption)}</p>{blocks}</div>'
    told = [f"{caption}: {line}\n{each.to_string(index=False)}" for line, each in tables.items()]
    return HtmlOutput(html, "\n\n".join(told))


def _folded(line: str, body: str) -> str:
    return f'<details class="text-more"><summary>{escape(line)}</summary>{body}</details>'


def _table(frame: pd.DataFrame, caption: str, formats: Mapping[str, str] | None) -> str:
    """The table alone; a cell has the name of its column, for where it is a line of a card."""
    formats = formats or {}
    if unknown := [name for name in formats if name not in frame.columns]:
        raise ValueError(f"formats name columns that the table lacks: {', '.join(unknown)}")
    names = [str(name) for name in frame.columns]
    align = [
        ' class="number"' if pd.api.types.is_numeric_dtype(dtype) else "" for dtype in frame.dtypes
    ]
    heads = zip(names, align, strict=True)
    head = "".join(f'<th scope="col"{each}>{escape(name)}</th>' for name, each in heads)
    rows = []
    for record in frame.itertuples(index=False, name=None):
        shown = [
            _cell(name, value, formats.get(name)) for name, value in zip(names, record, strict=True)
        ]
        cells = "".join(
            f'<td{each} data-label="{escape(name)}">{text}</td>'
            for name, each, text in zip(names[1:], align[1:], shown[1:], strict=True)
        )
        rows.append(f'<tr><th scope="row"{align[0]}>{shown[0]}</th>{cells}</tr>')
    label = escape(caption)
    return (
        f'<div class="book-table" role="region" tabindex="0" aria-label="{label}">'
        f'<table aria-label="{label}"{_form(frame)}>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{chr(10).join(rows)}</tbody></table></div>"
    )


def _form(frame: pd.DataFrame) -> str:
    """What the table's look depends on, as an attribute: words in its cells, many columns."""
    words = frame.iloc[:, 1:].select_dtypes(exclude="number")
    longest = max((len(str(cell)) for cell in words.to_numpy().flat), default=0)
    kinds = looks(len(frame.columns), longest)
    return f' class="{" ".join(kinds)}"' if kinds else ""


def looks(columns: int, longest: int) -> list[str]:
    """Classes of a table with so many columns and characters in the longest cell of words: rows
    that become ``cards`` on a phone, and ``many`` columns, which are set closer."""
    kinds = ["cards"] if columns > 2 and longest > ROOMY else []
    return kinds + (["many"] if columns > 6 else [])


def folded(shown: Any, line: str) -> HtmlOutput:
    """A figure or table under a ``line`` to open it with, without a script; on paper it is open."""
    html = (
        f'<details class="text-more figure-fold"><summary>{escape(line)}</summary>'
        f"{shown._repr_html_()}</details>"
    )
    return HtmlOutput(html, f"{line}\n{shown}")


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
        if verdict:
            return verdicts.badge(verdict) + escape(rest)
    shown = format(value, form or (".3g" if isinstance(value, float) else ""))
    text = escape(shown.replace("-", "−") if NUMBER.fullmatch(shown) else shown)
    return text.replace("\n", "<br>")
