"""What Appendix G shows: SparseGPT beside Wanda, the more and the stricter."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

import pandas as pd

from reporting import scores
from reporting.claims import Claim
from reporting.forms import Effect, form_decides
from reporting.statistics import Estimate
from runs.parameters import RunParameters

METHODS = {"sparsegpt": "SparseGPT", "wanda": "Wanda"}  # of Figures 10 and 11, and of Figure 3


def pruned_by(models: Mapping[str, RunParameters], method: str = "sparsegpt") -> list[str]:
    """The models pruned by one method, the mildest first."""
    return [name for name, one in scores.by_sparsity(models).items() if one.method == method]


def steps(kept: pd.DataFrame, series: str, names: Iterable[str]) -> dict[str, Estimate]:
    """By how much the share kept falls from each of the models by ``names`` to the next, on the
    same questions; ``kept`` from :func:`reporting.scores.kept_series`."""
    rows = kept[kept["series"].eq(series)].set_index("setting")["kept"]
    return {
        f"{_amount(before)} to {_amount(after)}": rows[before].more_than(rows[after])
        for before, after in pairwise(name for name in names if name in rows.index)
    }


def _amount(name: str) -> str:
    return name.rpartition(" ")[2]


def step_table(kept: pd.DataFrame, models: Mapping[str, RunParameters]) -> pd.DataFrame:
    """One row for each method and series, a column for each step, as text."""
    rows = []
    for method, words in METHODS.items():
        for series in kept["series"].unique():
            falls = steps(kept, series, pruned_by(models, method))
            if falls:
                row = {"method": words, "series": series}
                rows.append(row | {step: one.text(".0%") for step, one in falls.items()})
    return pd.DataFrame(rows).fillna("–")


def claims(
    kept: pd.DataFrame, effects: Mapping[str, Effect], models: Mapping[str, RunParameters]
) -> list[Claim]:
    """The claims of Appendix G on this model, for SparseGPT at every sparsity asked."""
    names = pruned_by(models)
    half = [name for name in names if models[name].whole_amount >= scores.HALF]
    mine, halved = (kept[kept["setting"].isin(chosen)] for chosen in (names, half))
    stricter = {
        series: steps(kept, series, names) for series in scores.series_of(kept, "generating")
    }
    return [
        *(
            scores.keeps(
                f"Choosing loses only mildly, by every sparsity ({series})",
                "G-choosing-mild",
                scores.shares(mine, series),
                "Figure 10, HellaSwag",
            )
            for series in scores.series_of(kept, "choosing")
        ),
        *(
            scores.loses(
                f"Generation loses sharply where half of the weights go ({series})",
                "G-writing-sharp",
                scores.shares(halved, series),
                "Figure 10, GSM8K",
            )
            for series in stricter
        ),
        *(
            Claim.of(
                f"… the more, the stricter ({series})",
                "G-writing-sharp",
                falls,
                "the share that is left falls at each step",
                low=0.0,
                form=".0%",
                paper="Figure 10, GSM8K",
            )
            for series, falls in stricter.items()
        ),
        form_decides(
            "… because they generate: the same questions lose more when written",
            effects,
            names,
        ),
    ]
