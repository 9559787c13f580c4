"""What the paper's Figure 1 says, read off its points, in words."""

import pandas as pd

from reporting.prose import join_words
from reporting.reported.scores import figure_1

COLLAPSED, HALF = 0.1, 0.5  # shares of the score above guessing; the points carry no interval
CHOOSING, WRITING = "multiple_choice", "generation"
PLACES = {"attention": "attention sublayers", "mlp": "MLPs", "block": "blocks"}


def puzzle() -> str:
    """What Figure 1 shows at the fewest dropped attention sublayers that end generation."""
    ended, count = _ended("attention")
    return (
        f"With {count} attention sublayers dropped, HellaSwag keeps {ended['HellaSwag']:.0%} and "
        f"MMLU {ended['MMLU']:.0%} of the score above guessing, while GSM8K keeps "
        f"{ended['GSM8K']:.0%} and HumanEval {ended['HumanEval']:.0%}."
    )


def limits() -> str:
    """Where the paper's own figure shows tasks that choose collapse too."""
    parts = []
    for target, words in PLACES.items():
        ended, count = _ended(target)
        kept = join_words(f"{task} {ended[task]:.0%}" for task in ("HellaSwag", "MMLU"))
        parts.append(f"at {count} {words}, {kept}")
    frame = figure_1()
    last = frame[frame["dropped"].eq(frame["dropped"].max()) & frame["kind"].eq(CHOOSING)]
    gone = (last["kept"] < HALF).sum()
    return (
        f"Where both generative tasks have first lost all but {COLLAPSED:.0%} of their score, the "
        f"two that choose keep this much of theirs: {'; '.join(parts)}. At the figure's end, "
        f"{last['dropped'].iloc[0]} dropped, {gone} of the {len(last)} curves of tasks that choose "
        f"are below {HALF:.0%} too: they are spared up to some amount, not at any."
        if gone
        else ""
    )


def _ended(target: str) -> tuple[pd.Series, int]:
    """What every task keeps at the fewest dropped that end both generative tasks; that count."""
    frame = figure_1()
    mine = frame[frame["target"].eq(target)]
    table = mine.pivot(index="dropped", columns="task", values="kept")
    written = mine.loc[mine["kind"].eq(WRITING), "task"].unique()
    count = int(table.index[(table[written] < COLLAPSED).all(axis=1)][0])
    return table.loc[count], count


def not_table_1(*tables: pd.DataFrame) -> str:
    """How the figure's dense scores differ from those of Table 1(b)'s model, in half a sentence.
    ``tables`` hold rows of Table 1(b)."""
    frame = figure_1()
    dense = frame[frame["dropped"].eq(0) & frame["target"].eq("attention")].set_index("task")
    printed = pd.concat(tables).set_index("task")["full"]
    shared = [task for task in dense.index if task in printed.index]
    pairs = [f"{task} {dense.loc[task, 'score']:.1f} and {printed[task]:.1f}" for task in shared]
    return f"unpruned scores of figure and table are {join_words(pairs)}"


def other_starts() -> str:
    """The tasks whose curve for blocks starts from another dense score than the other two."""
    frame = figure_1()
    dense = frame[frame["dropped"].eq(0)].pivot(index="task", columns="target", values="score")
    other = dense[(dense["block"] - dense["attention"]).abs() > 0.01]
    return join_words(
        f"{task} ({row['block']:g} where the others have {row['attention']:.1f})"
        for task, row in other.iterrows()
    )


def tasks_title() -> str:
    """How many of the paper's pairs of points have a choosing task ahead of a writing one."""
    frame = figure_1()
    pruned = frame[frame["dropped"].gt(0)]
    keys = ["target", "dropped"]
    ends = {
        kind: rows.groupby(keys)["kept"].agg(["min", "max"])
        for kind, rows in pruned.groupby("kind")
    }
    ahead = ends[CHOOSING]["min"] > ends[WRITING]["max"]
    return (
        f"As reported, both tasks that choose keep more than both that write at {ahead.sum()} of "
        f"{len(ahead)} points"
    )


def at(kind: str, dropped: int = 8) -> str:
    """What the tasks of one kind keep with so many dropped, from the least to the most."""
    frame = figure_1()
    kept = frame.loc[frame["kind"].eq(kind) & frame["dropped"].eq(dropped), "kept"]
    return f"{kept.min():.0%} to {kept.max():.0%} at {dropped} dropped"
