"""Section 7.1 and Figure 7: do deviations begin small, stay, and jump while two models write?

Texts are compared ``free``, where each model reads its own words, and ``forced``, where both read
the dense ones. Means are taken within each prompt, then over prompts; intervals draw prompts anew.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from reporting import reported
from reporting.claims import OURS, Claim, Printed, conditions, listed
from reporting.figures import SPACES, Reference
from reporting.layers import log_range
from reporting.parting import FLOOR, TEXT, Course, matches, partings, survival
from reporting.statistics import Estimate, mean
from reporting.step_frames import QUARTILES, line, picked
from reporting.trends import Trend
from runs.parameters import RunParameters
from runs.settings import settings

MEASURES = {space: ("angular", space) for space in SPACES} | {"KL": ("kl", "probability")}
HEADINGS = {space: f"1 − cos, {space}" for space in SPACES} | {"KL": "KL (nats)"}
READS = {"free": "its own text", "forced": "the dense text"}
TURNED = 0.1  # 1 − cosine that is no longer a minor deviation
SHRINK = 0.25  # share of its mean that a deviation may lose along a text and still count as staying
BEFORE, AFTER = 8, 24  # steps that are shown around the parting
MODES = {"greedy": "logit", "sampled": "probability"}  # and the space that each looks at


def chosen(parameters: RunParameters) -> dict[str, RunParameters]:
    """The pruned models of Section 7, and one with a quarter of the MLPs dropped: with all of
    ``dropped`` a small model may be at the floor."""
    return {
        name: one
        for name, one in settings(parameters, (4, 1)).items()
        if one.method != "drop" or one.target == "mlp" or one.dropped == parameters.dropped
    }


def number(value: float) -> str:
    """Two digits after the point; a dash where there is no number."""
    return Estimate(value).text()


def measured(deviations: pd.DataFrame, metric: str, space: str) -> pd.DataFrame:
    """Rows of one metric in one space, as measured and not centred, prompts and decodings as
    text."""
    rows = picked(deviations, metric=metric, space=space, quantity="measured")
    return rows[[*TEXT, "step", "decoding", "value"]].astype({"prompt": str, "decoding": str})


def traces(deviations: pd.DataFrame, measure: str) -> pd.DataFrame:
    """One row for each text and step: ``prompt``, ``seed``, ``step``, the deviation ``free`` and
    ``forced`` (missing where a text has ended), and ``after``: steps since the two texts parted.

    ``measure`` is a key of ``MEASURES``: 1 − cos in a space, or KL(dense ‖ pruned) in nats.
    ``after`` is 0 at the step at which the texts part, so both models have read the same up to
    there, and missing if they never do.
    """
    rows = measured(deviations, *MEASURES[measure])
    wide = rows.pivot(index=[*TEXT, "step"], columns="decoding", values="value")
    wide = wide.reindex(columns=list(READS)).rename_axis(columns=None).reset_index()
    first = partings(matches(deviations))[[*TEXT, "parting"]]
    found = wide.merge(first, on=TEXT, how="left")
    return found.assign(after=found["step"] - found["parting"].astype(float))


def course(deviations: pd.DataFrame, metric: str, space: str, decoding: str) -> pd.DataFrame:
    """One number at each step, within prompts and then over them: ``x``, the step, ``mean``,
    quartiles over prompts ``low`` and ``high``, and ``n``, the prompts that got so far."""
    rows = measured(deviations, metric, space).query("decoding == @decoding")
    return line(rows.groupby(["step", "prompt"])["value"].mean(), edges=QUARTILES)


def around_parting(tables: Mapping[str, pd.DataFrame], measure: str) -> pd.DataFrame:
    """A measure from ``BEFORE`` steps ahead of the parting to ``AFTER`` beyond, free and forced,
    one panel for each pruned model, for ``figures.lines``; ``x`` 0 is the parting."""
    labels = {"free": ("each reads its own text", "probability")}
    labels["forced"] = ("both read the dense text", "dense")
    parts = []
    for name, table in tables.items():
        found = traces(table, measure)
        rows = found[found["after"].between(-BEFORE, AFTER)].assign(step=lambda one: one["after"])
        for decoding, (series, space) in labels.items():
            within = rows.dropna(subset=decoding).groupby(["step", "prompt"])[decoding].mean()
            own = line(within, edges=QUARTILES)
            parts.append(own.assign(panel=name, series=series, space=space))
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True)
class Written:
    """``deviations`` of one pruned model, and of the unpruned one on ``other`` words."""

    deviations: pd.DataFrame
    other: pd.DataFrame
    seed: int

    @cached_property
    def traces(self) -> dict[str, pd.DataFrame]:
        """:func:`traces` of every measure."""
        return {measure: traces(self.deviations, measure) for measure in MEASURES}

    @property
    def collapsed(self) -> bool:
        """Whether already the first step is at the floor."""
        first = self.traces["probability"].query("step == 0")["free"]
        return bool(1 - first.mean() < FLOOR)

    def start(self, measure: str, decoding: str = "free") -> dict[str, Estimate]:
        """The ``first`` step, the mean of all ``later`` ones, and the ``rise`` between them;
        prompts with a single step are left out."""
        rows = self.traces[measure].dropna(subset=decoding)
        means = rows.groupby(["prompt", rows["step"].gt(0)])[decoding].mean().unstack()
        means = means.reindex(columns=[False, True]).dropna()
        first, later = means[False], means[True]
        return self._means(first=first, later=later, rise=later - first)

    def trend(self, measure: str, decoding: str = "forced") -> tuple[Estimate, Estimate]:
        """From step 1 on: the mean, and the change along the text as a share of it."""
        rows = self.traces[measure].query("step > 0").dropna(subset=decoding)
        if rows.empty:
            return Estimate(math.nan), Estimate(math.nan)
        found = Trend.of(rows.rename(columns={decoding: "value"}), self.seed)
        return found.mean, found.growth

    def jump(self, measure: str) -> dict[str, Estimate]:
        """What changes once the texts differ, over prompts that parted and wrote on: free,
        ``before`` (up to the parting, where free and forced are the same), ``after`` and the
        ``rise`` between them; ``forced``, what the same steps bring with both models on the dense
        text, and ``added``, the rest of it."""
        rows = self.traces[measure].dropna(subset=[*READS, "after"])
        means = rows.groupby(["prompt", rows["after"].gt(0)])[list(READS)].mean().unstack()
        columns = pd.MultiIndex.from_product([READS, [False, True]])
        means = means.reindex(columns=columns).dropna()
        before, free, forced = means["free", False], means["free", True], means["forced", True]
        gaps = {"rise": free - before, "forced": forced - before, "added": free - forced}
        return self._means(before=before, after=free, **gaps)

    def _means(self, **by_prompt: pd.Series) -> dict[str, Estimate]:
        return {name: mean(values, self.seed) for name, values in by_prompt.items()}

    @property
    def turned(self) -> dict[str, Estimate]:
        """1 − cosine of the ``embedding`` at the output, with both models on the dense text, and
        the ``gap`` by which that of probabilities is larger."""
        embedding, probability = (
            self.traces[space].groupby("prompt")["forced"].mean().dropna()
            for space in ("embedding", "probability")
        )
        return self._means(embedding=embedding, gap=probability - embedding)

    def beyond(self, measure: str) -> Estimate:
        """Free, after the parting, minus the unpruned model on other words, over the prompts that
        have both."""
        parted = self.traces[measure].query("after > 0").dropna(subset="free")
        gap = parted.groupby("prompt")["free"].mean() - self._unpruned(measure)
        return mean(gap.dropna(), self.seed)

    def unpruned(self, measure: str) -> float:
        """Mean deviation of the unpruned model on other words, after its first word."""
        return float(self._unpruned(measure).mean())

    def _unpruned(self, measure: str) -> pd.Series:
        alone = measured(self.other, *MEASURES[measure]).query("step > 0")
        return alone.groupby("prompt")["value"].mean()


def claims(found: Mapping[str, Written]) -> list[Claim]:
    """The claims of Section 7.1, over the pruned models in ``found``, none of which is at its
    floor. ``measured`` shows the last of the numbers that each criterion asks for."""

    def growths(one: Written) -> list[Estimate]:
        return [one.trend(measure)[1] for measure in MEASURES]

    asked: list[tuple[str, str, str, Callable[[Written], list[Estimate]], float, str]] = [
        (
            "The first step is more similar than later ones, in every space",
            "7.1-first-step",
            "later steps deviate more, in each of the three spaces",
            lambda one: [one.start(space)["rise"] for space in SPACES],
            *(0.0, ".2f"),
        ),
        (
            "… also where both models read the dense text (ours)",
            OURS,
            "the same, teacher-forced",
            lambda one: [one.start(space, "forced")["rise"] for space in SPACES],
            *(0.0, ".2f"),
        ),
        (
            "Deviations persist: they do not shrink along the dense text",
            "7.1-persist",
            f"fitted loss from first to last step less than {SHRINK:.0%} of the mean, in each "
            "space and in KL, teacher-forced",
            *(growths, -SHRINK, ".0%"),
        ),
        (
            "… and grow where both models read the dense text",
            "7.1-compound",
            "fitted change above zero, in each space and in KL, teacher-forced",
            *(growths, 0.0, ".0%"),
        ),
        (
            "Divergence jumps once the texts differ",
            "7.1-jump",
            "KL higher after the parting than teacher-forced at the same steps, and than before",
            lambda one: [one.jump("KL")[name] for name in ("added", "rise")],
            *(0.0, ".2f"),
        ),
        (
            "… to more than other words alone bring about (ours)",
            OURS,
            "after the parting, 1 − probability cosine and KL above those of the unpruned model "
            "that wrote another word",
            lambda one: [one.beyond(measure) for measure in ("probability", "KL")],
            *(0.0, ".2f"),
        ),
    ]
    rows = []
    for words, key, criterion, ask, low, form in asked:
        each = {name: ask(one) for name, one in found.items()}
        last = {name: numbers[-1] for name, numbers in each.items()}
        met = conditions((one for numbers in each.values() for one in numbers), low)
        printed = Printed.of(printed_rises()) if key == "7.1-first-step" else Printed("")
        rows.append(Claim(words, key, listed(last, form), criterion, met, printed, last))
    return [*rows, _whole(found)]


def _whole(found: Mapping[str, Written]) -> Claim:
    """Are embeddings at the output robust, with all sublayers of the model gone at once?"""
    both = {name: one.turned for name, one in found.items()}
    embedding = {f"embedding, {name}": one["embedding"] for name, one in both.items()}
    gap = {f"probability − embedding, {name}": one["gap"] for name, one in both.items()}
    return Claim(
        "Embeddings at the output stay similar with the whole model pruned",
        "1-robust-as-a-whole",
        listed(embedding | gap),
        f"1 − cosine, teacher-forced: of embeddings below {TURNED}, of probabilities above theirs",
        conditions(embedding.values(), high=TURNED) + conditions(gap.values(), 0.0),
        numbers=embedding | gap,
    )


def printed_rises() -> dict[str, float]:
    """By how much the later steps of the paper's Figure 7 deviate more than its first."""
    drawn = reported.figure_7().query("metric == 'cosine'").sort_values("step")
    curves = {space: rows["value"].to_numpy() for space, rows in drawn.groupby("space")}
    return {space: float(curves[space][0] - curves[space][1:].mean()) for space in SPACES}


