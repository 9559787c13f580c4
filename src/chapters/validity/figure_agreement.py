"""Estimate over truth against the size of the truth: which formula stays right where it matters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from chapters.validity.figure_tracking import AGREEMENT
from reporting.figures.html import FigureOutput
from reporting.figures.specification import Line, Panel
from reporting.figures.style import quantity_style

METRICS = {"angular": "Angular deviation of p", "kl": "KL divergence"}
LABELS = {"exact": "exact identity", "bounded": "bounded form", "theorem": "theorem"}
FEWEST = 5  # comparisons in a bin
SHOWN = (1e-3, 30.0)  # factors; those beyond stand at the edge


def agreement(
    pairs: pd.DataFrame,
    *,
    name: str,
    title: str,
    caption: str,
    provenance: Mapping[str, Any],
) -> FigureOutput:
    """Median estimate / truth within bins of the truth, two to a decade, one panel for each metric
    and lens. `pairs` as from `estimates.side_by_side`, with the column `metric`."""
    rows = pairs.dropna(subset="ratio")
    rows = rows.assign(bin=np.floor(2 * np.log10(rows["truth"])) / 2 + 0.25)
    grouped = rows.groupby(["metric", "lens", "quantity", "bin"], observed=True)["ratio"]
    binned = grouped.agg(
        ratio="median", low=lambda x: x.quantile(0.25), high=lambda x: x.quantile(0.75), n="size"
    )
    data = binned.reset_index()
    data = data[data["n"] >= FEWEST].assign(truth=lambda found: 10 ** found["bin"])
    if data.empty:
        raise ValueError(f"figure {name!r} has no bin with {FEWEST} comparisons")
    panels = []
    for metric, words in METRICS.items():
        for lens in ("normed", "raw"):
            chosen = data[(data["metric"] == metric) & (data["lens"] == lens)]
            lines = [
                _line(chosen[chosen["quantity"] == quantity], quantity, label)
                for quantity, label in LABELS.items()
                if (chosen["quantity"] == quantity).any()
            ]
            if lines:
                panels.append(
                    Panel(
                        title=f"{words}, {lens} lens",
                        lines=lines,
                        x_label="true deviation" + (" in nats" if metric == "kl" else ", 1 − cos"),
                        y_label="estimate / truth (1 = right)",
                        x_scale="log",
                        y_scale="log",
                        y_range=SHOWN,
                        references=(AGREEMENT,),
                    )
                )
    return FigureOutput.of(
        panels,
        data.drop(columns="bin").reset_index(drop=True),
        name=name,
        title=title,
        caption=caption,
        provenance=provenance,
    )


def _line(rows: pd.DataFrame, quantity: str, label: str) -> Line:
    return Line(
        x=rows["truth"].tolist(),
        mean=rows["ratio"].clip(*SHOWN).tolist(),
        low=rows["low"].clip(*SHOWN).tolist(),
        high=rows["high"].clip(*SHOWN).tolist(),
        n=[int(count) for count in rows["n"]],
        style=quantity_style("probability", quantity),
        label=label,
        value="median",
        edges="quartile",
    )
