"""Scores of many pruned models on many tasks, as one coloured table: what is left of each score.

Tasks are rows, in groups; pruned models are columns, in parts. The darker a cell, the more of the
dense model's score is left. A thick lower edge says that the loss is beyond chance, and a cell
without a number is hatched, so that nothing depends on the shade alone. Plain HTML: the same on
both themes, in print and without scripts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

from reporting.figures.identity import download, line, refuse_name
from reporting.figures.tables import HtmlOutput

DARKEST = 0.55  # opacity of a score that is kept whole
COLUMNS = ("group", "task", "dense", "part", "setting", "kept", "low", "high", "state")
_KEY = (
    ("100", f"background: rgba(128, 128, 128, {DARKEST})", "", "per cent of the dense score left"),
    ("0", "", "", "as good as guessing"),
    ("50", f"background: rgba(128, 128, 128, {DARKEST / 2})", "lost", "a loss beyond chance"),
    ("–", "", "unknown", "dense at floor: no conclusion"),
)


def score_matrix(
    scores: pd.DataFrame,
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
) -> HtmlOutput:
    """One cell for each task and pruned model.

    ``scores`` has one row per cell: ``group`` and ``task`` name the row, ``dense`` says the dense
    score in words, ``part`` and ``setting`` name the column; ``kept`` is the share of the dense
    score above guessing that is left, ``low`` and ``high`` its interval (missing if there is
    none), and ``state`` says in words why there is no number (empty if there is one). Rows and
    columns keep the order in which they first stand there.
    """
    refuse_name(name)
    if missing := [column for column in COLUMNS if column not in scores]:
        raise ValueError(f"figure {name!r}: the scores lack {', '.join(missing)}")
    if scores.empty or scores.duplicated(["group", "task", "setting"]).any():
        raise ValueError(f"figure {name!r}: give one row for each task and setting")
    settings = scores.drop_duplicates("setting").set_index("setting")["part"]
    begins = settings.ne(settings.shift(fill_value=settings.iloc[0]))
    link = download(scores, name, title, provenance)
    html = "\n".join(
        [
            f'<figure class="book-figure" id="fig-{name}">',
            f'<p class="figure-title" id="{name}-title">{escape(title)}</p>',
            _key(),
            f'<div class="score-matrix" role="region" tabindex="0" aria-labelledby="{name}-title">',
            f'<table aria-labelledby="{name}-title">{_head(settings, begins)}',
            "".join(
                _group(str(group), rows, begins)
                for group, rows in scores.groupby("group", sort=False)
            ),
            "</table></div>",
            f'<figcaption><p class="figure-note">{escape(caption)}</p>',
            line(provenance, name, link),
            "</figcaption></figure>",
        ]
    )
    table = scores.pivot(index=["group", "task"], columns="setting", values="kept")
    return HtmlOutput(html, f"{title}\n{caption}\n{table.to_string(float_format='{:.2f}'.format)}")


def _key() -> str:
    items = "".join(
        f'<li><span class="score-swatch {kind}" style="{style}" aria-hidden="true">{text}</span> '
        f"{escape(words)}</li>"
        for text, style, kind, words in _KEY
    )
    return f'<ul class="figure-key">{items}</ul>'


def _head(settings: pd.Series, begins: pd.Series) -> str:
    parts = "".join(
        f'<th scope="colgroup" colspan="{len(columns)}"{_edge(begins[columns.index[0]])}>'
        f"{escape(str(part))}</th>"
        for part, columns in settings.groupby(settings, sort=False)
    )
    names = "".join(
        f'<th scope="col"{_edge(begins[setting])}><span>{escape(str(setting))}</span></th>'
        for setting in settings.index
    )
    return (
        f'<thead><tr><td></td>{parts}</tr><tr class="names"><th scope="col">task</th>{names}</tr>'
        "</thead>"
    )


def _edge(begins: bool) -> str:
    return ' class="begins"' if begins else ""


def _group(group: str, rows: pd.DataFrame, begins: pd.Series) -> str:
    head = (
        f'<tr class="group"><th scope="rowgroup" colspan="{len(begins) + 1}">{escape(group)}</th>'
        "</tr>"
    )
    body = []
    for task, cells in rows.groupby("task", sort=False):
        by_setting = cells.set_index("setting")
        dense = str(by_setting["dense"].iloc[0])
        shown = "".join(
            _cell(by_setting.loc[setting], first) if setting in by_setting.index else "<td></td>"
            for setting, first in begins.items()
        )
        body.append(
            f'<tr><th scope="row">{escape(str(task))} <small>{escape(dense)}</small></th>'
            f"{shown}</tr>"
        )
    return f"<tbody>{head}{''.join(body)}</tbody>"


def _cell(cell: pd.Series, begins: bool) -> str:
    kinds = ["begins"] if begins else []
    if cell["state"] or not math.isfinite(cell["kept"]):
        words = str(cell["state"] or "no number")
        kind = " ".join([*kinds, "unknown"])
        return f'<td class="{kind}"><span aria-label="{escape(words)}">–</span></td>'
    share = min(max(float(cell["kept"]), 0.0), 1.0)
    known = math.isfinite(cell["high"])
    kinds += ["lost"] if known and cell["high"] < 1 else []
    words = _percent(cell["kept"])
    if known:
        words += f" [{_percent(cell['low'])} to {_percent(cell['high'])}]"
    return (
        f'<td class="{" ".join(kinds)}" title="{words}" '
        f'style="background: rgba(128, 128, 128, {DARKEST * share:.2f})">'
        f"{_percent(cell['kept'])}</td>"
    )


def _percent(share: float) -> str:
    return f"{100 * share:z.0f}".replace("-", "−")