def by_measure(
    found: Mapping[str, Written], cells: Callable[[Written, str, str], dict[str, str]]
) -> dict[str, pd.DataFrame]:
    """For each measure a table with one row for each pruned model and reading."""
    return {
        HEADINGS[measure]: pd.DataFrame(
            [
                {"model": name, "reads": words} | cells(one, measure, decoding)
                for name, one in found.items()
                for decoding, words in READS.items()
            ]
        )
        for measure in MEASURES
    }


def start_cells(one: Written, measure: str, decoding: str) -> dict[str, str]:
    """The first step, the later ones, and their difference with its interval."""
    first, later, rise = one.start(measure, decoding).values()
    return _start(first.value, later.value) | {"difference": str(rise)}


def trend_cells(one: Written, measure: str, decoding: str) -> dict[str, str]:
    """The mean after the first step, and the change along the text with its interval."""
    level, growth = one.trend(measure, decoding)
    return {"mean": number(level.value), "change along the text": growth.text(".0%")}


def _start(first: float, later: float) -> dict[str, str]:
    return {"first step": number(first), "later steps": number(later)}


def jump_table(found: Mapping[str, Written]) -> pd.DataFrame:
    """Before and after the parting, what the place in the text and what other words bring."""
    rows = []
    for name, one in found.items():
        for measure in MEASURES:
            here = one.jump(measure)
            rows.append(
                {
                    "model": name,
                    "measure": HEADINGS[measure],
                    "n": here["rise"].n,
                    "before": number(here["before"].value),
                    "after": number(here["after"].value),
                    "change on the dense text": str(here["forced"]),
                    "added by its own text": str(here["added"]),
                    "unpruned, other words": number(one.unpruned(measure)),
                    "pruned minus unpruned": str(one.beyond(measure)),
                }
            )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Decoded:
    """One pruned model, decoded in one way: how its ``texts`` part, as samples and as a curve, and
    the mean free deviation at ``later`` steps (prompts × measures)."""

    course: Course
    curve: pd.DataFrame
    texts: int
    later: pd.DataFrame

    @classmethod
    def of(cls, deviations: pd.DataFrame, seed: int) -> "Decoded":
        """From a table of deviations."""
        found = matches(deviations)
        rows = {measure: traces(deviations, measure).query("step > 0") for measure in MEASURES}
        later = {name: one.groupby("prompt")["free"].mean() for name, one in rows.items()}
        texts = found.groupby(TEXT).ngroups
        return cls(Course.of(found, seed), survival(found, seed), texts, pd.DataFrame(later))

    @property
    def common(self) -> np.ndarray:
        """Expected number of tokens (1 + R,) that two texts share before they part."""
        return self.course.survival.sum(axis=1)


