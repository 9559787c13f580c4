"""Scores of many pruned models on many tasks, as one coloured table: what is left of each score.

Tasks are rows, in groups; pruned models are columns, in parts. The darker a cell, the more of the
dense model's score is left. A thick lower edge says that the loss is beyond chance, and a cell
without a number is hatched, so that nothing depends on the shade alone. Tasks without any number
fold away under the rest. Plain HTML: the same on
both themes, in print and without scripts.
"""

import math
from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

from reporting.figures.identity import download, line, refuse_name
from reporting.figures.tables import HtmlOutput
from reporting.verdicts import TOO_WEAK

DARKEST = 0.55  # opacity of a score that is kept whole
KEY = (
    ("100", f"background: rgba(128, 128, 128, {DARKEST})", "", "per cent of the dense score left"),
    ("0", "", "", "as good as guessing"),
    ("50", f"background: rgba(128, 128, 128, {DARKEST / 2})", "lost", "a loss beyond chance"),
    ("–", "", "unknown", f"{TOO_WEAK}: dense at its floor"),
)


def score_matrix(
    scores: pd.DataFrame, *, name: str, title: str, caption: str, provenance: Mapping[str, Any]
) -> HtmlOutput:
    """One cell for each task and pruned model.

    ``scores`` has one row per cell: ``group`` and ``task`` name the row, ``dense`` says the dense
    score in words, ``part`` and ``setting`` name the column; ``kept`` is the share of the dense
    score above guessing that is left, ``low`` and ``high`` its interval (missing if there is
    none), and ``state`` says in words why there is no number (empty if there is one). Rows and
    columns keep the order in which they first stand there. Raises ValueError without rows, or
    with two for one cell.
    """
    refuse_name(name)
    if scores.empty or scores.duplicated(["group", "task", "setting"]).any():
        raise ValueError(f"figure {name!r}: give one row for each task and setting")
    parts = scores.drop_duplicates("setting").set_index("setting")["part"]
    begins = parts.ne(parts.shift(fill_value=parts.iloc[0]))
    nothing = scores["state"].ne("").groupby([scores["group"], scores["task"]]).transform("all")

    def part(rows: pd.DataFrame) -> str:
        groups = "".join(
            _group(str(group), own, begins) for group, own in rows.groupby("group", sort=False)
        )
        return (
            f'<div class="score-matrix" role="region" tabindex="0" aria-labelledby="{name}-title">'
            f'<table aria-labelledby="{name}-title">{_head(parts, begins)}{groups}</table></div>'
        )

    folded = ""
    if nothing.any() and not nothing.all():
        count = scores.loc[nothing, ["group", "task"]].drop_duplicates().shape[0]
        folded = (
            f'<details class="text-more"><summary>Tasks without a number ({count}): '
            f"{TOO_WEAK}</summary>{part(scores[nothing])}</details>"
        )
    html = f"""<figure class="book-figure" id="fig-{name}">
<p class="figure-title" id="{name}-title">{escape(title)}</p>
{_key()}
{part(scores[~nothing] if folded else scores)}{folded}
<figcaption><p class="figure-note">{escape(caption)}</p>
{line(provenance, name, download(scores, name, title, provenance))}
</figcaption></figure>"""
    table = scores.pivot(index=["group", "task"], columns="setting", values="kept")
    return HtmlOutput(html, f"{title}\n{caption}\n{table.to_string(float_format='{:.2f}'.format)}")


def _key() -> str:
    items = "".join(
        f'<li><span class="score-swatch {kind}" style="{style}" aria-hidden="true">{text}</span> '
        f"{escape(words)}</li>"
        for text, style, kind, words in KEY
    )
    return f'<ul class="figure-key">{items}</ul>'


def _head(parts: pd.Series, begins: pd.Series) -> str:
    edge = begins.map({True: ' class="begins"', False: ""})
    above = "".join(
        f'<th scope="colgroup" colspan="{len(own)}"{edge[own.index[0]]}>{escape(str(part))}</th>'
        for part, own in parts.groupby(parts, sort=False)
    )
    names = "".join(
        f'<th scope="col"{edge[name]}><span>{escape(str(name))}</span></th>' for name in parts.index
    )
    return (
        f'<thead><tr><td></td>{above}</tr><tr class="names"><th scope="col">task</th>{names}</tr>'
        "</thead>"
    )


def _group(group: str, rows: pd.DataFrame, begins: pd.Series) -> str:
    head = (
        f'<tr class="group"><th scope="rowgroup" colspan="{len(begins) + 1}">{escape(group)}</th>'
        "</tr>"
    )
    body = ""
    for task, cells in rows.groupby("task", sort=False):
        own = cells.set_index("setting")
        shown = "".join(
            _cell(own.loc[name], begins[name]) if name in own.index else "<td></td>"
            for name in begins.index
        )
        dense = escape(str(own["dense"].iloc[0]))
        body += f'<tr><th scope="row">{escape(str(task))} <small>{dense}</small></th>{shown}</tr>'
    return f"<tbody>{head}{body}</tbody>"


def _cell(cell: pd.Series, begins: bool) -> str:
    kinds = ["begins"] if begins else []
    if cell["state"]:
        kind = " ".join([*kinds, "unknown"])
        return f'<td class="{kind}"><span aria-label="{escape(cell["state"])}">–</span></td>'
    words = kept = _percent(cell["kept"])
    if math.isfinite(cell["high"]):
        words += f" [{_percent(cell['low'])} to {_percent(cell['high'])}]"
        kinds += ["lost"] if cell["high"] < 1 else []
    shade = DARKEST * min(max(float(cell["kept"]), 0.0), 1.0)
    return (
        f'<td class="{" ".join(kinds)}" title="{words}" '
        f'style="background: rgba(128, 128, 128, {shade:.2f})">{kept}</td>'
    )


def _percent(share: float) -> str:
    return f"{100 * share:z.0f}".replace("-", "−")
