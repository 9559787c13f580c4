"""What stability of options says, in tables and with a verdict (Section 7.2)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from chapters.subspace.subspace import FOUR, SETS, Subsets
from reporting.reach import Estimate
from reporting.resampling import judged
from reporting.words import percent

FEW = "too few families"
TAIL = 0.01  # options lie in the tail if they hold less than this together
CHANCE = 0.25

Found = Mapping[str, Subsets]


def survival_table(found: Found) -> pd.DataFrame:
    """How often the best token of each set stays the best, one row per pruned model."""
    return pd.DataFrame(
        [
            {"setting": setting}
            | {
                words: one.mean("survived", name).text()
                for name, words in SETS.items()
                if one.has(name)
            }
            for setting, one in found.items()
        ]
    )


def cause_table(found: Found) -> pd.DataFrame:
    """Gap, noise and what follows, for the sets of four tokens of each pruned model."""
    return pd.DataFrame(
        [
            {
                "setting": setting,
                "four tokens": SETS[name],
                "gap": one.mean("gap", name).value,
                "noise": one.noise(name).value,
                "change of the gap": one.mean("gap_change", name).text(),
                "survives": one.mean("survived", name).text(),
                "Gaussian law": f"{one.predicted(name):.2f}",
            }
            for setting, one in found.items()
            for name in FOUR
            if one.has(name)
        ]
    )


def same_gap_table(found: Mapping[str, Found]) -> pd.DataFrame:
    """Options beside other tokens whose logits lie as far apart, by form and pruned model."""
    return pd.DataFrame(
        [
            {
                "asked": form,
                "setting": setting,
                "options survive": one.mean("survived").text(),
                "minus same gaps": one.difference("survived", "same_gaps").text(),
                "noise / same gaps": one.noise_ratio("same_gaps").text(),
                "change of the gap, minus same gaps": one.difference(
                    "gap_change", "same_gaps"
                ).text(),
                "common to all questions": one.common().text(),
            }
            for form, by_setting in found.items()
            for setting, one in by_setting.items()
            if one.has("same_gaps")
        ]
    )


def family_table(found: Found) -> pd.DataFrame:
    """In how many questions of each family the best option stays the best: too few of each for an
    interval."""
    rows: dict[str, dict[str, str]] = {}
    for setting, one in found.items():
        options = one.by_item.xs("options", axis=1, level="set")
        for family, part in options.groupby(level="family"):
            words = str(family).replace("_", " ")
            row = rows.setdefault(words, {"family": words})
            row.setdefault("right, dense", f"{part['right'].sum():.0f} of {len(part)}")
            row[setting] = f"{part['survived'].sum():.0f}"
    return pd.DataFrame(rows.values())


def right_table(found: Mapping[str, Found]) -> pd.DataFrame:
    """How often the best option is right, dense and pruned, and what the options hold."""
    return pd.DataFrame(
        [
            {
                "asked": form,
                "setting": setting,
                "right, dense": one.mean("right").text(),
                "right, pruned": one.mean("right_pruned").text(),
                "options hold, dense": percent(one.mean("mass").value),
                "options hold, pruned": percent(one.mean("mass_pruned").value),
            }
            for form, by_setting in found.items()
            for setting, one in by_setting.items()
        ]
    )


def span(answers: list[Estimate], form: str = ".2f") -> str:
    """From the smallest to the largest, ``0.69 to 0.86``; a dash where there is none."""
    values = [answer.value for answer in answers if np.isfinite(answer.value)]
    if not values:
        return "–"
    ends = [f"{value:z{form}}".replace("-", "−") for value in (min(values), max(values))]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def factors(answers: list[Estimate]) -> str:
    """How many times smaller than 1, to two digits: ``120,000 to 2,200,000``."""
    inverse = [1 / answer.value for answer in answers if answer.value > 0]
    if not inverse:
        return "–"
    ends = [f"{float(f'{value:.2g}'):,.0f}" for value in (min(inverse), max(inverse))]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def last_band(one: Subsets, metric: str) -> Estimate:
    """``noise`` or ``moved`` of the least likely tokens, over that of the likeliest."""
    return one.band_ratio(metric, one.band_names[-1])


def same_gaps(one: Subsets) -> Estimate:
    """Survival among the options minus survival of tokens elsewhere with the same gaps."""
    return one.difference("survived", "same_gaps")


@dataclass(frozen=True)
class Claim:
    """A claim on every pruned model: what is measured, between which bounds it must lie, and how
    to print it."""

    claim: str
    criterion: str
    question: Callable[[Subsets], Estimate]
    bounds: tuple[float, float]
    words: Callable[[list[Estimate]], str] = span


CLAIMS = (
    Claim(
        "Options lie in the tail even with an answer prefix (ours: the paper has none)",
        f"all four together hold less than {TAIL:.0%}",
        lambda one: one.mean("mass"),
        (-math.inf, TAIL),
    ),
    Claim(
        "The choice among options survives where the likeliest token does not",
        "options survive more often than the best of the vocabulary",
        lambda one: one.difference("survived", "vocabulary"),
        (0, math.inf),
    ),
    Claim(
        "In the tail probabilities shift less (nearly by construction)",
        "mean |Δp| of the least likely tokens smaller than of the likeliest",
        lambda one: last_band(one, "moved"),
        (-math.inf, 1),
        lambda values: f"smaller by a factor of {factors(values)}",
    ),
    Claim(
        "… and so do log-likelihoods (ours)",
        "noise of the least likely tokens smaller than of the likeliest",
        lambda one: last_band(one, "noise"),
        (-math.inf, 1),
    ),
    Claim(
        "Options move less than other tokens (ours)",
        "noise among options smaller than among tokens with the same gaps",
        lambda one: one.noise_ratio("same_gaps"),
        (-math.inf, 1),
    ),
    Claim(
        "The option subspace is special (ours)",
        "options survive more often than tokens with the same gaps",
        same_gaps,
        (0, math.inf),
    ),
    Claim(
        "A lead protects random tokens (ours)",
        "of four random tokens, sets with the wider half of their family's gaps survive more often",
        lambda one: one.wide_and_narrow("random"),
        (0, math.inf),
    ),
    Claim(
        "… and options (ours)",
        "of the options, those with the wider half of their family's gaps survive more often",
        lambda one: one.wide_and_narrow(),
        (0, math.inf),
    ),
)


def verdicts(found: Found) -> pd.DataFrame:
    """Every claim over all pruned models: ``held`` if in each, ``partly`` if in some."""
    rows = []
    for one in CLAIMS:
        answers = [one.question(part) for part in found.values() if part.has("same_gaps")]
        known = [answer for answer in answers if answer.low is not None]
        low, high = one.bounds
        met = [answer.above(low) and answer.below(high) for answer in known]
        decided = judged(answers, low, high) if known else FEW
        rows.append(
            {
                "claim": one.claim,
                "verdict": decided,
                "met in": f"{sum(met)} of {len(met)}" if met else "–",
                "measured": one.words(answers),
                "criterion": one.criterion,
            }
        )
    return pd.DataFrame(rows)


def at_chance(one: Subsets) -> bool:
    """Whether the dense model's choice is not shown to be right more often than by chance."""
    return not one.mean("right").above(CHANCE)
