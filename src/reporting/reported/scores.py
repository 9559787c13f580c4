"""The paper's scores of pruned models: Table 1 as printed, Figure 1 as drawn."""

from functools import cache
from importlib import resources

import pandas as pd

from reporting.reported import Source

SETTINGS = {"full": "Full model", "drop_8a": "Drop-8A", "drop_8m": "Drop-8M"}
PARAMETERS, AVERAGE = "Parameters", "Average"

TABLE_1A = Source(where="Table 1(a) of arXiv 2603.24652", model="E5-Mistral", size="7B", points=13)
TABLE_1B = Source(
    where="Table 1(b) of arXiv 2603.24652", model="Mistral-7B-Instruct", size="7B", points=10
)
FIGURE_1 = Source(
    where="Figure 1 of arXiv 2603.24652, read back from its vector drawing",
    model="",  # neither the figure nor the text around it names one
    size="",
    points=13,
)

# what guessing scores, in percent: four endings or four options to choose from; free text else
GUESSING = {"HellaSwag": 25.0, "MMLU": 25.0, "GSM8K": 0.0, "HumanEval": 0.0}


@cache
def table_1() -> pd.DataFrame:
    """Table 1 as printed, one row for each of its rows.

    Columns ``part`` (``a`` retrieval, ``b`` the other tasks), ``kind`` (``parameters``,
    ``retrieval``, ``multiple_choice`` or ``generation``), ``task``, and the models ``full``,
    ``drop_8a`` and ``drop_8m``: scores in percent, and of the row ``Parameters`` thousand
    millions. Rows ``Average`` are the printed ones.
    """
    return _read("table1.csv")


def rows(part: str, kind: str) -> pd.DataFrame:
    """The tasks of one kind, without the row of averages, in the printed order."""
    return _rows(part, kind, average=False)


def parameters(part: str) -> pd.Series:
    """Parameters of the three models of a part, in thousand millions, by column."""
    found = table_1().query("part == @part and kind == 'parameters'")
    return found[list(SETTINGS)].iloc[0].astype(float)


@cache
def averages() -> pd.DataFrame:
    """Averages that the table prints beside those that its rows give.

    Columns ``part``, ``kind``, ``setting``, ``printed``, ``computed``, ``tasks`` (their number)
    and ``agree``: whether the computed one rounds to the printed one.
    """
    found = []
    for part, kind in (("a", "retrieval"), ("b", "multiple_choice"), ("b", "generation")):
        tasks, printed = rows(part, kind), _rows(part, kind, average=True).iloc[0]
        for setting in SETTINGS:
            mean = float(tasks[setting].mean())
            found.append(
                {
                    "part": part,
                    "kind": kind,
                    "setting": SETTINGS[setting],
                    "printed": float(printed[setting]),
                    "computed": mean,
                    "tasks": len(tasks),
                    "agree": abs(mean - float(printed[setting])) <= 0.05 + 1e-9,
                }
            )
    return pd.DataFrame(found)


@cache
def figure_1() -> pd.DataFrame:
    """Score against the number of sublayers or blocks dropped, as the paper drew it.

    Columns ``kind`` (``multiple_choice`` or ``generation``), ``task``, ``target`` (``attention``,
    ``mlp`` or ``block``, the last by ShortGPT), ``dropped`` (0 to 12), ``score`` in percent,
    ``guessing``, ``dense`` (the score of the same series with nothing dropped) and ``kept``: the
    share of the dense score above guessing that is left.
    """
    frame = _read("figure1.csv")
    guessing = frame["task"].map(GUESSING)
    dense = frame["score"].where(frame["dropped"].eq(0))
    dense = dense.groupby([frame["task"], frame["target"]]).transform("max")
    kept = (frame["score"] - guessing) / (dense - guessing)
    return frame.assign(guessing=guessing, dense=dense, kept=kept)


def _rows(part: str, kind: str, average: bool) -> pd.DataFrame:
    frame = table_1()
    wanted = frame["part"].eq(part) & frame["kind"].eq(kind)
    found = frame[wanted & frame["task"].eq(AVERAGE).eq(average)]
    if found.empty:
        raise ValueError(f"Table 1({part}) has no tasks of the kind {kind!r}")
    return found[["task", *SETTINGS]].reset_index(drop=True)


def _read(name: str) -> pd.DataFrame:
    with resources.files("reporting.reported").joinpath(name).open() as file:
        return pd.read_csv(file, dtype={"part": str})
