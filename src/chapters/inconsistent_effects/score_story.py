"""What Section 4 shows of scores: the matrix, the claims, and the paper's Table 1 beside ours."""

import math
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from helpers.evaluation import paired
from helpers.models.known import size_in_words
from reporting import scores
from reporting.claims import TOO_WEAK, Claim
from reporting.forms import Effect, form_decides
from reporting.reported import scores as reported
from reporting.statistics import Estimate
from runs.parameters import RunParameters
from runs.settings import DENSE

SERIES = (scores.CHOOSING, scores.GENERATING, scores.CHOSEN, scores.WRITTEN)
GROUPS = {
    "multiple_choice": "Multiple choice",
    "generation": "Generation",
    "probe": "Probes: the same questions in other forms",
}
PARTS = {"attention": "attention", "mlp": "MLP", "block": "block", "all": "weights"}
# what guessing scores on the multiple-choice tasks of Table 1(b), in percent
GUESSING = {"BoolQ": 50, "MMLU": 25, "OpenBookQA": 25, "RTE": 50, "Winogrande": 50}
ON_PROBES = "… and so does generation on the probes (ours)"


def pair(models: Mapping[str, RunParameters], layers: int) -> list[str]:
    """Of the pruned models, the two that stand for Table 1's: a quarter of the attention sublayers
    dropped and a quarter of the MLPs (8 of 32 there), or the most of each that there is."""
    chosen = []
    for target in ("attention", "mlp"):
        counts = {one.dropped: name for name, one in models.items() if one.whole_target == target}
        enough = [count for count in counts if 4 * count >= layers]
        if counts:
            chosen.append(counts[min(enough, default=max(counts))])
    return chosen


def cells(
    frame: pd.DataFrame, kept: pd.DataFrame, models: Mapping[str, RunParameters]
) -> pd.DataFrame:
    """Scores for :func:`score_matrix`, one row for each score and pruned model: ``frame`` from
    :func:`reporting.scores.collected`, ``kept`` by task and form."""
    rows = frame[frame["setting"].ne(DENSE)].astype({"setting": object})
    rows = rows.merge(kept, how="left", on=["setting", "task", "form"])
    nothing = Estimate(float("nan"))
    shares = [one if isinstance(one, Estimate) else nothing for one in rows["share"]]
    state = pd.Series(["" if math.isfinite(one.value) else "not measured" for one in shares])
    probe = rows["kind"].eq("probe")
    found = pd.DataFrame(
        {
            "group": rows["kind"].map(GROUPS),
            "task": rows["form"].where(probe, rows["task"].map(scores.title)),
            "dense": rows["dense_value"].map("dense {:.2f}".format),
            "part": [PARTS[models[name].whole_target] for name in rows["setting"]],
            "setting": rows["setting"],
            "kept": [one.value for one in shares],
            "low": [one.low for one in shares],
            "high": [one.high for one in shares],
            "state": state.mask(rows["verdict"].eq("at_floor"), TOO_WEAK),
        }
    ).astype({"low": float, "high": float})
    order = {group: place for place, group in enumerate(GROUPS.values())}
    return found.sort_values("group", key=lambda each: each.map(order), kind="stable")


def claims(
    kept: pd.DataFrame,
    effects: Mapping[str, Effect],
    retrieval: Mapping[str, Estimate],
    models: Mapping[str, RunParameters],
    layers: int,
) -> list[Claim]:
    """The claims of Section 4 on pruned ``models`` of so many ``layers``; ``kept`` by kind of task.
    ``retrieval`` holds what the two encoders keep that stand for the paper's, by name."""
    dropped = pair(models, layers)
    half = [
        name
        for name, one in scores.by_sparsity(models).items()
        if one.method == "wanda" and one.whole_amount == 0.5
    ]

    def left(names: Iterable[str], series: str) -> dict[str, Estimate]:
        found = scores.shares(kept, series)
        return {name: found[name] for name in names if name in found}

    both = " and ".join(dropped)
    return [
        scores.keeps(
            f"Multiple choice stays largely comparable ({both})",
            "4-choosing-comparable",
            left(dropped, scores.CHOOSING),
            reported_kept("multiple_choice"),
        ),
        scores.keeps(
            "Retrieval stays competitive (sublayers of the encoder dropped)",
            "4-retrieval-competitive",
            retrieval,
            reported_kept("retrieval"),
        ),
        scores.loses(
            f"Generative tasks collapse ({both})",
            "4-generation-collapses",
            left(dropped, scores.GENERATING),
            reported_kept("generation"),
        ),
        scores.loses(ON_PROBES, "4-generation-collapses", left(dropped, scores.WRITTEN)),
        form_decides(
            "The same questions lose more when written than when chosen", effects, dropped
        ),
        scores.loses(
            "Weights removed by half: generative tasks degrade",
            "4-weights-alike",
            left(half, scores.GENERATING),
            "Figure 3",
        ),
        scores.loses(ON_PROBES, "4-weights-alike", left(half, scores.WRITTEN)),
        scores.keeps(
            "… where multiple choice stays comparable",
            "4-weights-alike",
            left(half, scores.CHOOSING),
            "Figure 3",
        ),
        form_decides(
            "Weights removed by half: the same questions lose more when written", effects, half
        ),
    ]


def reported_kept(kind: str) -> dict[str, float]:
    """What the paper's two pruned models keep by the rows of its Table 1, corrected for what
    guessing scores, as ours are."""
    rows = reported.rows("a" if kind == "retrieval" else "b", kind)
    chance = rows["task"].map(GUESSING).fillna(0.0)
    values = rows[list(reported.SETTINGS)].sub(chance, axis=0).div(100 - chance, axis=0).mean()
    kept = values / values["full"]
    return {reported.SETTINGS[each]: float(kept[each]) for each in ("drop_8a", "drop_8m")}


