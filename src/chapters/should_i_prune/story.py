"""Should I prune? What is left for each use of a model, what it costs to run, how to test it."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.evaluation import collapse, paired
from reporting import figures, scores, statistics
from reporting.forms import FORMS
from reporting.reported import scores as reported
from reporting.statistics import Estimate
from runs.parameters import RunParameters
from runs.store import Measurement

RETRIEVES, FEW, MANY, WRITES = (
    "retrieves documents",
    "chooses among a few answers",
    "chooses among many answers",
    "writes",
)
PARTS = {"attention": "attention sublayers", "mlp": "MLPs", "block": "blocks"}
KINDS = {RETRIEVES: "retrieval", FEW: "multiple_choice", WRITES: "generation"}
MANY_RANDOM = 1024  # candidates, or the most that the ladder has short of all tokens
PREFIX = "generation, prefix"
MEGABYTE = 1e6
WIDTHS = (0.2, 0.1, 0.05, 0.02)  # half of an interval
MOST = 10**6  # questions, with which every such interval is narrower
BYTES = {"bfloat16": 2.0, "4 bits": 4.5 / 8}  # a weight; with a scale for every 32 of them
LOOKS = {  # how each kind of model is drawn
    "dense": "dense",
    "dropped": "embedding",
    "masked": "probability",
    "quantized": "logit",
    "smaller": "dense",
}


def kind(one: RunParameters) -> str:
    """``dense``, ``dropped``, ``masked`` or ``quantized``: what was done to a model."""
    if one.quantizer:
        return "quantized"
    if one.dense:
        return "dense"
    return "dropped" if one.method == "drop" else "masked"


def rivals(dense: pd.DataFrame, pruned: pd.DataFrame, setting: str) -> pd.DataFrame:
    """Rows as of :func:`reporting.scores.answers` from two ``ladder`` tables: is the answer's first
    token the likeliest among all answers of its family, and among so many random tokens?"""
    both = [_many(table) for table in (dense, pruned)]
    rows = both[0].join(both[1]["value"].rename("pruned")).rename(columns={"value": "dense"})
    rows = rows.reset_index()
    floors = {
        (form, family)
        for (form, family), part in rows.groupby(["form", "family"])
        if paired.verdict(part["dense"], part["chance"]) == "at_floor"
    }
    weak = [pair in floors for pair in zip(rows["form"], rows["family"], strict=True)]
    return rows.assign(
        setting=setting,
        task="ladder",
        metric="first",
        verdict=np.where(weak, "at_floor", "ok"),
    )


def _many(table: pd.DataFrame) -> pd.DataFrame:
    """The largest sets of candidates, by ``form`` (kind of candidates), ``family`` and ``item``:
    what each question scores among them, and by chance."""
    rows = table[table["form"].eq(PREFIX) & table["candidates"].isin(["random", "kind"])]
    rows = rows[rows["size"].between(2, MANY_RANDOM)]
    rows = rows.astype({"candidates": str, "family": str, "item": str})
    largest = rows.groupby(["candidates", "item"])["size"].transform("max")
    rows = (
        rows[rows["size"].eq(largest)].drop(columns="form").rename(columns={"candidates": "form"})
    )
    rows = rows.assign(chance=1 / rows["size"])
    return rows.set_index(["form", "family", "item"])[["value", "chance", "size"]]


def by_use(
    tasks: pd.DataFrame,
    probes: pd.DataFrame,
    among_many: pd.DataFrame,
    sets: pd.DataFrame,
    families: Iterable[str],
    seed: int,
) -> pd.DataFrame:
    """What each pruned model keeps, by ``use``: as of :func:`reporting.scores.kept_by`. Probes
    count in those ``families``, with the answer's beginning given."""
    known = probes[probes["family"].isin(list(families))]
    parts = [
        sets.assign(use=RETRIEVES),
        tasks[tasks["kind"].eq("multiple_choice")].assign(use=FEW),
        known[known["form"].eq("choice, prefix")].assign(use=FEW),
        among_many.assign(use=MANY),
        tasks[tasks["kind"].eq("generation")].assign(use=WRITES),
        known[known["form"].eq(PREFIX)].assign(use=WRITES),
    ]
    return scores.kept_by(scores.stacked(parts), ["use"], seed)


