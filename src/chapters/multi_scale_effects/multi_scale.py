"""Section 7.1: do deviations begin small, stay, and jump? Numbers, and claims with criteria."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from chapters.multi_scale_effects.persistence import (
    DECODINGS,
    MEASURES,
    Jump,
    Start,
    against,
    around,
    feedback,
    jump,
    measured,
    start,
    traces,
    trend,
)
from reporting.hierarchy import verdict
from reporting.reach import Estimate
from reporting.resampling import FLOOR, reaches
from reporting.trends import Trend
from runs.parameters import RunParameters
from runs.settings import settings

SHRINK = 0.25  # share of its mean that a deviation may lose along a text and still count as staying
SPACES = ("embedding", "logit", "probability")
BEFORE, AFTER = 8, 24  # steps that are shown around the parting
AT_FLOOR, TOO_FEW = "at floor", "too few prompts"
WORDS = {"free": "its own text", "forced": "the dense text"}


def chosen(parameters: RunParameters) -> dict[str, RunParameters]:
    """The pruned models of Section 7, and one with a quarter of the MLPs dropped: with all of
    ``dropped`` a small model may be at the floor."""
    return {
        name: one
        for name, one in settings(parameters, (4, 1)).items()
        if one.method != "drop" or one.target == "mlp" or one.dropped == parameters.dropped
    }


@dataclass(frozen=True)
class Parting:
    """What one pruned model does while it writes: numbers by measure, and by decoding.

    ``beyond``: free deviation after the parting minus that of the unpruned model on other words.
    ``unpruned`` is the mean of the latter. ``collapsed``: already the first step is at the floor.
    """

    starts: Mapping[tuple[str, str], Start]
    trends: Mapping[tuple[str, str], Trend | None]
    jumps: Mapping[str, Jump]
    feedback: Mapping[str, Estimate]
    beyond: Mapping[str, Estimate]
    unpruned: Mapping[str, float]
    collapsed: bool

    @classmethod
    def of(cls, deviations: pd.DataFrame, other: pd.DataFrame, seed: int) -> "Parting":
        """From ``deviations`` of one pruned model and of the unpruned one on ``other`` words."""
        found = {measure: traces(deviations, measure) for measure in MEASURES}
        alone = {
            measure: measured(other, *MEASURES[measure]).query("step > 0")[["prompt", "value"]]
            for measure in MEASURES
        }
        first = found["probability"].query("step == 0")["free"]
        both = [(measure, decoding) for measure in MEASURES for decoding in DECODINGS]
        return cls(
            starts={key: start(found[key[0]], key[1], seed) for key in both},
            trends={key: trend(found[key[0]], key[1], seed) for key in both},
            jumps={measure: jump(one, seed) for measure, one in found.items()},
            feedback={measure: feedback(one, seed) for measure, one in found.items()},
            beyond={measure: against(one, alone[measure], seed) for measure, one in found.items()},
            unpruned={
                measure: float(one.groupby("prompt")["value"].mean().mean())
                for measure, one in alone.items()
            },
            collapsed=bool(1 - first.mean() < FLOOR),
        )

    def rises(self, decoding: str) -> list[Estimate]:
        """By how much later steps deviate more than the first, in each space."""
        return [self.starts[space, decoding].rise for space in SPACES]

    def growths(self, decoding: str) -> list[Estimate]:
        """By what share of itself each deviation changes along the text."""
        found = [self.trends[measure, decoding] for measure in MEASURES]
        return [one.growth if one else Estimate(float("nan")) for one in found]


CLAIMS = (
    (
        "The first step is more similar than later ones, in every space",
        "later steps deviate more, in each of the three spaces",
    ),
    (
        "… also where both models read the dense text (ours)",
        "the same, teacher-forced",
    ),
    (
        "Deviations persist: they do not shrink along the dense text",
        f"fitted loss from first to last step less than {SHRINK:.0%} of the mean, in each space "
        "and in KL, teacher-forced",
    ),
    (
        "… and grow where both models read the dense text (ours)",
        "fitted change above zero, in each space and in KL, teacher-forced",
    ),
    (
        "Divergence jumps once the texts differ",
        "KL higher after the parting than before, and higher than teacher-forced at the same steps",
    ),
    (
        "… to more than other words alone bring about (ours)",
        "after the parting, KL and 1 − probability cosine above those of the unpruned model that "
        "wrote another word",
    ),
)


def verdicts(found: Mapping[str, Parting]) -> pd.DataFrame:
    """One row for each claim and one column for each pruned model, with the criterion last."""
    columns = {name: _judged(one) for name, one in found.items()}
    claims, criteria = zip(*CLAIMS, strict=True)
    return pd.DataFrame({"claim": claims, **columns, "criterion": criteria})


def _judged(one: Parting) -> list[str]:
    """A verdict on each of ``CLAIMS``."""
    if one.collapsed:
        return [AT_FLOOR] * len(CLAIMS)
    kl = one.jumps["KL"]
    asked = [
        *(([(rise, 0.0) for rise in one.rises(decoding)]) for decoding in ("free", "forced")),
        [(growth, -SHRINK) for growth in one.growths("forced")],
        [(growth, 0.0) for growth in one.growths("forced")],
        [(kl.rise, 0.0), (kl.added, 0.0)],
        [(one.beyond[measure], 0.0) for measure in ("KL", "probability")],
    ]
    return [above(conditions) for conditions in asked]


def above(conditions: list[tuple[Estimate, float]]) -> str:
    """Whether whole intervals lie above their bounds: ``not`` needs one wholly below, else it is
    ``open``; no verdict where one has no interval."""
    if any(one.low is None for one, _ in conditions):
        return TOO_FEW
    word: str = verdict(*(one.above(bound) for one, bound in conditions))
    refuted = any(not reaches(one, bound) for one, bound in conditions)
    return "open" if word == "not" and not refuted else word


def start_table(found: Mapping[str, Parting], above_all: dict[str, str]) -> pd.DataFrame:
    """Mean deviation at the first and at later steps, and the difference with its interval; the
    row ``above_all`` comes first."""
    rows: list[dict[str, object]] = [{**above_all}]
    for name, one in found.items():
        for decoding, words in WORDS.items():
            row: dict[str, object] = {"model": name, "reads": words}
            for measure in MEASURES:
                here = one.starts[measure, decoding]
                row[heading(measure)] = (
                    f"{number(here.first)} → {number(here.later)}: {here.rise.text('.2f')}"
                )
            rows.append(row)
    return pd.DataFrame(rows)


def trend_table(found: Mapping[str, Parting]) -> pd.DataFrame:
    """Mean after the first step, and the fitted change along the text as a share of it."""
    rows = []
    for name, one in found.items():
        for decoding, words in WORDS.items():
            row: dict[str, object] = {"model": name, "reads": words}
            for measure in MEASURES:
                here = one.trends[measure, decoding]
                row[heading(measure)] = (
                    f"{number(here.mean.value)}: {here.growth.text('.0%')}" if here else "–"
                )
            rows.append(row)
    return pd.DataFrame(rows)


def around_parting(tables: Mapping[str, pd.DataFrame], measure: str) -> pd.DataFrame:
    """A measure from ``BEFORE`` steps ahead of the parting to ``AFTER`` beyond, one ``panel`` for
    each pruned model, from ``deviations`` of each."""
    parts = [
        around(traces(one, measure), BEFORE, AFTER).assign(panel=name)
        for name, one in tables.items()
    ]
    return pd.concat(parts, ignore_index=True)


def jump_table(found: Mapping[str, Parting]) -> pd.DataFrame:
    """Before and after the parting, what the place in the text and what other words bring."""
    rows = []
    for name, one in found.items():
        for measure, here in one.jumps.items():
            rows.append(
                {
                    "model": name,
                    "measure": heading(measure),
                    "n": here.prompts,
                    "before": number(here.before),
                    "after": number(here.after),
                    "change on the dense text": here.forced.text(".2f"),
                    "added by its own text": here.added.text(".2f"),
                    "unpruned, other words": number(one.unpruned[measure]),
                    "pruned minus unpruned": one.beyond[measure].text(".2f"),
                }
            )
    return pd.DataFrame(rows)


def heading(measure: str) -> str:
    """A measure with its unit."""
    return "KL (nats)" if measure == "KL" else f"1 − cos, {measure}"


def number(value: float) -> str:
    """Two digits after the point; a dash where there is no number."""
    return f"{value:.2f}" if np.isfinite(value) else "–"
