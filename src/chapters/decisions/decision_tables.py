"""Decisions in tables: laws and where they fail, partings, growth along a text, what follows."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from chapters.decisions import aftermath, margins
from chapters.decisions.aftermath import likelihood, stage, written
from chapters.decisions.decision_frames import Seen
from helpers.evaluation.collapse import loops
from reporting.reach import Estimate
from reporting.resampling import estimate
from reporting.trends import Trend

SHARE = ".0%"
WRITERS = ("pruned", "forced", "control", "dense")


def mean(one: Seen, name: str, less: str = "") -> Estimate:
    """Mean of a column of steps, or of its difference to another."""
    return margins.mean(one.steps, name, one.seed, less)


def law_table(seen: Mapping[str, Seen]) -> pd.DataFrame:
    """Margin, noise, and flips as the Gaussian law predicts and as they came."""
    rows = []
    for name, one in seen.items():
        rows.append(
            {
                "pruned model": name,
                "margin, logits": mean(one, "margin").text(),
                "noise, mean": mean(one, "noise").text(),
                "noise, st. dev.": f"{margins.moments(one.steps)[1]:.2f}",
                "flips, predicted": mean(one, "Gaussian").text(SHARE),
                "flips, measured": mean(one, "flip").text(SHARE),
                "predicted / measured": margins.ratio(
                    one.steps, "Gaussian", "flip", one.seed
                ).text(),
            }
        )
    return pd.DataFrame(rows)


def cause_table(seen: Mapping[str, Seen]) -> pd.DataFrame:
    """What the Gaussian law misses, in three parts that add up: measured − predicted is what the
    shape of the noise changes, what its dependence on the margin (and on the prompt) does, and
    what rivals other than the runner-up add."""
    rows = []
    for name, one in seen.items():
        rows.append(
            {
                "pruned model": name,
                "measured − predicted": mean(one, "flip", "Gaussian").text(SHARE),
                "shape": mean(one, "any shape", "Gaussian").text(SHARE),
                "dependence": mean(one, "overtaken", "any shape").text(SHARE),
                "other rivals": mean(one, "flip", "overtaken").text(SHARE),
                "runner-up ahead": mean(one, "overtaken").text(SHARE),
                "predicted / that": margins.ratio(
                    one.steps, "Gaussian", "overtaken", one.seed
                ).text(),
                "noise beyond 3 st. dev.": f"{margins.beyond(one.steps):.1%}",
                "noise size with margin": margins.growth(one.steps, one.seed).text(),
            }
        )
    return pd.DataFrame(rows)


def parting_table(seen: Mapping[str, Seen]) -> pd.DataFrame:
    """How many tokens two texts share, what rates of mismatches say of it, and those rates."""
    rows = []
    for name, one in seen.items():
        course = one.course
        shared = {
            curve: course.estimate(getattr(course, curve).sum(axis=1)).text(".1f")
            for curve in ("survival", "product", "constant")
        }
        rows.append(
            {
                "pruned model": name,
                "tokens shared": shared["survival"],
                "by the product of 1 − e": shared["product"],
                "by one rate": shared["constant"],
                "flips at the first step": first_step(one).text(SHARE),
                "before the parting": course.estimate(course.before).text(SHARE),
                "after it": course.estimate(course.after).text(SHARE),
            }
        )
    return pd.DataFrame(rows)


def first_step(one: Seen) -> Estimate:
    """Share of texts whose very first token flips."""
    rows = one.along("flip")
    return estimate(rows[rows["step"] == 0].groupby("prompt")["value"].mean().to_frame(), one.seed)


def first_gap(one: Seen) -> Estimate:
    """By how much the first token's share of flips is above the average of its text."""
    rows = one.along("flip")
    first = rows[rows["step"] == 0].groupby("prompt")["value"].mean()
    return estimate((first - rows.groupby("prompt")["value"].mean()).to_frame(), one.seed)


