"""What does a pruned model keep of the dense one's scores? Answers, shares, tables, curves."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from helpers.errors import InputError
from helpers.evaluation import paired
from helpers.evaluation.comparison import KEYS
from helpers.evaluation.tasks import TASKS
from reporting import figures
from reporting.claims import TOO_FEW, TOO_WEAK, Claim, counted
from reporting.forms import Effect, counted_families
from reporting.statistics import FEWEST, Estimate, resampled
from runs.parameters import RunParameters
from runs.settings import DENSE
from runs.store import Measurement

CHOSEN, WRITTEN = "probes, chosen", "probes, written"
CHOOSING, GENERATING, SEARCHING = "multiple choice", "generation", "retrieval"
KINDS = {"multiple_choice": CHOOSING, "generation": GENERATING, "retrieval": SEARCHING}
SPACES = {"multiple_choice": "choosing", "generation": "generating", "retrieval": "searching"}
SETS = {"boolq-passages": "BoolQ passages", "fiqa": "FiQA"}
VERDICTS = {"at_floor": TOO_WEAK, "at_ceiling": "at ceiling"}
LOST, GAINED = "lost", "gained"
Paper = Mapping[str, float] | str  # numbers that the paper gives, or where it draws them
KEPT, HALF = 0.8, 0.5  # comparable: at least this share is left; collapsed: less than that
LEFT = " of the score above guessing is left"
ANSWER = [*KEYS, "item", "family", "chance"]


def title(task: str) -> str:
    """A task as its authors write it; its own name if that is not known."""
    known = TASKS.get(task)
    return known.title if known else SETS.get(task, task)


def collected(measurements: Mapping[str, Measurement]) -> pd.DataFrame:
    """Rows of table ``scores`` of several models under one another, by name of model.

    ``measurements`` are all ``scores``, ``probe_scores`` or ``retrieval_scores``. Columns besides
    those of the table: ``setting``, the name (categories in their order, Dense first), and of the
    dense model ``dense_n`` questions, ``dense_stderr`` and ``chance``, what guessing scores.
    """
    tables = []
    for name, measured in measurements.items():
        found = _stored(measured, "dense").groupby(KEYS, sort=False)
        own = found.agg(
            dense_n=("value", "size"),
            dense_stderr=("value", paired.standard_error),
            chance=("chance", "mean"),
        )
        tables.append(_scores(measured).assign(setting=name).merge(own.reset_index(), on=KEYS))
    return _in_order(pd.concat(tables, ignore_index=True), measurements)


def answers(measurements: Mapping[str, Measurement]) -> pd.DataFrame:
    """Every question that was asked of the pruned models among ``measurements``: ``setting``,
    ``task``, ``kind``, ``form``, ``metric``, ``item``, ``family``, ``chance``, what the answer of
    the ``dense`` and of the ``pruned`` model scores, and the ``verdict`` of the score it is of.
    """
    tables = []
    for name, measured in measurements.items():
        new = _stored(measured, "pruned").rename(columns={"value": "pruned"})
        if len(new):
            both = _stored(measured, "dense").rename(columns={"value": "dense"})
            both = both.merge(new[[*KEYS, "item", "pruned"]], on=[*KEYS, "item"])
            both = both.merge(_scores(measured)[[*KEYS, "verdict"]], on=KEYS)
            tables.append(both.assign(setting=name))
    if not tables:
        return pd.DataFrame(columns=[*ANSWER, "dense", "pruned", "verdict", "setting"])
    return _in_order(pd.concat(tables, ignore_index=True), measurements)


def _scores(measured: Measurement) -> pd.DataFrame:
    return measured.table("scores").astype(dict.fromkeys([*KEYS, "verdict"], str))


def _stored(measured: Measurement, which: str) -> pd.DataFrame:
    """The stored answers that a measurement of scores was made from, of the ``dense`` or the
    ``pruned`` model."""
    made_from = {one["run"]: one for one in measured.manifest["facts"]["items"]}
    tables = []
    for run, one in made_from.items():
        if one["of"] != which:
            continue
        try:
            folder = measured.folder.parents[1] / one["measurement"] / run
            tables.append(Measurement(folder, {}).table("items"))
        except OSError:
            raise InputError(
                f"the answers behind {measured.folder} are gone: it names {run}, which is no "
                "longer in the results; delete the former too, and run again"
            ) from None
    if not tables:
        return pd.DataFrame(columns=[*ANSWER, "value"])
    text = dict.fromkeys([*KEYS, "item", "family"], str)
    return pd.concat([table.astype(text) for table in tables])[[*ANSWER, "value"]]


def _in_order(table: pd.DataFrame, measurements: Mapping[str, Measurement]) -> pd.DataFrame:
    """``setting`` as categories, Dense first, and rows in that order."""
    names = sorted(measurements, key=lambda name: name != DENSE)
    table["setting"] = pd.Categorical(table["setting"], categories=names, ordered=True)
    return table.sort_values("setting", kind="stable", ignore_index=True)


@dataclass(frozen=True)
class Kept:
    """Scores above chance of a dense and a pruned model, averaged over tasks and forms.

    ``means`` (2, 1 + R) are those averages, dense then pruned: first over all ``n`` questions, then
    over R samples of them. Questions are drawn anew within each task, the same ones for both models
    and for all scores of a task. ``fewest`` is the number of questions of the smallest score.
    ``unseen`` is how far those averages may be off where no answer of n changes: by the rule of
    three, as if 3 in n did.
    """

    n: int
    fewest: int
    means: np.ndarray
    unseen: float

    @classmethod
    def of(cls, items: pd.DataFrame, seed: int) -> "Kept":
        """From rows of :func:`answers`, at least one."""
        found, sizes, unseen = [], [], []
        for (task, _, _), part in items.groupby(["task", "form", "metric"], observed=True):
            part = part.sort_values("item")
            chance = part["chance"].to_numpy(float)[:, None]
            corrected = (part[["dense", "pruned"]].to_numpy(float) - chance) / (1 - chance)
            found.append(resampled(corrected, [seed, zlib.crc32(str(task).encode())]).T)
            sizes.append(len(part))
            unseen.append(3 / len(part) / (1 - chance.mean()))
        return cls(sum(sizes), min(sizes), np.mean(found, axis=0), float(np.mean(unseen)))

    @cached_property
    def ratio(self) -> np.ndarray:
        """Pruned over dense (1 + R,); NaN where a sample's dense average is not above chance."""
        old, new = self.means
        return np.divide(new, old, out=np.full(len(new), np.nan), where=old > 0)

    @property
    def share(self) -> Estimate:
        """Pruned over dense, with its interval. Where no answer changes, samples do not differ, and
        the interval is that of ``unseen``."""
        return self._estimate(self.ratio, self.fewest, self._room)

    def more_than(self, other: "Kept") -> Estimate:
        """How much larger the share is than that of ``other``, with an interval alike."""
        fewest, room = min(self.fewest, other.fewest), self._room + other._room
        return self._estimate(self.ratio - other.ratio, fewest, room)

    def _estimate(self, samples: np.ndarray, fewest: int, room: float) -> Estimate:
        """With ``room`` to either side if the interval has no width."""
        found = Estimate.of(samples, self.n if fewest >= FEWEST else 0).widened(room)
        return replace(found, n=self.n)

    @property
    def _room(self) -> float:
        dense = self.means[0, 0]
        return float(self.unseen / dense) if dense > 0 else 0.0


