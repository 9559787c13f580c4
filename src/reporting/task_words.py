"""What the scores by task say, in sentences with numbers in them, all computed."""

from collections.abc import Iterable, Mapping

import pandas as pd

from reporting import score_tables
from reporting.prose import join_words
from reporting.reach import Estimate
from reporting.score_claims import Claim
from reporting.score_frames import CHOSEN, WRITTEN
from reporting.score_layouts import HEADINGS as KINDS
from reporting.score_layouts import title
from reporting.task_costs import CHOOSING, GENERATING, Costs, pair, sides_floored, sparse
from runs.settings import DENSE


def answer(
    found: Costs, retrieval: Mapping[str, Estimate], names: Iterable[str], layers: int
) -> str:
    """The answer of the chapter in two sentences: what the two models that stand for the paper's,
    of those by ``names``, keep of choosing, of searching and of writing."""
    dropped = pair(names, layers)
    told = []
    for name in dropped:
        one = found.get(name, {})
        sides = [
            f"{one[side].text('.0%')} of {words}"
            for side, words in ((CHOOSING, CHOOSING), (GENERATING, "generative tasks"))
            if side in one
        ]
        told += [f"{name} keeps {join_words(sides)}"] if sides else []
    if retrieval:
        given = join_words(f"{one.text('.0%')} ({name})" for name, one in retrieval.items())
        told.append(f"a pruned encoder keeps {given} of retrieval")
    first = (
        f"Of the dense model's score above guessing, {'; '.join(told)}."
        if told
        else "Every task is at the dense model's floor, so no score can be lost."
    )
    probes = [
        f"{name} keeps {found[name][CHOSEN].text('.0%')} where it chooses and "
        f"{found[name][WRITTEN].text('.0%')} where it writes"
        for name in dropped
        if {CHOSEN, WRITTEN} <= set(found.get(name, {}))
    ]
    floor = GENERATING in sides_floored(found)
    why = "Generative tasks are at this model's floor and say nothing" if floor else ""
    if not probes:
        return f"{first} {why}.".replace(" .", "")
    asked = f"asked the same short questions in both forms, {join_words(probes)}."
    return f"{first} {why}; {asked}" if why else f"{first} {asked[:1].upper()}{asked[1:]}"


def matrix_title(cells: pd.DataFrame) -> str:
    """How many scores of each group of tasks are lost beyond chance, as a title."""
    parts = []
    for group, part in cells.groupby("group", sort=False):
        known = part[part["high"].notna()]
        if len(known):
            name = str(group).partition(":")[0].lower()
            parts.append(f"{int((known['high'] < 1).sum())} of {len(known)} in {name}")
    return f"Scores lost beyond chance: {join_words(parts)}" if parts else "What is left of scores"


def curve_title(found: Costs) -> str:
    """What the most that one method removes leaves of choosing and of writing, as a title."""
    names = sparse(found)
    if not names:
        return "No weights are removed by Wanda here"
    amount, name = list(names.items())[-1]
    sides = {side: one for side, one in found[name].items()}
    parts = [f"{one.value:.0%} of {side}" for side, one in sides.items()]
    return f"Wanda {amount} keeps {join_words(parts)}"


def retrieval(found: Mapping[str, Estimate]) -> str:
    """What each pruned encoder keeps of its scores, all sets together, in one sentence."""
    if not found:
        return "The dense encoder is at its floor, so nothing can be said of pruned ones."
    listed = join_words(f"{name} {one.text('.0%')}" for name, one in found.items())
    return f"Of the dense encoder's nDCG@10, over its sets, is left: {listed}."


def verdicts(claims: Iterable[Claim]) -> str:
    """How many claims held, and how many did not, in one sentence."""
    found = [one.verdict for one in claims]
    counts = {words: found.count(words) for words in dict.fromkeys(found)}
    listed = "; ".join(f"{words} in {count}" for words, count in counts.items())
    return f"Of {len(found)} criteria: {listed}."


def asked(frame: pd.DataFrame, shots: int) -> str:
    """Which tasks were asked, by kind, with the number of questions; from
    :func:`reporting.score_tables.collected`."""
    dense = frame[frame["setting"].eq(DENSE)]
    parts = []
    for kind, words in KINDS.items():
        rows = dense[dense["kind"].eq(kind)].drop_duplicates("task")
        if len(rows):
            named = [
                f"{title(one.task)} ({one.metric}, n = {one.dense_n})" for one in rows.itertuples()
            ]
            parts.append(f"{words}: {join_words(named)}")
    before = f"{shots} worked examples before each question" if shots else "no worked example"
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}. Scored by lm-eval, {before}."


def probes_asked(frame: pd.DataFrame) -> str:
    """How many probes were asked, and in which forms."""
    dense = frame[frame["setting"].eq(DENSE)]
    if dense.empty:
        return "None."
    return (
        f"{dense['dense_n'].max()} short questions written for this book, each in these forms: "
        f"{'; '.join(dense['form'])}. [A chapter of its own](probes.md) says what they ask."
    )


def sets_asked(frame: pd.DataFrame) -> str:
    """Which sets were searched, with the number of queries."""
    dense = frame[frame["setting"].eq(DENSE)]
    named = [f"{title(row.task)} ({row.dense_n} queries)" for row in dense.itertuples()]
    return f"{join_words(named)}, by mteb."


def choosing(frame: pd.DataFrame) -> list[str]:
    """The tasks of multiple choice that are above the dense model's floor; else the first one."""
    rows = frame[frame["kind"].eq("multiple_choice")]
    names = list(dict.fromkeys(rows["task"].astype(str)))
    low = set(rows.loc[rows["verdict"].eq("at_floor"), "task"].astype(str))
    return [name for name in names if name not in low] or names[:1]


def each_score(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The table of every score, by a line that says what pruning does to it; from
    :func:`reporting.score_tables.collected`."""
    tables = {}
    for (task, form), rows in frame.groupby(["task", "form"], sort=False):
        name = form if rows["kind"].eq("probe").all() else title(task)
        table = score_tables.score_table(rows).drop(columns="task")
        lost = int(table["verdict"].eq(score_tables.LOST).sum())
        dense = rows["dense_value"].iloc[0]
        first = rows["verdict"].iloc[0] == "at_floor"
        words = "at floor" if first else f"lost by {lost} of {rows['setting'].ne(DENSE).sum()}"
        tables[f"{name}: dense {dense:.2f}, {words}"] = table
    return tables
