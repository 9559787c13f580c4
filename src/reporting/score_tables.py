"""What pruning costs, task by task: tables and sentences of scores for a chapter."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from helpers.errors import InputError
from helpers.evaluation import paired
from helpers.evaluation.comparison import KEYS
from reporting.kept_shares import Kept
from reporting.prose import join_words
from reporting.reach import Estimate
from runs.settings import DENSE
from runs.store import Measurement

QUESTION = [*KEYS, "item", "family", "chance"]
OPEN, LOST, GAINED = "open", "lost", "gained"
FEW, ZERO_SHOT = "too few questions", "0-shot"
KINDS = {"multiple_choice": "multiple choice", "generation": "generation"}
VERDICTS = {"at_floor": "at floor", "at_ceiling": "at ceiling"}


def collected(measurements: Mapping[str, Measurement]) -> pd.DataFrame:
    """Rows of table ``scores`` of several models under one another, by name of model.

    ``measurements`` are all ``scores``, ``probe_scores`` or ``retrieval_scores``. Columns besides
    those of the table: ``setting``, the name (categories in their order, Dense first), and of the
    dense model ``dense_n`` questions, ``dense_stderr`` and ``chance``, what guessing scores.
    """
    tables = []
    for name, measured in measurements.items():
        rows = measured.labelled("scores").astype(dict.fromkeys(KEYS, str) | {"verdict": str})
        found = _items(measured, "dense").groupby(KEYS, sort=False)
        own = found.agg(
            dense_n=("value", "size"), dense_stderr=("value", _stderr), chance=("chance", "mean")
        )
        tables.append(rows.assign(setting=name).merge(own.reset_index(), on=KEYS))
    return _in_order(pd.concat(tables, ignore_index=True), measurements)


def collected_items(measurements: Mapping[str, Measurement]) -> pd.DataFrame:
    """Every question that was asked of the pruned models among ``measurements``: ``setting``,
    ``task``, ``kind``, ``form``, ``metric``, ``item``, ``family``, ``chance``, what the answer of
    the ``dense`` and of the ``pruned`` model scores, and the ``verdict`` of the score it is of.
    """
    tables = []
    for name, measured in measurements.items():
        verdicts = measured.table("scores").astype(dict.fromkeys(KEYS, str) | {"verdict": str})
        old, new = (_items(measured, which) for which in ("dense", "pruned"))
        if len(new):
            both = old.rename(columns={"value": "dense"}).merge(
                new.rename(columns={"value": "pruned"})[[*KEYS, "item", "pruned"]],
                on=[*KEYS, "item"],
            )
            both = both.merge(verdicts[[*KEYS, "verdict"]], on=KEYS)
            tables.append(both.assign(setting=name))
    if not tables:
        columns = [*QUESTION, "dense", "pruned", "verdict", "setting"]
        return pd.DataFrame({column: pd.Series(dtype=object) for column in columns})
    return _in_order(pd.concat(tables, ignore_index=True), measurements)


def score_table(frame: pd.DataFrame, tasks: list[str] | None = None) -> pd.DataFrame:
    """The scores of :func:`collected` for a page, as text: one row for each task and model, of all
    ``tasks`` or of those named.

    ``n`` counts questions, ``±`` is the standard error, brackets hold the paired 95% interval, and
    ``p`` is of McNemar's exact test. The verdict is ``lost`` or ``gained`` where that interval
    leaves out 0, else ``open``.
    """
    chosen = frame if tasks is None else frame[frame["task"].isin(tasks)]
    rows = []
    for row in chosen.itertuples():
        pruned = row.setting != DENSE
        asked = pruned and row.n > 0
        change = _change(row)
        rows.append(
            {
                "task": task_name(row),
                "score": row.metric,
                "model": row.setting,
                "n": str(row.dense_n),
                "dense": _score(row.dense_value, row.dense_stderr),
                "pruned": _score(row.value, row.stderr) if asked else "–",
                "difference": change.text(".3f") if asked else "–",
                "lost / gained": f"{row.flips_lost:.0f} / {row.flips_gained:.0f}" if asked else "–",
                "p": p_text(row.p_value) if asked else "–",
                "verdict": outcome(row) if pruned else VERDICTS.get(row.verdict, "–"),
            }
        )
    return pd.DataFrame(rows)


def outcome(row: Any) -> str:
    """What one row of :func:`collected` says of a pruned model: ``lost``, ``gained``, ``open``,
    ``too few questions``, ``at ceiling``, ``at floor``, or that it was not asked."""
    if row.verdict == "at_floor":
        return VERDICTS["at_floor"] + ("" if row.n else ", not asked")
    change = _change(row)
    if change.low is None:
        return FEW
    if change.below(0):
        return LOST
    if change.above(0):
        return GAINED
    return VERDICTS.get(row.verdict, OPEN)


def outcomes(frame: pd.DataFrame) -> pd.Series:
    """:func:`outcome` of every row of a pruned model in :func:`collected`."""
    rows = frame[frame["setting"].ne(DENSE)]
    return pd.Series([outcome(row) for row in rows.itertuples()], index=rows.index, dtype=object)


def kept(items: pd.DataFrame, by: tuple[str, ...] = ("task",), seed: int = 0) -> pd.DataFrame:
    """How much of the dense score above chance pruned models keep, from :func:`collected_items`.

    One row per ``setting`` and value of ``by`` (such as ``kind``, ``task``, ``form``): how many
    ``scores`` it averages, ``n`` questions in all of them, what the ``dense`` and the ``pruned``
    model score above chance, and ``kept``, an :class:`~reporting.reach.Estimate` of pruned over
    dense. Scores at the dense model's floor are left out; see
    :class:`reporting.kept_shares.Kept`.
    """
    columns = ["setting", *by]
    clear = items[items["verdict"].ne("at_floor")]
    rows = []
    for names, part in clear.groupby(columns, sort=True, observed=True):
        one = Kept.of(part, seed)
        found = {"scores": one.scores, "n": one.items, "dense": one.dense, "pruned": one.pruned}
        rows.append(dict(zip(columns, names, strict=True)) | found | {"kept": one.share})
    return pd.DataFrame(rows, columns=[*columns, "scores", "n", "dense", "pruned", "kept"])


def losses(frame: pd.DataFrame, setting: str) -> str:
    """In a sentence: which scores of :func:`collected` a pruned model loses, which it gains, and
    how many stay open."""
    rows = frame[frame["setting"].eq(setting)]
    found = outcomes(rows)
    words = []
    for what, text in ((LOST, "loses in"), (GAINED, "gains in")):
        names = [task_name(row) for row in rows[found.eq(what)].itertuples()]
        if names:
            words.append(f"{text} {join_words(names)}")
    if not words:
        words.append("neither loses nor gains anything that the questions could show")
    left = int(found.isin([OPEN, VERDICTS["at_ceiling"], FEW]).sum())
    rest = f"; in {left} of {len(rows)} scores the interval does not decide" if left else ""
    return f"{setting} {join_words(words)}{rest}."


def floors(frame: pd.DataFrame) -> str:
    """In a sentence: which scores are at the dense model's floor and support nothing; empty if
    none is."""
    rows = frame[frame["verdict"].eq("at_floor")].drop_duplicates(KEYS)
    if rows.empty:
        return ""
    names = [
        f"{task_name(row)} ({row.dense_value:.2f}, guessing gives {row.chance:.2f})"
        for row in rows.itertuples()
    ]
    return f"At the dense model's floor, and so no evidence of anything: {join_words(names)}."


def by_chance(frame: pd.DataFrame) -> str:
    """In a sentence: how many of the comparisons of :func:`collected` would seem lost or gained if
    pruning did nothing at all."""
    found = outcomes(frame)
    judged = int(found.isin([LOST, GAINED, OPEN]).sum())
    seen = int(found.isin([LOST, GAINED]).sum())
    if not judged:
        return "No score is clear of its floor, so nothing is compared."
    return (
        f"In {seen} of {judged} comparisons the 95% interval leaves out 0; if pruning changed "
        f"nothing, about {judged / 20:.0f} would do so."
    )


def by_kind(items: pd.DataFrame, setting: str, seed: int = 0) -> str:
    """In a sentence: what a pruned model keeps of multiple choice and of generation, from
    :func:`collected_items`, and whether one of them keeps less."""
    own = items[items["setting"].eq(setting) & items["verdict"].ne("at_floor")]
    sides = pd.Series([side(row) for row in own[["kind", "form"]].itertuples()], index=own.index)
    parts = {kind: own[sides.eq(kind)] for kind in KINDS}
    found = {kind: Kept.of(part, seed) for kind, part in parts.items() if len(part)}
    if not found:
        return f"{setting}: no score of the dense model is clear of its floor."
    shares = [
        f"{one.share.text('.0%')} in {KINDS[kind]} (n = {one.items})" for kind, one in found.items()
    ]
    words = f"{setting} keeps of the dense score above chance {join_words(shares)}"
    if len(found) < len(KINDS):
        missing = next(KINDS[kind] for kind in KINDS if kind not in found)
        return f"{words}; no {missing} score is clear of its floor."
    more = found["multiple_choice"].more_than(found["generation"])
    if more.low is None:
        return f"{words}: too few questions to compare the two."
    gap = f"by {more.text('.2f')} of the dense score"
    if more.above(0):
        return f"{words}: generation keeps less, {gap}."
    if more.below(0):
        return f"{words}: multiple choice keeps less, {gap}."
    return f"{words}: which keeps less is open ({more.text('.2f')})."


def side(row: Any) -> str:
    """Whether a row's question is ``multiple_choice``, ``generation`` or else: of a probe its form
    tells."""
    if row.kind != "probe":
        return str(row.kind)
    return "generation" if str(row.form).startswith("generation") else "multiple_choice"


def task_name(row: Any) -> str:
    """The task of a row, with its form if that is not the plain question alone."""
    return str(row.task) if row.form in ("", ZERO_SHOT) else f"{row.task}: {row.form}"


def p_text(p: float) -> str:
    """A p value as text."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _change(row: Any) -> Estimate:
    """The paired difference of one row, with its interval if it has one."""
    if pd.isna(row.paired_low):
        return Estimate(float(row.value - row.dense_value))
    ends = float(row.paired_low), float(row.paired_high)
    return Estimate(float(row.value - row.dense_value), *ends)


