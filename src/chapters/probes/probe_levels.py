"""What dense and pruned models score on the paired probes, in both forms: rows of a figure."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from chapters.probes.figure_paired_probes import COLUMNS
from helpers.evaluation import paired
from reporting.probe_effects import FORMS, counted_families
from runs.settings import DENSE

PANELS = {"prefix": "The answer's beginning is given", "plain": "Nothing is given"}


def levels(items: pd.DataFrame) -> pd.DataFrame:
    """Scores above chance over the families that count, of the dense model and each pruned one.

    ``items`` are those of the probes as from :func:`score_tables.collected_items`. Which families
    count is asked for each panel by itself (:func:`probe_effects.counted_families`); where none
    does, there is no panel. Columns as the figure wants them; the interval is that of
    :func:`helpers.evaluation.paired.score_interval`, missing with too few questions.
    """
    rows = [row for asked in PANELS for row in _panel(items, asked)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _panel(items: pd.DataFrame, asked: str) -> Iterator[dict[str, Any]]:
    if items.empty:
        return
    first = items[items["setting"].eq(items["setting"].iloc[0])]
    families = counted_families(first.assign(value=first["dense"]), asked)
    mine = items[items["family"].isin(families)]
    settings = [(DENSE, first[first["family"].isin(families)], "dense")]
    settings += [
        (str(name), part, "pruned")
        for name, part in mine.groupby("setting", sort=False, observed=True)
    ]
    for name, part, which in settings:
        for form in FORMS:
            own = part[part["form"].eq(f"{form}, {asked}")]
            if len(own):
                yield {"panel": PANELS[asked], "model": name, "form": form} | _score(own, which)


def _score(own: pd.DataFrame, which: str) -> dict[str, Any]:
    chance = float(own["chance"].mean())
    ends = paired.score_interval(own[which]) or (float("nan"),) * 2
    numbers = (float(own[which].mean()), *ends)
    value, low, high = ((number - chance) / (1 - chance) for number in numbers)
    return {"value": value, "low": low, "high": high, "n": len(own)}
