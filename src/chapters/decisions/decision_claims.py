"""What greedy decoding sees, judged: each criterion fixed here, before its verdict."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from chapters.decisions import margins
from chapters.decisions.aftermath import likelihood, stage, written
from chapters.decisions.decision_frames import Seen
from chapters.decisions.decision_tables import SHARE, change, first_gap
from reporting import resampling
from reporting.reach import Estimate
from reporting.trends import Trend

CLOSE = 1.25  # a predicted share within this factor of the measured one is right
FLAT = 0.5  # what changes by less than this share of its mean, from first step to last, is flat
ALIKE = 1.5  # two rates within this factor are one
HALF = 2  # k of the claim about help


def judged(found: Mapping[str, Estimate], low: float, high: float) -> str:
    """As :func:`reporting.resampling.judged`; ``at floor`` if there is no model to judge."""
    return resampling.judged(found.values(), low, high) if found else "at floor"


def judgement(found: Mapping[str, Estimate], low: float, high: float, form: str) -> dict[str, str]:
    """The verdict and the numbers behind it."""
    texts = [f"{name} {one.text(form)}" for name, one in found.items()]
    return {"verdict": judged(found, low, high), "measured": "; ".join(texts)}


def verdicts(
    seen: Mapping[str, Seen], rescued: Mapping[str, pd.DataFrame], seed: int
) -> pd.DataFrame:
    """One row for each claim, over all pruned models; ``rescued`` as in ``rescue_table``."""
    endless = math.inf
    moving = {name: one for name, one in seen.items() if not one.saturated}
    growth = {name: Trend.of(one.along("flip"), seed).growth for name, one in moving.items()}
    rates = {name: one.course.estimate(_ratio(one)) for name, one in moving.items()}
    worse = {name: behind(one) for name, one in moving.items()}
    falls = {name: change(one.after("pruned"), seed) for name, one in moving.items()}
    gained = {name: gain(rows, "pruned", HALF, seed) for name, rows in rescued.items()}
    most = {name: gain(rows, "forced", 0, seed) for name, rows in rescued.items()}
    rows = [
        (
            "Gaussian noise on the margin predicts how often the runner-up gets ahead",
            f"predicted over measured within a factor of {CLOSE}",
            judgement(law(seen, "overtaken"), 1 / CLOSE, CLOSE, ".2f"),
        ),
        (
            "… and with it how often the choice flips",
            f"predicted over measured within a factor of {CLOSE}",
            judgement(law(seen, "flip"), 1 / CLOSE, CLOSE, ".2f"),
        ),
        (
            "A constant hazard explains when texts part",
            f"flips before the parting over flips after it, within a factor of {ALIKE}; "
            f"models at the floor, where nearly every choice flips, are left out",
            judgement(rates, 1 / ALIKE, ALIKE, ".2f"),
        ),
        (
            "The first step is mild, since both models have read the same prompt",
            "flips at the first step minus the average of the text below 0; the same models",
            judgement({name: first_gap(one) for name, one in moving.items()}, -endless, 0, SHARE),
        ),
        (
            "Errors compound while both models read the same words",
            "flips grow along the dense text; the same",
            judgement(growth, 0, endless, SHARE),
        ),
        (
            "They persist: they neither grow nor fade",
            f"flips change by less than {FLAT:.0%} of their mean along the dense text; the same",
            judgement(growth, -FLAT, FLAT, SHARE),
        ),
        (
            "After the parting the dense model finds the pruned text less likely than its own",
            "log-likelihood per token, pruned − dense, below 0",
            judgement(worse, -endless, 0, ".2f"),
        ),
        (
            "… and ever less likely",
            "change of it within texts, per ten tokens, below 0",
            judgement(falls, -endless, 0, ".2f"),
        ),
        (
            f"One dense token in {HALF} makes the pruned model's other tokens more likely",
            "gain in log-likelihood per token above 0",
            judgement(gained, 0, endless, ".2f"),
        ),
        (
            "A history that is all dense does",
            "the same gain with the dense text read throughout",
            judgement(most, 0, endless, ".2f"),
        ),
    ]
    return pd.DataFrame(
        [{"claim": claim, **found, "criterion": criterion} for claim, criterion, found in rows]
    )


def law(seen: Mapping[str, Seen], what: str) -> dict[str, Estimate]:
    """What the Gaussian law predicts over what was measured: ``flip``, or ``overtaken``."""
    return {
        name: margins.ratio(one.steps, "Gaussian", what, one.seed) for name, one in seen.items()
    }


def behind(one: Seen) -> Estimate:
    """How much more likely, to the dense model, the pruned text is than its own after the parting,
    in nats per token."""
    return likelihood(one.after("pruned"), one.seed, one.after("dense"))


def gain(rows: pd.DataFrame, writer: str, every: int, seed: int) -> Estimate:
    """How much more likely the pruned model's own tokens are with help than without, in nats per
    token, after the step at which the unhelped text parts."""
    alone = stage(written(rows, "pruned"), "after")
    return likelihood(stage(written(rows, writer, every), "after"), seed, alone)


def _ratio(one: Seen) -> np.ndarray:
    """Rate of flips before the parting over the rate after it, (1 + R,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = one.course.before / one.course.after
    result: np.ndarray = np.where(np.isfinite(found), found, np.nan)
    return result
