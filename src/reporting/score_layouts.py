"""The paper's Table 1 in its own layout, its numbers beside ours. Text for a page."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from helpers.evaluation.tasks import TASKS
from helpers.models.load import size_in_words
from reporting.reach import Estimate
from reporting.reported import scores as reported

AT_FLOOR = "at floor"
SETS = {"boolq-passages": "BoolQ passages", "fiqa": "FiQA"}
PARTS = {"attention": "attention", "mlp": "MLP", "block": "block", "all": "weights"}
GROUPS = {
    "multiple_choice": "Multiple choice",
    "retrieval": "Retrieval",
    "generation": "Generation",
    "probe": "Probes: the same questions in other forms",
}
HEADINGS = {"multiple_choice": "multiple choice", "generation": "generation"}
PAPER = dict(zip(reported.SETTINGS, ("Full", "Drop-8A", "Drop-8M"), strict=True))


def title(task: str) -> str:
    """A task as its authors write it; its own name if that is not known."""
    known = TASKS.get(task)
    return known.title if known else SETS.get(task, task)


def table_1b(
    frame: pd.DataFrame, left: Mapping[str, int], dropped: Sequence[str], sizes: tuple[str, str]
) -> pd.DataFrame:
    """Table 1(b): tasks with multiple choice, then with generation, reported beside measured.

    ``frame`` as from :func:`reporting.score_tables.collected`, ``left`` the parameters that remain
    by name, with ``Dense``; ``dropped`` two names beside it. ``sizes`` says how large the paper's
    model and ours are. Scores in percent.
    """
    theirs, ours = sizes
    names = ["Dense", *dropped]
    paper = reported.parameters("b")
    first = {"task": "#Params", "kind": "–"}
    first |= {f"{theirs}: {PAPER[each]}": f"{paper[each]:.1f}B" for each in PAPER}
    first |= {f"{ours}: {name}": size_in_words(left[name]) for name in names}
    rows = [first]
    for kind, heading in HEADINGS.items():
        part = frame[frame["kind"].astype(str) == kind]
        known = reported.rows("b", kind).set_index("task")
        measured = {title(task): task for task in part["task"].astype(str).unique()}
        for task in dict.fromkeys([*known.index, *measured]):
            row = {"task": task, "kind": heading}
            row |= _reported(known, task, theirs)
            row |= {f"{ours}: {name}": _measured(part, measured.get(task), name) for name in names}
            rows.append(row)
        rows.append(
            {"task": "Average", "kind": heading}
            | _printed("b", kind, theirs)
            | {f"{ours}: {name}": _mean(part, name, dropped) for name in names}
        )
    return pd.DataFrame(rows)


def table_1a(
    frame: pd.DataFrame, left: Mapping[str, int], dropped: Sequence[str], sizes: tuple[str, str]
) -> pd.DataFrame:
    """Table 1(a): the thirteen retrieval sets of the paper, and those of ours that it lacks.

    As :func:`table_1b`, with ``frame`` of retrieval scores; nDCG@10 in percent.
    """
    theirs, ours = sizes
    names = ["Dense", *dropped]
    paper = reported.parameters("a")
    first = {"set": "#Params"}
    first |= {f"{theirs}: {PAPER[each]}": f"{paper[each]:.1f}B" for each in PAPER}
    first |= {f"{ours}: {name}": size_in_words(left[name]) for name in names}
    rows = [first]
    known = reported.rows("a", "retrieval").set_index("task")
    measured = {
        match(task, known.index) or title(task): task for task in frame["task"].astype(str).unique()
    }
    for task in dict.fromkeys([*known.index, *measured]):
        rows.append(
            {"set": task}
            | _reported(known, task, theirs)
            | {f"{ours}: {name}": _measured(frame, measured.get(task), name) for name in names}
        )
    rows.append(
        {"set": "Average"}
        | _printed("a", "retrieval", theirs)
        | {f"{ours}: {name}": _mean(frame, name, dropped) for name in names}
    )
    return pd.DataFrame(rows)


def match(task: str, known: Iterable[str]) -> str | None:
    """Which of the ``known`` sets a name means, however it is spelt; None if it means none.

    >>> match("Touche2020", ["FiQA", "Touche-2020"]), match("boolq-passages", ["FiQA"])
    ('Touche-2020', None)
    """
    found = [each for each in known if _plain(task).startswith(_plain(each))]
    return max(found, key=len) if found else None


def averages(parts: Sequence[str] = ("a", "b")) -> str:
    """Where the paper prints an average that its own rows do not give, in a sentence."""
    table = reported.averages()
    odd = table[table["part"].isin(list(parts)) & ~table["agree"]]
    if odd.empty:
        return "The paper's averages are those of its rows."
    listed = "; ".join(
        f"{row.setting}: {row.printed:.1f} printed, {row.computed:.1f} by the rows"
        for row in odd.itertuples()
    )
    return f"Where the paper's printed average is not that of its rows: {listed}."


def _plain(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def _reported(known: pd.DataFrame, task: str, size: str) -> dict[str, str]:
    given = known.index == task
    return {
        f"{size}: {PAPER[each]}": f"{known.loc[task, each]:.1f}" if given.any() else "–"
        for each in PAPER
    }


def _printed(part: str, kind: str, size: str) -> dict[str, str]:
    table = reported.averages()
    chosen = table[(table["part"] == part) & (table["kind"] == kind)].set_index("setting")
    return {
        f"{size}: {PAPER[each]}": f"{chosen.loc[words, 'printed']:.1f}"
        for each, words in reported.SETTINGS.items()
    }


def _measured(frame: pd.DataFrame, task: str | None, name: str) -> str:
    """One score in percent; a dash if it was not measured."""
    rows = frame[(frame["task"].astype(str) == task) & (frame["setting"] == name)]
    if rows.empty:
        return "–"
    one = rows.iloc[0]
    floor = one["verdict"] == "at_floor"
    if name != "Dense":
        return AT_FLOOR if floor or pd.isna(one["value"]) else f"{100 * one['value']:.1f}"
    return f"{100 * one['dense_value']:.1f}" + (f" ({AT_FLOOR})" if floor else "")


def _mean(frame: pd.DataFrame, name: str, dropped: Sequence[str]) -> str:
    """The mean over tasks that have a score in every column, and how many they are."""
    names = ["Dense", *dropped]
    usable = frame[frame["setting"].isin(names) & frame["verdict"].ne("at_floor")]
    usable = usable[usable["value"].notna()]
    tasks = usable.groupby(usable["task"].astype(str))["setting"].nunique()
    whole = tasks.index[tasks.eq(len(names))]
    rows = usable[usable["task"].astype(str).isin(whole) & usable["setting"].eq(name)]
    if rows.empty:
        return AT_FLOOR
    mean = rows.drop_duplicates("task")["value"].mean()
    return f"{100 * mean:.1f} ({len(whole)} {'task' if len(whole) == 1 else 'tasks'})"


def stacked(*frames: pd.DataFrame) -> pd.DataFrame:
    """Frames under one another, without those that hold nothing."""
    full = [frame for frame in frames if len(frame)]
    return pd.concat(full, ignore_index=True) if full else frames[0]


def matrix_frame(frame: pd.DataFrame, kept: pd.DataFrame) -> pd.DataFrame:
    """Scores in the form of :func:`figure_score_matrix`, one row for each score and
    pruned model. ``frame`` as from :func:`reporting.score_tables.collected`, ``kept`` as from
    :func:`reporting.score_tables.kept` by task and form."""
    shares = {
        (str(row["setting"]), str(row["task"]), str(row["form"])): row["kept"]
        for row in kept.to_dict("records")
    }
    rows = []
    for row in frame.to_dict("records"):
        setting, task, form, kind = (str(row[each]) for each in ("setting", "task", "form", "kind"))
        if setting == "Dense":
            continue
        share: Estimate | None = shares.get((setting, task, form))
        floor = row["verdict"] == "at_floor"
        low, high = (share.low, share.high) if share else (None, None)
        rows.append(
            {
                "group": GROUPS[kind],
                "task": form if kind == "probe" else title(task),
                "dense": f"dense {row['dense_value']:.2f}",
                "part": PARTS[str(row["target"])],
                "setting": setting,
                "kept": float("nan") if share is None or floor else share.value,
                "low": float("nan") if low is None or floor else low,
                "high": float("nan") if high is None or floor else high,
                "state": AT_FLOOR if floor else "" if share is not None else "not measured",
            }
        )
    found = pd.DataFrame(rows)
    order = {group: place for place, group in enumerate(GROUPS.values())}
    return found.sort_values("group", key=lambda each: each.map(order), kind="stable")