def kept_by(items: pd.DataFrame, by: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """How much of the dense score above chance pruned models keep, from :func:`answers`.

    One row for each ``setting`` and value of the columns ``by``, in order of appearance: ``kept``
    (:class:`Kept`), its ``share`` (:class:`Estimate`) and ``n`` questions. Scores at the dense
    model's floor are left out.
    """
    columns = ["setting", *by]
    clear = items[items["verdict"].ne("at_floor")].astype({"setting": object})
    rows = []
    for names, part in clear.groupby(columns, sort=False):
        one = Kept.of(part, seed)
        rows.append([*names, one, one.share, one.n])
    return pd.DataFrame(rows, columns=[*columns, "kept", "share", "n"])


def kept_series(
    tasks: pd.DataFrame, probes: pd.DataFrame, by: str = "task", seed: int = 0
) -> pd.DataFrame:
    """:func:`kept_by` for the lines of a figure: columns ``series`` and ``space`` (``choosing``,
    ``generating`` or ``searching``).

    Series are the probes of the families that count, ``CHOSEN`` and ``WRITTEN``, with the answer's
    beginning given; and the ``tasks``, one by one or all of a ``kind`` (``by``). Either table of
    answers may be empty.
    """
    forms = {"choice, prefix": (CHOSEN, "choosing"), "generation, prefix": (WRITTEN, "generating")}
    mine = probes["family"].isin(counted_families(probes)) & probes["form"].isin(list(forms))
    parts = [
        probes[mine].assign(
            series=[forms[form][0] for form in probes["form"][mine]],
            space=[forms[form][1] for form in probes["form"][mine]],
        ),
        tasks.assign(
            series=tasks["task"].map(title) if by == "task" else tasks["kind"].map(KINDS),
            space=tasks["kind"].map(SPACES),
        ),
    ]
    return kept_by(stacked(parts), ["series", "space"], seed)


def stacked(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Frames under one another, without those that hold nothing."""
    given = list(frames)
    full = [frame for frame in given if len(frame)]
    return pd.concat(full, ignore_index=True) if full else given[0]


def shares(kept: pd.DataFrame, series: str, column: str = "series") -> dict[str, Estimate]:
    """What each pruned model keeps of one series of :func:`kept_series`, or of one value of another
    ``column`` of :func:`kept_by`, by name."""
    rows = kept[kept[column].eq(series)]
    return dict(zip(rows["setting"], rows["share"], strict=True))


def series_of(kept: pd.DataFrame, space: str) -> list[str]:
    """The series of one ``space``, in order of appearance."""
    return list(kept.loc[kept["space"].eq(space), "series"].unique())


def keeps(claim: str, tests: str, found: Mapping[str, Estimate], paper: Paper = "") -> Claim:
    """The claim that most of a score is left; ``found`` are shares kept, by name of model, and so
    are the ``paper``'s, or a text that says where it draws them."""
    criterion = f"at least {KEPT:.0%}{LEFT}"
    return Claim.of(
        claim, tests, found, criterion, low=KEPT, form=".0%", paper=paper, counting=True
    )


def loses(claim: str, tests: str, found: Mapping[str, Estimate], paper: Paper = "") -> Claim:
    """The claim that most of a score is gone; else as :func:`keeps`."""
    criterion = f"less than {HALF:.0%}{LEFT}"
    return Claim.of(
        claim, tests, found, criterion, high=HALF, form=".0%", paper=paper, counting=True
    )


def kept_table(
    kept: pd.DataFrame, series: Iterable[str], left: Mapping[str, int], found: Mapping[str, Effect]
) -> pd.DataFrame:
    """One row for each pruned model, as text: parameters ``left``, what it keeps of each of
    ``series``, and by how much more the written probes lose (``found``, by model)."""
    columns = {one: shares(kept, one) for one in series}
    rows = []
    for name in left:
        row = {"pruned model": name, "parameters left": f"{left[name] / 1e6:.0f}M"}
        for one, mine in columns.items():
            row[one + counted(mine)] = mine[name].text(".0%") if name in mine else TOO_WEAK
        row["written lose more by"] = found[name].effect.text() if name in found else "–"
        rows.append(row)
    return pd.DataFrame(rows)


def score_table(frame: pd.DataFrame) -> pd.DataFrame:
    """The scores of :func:`collected` for a page, as text: one row for each task and model.

    ``n`` counts questions, ``cut off`` answers that reached the limit of tokens, ``±`` is the
    standard error, brackets hold the paired 95% interval, and ``p`` is of McNemar's exact test. The
    verdict is ``lost`` or ``gained`` where that interval leaves out 0, else ``too few data``; or
    that the score is at its floor or ceiling.
    """
    rows = []
    for row in frame.itertuples():
        asked = row.setting != DENSE and row.n > 0
        cells = {
            "pruned": _score(row.value, row.stderr),
            "difference": _change(row).text(".3f"),
            "lost / gained": f"{row.flips_lost:.0f} / {row.flips_gained:.0f}" if asked else "–",
            "p": "<0.001" if asked and row.p_value < 0.001 else f"{row.p_value:.3f}",
        }
        rows.append(
            {
                "task": title(str(row.task)),
                "score": row.metric,
                "model": row.setting,
                "n": str(row.dense_n),
                "cut off": "–" if pd.isna(row.answers_cut) else f"{row.answers_cut:.0f}",
                "dense": _score(row.dense_value, row.dense_stderr),
                **(cells if asked else dict.fromkeys(cells, "–")),
                "verdict": outcome(row),
            }
        )
    table = pd.DataFrame(rows)
    nothing_written = rows and table["cut off"].eq("–").all()
    return table.drop(columns="cut off") if nothing_written else table


def outcome(row: Any) -> str:
    """What one row of :func:`collected` says: ``lost``, ``gained``, ``too few data``, ``at
    ceiling`` or ``model too weak``, which is at its floor; of the dense model the last two only."""
    if row.setting == DENSE:
        return VERDICTS.get(row.verdict, "–")
    change = _change(row)
    if row.verdict == "at_floor" or change.low is None:
        return VERDICTS["at_floor"] if row.verdict == "at_floor" else TOO_FEW
    if change.below(0) or change.above(0):
        return LOST if change.below(0) else GAINED
    return VERDICTS.get(row.verdict, TOO_FEW)


def each_score(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """:func:`score_table` of every score, by a line that says what pruning does to it."""
    tables = {}
    for (task, form), rows in frame.groupby(["task", "form"], sort=False):
        table = score_table(rows).drop(columns="task")
        name = form if rows["kind"].eq("probe").all() else title(str(task))
        lost, asked = table["verdict"].eq(LOST).sum(), table["pruned"].ne("–").sum()
        dense = f"{rows['dense_value'].iloc[0]:.2f}"
        dense += f" ({TOO_WEAK})" if rows["verdict"].iloc[0] == "at_floor" else ""
        tables[f"{name}: dense {dense}, lost by {lost} of {asked} pruned models"] = table
    return tables


def asked(frame: pd.DataFrame) -> str:
    """``PIQA (acc, n = 150); ASDiv (exact_match, n = 50)``: the scores of :func:`collected`."""
    rows = frame.drop_duplicates(["task", "form"])
    named = [f"{title(row.task)} ({row.metric}, n = {row.dense_n})" for row in rows.itertuples()]
    return "; ".join(named) or "–"


def floors(frame: pd.DataFrame) -> str:
    """``MMLU 0.23 (guessing 0.25)``: the scores of :func:`collected` that are at the dense model's
    floor and support nothing; a dash if none is."""
    rows = frame[frame["verdict"].eq("at_floor")].drop_duplicates(KEYS)
    named = [
        f"{row.form if row.kind == 'probe' else title(row.task)} {row.dense_value:.2f} "
        f"(guessing {row.chance:.2f})"
        for row in rows.itertuples()
    ]
    return "; ".join(named) or "–"


def _change(row: Any) -> Estimate:
    """The paired difference of one row, with its interval if it has one."""
    change = float(row.value - row.dense_value)
    if pd.isna(row.paired_low):
        return Estimate(change)
    return Estimate(change, float(row.paired_low), float(row.paired_high))


def _score(value: float, stderr: float) -> str:
    return f"{value:.3f}" if pd.isna(stderr) else f"{value:.3f} ± {stderr:.3f}"


def curves(
    kept: pd.DataFrame, panels: Mapping[str, str], places: Mapping[str, float]
) -> pd.DataFrame:
    """Rows for :func:`draw`: every pruned model of :func:`kept_series` in its panel and at its
    place, by name, after the dense model at 0. Panels keep their order."""
    rows = kept[kept["setting"].isin(list(panels))]
    frame = rows[["series", "space"]].assign(
        n=rows["n"].astype("Int64"),
        panel=rows["setting"].map(panels),
        x=rows["setting"].map(places).astype(float),
        point=rows["setting"],
        **{name: [one.point[name] for one in rows["share"]] for name in ("mean", "low", "high")},
    )
    dense = frame.drop_duplicates(["panel", "series"]).assign(x=0.0, point="dense", mean=1.0)
    dense[["low", "high"]] = dense[["low", "high"]].where(dense[["low", "high"]].isna(), 1.0)
    order = {panel: place for place, panel in enumerate(panels.values())}
    return stacked([dense, frame]).sort_values(
        "panel", key=lambda panel: panel.map(order), kind="stable", ignore_index=True
    )


def by_sparsity(models: Mapping[str, RunParameters]) -> dict[str, RunParameters]:
    """Models that lack weights, the mildest first: a pattern after the free choice of the same
    share, and a shorter pattern after a longer one."""

    def strictness(one: RunParameters) -> tuple[float, bool, int]:
        return one.whole_amount, bool(one.pattern), -int(one.pattern.partition(":")[2] or 0)

    weights = [name for name in models if models[name].prunes_weights]
    return {
        name: models[name] for name in sorted(weights, key=lambda name: strictness(models[name]))
    }


def against_sparsity(
    kept: pd.DataFrame, models: Mapping[str, RunParameters]
) -> tuple[pd.DataFrame, list[tuple[float, str]]]:
    """:func:`curves` with a panel for each method of pruning weights, over the places of its
    sparsities from none to the strictest; and the names of these places."""
    names = {name: name.rpartition(" ") for name in by_sparsity(models)}
    labels = ["dense", *dict.fromkeys(label for _, _, label in names.values())]
    places = {name: float(labels.index(label)) for name, (_, _, label) in names.items()}
    panels = {name: names[name][0] for name in models if name in names}
    return curves(kept, panels, places), [(float(at), each) for at, each in enumerate(labels)]


LEVELS = tuple(
    figures.Reference(x=(-1e6, 1e6), y=(level, level), label=label)
    for level, label in ((1.0, "dense model"), (0.0, "guessing"))
)


def draw(frame: pd.DataFrame, **words: Any) -> figures.FigureOutput:
    """Lines of :func:`curves`: every point is within the axis, and wide bands end at its edge. A
    band that is somewhere wider than the whole score would hide all else, and is told only."""
    means = frame["mean"].astype(float)
    width = (frame["high"] - frame["low"]).astype(float) if "high" in frame else 0 * means
    return figures.lines(
        frame,
        unbanded=frame.loc[width > 1, "series"].unique(),
        y_label="share of the dense score kept",
        y_range=(min(-0.1, means.min() - 0.05), max(1.15, means.max() + 0.05)),
        references=LEVELS,
        value="score",
        **words,
    )
