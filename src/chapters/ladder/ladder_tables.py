"""The ladders of several models as tables."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from chapters.ladder.ladder_summary import WHOLE, Ladders
from reporting.reach import Estimate
from reporting.words import shown


def accuracies(ladders: Ladders) -> pd.DataFrame:
    """Accuracy by number and kind of candidates, one row for each model, with the numbers of
    random candidates that cost a tenth and half of the dense accuracy."""
    few, many = ladders.few_and_many
    rows = []
    for setting in ladders.settings:
        row = {
            "model": setting,
            f"{few} random": ladders.score(setting, "random", few).text(),
            f"{many:,} random": ladders.score(setting, "random", many).text(),
            "its family": ladders.score(setting, "kind").text(),
            f"{few} next in rank": ladders.score(setting, "matched", few).text(),
            "all tokens": ladders.score(setting, WHOLE).text(),
        }
        for name, share in (("a tenth lost at", 0.9), ("half lost at", 0.5)):
            dense = setting == ladders.dense
            row[name] = "–" if dense else rung_text(ladders.fewest(setting, share))
        rows.append(row)
    return pd.DataFrame(rows)


def ahead(ladders: Ladders, instead: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """What stands above the answer, one row for each model: its rank among all tokens, and what
    is likeliest in its place. ``instead`` holds for each model the fact of its measurement for
    this form."""
    rows = []
    for setting in ladders.settings:
        lost = ladders.replaced(instead[setting])
        ranks = ladders.ranks[setting]
        common = Counter(one["token"] for one in lost).most_common(3)
        rows.append(
            {
                "model": setting,
                "median rank": f"{ranks.median():g}",
                "nine in ten within": f"{ranks.quantile(0.9, interpolation='higher'):,.0f}",
                "another token first": f"{len(lost)} of {ladders.questions}",
                "no answer of the family": sum(not one["kind"] for one in lost),
                "most often": ", ".join(f"{shown(text) or '∅'} ({count})" for text, count in common)
                or "–",
            }
        )
    return pd.DataFrame(rows)


def rung_text(found: Estimate) -> str:
    """A number of candidates with its interval: ``4,096 [2,048–8,192]``; ``none`` where no number
    of them is enough. An interval that is one number is left out."""
    texts = [
        "none" if value == np.inf else f"{value:,.0f}"
        for value in (found.value, found.low, found.high)
        if value is not None
    ]
    return texts[0] if len(set(texts)) == 1 else f"{texts[0]} [{texts[1]}–{texts[2]}]"