def decoded(greedy: pd.DataFrame, sampled: pd.DataFrame, seed: int) -> dict[str, Decoded]:
    """``deviations`` of one pruned model by way of decoding, over the steps that both have."""
    last = min(greedy["step"].max(), sampled["step"].max())
    return {
        mode: Decoded.of(table[table["step"] <= last], seed)
        for mode, table in zip(MODES, (greedy, sampled), strict=True)
    }


def decoding_table(found: Mapping[str, Mapping[str, Decoded]], seed: int) -> pd.DataFrame:
    """One row for each pruned model and way of decoding, and one for the difference."""
    rows = []
    for name, modes in found.items():
        for mode, one in modes.items():
            row = {"model": name, "decoding": mode, "texts": f"{one.texts}"}
            row["parted"] = f"{1 - one.curve['mean'].iloc[-1]:.0%}"
            row["tokens in common"] = str(one.course.estimate(one.common))
            rows.append(row | {HEADINGS[key]: number(one.later[key].mean()) for key in MEASURES})
        row = {"model": name, "decoding": "sampled minus greedy", "texts": "–", "parted": "–"}
        row["tokens in common"] = str(longer(modes))
        more = (modes["sampled"].later - modes["greedy"].later)[list(MEASURES)]
        rows.append(row | {HEADINGS[key]: str(mean(more[key].dropna(), seed)) for key in MEASURES})
    return pd.DataFrame(rows)


