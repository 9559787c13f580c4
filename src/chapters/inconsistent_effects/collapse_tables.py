"""Do pruned models' texts collapse? Tables over prompts, and the criteria of a verdict.

A writer is a model and a way of choosing tokens. All numbers are means within prompts, then over
them, with 95% bootstrap intervals over prompts.
"""

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import pandas as pd

from helpers.evaluation.collapse import GRAMS, distinct, measures
from reporting.parting import Course, matches_of_texts
from reporting.reach import Estimate
from reporting.resampling import estimate
from runs.parameters import RunParameters
from runs.store import Measurement

DENSE = "Dense"
Tokens = dict[str, pd.DataFrame]  # pruned model → rows of table tokens, its texts and dense ones
Texts = dict[str, pd.DataFrame]  # writer → its texts, as from collapse.measures


def by_setting(measured: Iterable[Measurement], settings: Mapping[str, RunParameters]) -> Tokens:
    """The tokens of each pruned model of ``settings``, from the runs that hold them."""
    rows = pd.concat([one.table("tokens") for one in measured], ignore_index=True)
    found = {}
    for name, one in settings.items():
        kept = rows["method"].eq(one.method) & rows["target"].eq(one.whole_target)
        kept &= rows["amount"].eq(one.whole_amount) & rows["every"].eq(0)
        if kept.any():
            found[name] = rows[kept].astype({"prompt": str, "category": str, "writer": str})
    return found


def written(tokens: Tokens, prompts: Collection[str], limit: int, drawn: str = "") -> Texts:
    """The texts of the dense model and of each pruned one, by name, after ``prompts``; ``drawn`` is
    added to the names where tokens were drawn at random."""
    found: Texts = {}
    for name, rows in tokens.items():
        table = measures(rows[rows["prompt"].isin(prompts)], limit)
        for writer, part in table.groupby("writer", sort=False):
            called = (DENSE if writer == "dense" else name) + drawn
            found.setdefault(called, part.reset_index(drop=True))
    return dict(sorted(found.items(), key=lambda item: not item[0].startswith(DENSE)))


def counterpart(name: str) -> str:
    """The dense writer beside a writer, whose tokens are chosen in the same way.

    >>> counterpart("Drop-8M"), counterpart("Drop-8M, drawn")
    ('Dense', 'Dense, drawn')
    """
    return DENSE + name.partition(",")[1] + name.partition(",")[2]


def average(rows: pd.DataFrame, column: str, seed: int) -> Estimate:
    """The mean of one measure over prompts; texts without a value are left out."""
    means = rows.groupby("prompt")[column].mean()
    return estimate(means.to_frame(), seed) if means.notna().any() else Estimate(float("nan"))


def beyond(rows: pd.DataFrame, other: pd.DataFrame, column: str, seed: int) -> Estimate:
    """How much larger a measure is than in the ``other`` texts, prompt by prompt."""
    means = [each.groupby("prompt")[column].mean() for each in (rows, other)]
    gap = (means[0] - means[1]).dropna()
    return estimate(gap.to_frame(), seed) if len(gap) else Estimate(float("nan"))


def variety(rows: pd.DataFrame, other: pd.DataFrame, n: int, seed: int) -> Estimate:
    """Distinct-n less that of the ``other`` texts, each pair cut to the shorter one's length."""
    pairs = rows.merge(other, on=["prompt", "seed"], suffixes=("", "_other"))
    values = []
    for own, theirs in zip(pairs["ids"], pairs["ids_other"], strict=True):
        short = min(len(own), len(theirs))
        values.append(distinct(own[:short], n) - distinct(theirs[:short], n))
    return average(pairs.assign(gap=values), "gap", seed)


def repetition_table(texts: Texts, seed: int) -> pd.DataFrame:
    """One row per writer: length, whether it ends, loops, and distinct n-grams."""
    rows = []
    for name, part in texts.items():
        row: dict[str, object] = {
            "writer": name,
            "tokens": average(part, "tokens", seed).text(".0f"),
            "ended": f"{part['ended'].sum()} of {len(part)}",
            "in loops": average(part, "looped", seed).text(".0%"),
            "longest loop": f"{part['longest'].max()} tokens" if part["longest"].any() else "none",
        }
        row["phrases shared"] = average(part, "shared", seed).text(".0%")
        row |= {f"distinct-{n}": average(part, f"distinct_{n}", seed).text() for n in GRAMS}
        other = counterpart(name)
        gap = "–" if other == name else variety(part, texts[other], 2, seed).text()
        rows.append(row | {"distinct-2 less dense": gap, "prompts": part["prompt"].nunique()})
    return pd.DataFrame(rows)


