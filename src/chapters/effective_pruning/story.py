"""Section 8: what each of the paper's four factors costs, on the same questions and texts."""

from collections.abc import Mapping

import pandas as pd

from helpers.evaluation import paired
from reporting import statistics
from reporting.claims import Claim
from reporting.figures import SPACES
from reporting.scores import Kept
from reporting.statistics import Estimate
from reporting.step_frames import line, picked

READS = {"forced": "both read the same text", "free": "each reads its own text"}
PREFIX = "generation, prefix"
FEW = 4  # candidates, as many as a quiz has options
STAGES = ("among a few", "among its kind", "among all tokens", "whole answer written")


def output_deviation(deviations: pd.DataFrame, space: str, decoding: str) -> pd.Series:
    """1 − cos of the model's output in one space, mean within each prompt."""
    where = {"space": space, "decoding": decoding}
    rows = picked(deviations, metric="angular", quantity="measured", **where)
    return rows.groupby("prompt", observed=True)["value"].mean()


def against_embedding(
    tables: Mapping[str, pd.DataFrame], space: str, seed: int
) -> dict[str, Estimate]:
    """How many times as far a space deviates as the embedding, on the same text, by model."""
    found = {}
    for name, table in tables.items():
        both = {each: output_deviation(table, each, "forced") for each in (space, "embedding")}
        found[name] = statistics.ratio(pd.DataFrame(both), space, "embedding", seed)
    return found


def courses(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Deviation of the output along the text, for ``figures.lines``: a panel for each model and way
    of reading, a line for each space."""
    parts = []
    for name, table in tables.items():
        for decoding, words in READS.items():
            rows = picked(table, metric="angular", quantity="measured", decoding=decoding)
            for space in SPACES:
                steps = line(rows[rows["space"].eq(space)].set_index("step")["value"])
                parts.append(steps.assign(panel=f"{name}: {words}", series=space, space=space))
    found = pd.concat(parts, ignore_index=True).drop(columns=["low", "high"])
    return found[found["mean"].gt(0)]


def stages(
    ladders: Mapping[str, pd.DataFrame], probes: Mapping[str, pd.DataFrame], dense: str, seed: int
) -> dict[str, dict[str, Kept]]:
    """What each pruned model keeps of the dense score above guessing, by stage: the first token of
    the answer among ever more candidates, and the whole answer written, of the same questions.

    ``ladders`` and ``probes`` hold tables ``ladder`` and ``items`` by model, the dense one's too.
    Only families count whose whole answers the dense model writes above its floor; all where
    there is none.
    """
    every = {name: _staged(ladders[name], probes[name]) for name in ladders}
    own = every[dense]
    last = own[own["stage"].eq(STAGES[-1])]
    strong = [
        family
        for family, part in last.groupby("family")
        if paired.verdict(part["value"]) != "at_floor"
    ]
    keys = ["stage", "family", "item"]
    found: dict[str, dict[str, Kept]] = {}
    for name, table in every.items():
        if name == dense:
            continue
        both = own.merge(table[[*keys, "value"]], on=keys, suffixes=("", "_pruned"))
        both = both.rename(columns={"value": "dense", "value_pruned": "pruned"})
        both = both[both["family"].isin(strong or both["family"].unique())]
        found[name] = {
            stage: Kept.of(part.assign(task="probes", form=stage, metric="right"), seed)
            for stage, part in both.groupby("stage")
        }
    return found


def _staged(ladder: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Rows ``stage``, ``family``, ``item``, ``value`` and ``chance`` of one model; of questions
    that every stage has."""
    rows = ladder[ladder["form"].eq(PREFIX)].astype({"candidates": str, "family": str, "item": str})
    kind = rows[rows["candidates"].eq("kind")]
    kind = kind[kind["size"].eq(kind.groupby("item")["size"].transform("max"))]
    few = rows[rows["candidates"].eq("random") & rows["size"].eq(FEW)]
    every = rows[rows["candidates"].eq("vocabulary")]
    written = items[items["form"].eq(PREFIX)].astype({"family": str, "item": str})
    parts = [
        part.assign(stage=stage, chance=1 / part["size"])
        for stage, part in zip(STAGES, (few, kind, every), strict=False)
    ]
    parts.append(written.assign(stage=STAGES[-1], chance=0.0))
    found = pd.concat([part[["stage", "family", "item", "value", "chance"]] for part in parts])
    return found[found["item"].isin(set(few["item"]) & set(kind["item"]) & set(written["item"]))]


def kept_curve(found: Mapping[str, Mapping[str, Kept]]) -> pd.DataFrame:
    """:func:`stages` for ``reporting.scores.draw``: a line for each pruned model, over stages."""
    rows = [
        {
            "panel": "The same questions",
            "series": name,
            "x": float(STAGES.index(stage)),
            "point": stage,
        }
        | one.share.point
        for name, kept in found.items()
        for stage, one in sorted(kept.items(), key=lambda each: STAGES.index(each[0]))
    ]
    return pd.DataFrame(rows)


def kept_table(found: Mapping[str, Mapping[str, Kept]]) -> pd.DataFrame:
    """:func:`stages` as text, one row for each pruned model."""
    return pd.DataFrame(
        {"pruned model": name}
        | {stage: kept[stage].share.text(".0%") for stage in STAGES if stage in kept}
        for name, kept in found.items()
    )


def ahead(found: Mapping[str, Mapping[str, Kept]], more: str, less: str) -> dict[str, Estimate]:
    """By how much more of the score is left at one stage than at another, by model."""
    return {name: kept[more].more_than(kept[less]) for name, kept in found.items()}


def claims(
    tables: Mapping[str, pd.DataFrame], found: Mapping[str, Mapping[str, Kept]], seed: int
) -> list[Claim]:
    """One claim for each factor of Section 8 that something here tests."""
    few, _, whole, written = STAGES
    return [
        Claim.of(
            "Representation space: embeddings of a pruned model deviate less than probabilities",
            "1-robust-as-a-whole",
            against_embedding(tables, "probability", seed),
            "1 − cos of the output, probability over embedding, on the same text: above 1",
            low=1,
        ),
        Claim.of(
            "… and so do logits",
            "5-logit-more-similar",
            against_embedding(tables, "logit", seed),
            "the same, logit over embedding: below 1",
            high=1,
        ),
        Claim.of(
            "Task-relevant subspace: among a few candidates more is left than among all tokens",
            "7.2-choice-preserved",
            ahead(found, few, whole),
            "share of the score left, the difference: above 0",
            low=0,
        ),
        Claim.of(
            "Temporal effect: at one step more is left than over the whole answer",
            "8-one-step",
            ahead(found, whole, written),
            "share of the score left, the difference: above 0",
            low=0,
        ),
    ]
