"""Do two models' deviations stay, and do they jump, while the models write? (Section 7.1)

Pure functions of ``deviations`` rows that compare whole models, all of one pruned model. A text
is compared ``free``, where each model reads its own words, and ``forced``, where both read the
dense ones. Means are taken within each prompt, then over prompts; intervals draw prompts anew.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from reporting.parting import matches, partings
from reporting.reach import Estimate
from reporting.resampling import estimate
from reporting.trends import Trend

TEXT = ["prompt", "seed"]
DECODINGS = ("free", "forced")
MEASURES = {
    "embedding": ("angular", "embedding"),
    "logit": ("angular", "logit"),
    "probability": ("angular", "probability"),
    "KL": ("kl", "probability"),
}


def measured(deviations: pd.DataFrame, metric: str, space: str) -> pd.DataFrame:
    """Rows of one metric in one space, as measured and not centred, prompts and decodings as
    text."""
    kept = deviations["metric"].eq(metric) & deviations["space"].eq(space)
    kept &= deviations["quantity"].eq("measured") & ~deviations["centred"]
    rows = deviations.loc[kept, [*TEXT, "step", "decoding", "value"]]
    return rows.assign(prompt=rows["prompt"].astype(str), decoding=rows["decoding"].astype(str))


def traces(deviations: pd.DataFrame, measure: str) -> pd.DataFrame:
    """One row for each text and step: ``prompt``, ``seed``, ``step``, the deviation ``free`` and
    ``forced`` (missing where a text has ended), and ``after``: steps since the two texts parted.

    ``measure`` is a key of ``MEASURES``: 1 − cos in a space, or KL(dense ‖ pruned) in nats.
    ``after`` is 0 at the step at which the texts part, so both models have read the same up to
    there, and missing if they never do.
    """
    rows = measured(deviations, *MEASURES[measure])
    wide = rows.pivot(index=[*TEXT, "step"], columns="decoding", values="value")
    wide = wide.reindex(columns=list(DECODINGS)).rename_axis(columns=None).reset_index()
    first = partings(matches(deviations))[[*TEXT, "parting"]]
    found = wide.merge(first, on=TEXT, how="left")
    return found.assign(after=found["step"] - found["parting"].astype(float))


def course(deviations: pd.DataFrame, metric: str, space: str, decoding: str) -> pd.DataFrame:
    """One number at each step, averaged within prompts and then over them: ``step``, ``mean``,
    quartiles over prompts ``low`` and ``high``, and ``n``, the prompts that got so far."""
    rows = measured(deviations, metric, space)
    rows = rows[rows["decoding"].eq(decoding)]
    return _quartiles(rows.groupby(["step", "prompt"])["value"].mean().groupby("step"))


def around(found: pd.DataFrame, before: int, after: int) -> pd.DataFrame:
    """Both decodings of ``traces`` from ``before`` steps ahead of the parting to ``after`` steps
    beyond, where ``step`` 0 is the parting: as :func:`course`, and ``decoding``."""
    rows = found[found["after"].between(-before, after)].assign(step=lambda one: one["after"])
    parts = []
    for decoding in DECODINGS:
        within = rows.dropna(subset=decoding).groupby(["step", "prompt"])[decoding].mean()
        parts.append(_quartiles(within.groupby("step")).assign(decoding=decoding))
    return pd.concat(parts, ignore_index=True).astype({"step": int})


def _quartiles(steps: Any) -> pd.DataFrame:
    """Mean, quartiles and count of each group."""
    low, high = (steps.quantile(share) for share in (0.25, 0.75))
    found = pd.DataFrame({"mean": steps.mean(), "low": low, "high": high, "n": steps.size()})
    return found.rename_axis("step").reset_index()


@dataclass(frozen=True)
class Start:
    """The first step beside the mean of all later ones, and by how much more those deviate."""

    first: float
    later: float
    rise: Estimate


def start(found: pd.DataFrame, decoding: str, seed: int) -> Start:
    """Step 0 against later steps of ``traces``; prompts with a single step are left out."""
    rows = found.dropna(subset=decoding)
    means = rows.groupby(["prompt", rows["step"].gt(0)])[decoding].mean().unstack()
    means = means.reindex(columns=[False, True]).dropna()
    rise = _over(means[True] - means[False], seed)
    return Start(float(means[False].mean()), float(means[True].mean()), rise)


def trend(found: pd.DataFrame, decoding: str, seed: int) -> Trend | None:
    """How the deviation changes from step 1 on; None if no text gets so far."""
    rows = found[found["step"] > 0].dropna(subset=decoding)
    return Trend.of(rows.rename(columns={decoding: "value"}), seed) if len(rows) else None


def feedback(found: pd.DataFrame, seed: int) -> Estimate:
    """What reading one's own text adds: free minus forced, at later steps that both reach."""
    rows = found[found["step"] > 0].dropna(subset=list(DECODINGS))
    return _over((rows["free"] - rows["forced"]).groupby(rows["prompt"]).mean(), seed)


@dataclass(frozen=True)
class Jump:
    """What changes once the texts differ: ``rise`` is free, after the parting against before it;
    ``forced`` is what the same steps bring with both models on the dense text; ``added`` is the
    rest of it. Mean deviations ``before`` and ``after``, of ``prompts`` that parted and wrote on.
    """

    before: float
    after: float
    rise: Estimate
    forced: Estimate
    added: Estimate
    prompts: int


def jump(found: pd.DataFrame, seed: int) -> Jump:
    """Steps up to the parting against later ones. Up to there free and forced are the same."""
    rows = found.dropna(subset=[*DECODINGS, "after"])
    means = rows.groupby(["prompt", rows["after"].gt(0)])[list(DECODINGS)].mean().unstack()
    columns = pd.MultiIndex.from_product([DECODINGS, [False, True]])
    means = means.reindex(columns=columns).dropna()
    before, free, forced = means["free", False], means["free", True], means["forced", True]
    return Jump(
        float(before.mean()),
        float(free.mean()),
        _over(free - before, seed),
        _over(forced - before, seed),
        _over(free - forced, seed),
        len(means),
    )


def against(found: pd.DataFrame, other: pd.DataFrame, seed: int) -> Estimate:
    """Free, after the parting, minus what the unpruned model shows on other words: ``other`` has
    ``prompt`` and ``value``. Over the prompts that both have."""
    parted = found[found["after"].gt(0)].dropna(subset="free")
    alone = other.groupby("prompt")["value"].mean()
    return _over(parted.groupby("prompt")["free"].mean() - alone, seed)


def _over(values: pd.Series, seed: int) -> Estimate:
    """The mean of one number for each prompt, with its interval."""
    known = values.dropna()
    return estimate(known.to_frame(), seed) if len(known) else Estimate(float("nan"))