def likelihood_table(texts: Texts, seed: int) -> pd.DataFrame:
    """One row per writer: how unlikely the dense model finds its texts, whole and parted."""
    rows = []
    for name, part in texts.items():
        whole, rest = (average(part, column, seed) for column in ("nats", "nats_parted"))
        dense = name == counterpart(name)
        rows.append(
            {
                "writer": name,
                "nats per token": whole.text(),
                "perplexity": as_perplexity(whole),
                "after the parting, nats": "–" if dense else rest.text(),
                "after the parting, perplexity": "–" if dense else as_perplexity(rest),
                "prompts": part["prompt"].nunique(),
            }
        )
    return pd.DataFrame(rows)


def parting_table(tokens: Tokens, prompts: Collection[str], seed: int) -> pd.DataFrame:
    """One row per pruned model: how many texts part from the dense ones, and when half have."""
    rows = []
    for name, own in tokens.items():
        found = matches_of_texts(own[own["prompt"].isin(prompts)])
        course = Course.of(found, seed)
        parted = found.groupby(["prompt", "seed"])["same"].min().eq(0)
        rows.append(
            {
                "writer": name,
                "texts that part": f"{parted.sum()} of {len(parted)}",
                "half have parted by token": half_time(course),
                "prompts": course.prompts,
            }
        )
    return pd.DataFrame(rows)


def half_time(course: Course) -> str:
    """The token, counted from 1, by which half of the texts have parted, with its interval;
    ``not by 64`` if less than half have when the last was compared. Texts that end whole count as
    long as they run (Kaplan and Meier)."""
    curves = course.survival
    gone = curves <= 0.5 + 1e-12
    first = np.where(gone.any(axis=1), gone.argmax(axis=1) + 1, np.inf)
    last = curves.shape[1]

    def words(token: float) -> str:
        return f"{token:.0f}" if np.isfinite(token) else f"beyond {last}"

    if not course.enough:
        return words(first[0])
    low, high = np.percentile(first[1:], (2.5, 97.5), method="nearest")
    return f"{words(first[0])} [{words(low)}–{words(high)}]"


def as_perplexity(nats: Estimate) -> str:
    """exp of nats per token with its interval: the geometric mean over prompts."""
    if not np.isfinite(nats.value):
        return "–"
    ends = [nats.value, *(end for end in (nats.low, nats.high) if end is not None)]
    middle, *interval = (f"{np.exp(end):.3g}" for end in ends)
    return f"{middle} [{'–'.join(interval)}]" if interval else middle


PANELS = {"attention": "Attention sublayers dropped", "mlp": "MLPs dropped"}


def plane(texts: Texts, settings: Mapping[str, RunParameters]) -> pd.DataFrame:
    """One row per text for ``figures.collapse_plane``: distinct-2 against nats per token, the dense
    texts in every panel."""
    parts = []
    for name, one in settings.items():
        drops = [each.dropped for each in settings.values() if each.target == one.target]
        some = one.method == "drop" and one.dropped < max(drops)
        panel = PANELS.get(one.target, name) if one.method == "drop" else "Weights removed"
        for writer, amount in ((DENSE, "dense"), (name, "some" if some else "all")):
            rows = texts[writer][["prompt", "distinct_2", "nats"]]
            rows = rows.set_axis(["point", "x", "y"], axis=1)
            parts.append(rows.assign(panel=panel, series=writer, amount=amount))
    return pd.concat(parts, ignore_index=True).drop_duplicates(["panel", "series", "point"])


def largest(settings: Mapping[str, RunParameters], target: str) -> str:
    """The setting that drops most sublayers of kind ``target``."""
    kept = {name: one.dropped for name, one in settings.items() if one.method == "drop"}
    return max((name for name in kept if settings[name].target == target), key=kept.__getitem__)