def shares(kept: pd.DataFrame, use: str) -> dict[str, Estimate]:
    """What each pruned model keeps for one use, by name."""
    return scores.shares(kept, use, "use")


def safe(kept: pd.DataFrame) -> pd.DataFrame:
    """One row for each use: the pruned models that keep at least :data:`scores.KEPT` of the score
    above guessing with their whole interval, those that do not, and those that cannot be told, one
    a line and the best first; and what the paper prints for larger models."""
    rows = []
    for use in (RETRIEVES, FEW, MANY, WRITES):
        found = shares(kept, use)
        told = {True: [], False: [], None: []}  # type: ignore[var-annotated]
        for name, share in sorted(found.items(), key=lambda one: -one[1].value):
            told[share.within(low=scores.KEPT)].append(f"{share.value:.0%} {_whole(name)}")
        rows.append(
            {
                "my task …": use,
                "✓ safe": _lines(told[True]),
                "✗ not safe": _lines(told[False]),
                "? too few data": _lines(told[None]),
                "the paper, at 7B": printed(use),
            }
        )
    return pd.DataFrame(rows)


def _whole(name: str) -> str:
    """A model's name that no line breaks: its ``50%`` alone would read like a share."""
    return name.replace(" ", "\N{NO-BREAK SPACE}")


def _lines(texts: list[str]) -> str:
    return "\n".join(texts) or "–"


def left(kept: pd.DataFrame, uses: Iterable[str]) -> pd.DataFrame:
    """One row for each pruned model, one column for each of ``uses``: what it keeps of the score
    above guessing, with its interval; a dash where it was not asked."""
    rows = kept[kept["use"].isin(list(uses))]
    texts = rows.assign(share=[each.text(".0%") for each in rows["share"]])
    wide = texts.pivot(index="setting", columns="use", values="share")
    wide = wide.reindex(index=rows["setting"].unique(), columns=list(uses))
    return wide.astype(object).fillna("–").rename_axis(index="model", columns=None).reset_index()


def printed(use: str) -> str:
    """Average scores of the paper's Table 1 for one use, and how many sublayers its Figure 1 drops
    before less than :data:`scores.KEPT` is left; a dash where it measured nothing of the kind."""
    if use not in KINDS:
        return "–"
    full, *pruned = averages(use).items()
    lines = [f"{full[1]:.1f} → {score:.1f} {name}" for name, score in pruned]
    found = far(KINDS[use])
    drops = [f"{found[target]} {words}" for target, words in PARTS.items() if found]
    return "\n".join([*lines, *([f"≥ {scores.KEPT:.0%} left up to:", *drops] if found else [])])


def averages(use: str) -> dict[str, float]:
    """The average score of each model that the paper's Table 1 prints for a use, in its order."""
    rows = reported.averages().query("kind == @KINDS[@use]")
    return dict(zip(rows["setting"], rows["printed"], strict=True))


def far(kind: str) -> dict[str, int]:
    """The most sublayers or blocks of each target that the paper's Figure 1 drops with at least
    :data:`scores.KEPT` left, at that count and at all smaller ones, of the mean of its tasks."""
    rows = reported.figure_1().query("kind == @kind and dropped > 0")
    means = rows.groupby(["target", "dropped"])["kept"].mean().unstack("target")
    kept = (means >= scores.KEPT).cummin()
    return {str(target): int(kept[target].sum()) for target in kept.columns}


