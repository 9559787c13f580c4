"""What the paired probes show: scores in both forms, effects by family, and claims."""

from collections.abc import Mapping

import pandas as pd

from helpers.evaluation import paired
from reporting.claims import Claim
from reporting.forms import (
    FORMS,
    Effect,
    above_chance,
    counted_families,
    effect,
    effect_table,
    form_decides,
)
from runs.parameters import RunParameters
from runs.settings import DENSE

ASKED = {"prefix": "the answer's beginning given", "plain": "nothing given"}
GROUPS = {
    "attention": "attention sublayers dropped",
    "mlp": "MLPs dropped",
    "block": "blocks dropped",
    "all": "weights removed",
}


def levels(items: pd.DataFrame) -> pd.DataFrame:
    """Scores above chance over the families that count, of the dense model and each pruned one.

    ``items`` are answers to the probes as from :func:`reporting.scores.answers`. Families are
    chosen for each way to ask by itself; where none counts, it is left out. One row for each
    ``panel``, ``model`` and ``form``: ``value``, ``low`` and ``high`` (the interval of
    :func:`helpers.evaluation.paired.score_interval`, missing with too few questions) and ``n``.
    """
    rows = []
    for asked, words in ASKED.items():
        own = items[items["family"].isin(counted_families(items, asked))]
        models = [(str(name), part) for name, part in own.groupby("setting", observed=True)]
        given = [(DENSE, part, "dense") for _, part in models[:1]]
        for name, part, which in given + [(name, part, "pruned") for name, part in models]:
            for form in FORMS:
                answers = part[part["form"].eq(f"{form}, {asked}")]
                row = {"panel": words.capitalize(), "model": name, "form": form}
                rows.append(row | _level(answers[which], answers["chance"].mean()))
    columns = ["panel", "model", "form", "value", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)


def by_gap(found: pd.DataFrame) -> pd.DataFrame:
    """:func:`levels` with the dense model first, then the pruned ones by how far writing lies below
    choosing where the answer's beginning is given (in the first panel), the widest gap first."""
    rows = found[found["panel"].eq(found["panel"].iloc[0]) & found["model"].ne(DENSE)]
    forms = rows.pivot(index="model", columns="form", values="value")
    gap = (forms["choice"] - forms["generation"]).sort_values(ascending=False, kind="stable")
    place = {name: at for at, name in enumerate([DENSE, *gap.index])}
    return found.sort_values("model", key=lambda each: each.map(place), kind="stable")


def _level(answers: pd.Series, chance: float) -> dict[str, float]:
    ends = paired.score_interval(answers) or (float("nan"),) * 2
    value, low, high = ((each - chance) / (1 - chance) for each in (answers.mean(), *ends))
    return {"value": value, "low": low, "high": high, "n": len(answers)}


def family_tables(items: pd.DataFrame, seed: int = 0) -> dict[str, pd.DataFrame]:
    """With the answer's beginning given, the effect in each family by itself and last in all that
    count: a table for each pruned model, by a line that says the whole; none if none counts."""
    counting, tables = counted_families(items), {}
    for name, part in items.groupby("setting", sort=False, observed=True):
        if not counting:
            break
        values = above_chance(part, "prefix")
        families = [each for each in part["family"].unique() if each in values.index]
        found = {each.replace("_", " "): effect(values, [each], seed) for each in families}
        whole = effect(values, counting, seed)
        table = effect_table(found | {"all that count": whole})
        table = table.rename(columns={"model": "family"})
        counts = ["yes" if each in counting else "no" for each in families]
        table.insert(1, "counts", [*counts, str(len(counting))])
        tables[f"{name}: difference {whole.effect.text()}, {whole.verdict}"] = table
    return tables


def claims(
    effects: Mapping[str, Mapping[str, Effect]], models: Mapping[str, RunParameters]
) -> list[Claim]:
    """Does the form decide? One claim for each way to ask (key of ``effects``) and for each kind
    of pruning, over its models."""
    found = []
    for asked, words in ASKED.items():
        for target, group in GROUPS.items():
            mine = [name for name in effects[asked] if models[name].whole_target == target]
            if mine:
                claim = f"The form decides: {group}, {words}"
                found.append(form_decides(claim, effects[asked], mine))
    return found
