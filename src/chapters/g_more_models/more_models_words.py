"""What Appendix G says in words and tables, all of it computed from its results."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

import pandas as pd

from reporting.introduction_words import each_series, form_claim, shares_of
from reporting.probe_effects import MORE, Effect
from reporting.prose import join_words
from reporting.reach import Estimate
from reporting.score_claims import HALF, Claim, falls, stays
from reporting.score_frames import CHOSEN, WRITTEN
from reporting.task_costs import sparse

METHOD = "SparseGPT"  # of Figures 10 and 11
BESIDE = "Wanda"  # of Figure 3


def told(kept: pd.DataFrame, names: Iterable[str]) -> str:
    """The answer: what the most that SparseGPT removes leaves of choosing and of writing."""
    mine = [name for name in sparse(names, METHOD).values() if name in set(kept["setting"])]
    if not mine:
        return f"No score of this model that is above its floor was asked under {METHOD}."
    parts = []
    for name in dict.fromkeys((mine[0], mine[-1])):
        rows = kept[kept["setting"].eq(name)]
        shares = [f"{row.kept.text('.0%')} of {row.series}" for row in rows.itertuples()]
        parts.append(f"{name} keeps {join_words(shares)}")
    return f"Of the dense score above guessing, {'; '.join(parts)}."


def title(kept: pd.DataFrame, names: Iterable[str]) -> str:
    """How choosing and writing fare under all that SparseGPT does, as a title."""
    mine = list(sparse(names, METHOD).values())
    parts = []
    for series in (CHOSEN, WRITTEN):
        found = shares_of(kept, series, mine)
        if found:
            below = sum(one.below(HALF) for one in found.values())
            parts.append(f"{series} in {below} of {len(found)} models")
    if not parts:
        return f"What {METHOD} leaves of scores"
    return f"Less than half of the score above guessing is left: {join_words(parts)}"


def claims(kept: pd.DataFrame, effects: Mapping[str, Effect], names: Iterable[str]) -> list[Claim]:
    """The claims of Appendix G on this model, for SparseGPT at every sparsity asked."""
    found = sparse(names, METHOD)
    half = [name for amount, name in found.items() if _share(amount) >= HALF]
    writing = kept.loc[kept["kind"].eq("generating"), "series"].unique()
    return [
        *each_series(
            stays,
            "Choosing loses only mildly, by every sparsity",
            kept,
            found.values(),
            "Figure 10, HellaSwag",
        ),
        *each_series(
            falls,
            "Generation loses sharply where half of the weights go",
            kept,
            half,
            "Figure 10, GSM8K",
        ),
        *(
            Claim(
                f"… the more, the stricter ({series})",
                "the share that is left falls at each step",
                steps(kept, series, found),
                low=0.0,
                paper="Figure 10, GSM8K",
            )
            for series in writing
        ),
        form_claim(effects, found.values()),
    ]


def steps(kept: pd.DataFrame, series: str, found: Mapping[str, str]) -> dict[str, Estimate]:
    """By how much the share kept falls from each sparsity to the next, on the same questions.
    ``found`` names the pruned model of each sparsity, the mildest first."""
    rows = kept[kept["series"].eq(series)].set_index("setting")["samples"]
    given = [(amount, rows[name]) for amount, name in found.items() if name in rows.index]
    return {
        f"{before} to {after}": one.more_than(other)
        for (before, one), (after, other) in pairwise(given)
    }


def step_table(kept: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """One row for each method and series, a column for each step, as text."""
    rows = []
    for method in (METHOD, BESIDE):
        found = sparse(names, method)
        for series in kept["series"].unique():
            fall = steps(kept, series, found)
            if fall:
                row = {"method": method, "series": series}
                rows.append(row | {step: one.text(".0%") for step, one in fall.items()})
    return pd.DataFrame(rows).fillna("–")


def beside(effects: Mapping[str, Effect], names: Iterable[str]) -> str:
    """Under how many models of each method generation loses more than choice, in a sentence."""
    parts = []
    for method in (METHOD, BESIDE):
        mine = [name for name in sparse(names, method).values() if name in effects]
        if mine:
            more = [name for name in mine if effects[name].verdict == MORE["generation"]]
            parts.append(f"{len(more)} of {len(mine)} models pruned by {method}")
    if not parts:
        return "No family of probes counts, so form and content cannot be told apart here."
    return (
        "The same questions lose more when they are written than when they are chosen in "
        f"{join_words(parts)}."
    )


def _share(amount: str) -> float:
    """The share of weights that go, of a sparsity such as 25% or 4:8."""
    if amount.endswith("%"):
        return float(amount[:-1]) / 100
    kept, among = map(int, amount.split(":"))
    return 1 - kept / among