def longer(modes: Mapping[str, Decoded]) -> Estimate:
    """By how many tokens sampled texts share more than greedy ones."""
    return modes["greedy"].course.estimate(modes["sampled"].common - modes["greedy"].common)


def decoding_curves(found: Mapping[str, Mapping[str, Decoded]]) -> pd.DataFrame:
    """Survival of all pruned models for ``figures.lines``, in the hue of the space that each way of
    decoding looks at."""
    parts = [
        one.curve.assign(panel=name, series=mode, space=MODES[mode])
        for name, modes in found.items()
        for mode, one in modes.items()
    ]
    return pd.concat(parts, ignore_index=True)


AXES = {
    "angular": "1 − cosine, dense to pruned (log scale)",
    "cosine": "cosine similarity, dense to pruned",
    "kl": "KL(dense ‖ pruned) in nats",
}
PANELS = {
    "each model reads its own text": "free",
    "both read the dense text": "forced",
}


def panels(metric: str) -> dict[str, tuple[str, str]]:
    """Metric and decoding of each panel of Figure 7, where ``metric`` compares directions."""
    heads = {"angular": "1 − cosine", "cosine": "Cosine"}[metric], "KL"
    metrics = dict(zip(heads, (metric, "kl"), strict=True))
    return {
        f"{head}: {reads}": (one, decoding)
        for head, one in metrics.items()
        for reads, decoding in PANELS.items()
    }