@dataclass(frozen=True)
class Cost:
    """What one model costs to run, beside the dense one measured in turns with it."""

    name: str
    kind: str
    measured: Measurement

    def bytes(self, part: str, dense: bool = False) -> int:
        """Bytes of ``weights``, of the ``cache`` a token, or the ``peak`` beyond the weights."""
        rows = self.measured.table("memory", part=part)
        return int(rows["dense_bytes" if dense else "own_bytes"].iloc[0])

    def rates(self, phase: str, dense: bool = False) -> pd.Series:
        """Tokens a second of each turn."""
        rows = self.measured.table("speed", phase=phase)
        return rows["tokens"] / rows["dense_seconds" if dense else "seconds"]

    def faster(self, phase: str) -> pd.Series:
        """How many times as fast as the dense model, turn by turn."""
        return self.rates(phase) / self.rates(phase, dense=True)

    def row(self, dense: bool = False) -> dict[str, str]:
        """One row of :func:`costs`, of the dense model in its place if asked for."""
        facts = self.measured.manifest["facts"]
        left = facts["model"]["parameters"] if dense else facts["parameters_left"]
        weights, whole = (self.bytes("weights", each) for each in (dense, True))
        cells = {
            "model": "Dense" if dense else self.name,
            "parameters left": f"{left / 1e6:.0f}M",
            "weights": f"{weights / MEGABYTE:.0f} MB ({weights / whole:.0%})",
            "cache, a token": f"{self.bytes('cache', dense) / 1e3:.1f} kB",
            "working memory": f"{self.bytes('peak', dense) / MEGABYTE:.0f} MB",
            "reads, tokens/s": spread(self.rates("read", dense), ".0f"),
            "writes, tokens/s": spread(self.rates("write", dense), ".1f"),
        }
        return cells | {"writes, × dense": "1" if dense else spread(self.faster("write"), ".2f")}


def costs(found: Iterable[Cost]) -> pd.DataFrame:
    """What each model costs to run, the dense one first: medians over turns, and in brackets the
    least and the greatest."""
    models = list(found)
    return pd.DataFrame([models[0].row(dense=True), *(one.row() for one in models)])


def spread(values: pd.Series, form: str) -> str:
    """``1.21 (1.15–1.30)``: the median with the least and the greatest."""
    low, middle, high = values.min(), values.median(), values.max()
    return f"{middle:{form}} ({low:{form}}–{high:{form}})"


def quality(items: pd.DataFrame, families: Iterable[str], seed: int) -> dict[str, Estimate]:
    """Score above guessing of one model on the paired probes, by form, from its table ``items``."""
    found = {}
    for form in FORMS:
        rows = items[items["form"].eq(f"{form}, prefix") & items["family"].isin(list(families))]
        rows = rows.sort_values("item")
        above = (rows["value"] - rows["chance"]) / (1 - rows["chance"])
        found[form] = statistics.mean_right(above.to_numpy(), rows["chance"].mean(), seed)
    return found


@dataclass(frozen=True)
class Choice:
    """A model that one may run: its ``kind``, the bytes of its weights, and its scores by form."""

    name: str
    kind: str
    bytes: int
    scores: Mapping[str, Estimate]

    def beaten(self, others: Iterable["Choice"]) -> bool:
        """Whether another one takes no more memory and scores no less in both forms, and is better
        in one of the three."""
        mine = (-self.bytes, *(self.scores[form].value for form in FORMS))
        for other in others:
            theirs = (-other.bytes, *(other.scores[form].value for form in FORMS))
            if theirs != mine and all(a >= b for a, b in zip(theirs, mine, strict=True)):
                return True
        return False


def unbeaten(choices: Iterable[Choice]) -> list[str]:
    """Names of the models that no other one beats, the smallest first."""
    every = sorted(choices, key=lambda one: one.bytes)
    return [one.name for one in every if not one.beaten(every)]