def _score(value: float, stderr: float) -> str:
    return f"{value:.3f}" if pd.isna(stderr) else f"{value:.3f} ± {stderr:.3f}"


def _stderr(values: pd.Series) -> float | None:
    return paired.standard_error(values)


def _items(measured: Measurement, which: str) -> pd.DataFrame:
    """The stored answers that a measurement of scores was made from, of the ``dense`` or the
    ``pruned`` model."""
    names = {}
    for one in measured.manifest["facts"]["items"]:
        if one["of"] == which:
            names[one["run"]] = measured.folder.parents[1] / one["measurement"] / one["run"]
    tables = []
    for folder in names.values():
        try:
            tables.append(Measurement(folder, {}).table("items"))
        except OSError:
            raise InputError(
                f"the answers behind {measured.folder} are gone: it names {folder.name}, which "
                "is no longer in the results; delete the former too, and run again"
            ) from None
    if not tables:
        return pd.DataFrame(columns=[*QUESTION, "value"])
    text = dict.fromkeys([*KEYS, "item", "family"], str)
    return pd.concat([table.astype(text) for table in tables])[[*QUESTION, "value"]]


def _in_order(table: pd.DataFrame, measurements: Mapping[str, Measurement]) -> pd.DataFrame:
    """``setting`` as categories, Dense first, and rows in that order."""
    names = sorted(measurements, key=lambda name: name != DENSE)
    table["setting"] = pd.Categorical(table["setting"], categories=names, ordered=True)
    return table.sort_values("setting", kind="stable", ignore_index=True)