def axes(metric: str, frame: pd.DataFrame, level: list[Reference]) -> dict[str, object]:
    """The axes of :func:`panels` for ``figures.lines`` and a ``frame`` of :func:`figure_7`, with a
    ``level`` of KL to compare with. A logarithmic one is as long as the means need it."""
    shown = panels(metric)
    logs = [panel for panel, (one, _) in shown.items() if one == "angular"]
    return {
        "y_label": {panel: AXES[one] for panel, (one, _) in shown.items()},
        "y_scale": dict.fromkeys(logs, "log"),
        "y_range": dict.fromkeys(logs, log_range(frame[frame["panel"].isin(logs)])),
        "references": {panel: level for panel, (one, _) in shown.items() if one == "kl"},
    }


def figure_7(
    deviations: pd.DataFrame, metric: str, printed: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Directions in the three spaces and KL at each step, for ``figures.lines``; free-running and
    teacher-forced are panels of their own. ``metric`` is ``angular``, 1 − cosine, or ``cosine``.
    ``printed`` adds the paper's curves (columns as ``reported.figure_7``) to the free-running
    panels, as far as ours go."""
    parts = []
    shown = panels(metric)
    for panel, (one, decoding) in shown.items():
        for space in SPACES if one == metric else SPACES[-1:]:
            rows = course(deviations, one, space, decoding)
            parts.append(rows.assign(panel=panel, series=space, space=space))
    found = pd.concat(parts, ignore_index=True).assign(quantity="measured")
    if printed is None:
        return found
    free = {one: panel for panel, (one, decoding) in shown.items() if decoding == "free"}
    theirs = printed.rename(columns={"step": "x", "value": "mean"}).query("x <= @found.x.max()")
    turned = theirs["metric"].eq("cosine") & (metric == "angular")
    theirs = theirs.assign(
        mean=theirs["mean"].where(~turned, 1 - theirs["mean"]),
        panel=theirs["metric"].mask(turned, "angular").map(free),
        series=f"reported, {reported.FIGURE_7.size}",
        quantity="reported",
        point=[f"step {step}" for step in theirs["x"]],
    )
    return pd.concat([found, theirs.drop(columns="metric")], ignore_index=True)


PARTING = Reference(x=(0, 0), y=(-1e6, 1e6), label="texts part here", dash="2px,3px")


def unpruned_level(value: float) -> list[Reference]:
    """The deviation of the unpruned model on other words, as a line to compare with."""
    if not np.isfinite(value):
        return []
    return [Reference(x=(-1e6, 1e6), y=(value, value), label="unpruned, other words")]


def starts(found: Mapping[str, Written], printed: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """First step and later ones of each measure, the paper's row above ours; ``printed`` has the
    columns of ``reported.figure_7``."""
    tables = by_measure(found, start_cells)
    curves = printed.sort_values("step").groupby(["metric", "space"])["value"]
    for measure, (_, space) in MEASURES.items():
        values = curves.get_group(("kl" if measure == "KL" else "cosine", space)).to_numpy()
        values = values if measure == "KL" else 1 - values
        row = {"model": "reported (7B, Drop-8A, one prompt)", "reads": READS["free"]}
        row |= _start(values[0], values[1:].mean()) | {"difference": "–"}
        heading = HEADINGS[measure]
        tables[heading] = pd.concat([pd.DataFrame([row]), tables[heading]])
    return tables