def growth_table(seen: Mapping[str, Seen]) -> pd.DataFrame:
    """Flips and KL along the dense text: level, and the change from its first step to its last."""
    rows = []
    for name, one in seen.items():
        found = {metric: Trend.of(one.along(metric), one.seed) for metric in ("flip", "kl")}
        rows.append(
            {
                "pruned model": name,
                "flips": found["flip"].mean.text(SHARE),
                "their change along the text": found["flip"].growth.text(SHARE),
                "KL, nats": found["kl"].mean.text(),
                "its change along the text": found["kl"].growth.text(SHARE),
            }
        )
    return pd.DataFrame(rows)


def aftermath_table(seen: Mapping[str, Seen]) -> pd.DataFrame:
    """Log-likelihood per token, as the dense model sees it: before the parting, at it, after it."""
    rows = []
    for name, one in seen.items():
        own = {each: stage(written(one.text, "pruned"), each) for each in aftermath.STAGES}
        after = one.after("pruned")
        rows.append(
            {
                "pruned model": name,
                "before": likelihood(own["before"], one.seed).text(),
                "parting token": likelihood(own["parting"], one.seed).text(),
                "after": likelihood(own["after"], one.seed).text(),
                "dense text, after": likelihood(one.after("dense"), one.seed).text(),
                "change per ten tokens": change(after, one.seed).text(),
                "of it in loops": _looped(after, one.seed).text(SHARE),
            }
        )
    return pd.DataFrame(rows)


def change(rows: pd.DataFrame, seed: int) -> Estimate:
    """Change of the log-likelihood within texts, per ten tokens."""
    if rows.empty:
        return Estimate(float("nan"))
    slope = Trend.of(rows, seed).slope
    ends = [None if end is None else 10 * end for end in (slope.low, slope.high)]
    return Estimate(10 * slope.value, *ends)


def rescue_table(found: Mapping[str, pd.DataFrame], seed: int) -> pd.DataFrame:
    """What help does to the pruned model's own tokens after the step at which the unhelped text
    parts; ``found`` holds tables of :func:`aftermath.since` by setting."""
    rows = []
    for name, each in found.items():
        dense = stage(written(each, "dense"), "after")
        alone = stage(written(each, "pruned"), "after")
        kinds = each[["writer", "every"]].drop_duplicates().itertuples(index=False, name=None)
        for writer, every in sorted(kinds, key=lambda kind: (WRITERS.index(kind[0]), kind[1])):
            own = stage(written(each, writer, every), "after")
            whole = each[each["writer"].eq(writer) & each["every"].eq(every)]
            gained = None if (writer, every) == ("pruned", 0) else likelihood(own, seed, alone)
            same = None if writer == "dense" else aftermath.same_place(own, dense, seed)
            rows.append(
                {
                    "pruned model": name,
                    "help": help_words(writer, every),
                    "log-likelihood": likelihood(own, seed).text(),
                    "gained": gained.text() if gained else None,
                    "same as the dense text": same.text(SHARE) if same else None,
                    "whole text in loops": _looped(whole, seed).text(SHARE),
                }
            )
    return pd.DataFrame(rows)


def help_words(writer: str, every: int) -> str:
    """What kind of help a text was written with."""
    words = {
        "forced": "all dense",
        "dense": "the dense text itself",
        "control": f"control, second choice, one token in {every}",
    }
    return words.get(writer, f"one token in {every}" if every else "none")


def _looped(rows: pd.DataFrame, seed: int) -> Estimate:
    """Share of tokens in loops, over texts as long as they are given."""
    if rows.empty:
        return Estimate(float("nan"))
    texts = rows.sort_values("step").groupby(["prompt", "seed"])["token"]
    shares = texts.agg(lambda tokens: float(np.mean(loops(tokens.tolist()))))
    return estimate(shares.groupby("prompt").mean().to_frame(), seed)
