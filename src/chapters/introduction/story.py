"""What Section 1 shows: scores against what is dropped, and the paper's Figure 1 beside ours."""

from collections.abc import Mapping

import pandas as pd

from reporting import scores
from reporting.claims import Claim
from reporting.forms import Effect, form_decides
from reporting.reported.scores import figure_1, rows
from runs.parameters import RunParameters
from runs.settings import LETTERS

CHOOSING, WRITING = "multiple_choice", "generation"
PANELS = {"attention": "Attention dropped", "mlp": "MLPs dropped", "block": "Blocks dropped"}
COLLAPSED = 0.1  # share of the score above guessing; the paper's points carry no interval


def panels(models: Mapping[str, RunParameters]) -> dict[str, str]:
    """The panel of every model that has sublayers or blocks dropped, by name: attention first,
    blocks last, and within each the fewest first."""
    places = list(PANELS)
    mine = [name for name, one in models.items() if one.method == "drop" and not one.dense]
    mine.sort(key=lambda name: (places.index(models[name].target), models[name].dropped))
    return {name: PANELS[models[name].target] for name in mine}


def curves(kept: pd.DataFrame, models: Mapping[str, RunParameters]) -> pd.DataFrame:
    """Our lines over the number dropped, and the paper's for each kind of task, the mean of its two
    tasks, in the panels that ours have and as far as ours go; all of it where ours have none."""
    placed = panels(models)
    ours = scores.curves(kept, placed, {name: models[name].dropped for name in placed})
    paper = figure_1().groupby(["target", "kind", "dropped"], sort=False)["kept"].mean()
    means = paper.reset_index()
    theirs = reported(means.assign(name=means["kind"].map(scores.SPACES)))
    if len(ours):
        theirs = theirs[theirs["panel"].isin(ours["panel"]) & (theirs["x"] <= ours["x"].max())]
    return scores.stacked([ours, theirs])


def reported(paper: pd.DataFrame) -> pd.DataFrame:
    """Rows of :func:`reporting.reported.scores.figure_1` as lines, called by their ``name``."""
    return pd.DataFrame(
        {
            "panel": paper["target"].map(PANELS),
            "series": "reported: " + paper["name"],
            "space": paper["kind"].map(scores.SPACES),
            "quantity": "reported",
            "x": paper["dropped"],
            "mean": paper["kept"],
            "point": "Drop-" + paper["dropped"].astype(str) + paper["target"].map(LETTERS),
        }
    )


def claims(
    kept: pd.DataFrame, effects: Mapping[str, Effect], models: Mapping[str, RunParameters]
) -> list[Claim]:
    """The claims of Section 1, asked of the model with most parts dropped in each panel."""
    most = list({panel: name for name, panel in panels(models).items()}.values())
    mine = kept[kept["setting"].isin(most)]
    return [
        *(
            scores.keeps(
                f"Tasks that choose keep their score ({series})",
                "abstract-choosing-keeps",
                scores.shares(mine, series),
                at_eight(CHOOSING),
            )
            for series in scores.series_of(mine, "choosing")
        ),
        *(
            scores.loses(
                f"Tasks that generate lose it ({series})",
                "abstract-writing-fails",
                scores.shares(mine, series),
                at_eight(WRITING),
            )
            for series in scores.series_of(mine, "generating")
        ),
        form_decides(
            "… because they generate: the same questions lose more when written",
            effects,
            most,
        ),
    ]


def at_eight(kind: str) -> dict[str, float]:
    """What each of the paper's tasks of one kind keeps with eight dropped."""
    rows = figure_1().query("kind == @kind and dropped == 8")
    names = rows["task"] + ", Drop-8" + rows["target"].map(LETTERS)
    return dict(zip(names, rows["kept"].astype(float), strict=True))


def ended(target: str) -> pd.Series:
    """What every task of the paper keeps at the fewest dropped (the name of the series) that leave
    less than ``COLLAPSED`` of both generative tasks."""
    paper = figure_1().query("target == @target")
    table = paper.pivot(index="dropped", columns="task", values="kept")
    written = paper.loc[paper["kind"].eq(WRITING), "task"].unique()
    return table[(table[written] < COLLAPSED).all(axis=1)].iloc[0]


def choosing_ahead() -> pd.Series:
    """At each point of the paper's figure, whether both tasks that choose keep more than both that
    write."""
    keys = ["target", "dropped", "kind"]
    ends = figure_1().query("dropped > 0").groupby(keys)["kept"].agg(["min", "max"]).unstack()
    return ends["min", CHOOSING] > ends["max", WRITING]


def choosing_at_the_end() -> pd.Series:
    """What the curves of tasks that choose keep with the most that the paper drops."""
    return figure_1().query("kind == @CHOOSING and dropped == dropped.max()")["kept"]


def starts() -> pd.DataFrame:
    """The paper's dense scores in percent: where the curves of its Figure 1 start, and what its
    Table 1(b) prints."""
    dense = figure_1().query("dropped == 0")
    table = dense.pivot(index="task", columns="target", values="score")[list(PANELS)]
    printed = pd.concat([rows("b", kind) for kind in (CHOOSING, WRITING)]).set_index("task")
    return table.assign(**{"Table 1(b)": printed["full"]}).reset_index()
