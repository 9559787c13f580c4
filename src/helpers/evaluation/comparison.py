"""From what each question scores to one row per score, dense beside pruned."""

from typing import Any

import pandas as pd

from helpers.evaluation import paired

KEYS = ["task", "kind", "form", "metric"]


def score_rows(dense: pd.DataFrame, pruned: pd.DataFrame | None = None) -> pd.DataFrame:
    """Rows of table ``scores``, one for each task, form and metric, in the order of ``dense``;
    only the columns that say which model and run it was are missing.

    Both frames hold rows of table ``items``, those of ``pruned`` the same questions. Without
    ``pruned`` the rows are the dense model's own. A score that ``pruned`` lacks was at its floor
    and not asked for: its value is missing and its n is 0. Raises :class:`ValueError` if it was
    not at its floor, or if questions differ.
    """
    after = {} if pruned is None else _groups(pruned)
    rows = []
    for keys, before in _groups(dense).items():
        labels = dict(zip(KEYS, keys, strict=True))
        if pruned is None:
            rows.append(labels | _own(before))
        elif keys in after:
            rows.append(labels | _beside(before, after.pop(keys), keys))
        else:
            rows.append(labels | _not_asked(before, keys))
    if after:
        raise ValueError(f"{_named(next(iter(after)))} was asked of the pruned model only")
    table = pd.DataFrame(rows)
    numbers = ("value", "stderr", "dense_value", "paired_low", "paired_high", "p_value")
    counts = ("answers_cut", "flips_lost", "flips_gained")
    return table.astype(dict.fromkeys(numbers, "float64") | dict.fromkeys(counts, "Int64"))


def floored(dense: pd.DataFrame) -> bool:
    """Whether all scores of a dense model's ``items`` are at their floor, so that a pruned model
    need not be asked."""
    return all(_verdict(part) == "at_floor" for part in _groups(dense).values())


def _groups(items: pd.DataFrame) -> dict[tuple[str, ...], pd.DataFrame]:
    """Questions of each score, in order, with ids as index; each stands there once."""
    found = {}
    for keys, part in items.groupby(KEYS, observed=True, sort=False):
        part = part.assign(item=part["item"].astype(str)).set_index("item")
        if part.index.has_duplicates:
            twice = part.index[part.index.duplicated()][0]
            raise ValueError(f"{_named(keys)} holds question {twice} twice")
        found[tuple(map(str, keys))] = part
    return found


def _own(before: pd.DataFrame) -> dict[str, Any]:
    """The dense model's own score, beside nothing."""
    value = float(before["value"].mean())
    return _row(
        value=value,
        stderr=paired.standard_error(before["value"]),
        n=len(before),
        answers_cut=_cut_off(before),
        dense_value=value,
        verdict=_verdict(before),
    )


def _beside(before: pd.DataFrame, after: pd.DataFrame, keys: tuple[str, ...]) -> dict[str, Any]:
    """A pruned score beside the dense one of the same questions."""
    if set(before.index) != set(after.index):
        odd = min(set(before.index) ^ set(after.index))
        raise ValueError(f"{_named(keys)}: question {odd} was asked of one of the models only")
    old, new = before["value"], after["value"].reindex(before.index)
    low, high = paired.paired_interval(old, new) or (None, None)
    lost, gained = paired.flips(old, new)
    return _row(
        value=float(new.mean()),
        stderr=paired.standard_error(new),
        n=len(new),
        answers_cut=_cut_off(after),
        dense_value=float(old.mean()),
        paired_low=low,
        paired_high=high,
        flips_lost=lost,
        flips_gained=gained,
        p_value=paired.mcnemar(lost, gained),
        verdict=paired.verdict(old, before["chance"], new),
    )


def _not_asked(before: pd.DataFrame, keys: tuple[str, ...]) -> dict[str, Any]:
    """A score at its floor, which the pruned model was not asked for."""
    found = _verdict(before)
    if found != "at_floor":
        raise ValueError(f"{_named(keys)} is not at its floor, yet the pruned model has no score")
    return _row(n=0, dense_value=float(before["value"].mean()), verdict=found)


def _row(**known: Any) -> dict[str, Any]:
    names = ("value", "stderr", "n", "answers_cut", "dense_value", "paired_low", "paired_high")
    more = ("flips_lost", "flips_gained", "p_value", "verdict")
    return dict.fromkeys((*names, *more)) | known


def _cut_off(items: pd.DataFrame) -> int | None:
    """How many answers reached the limit of tokens; None where that is not known."""
    known = items["cut_off"].dropna() if "cut_off" in items else []
    return int(sum(known)) if len(known) else None


def _verdict(before: pd.DataFrame) -> paired.Verdict:
    return paired.verdict(before["value"], before["chance"])


def _named(keys: tuple[str, ...]) -> str:
    return " ".join(filter(None, map(str, keys)))