def table_1(
    part: str,
    frame: pd.DataFrame,
    left: Mapping[str, int],
    dropped: Sequence[str],
    sizes: tuple[str, str],
) -> pd.DataFrame:
    """Table 1(``part``), reported beside measured: the paper's tasks and those of ours that it
    lacks, in percent, as text.

    ``frame`` is from :func:`reporting.scores.collected`, ``left`` the parameters that remain by
    name, with ``Dense``; ``dropped`` two names beside it. ``sizes`` says how large the paper's
    model and ours are. Averages of ours are over tasks that have a score in every column.
    """
    theirs, ours = sizes
    columns = {f"{theirs}: {name}": each for each, name in reported.SETTINGS.items()}
    names = {f"{ours}: {name}": name for name in (DENSE, *dropped)}
    parameters = reported.parameters(part)
    rows = [
        {"task": "#Params", "kind": "–"}
        | {column: f"{parameters[each]:.1f}B" for column, each in columns.items()}
        | {column: size_in_words(left[name]) for column, name in names.items()}
    ]
    for kind in ("retrieval",) if part == "a" else ("multiple_choice", "generation"):
        own = frame[frame["kind"].eq(kind)]
        paper = reported.rows(part, kind).set_index("task")
        called = {task: scores.title(task) for task in own["task"].unique()}
        if part == "a":
            called = {task: match(task, paper.index) or name for task, name in called.items()}
        own = own.assign(task=own["task"].map(called))
        means = reported.averages().query("part == @part and kind == @kind").set_index("setting")
        for task in dict.fromkeys([*paper.index, *called.values()]):
            row = {"task": task, "kind": scores.KINDS[kind]}
            for column, each in columns.items():
                row[column] = f"{paper.loc[task, each]:.1f}" if task in paper.index else "–"
            mine = own[own["task"].eq(task)].set_index("setting")
            rows.append(row | {column: _cell(mine, name) for column, name in names.items()})
        rows.append(
            {"task": "Average", "kind": scores.KINDS[kind]}
            | {
                column: f"{means.loc[reported.SETTINGS[each], 'printed']:.1f}"
                for column, each in columns.items()
            }
            | _averages(own, names)
        )
    return pd.DataFrame(rows)


def match(task: str, known: Iterable[str]) -> str | None:
    """Which of the ``known`` sets a name means, however it is spelt; None if it means none.

    >>> match("Touche2020", ["FiQA", "Touche-2020"]), match("boolq-passages", ["FiQA"])
    ('Touche-2020', None)
    """

    def plain(text: str) -> str:
        return "".join(letter for letter in text.casefold() if letter.isalnum())

    found = [each for each in known if plain(task).startswith(plain(each))]
    return max(found, key=len, default=None)


def _cell(rows: pd.DataFrame, name: str) -> str:
    """One score in percent; a dash if it was not measured."""
    if name not in rows.index:
        return "–"
    one = rows.loc[name]
    floor = one["verdict"] == "at_floor"
    if name != DENSE:
        return TOO_WEAK if floor else f"{100 * one['value']:.1f}"
    return f"{100 * one['dense_value']:.1f}" + (f" ({TOO_WEAK})" if floor else "")


def _averages(frame: pd.DataFrame, names: Mapping[str, str]) -> dict[str, str]:
    clear = frame[frame["verdict"].ne("at_floor") & frame["setting"].isin(list(names.values()))]
    table = clear.astype({"setting": object}).pivot(index="task", columns="setting", values="value")
    whole = table.reindex(columns=list(names.values())).dropna()
    if whole.empty:
        return dict.fromkeys(names, TOO_WEAK)
    means = 100 * whole.mean()
    return {column: f"{means[name]:.1f} (n = {len(whole)})" for column, name in names.items()}


def odd_averages(part: str) -> str:
    """Averages that the paper prints otherwise than its rows give: ``Drop-8A 13.2 (13.4)``; a dash
    if there is none."""
    odd = reported.averages().query("part == @part and not agree")
    listed = (f"{row.setting} {row.printed:.1f} ({row.computed:.1f})" for row in odd.itertuples())
    return "; ".join(listed) or "–"


def agreement(full: pd.DataFrame, short: pd.DataFrame) -> pd.DataFrame:
    """One model's scores on the same questions in a ``full`` and a ``short`` number format, from
    rows of table ``items``.

    One row for each ``task``, ``form`` and ``metric``: ``n`` questions, both scores, ``others``
    (answers that differ), and whether the short score is ``within`` the 95% interval of the full
    one. Raises :class:`ValueError` if the questions differ.
    """
    keys = ["task", "form", "metric"]
    both = full.merge(
        short[[*keys, "item", "answer", "value"]],
        on=[*keys, "item"],
        how="outer",
        suffixes=("", "_short"),
    )
    if both[["value", "value_short"]].isna().any(axis=None):
        raise ValueError("the two number formats were asked different questions")
    rows = []
    for names, part in both.groupby(keys, sort=False, observed=True):
        mean, interval = part["value_short"].mean(), paired.score_interval(part["value"])
        numbers = {
            "n": len(part),
            "full": part["value"].mean(),
            "short": mean,
            "others": int(part["answer"].astype(str).ne(part["answer_short"].astype(str)).sum()),
            "within": interval is not None and interval[0] <= mean <= interval[1],
        }
        rows.append(dict(zip(keys, names, strict=True)) | numbers)
    return pd.DataFrame(rows)
