"""From scores of pruned models to lines of a figure: what is kept, against how much is removed."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from helpers.pruning.methods import METHODS
from reporting import probe_effects
from reporting.figures import Reference
from reporting.figures.score_curves import COLUMNS
from reporting.kept_shares import Kept
from reporting.probe_effects import Effect
from reporting.reach import Estimate
from reporting.reported.scores import figure_1
from reporting.score_layouts import title
from runs.parameters import RunParameters
from runs.settings import LETTERS

KINDS = {
    "multiple_choice": "choosing",
    "generation": "generating",
    "retrieval": "searching",
}
CHOSEN, WRITTEN = "probes, chosen", "probes, written"
TARGETS = {"attention": "Attention dropped", "mlp": "MLPs dropped", "block": "Blocks dropped"}
PAPER = {"multiple_choice": "reported: choosing", "generation": "reported: generating"}


LEVELS = tuple(
    Reference(x=(-1e6, 1e6), y=(level, level), label=label)
    for level, label in ((1.0, "dense model"), (0.0, "guessing"))
)


def probe_families(items: pd.DataFrame, asked: str = "prefix") -> tuple[str, ...]:
    """The families of probes that count: the dense model has them in both forms. ``items`` as
    from :func:`score_tables.collected_items`."""
    if items.empty:
        return ()
    one = items[items["setting"].eq(items["setting"].iloc[0])]
    return probe_effects.counted_families(one.assign(value=one["dense"]), asked)


def form_effects(items: pd.DataFrame, asked: str = "prefix", seed: int = 0) -> dict[str, Effect]:
    """The effect of form for each pruned model, by name; none where no family counts. ``items``
    of the probes as from :func:`score_tables.collected_items`."""
    if not probe_families(items, asked):
        return {}
    return {
        str(name): probe_effects.effect(
            part.assign(value=part["dense"]), part.assign(value=part["pruned"]), asked, seed
        )
        for name, part in items.groupby("setting", sort=False, observed=True)
    }


def drops(one: RunParameters) -> bool:
    """Whether sublayers or blocks are dropped."""
    return one.method == "drop" and not one.dense


def kept_series(
    tasks: pd.DataFrame, probes: pd.DataFrame, asked: str = "prefix", seed: int = 0
) -> pd.DataFrame:
    """How much each pruned model keeps, one row for each ``setting`` and ``series``.

    ``tasks`` and ``probes`` as from :func:`score_tables.collected_items`; either may be empty. Of
    the probes the families that count are taken, in both forms with the answer's prefix
    (``asked``: or ``plain``). Columns: ``setting``, ``series``, ``kind`` (``choosing``,
    ``generating`` or ``searching``), ``n`` questions, ``kept``, an :class:`Estimate`, and
    ``samples``, the :class:`Kept` that it is of. Scores at their floor are left out.
    """
    forms = {
        f"choice, {asked}": (CHOSEN, "choosing"),
        f"generation, {asked}": (WRITTEN, "generating"),
    }
    counted = probes["family"].isin(probe_families(probes, asked))
    chosen = probes[counted & probes["form"].isin(list(forms))]
    both = [
        chosen.assign(
            series=[forms[form][0] for form in chosen["form"]],
            kind=[forms[form][1] for form in chosen["form"]],
        ),
        tasks.assign(
            series=[title(str(task)) for task in tasks["task"]],
            kind=[KINDS[str(kind)] for kind in tasks["kind"]],
        ),
    ]
    found = []
    for items in both:
        clear = items[items["verdict"].ne("at_floor")]
        keys = ["setting", "series", "kind"]
        for names, part in clear.groupby(keys, sort=False, observed=True):
            samples = Kept.of(part, seed)
            row = {"n": samples.items, "kept": samples.share, "samples": samples}
            found.append(dict(zip(keys, map(str, names), strict=True)) | row)
    return pd.DataFrame(found, columns=["setting", "series", "kind", "n", "kept", "samples"])


def by_model(kept: pd.DataFrame) -> dict[str, dict[str, Estimate]]:
    """Shares kept by pruned model and series, from :func:`kept_series` or another frame with
    these columns."""
    found: dict[str, dict[str, Estimate]] = {}
    for row in kept.to_dict("records"):
        found.setdefault(str(row["setting"]), {})[str(row["series"])] = row["kept"]
    return found


def against_dropped(kept: pd.DataFrame, settings: Mapping[str, RunParameters]) -> pd.DataFrame:
    """Rows of a score figure: a panel for each kind of sublayer, x the number dropped, from 0."""
    return _rows(
        kept,
        drop_panels(settings),
        {name: float(one.dropped) for name, one in settings.items() if drops(one)},
    )


def drop_panels(settings: Mapping[str, RunParameters]) -> dict[str, str]:
    """The panel of every model that has sublayers dropped, by name: attention first, blocks last,
    and within each the fewest first."""
    places = list(TARGETS)
    mine = {name: one for name, one in settings.items() if drops(one)}
    order = sorted(mine, key=lambda name: (places.index(mine[name].target), mine[name].dropped))
    return {name: TARGETS[mine[name].target] for name in order}


def against_pattern(
    kept: pd.DataFrame, settings: Mapping[str, RunParameters]
) -> tuple[pd.DataFrame, list[tuple[float, str]]]:
    """Rows of a score figure: a panel for each method of pruning weights, x the place of a
    sparsity, from none over shares, the smallest first, to patterns, the longest first; and the
    names of these places."""
    weights = {name: one for name, one in settings.items() if one.prunes_weights}
    keys = {name: _place(one) for name, one in weights.items()}
    order = {key: place for place, key in enumerate(sorted(set(keys.values())), start=1)}
    ticks = [(0.0, "dense"), *((float(place), key[-1]) for key, place in order.items())]
    panels = {name: METHODS[one.method].title for name, one in weights.items()}
    return _rows(kept, panels, {name: float(order[keys[name]]) for name in weights}), ticks


def stacked(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Ours and the paper's under one another, in the panels that ours has; all the paper's where
    ours has none."""
    if ours.empty:
        return theirs
    panels = list(dict.fromkeys(ours["panel"]))
    both = [ours, theirs[theirs["panel"].isin(panels)]]
    return pd.concat([part for part in both if len(part)], ignore_index=True)


