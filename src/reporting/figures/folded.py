"""Many tables in little room: each behind one line that says what stands in it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import pandas as pd

from reporting.figures.tables import HtmlOutput, table


def folded_tables(
    tables: Mapping[str, pd.DataFrame], caption: str, formats: Mapping[str, str] | None = None
) -> HtmlOutput:
    """A list of tables that open one by one, without a script; the keys are the lines to open
    them with. ``caption`` stands above the list, ``formats`` is that of
    :func:`~reporting.figures.tables.table`. Raises ValueError if there is no table."""
    if not tables:
        raise ValueError(f"no table to fold under {caption!r}")
    shown = {line: table(frame, f"{caption}: {line}", formats) for line, frame in tables.items()}
    blocks = "".join(
        f'<details class="text-more"><summary>{escape(line)}</summary>{_bare(each)}</details>'
        for line, each in shown.items()
    )
    html = f'<div class="book-folded"><p class="table-caption">{escape(caption)}</p>{blocks}</div>'
    return HtmlOutput(html, "\n\n".join(each.text for each in shown.values()))


def _bare(one: HtmlOutput) -> str:
    """The table without the caption above it, which its line gives already."""
    return one.html.partition("</p>")[2]