def at_equal_memory(choices: Iterable[Choice]) -> pd.DataFrame:
    """One row for each model, by the memory of its weights, as text."""
    every = sorted(choices, key=lambda one: one.bytes)
    best = unbeaten(every)
    return pd.DataFrame(
        {
            "model": one.name,
            "what is done": one.kind,
            "weights": f"{one.bytes / MEGABYTE:.0f} MB",
            "same questions, chosen": one.scores["choice"].text(),
            "written": one.scores["generation"].text(),
            "no other is better": "yes" if one.name in best else "–",
        }
        for one in every
    )


def cloud(choices: Iterable[Choice]) -> pd.DataFrame:
    """Scores against the memory of weights, for ``figures.lines`` as a cloud."""
    every = sorted(choices, key=lambda one: one.bytes)
    best = unbeaten(every)
    rows = [
        {
            "panel": {"choice": "Chosen among four", "generation": "Written"}[form],
            "series": one.kind,
            "x": one.bytes / MEGABYTE,
            "point": one.name,
            "call": one.name if one.name in best else "",
            "space": LOOKS[one.kind],
        }
        | one.scores[form].point
        for form in FORMS
        for one in every
    ]
    return pd.DataFrame(rows)


def signs(found: Mapping[str, pd.DataFrame], limit: int) -> pd.DataFrame:
    """What gives a broken model away in what it writes: one row for each model, the dense one
    first, from tables ``tokens`` of texts of at most ``limit`` tokens."""
    rows: dict[str, pd.DataFrame] = {}
    for name, tokens in found.items():
        for writer, part in collapse.measures(tokens, limit).groupby("writer", observed=True):
            if writer == "pruned" or not rows:
                rows[name if writer == "pruned" else "Dense"] = part
    ordered = {name: rows[name] for name in ("Dense", *found)}
    table = []
    for name, part in ordered.items():
        parted = part["parting"].replace(np.inf, np.nan).dropna()
        table.append(
            {
                "model": name,
                "texts that part": "–" if name == "Dense" else f"{len(parted)} of {len(part)}",
                "same tokens before, median": "–"
                if name == "Dense" or parted.empty
                else f"{parted.median():.0f}",
                "tokens in loops": f"{part['looped'].mean():.0%}",
                "pairs of tokens that are new": f"{part['distinct_2'].mean():.0%}",
                "end by themselves": f"{part['ended'].sum()} of {len(part)}",
            }
        )
    return pd.DataFrame(table)


def questions_for(half: float, share: float = scores.KEPT) -> int:
    """How many questions it takes to know a share of right answers to ± ``half``: the fewest whose
    Wilson interval at that ``share`` is at most twice as wide.

    >>> questions_for(0.1, 0.5)
    93
    """

    def narrow(n: int) -> bool:
        low, high = paired.wilson(share * n, n)
        return high - low <= 2 * half

    return 1 + bisect_left(range(1, MOST), True, key=narrow)


def sizes_of_a_test() -> pd.DataFrame:
    """How many questions one's own test takes: for a score alone at :data:`scores.KEPT` and at one
    half, and for a loss where none of so many answers changes (the rule of three)."""
    return pd.DataFrame(
        {
            "I want to know it to ±": f"{half:.0%}",
            f"questions, score near {scores.KEPT:.0%}": f"{questions_for(half):,}",
            "questions, score near 50%": f"{questions_for(half, 0.5):,}",
            "or questions, if none gets worse": f"{int(np.ceil(3 / half)):,}",
        }
        for half in WIDTHS
    )


LEVEL = (figures.Reference(x=(-1e6, 1e6), y=(0.0, 0.0), label="guessing"),)


def gigabytes(part: str = "b") -> dict[str, dict[str, float]]:
    """GB of the weights of the paper's 7B models, by setting and format; of the head too, which the
    paper does not count, nothing."""
    billions = reported.parameters(part)
    return {
        name: {form: float(billions[each]) * width for form, width in BYTES.items()}
        for each, name in reported.SETTINGS.items()
    }