def reported_drops() -> pd.DataFrame:
    """The paper's Figure 1 as rows of a score figure: for each kind of task the mean of its two
    tasks, in shares of the dense score above guessing."""
    paper = figure_1()
    mean = paper.groupby(["target", "kind", "dropped"], sort=False)["kept"].mean().reset_index()
    return _paper(mean, mean["kind"].map(PAPER))


def reported_tasks() -> pd.DataFrame:
    """The paper's Figure 1 as rows of a score figure, every task by itself."""
    paper = figure_1()
    return _paper(paper, "reported: " + paper["task"])


def _paper(rows: pd.DataFrame, series: pd.Series) -> pd.DataFrame:
    frame = rows.assign(
        panel=rows["target"].map(TARGETS),
        series=series,
        kind=rows["kind"].map(KINDS),
        source="reported",
        x=rows["dropped"].astype(float),
        point="Drop-" + rows["dropped"].astype(str) + rows["target"].map(LETTERS),
        mean=rows["kept"],
        low=float("nan"),
        high=float("nan"),
        n=None,
    )
    return frame[list(COLUMNS)]


def _rows(
    kept: pd.DataFrame, panels: Mapping[str, str], places: Mapping[str, float]
) -> pd.DataFrame:
    """Points of every panel, after the dense model's own at 0."""
    rows = []
    for panel in dict.fromkeys(panels.values()):
        mine = kept[kept["setting"].isin([name for name in panels if panels[name] == panel])]
        for _, part in mine.groupby("series", sort=False, observed=True):
            points = [row for _, row in part.iterrows()]
            given = [_point(panel, row, places[str(row["setting"])]) for row in points]
            banded = any(point["low"] == point["low"] for point in given)
            edge = 1.0 if banded else float("nan")
            dense = _point(panel, points[0], 0.0) | {"point": "dense", "mean": 1.0}
            rows += [dense | {"low": edge, "high": edge}, *sorted(given, key=lambda one: one["x"])]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _point(panel: str, row: pd.Series, x: float) -> dict[str, Any]:
    one: Estimate = row["kept"]
    missing = float("nan")
    return {
        "panel": panel,
        "series": str(row["series"]),
        "kind": str(row["kind"]),
        "source": "measured",
        "x": x,
        "point": str(row["setting"]),
        "mean": one.value,
        "low": missing if one.low is None else one.low,
        "high": missing if one.high is None else one.high,
        "n": int(row["n"]),
    }


def _place(one: RunParameters) -> tuple[float, bool, int, str]:
    """Where a sparsity stands: after a smaller share, a pattern after the free choice of the same
    share, and a shorter pattern after a longer one."""
    if not one.pattern:
        return (one.sparsity, False, 0, f"{100 * one.sparsity:g}%")
    return (one.whole_amount, True, -int(one.pattern.split(":")[1]), one.pattern)
