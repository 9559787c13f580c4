"""What does pruning cost by kind of task, and is it what Section 4 says? Pure functions.

A cost is told by what is left: the share of the dense score above guessing that a pruned model
keeps, with a 95% interval. Tasks at the dense model's floor count nowhere.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from helpers import score_frames, score_tables
from helpers.probe_effects import Effect
from helpers.reach import Estimate
from helpers.reported import scores as reported
from helpers.resampling import judged
from helpers.score_frames import CHOSEN, WRITTEN

CHOOSING, GENERATING = "multiple choice", "generation"
BY_KIND = {"multiple_choice": CHOOSING, "generation": GENERATING}
SIDES = (CHOOSING, GENERATING, CHOSEN, WRITTEN)
KEPT, HALF = 0.8, 0.5  # comparable: at least this share is left; collapsed: less than that
AT_FLOOR, FEW = "at floor", "too few questions"
HALF_GONE = ("50%", "4:8", "2:4")

# what guessing scores on the multiple-choice tasks of Table 1(b), in percent
GUESSING = {"BoolQ": 50, "MMLU": 25, "OpenBookQA": 25, "RTE": 50, "Winogrande": 50}

Costs = dict[str, dict[str, Estimate]]  # pruned model → one of SIDES → share kept


def by_side(tasks: pd.DataFrame, probes: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """What is left by kind of task: columns ``setting``, ``series`` (one of ``SIDES``), ``kind``,
    ``n`` questions and ``kept``, an :class:`Estimate`, for the figures of
    :mod:`helpers.score_frames`. From every question asked of the ``tasks`` and ``probes``, as
    :func:`helpers.score_tables.collected_items` has them; either frame may be empty."""
    columns = ["setting", "series", "kind", "n", "kept"]
    found = score_frames.kept_series(tasks.head(0), probes, seed=seed)[columns]
    mine = tasks[tasks["kind"].isin(list(BY_KIND))]
    if mine.empty:
        return found
    rows = score_tables.kept(mine, ("kind",), seed)
    kinds = rows["kind"].astype(str)
    rows = rows.assign(series=kinds.map(BY_KIND), kind=kinds.map(score_frames.KINDS))[columns]
    return pd.concat([rows, found], ignore_index=True) if len(found) else rows


def costs(left: pd.DataFrame) -> Costs:
    """What each pruned model keeps of each kind of task, from :func:`by_side`."""
    found: Costs = {}
    for row in left.to_dict("records"):
        found.setdefault(str(row["setting"]), {})[str(row["series"])] = row["kept"]
    return {name: {each: one[each] for each in SIDES if each in one} for name, one in found.items()}


def kept_of_all(items: pd.DataFrame, seed: int = 0) -> dict[str, Estimate]:
    """What each pruned model keeps of all scores together, such as those of an encoder."""
    rows = score_tables.kept(items, (), seed).to_dict("records")
    return {str(row["setting"]): row["kept"] for row in rows}


def cost_table(
    left: pd.DataFrame, names: Iterable[str], effects: Mapping[str, Effect] | None = None
) -> pd.DataFrame:
    """One row for each of the pruned models by ``names``: what is left of each kind of task, from
    :func:`by_side`, with the number of questions, and how much more generation loses than choice
    at fixed content. Text for a page."""
    found, counts = costs(left), questions(left)
    heads = {each: each + (f", n = {counts[each]}" if each in counts else "") for each in SIDES}
    rows = []
    for setting in names:
        one = found.get(setting, {})
        row = {"pruned model": setting}
        row |= {heads[side]: one[side].text(".0%") if side in one else AT_FLOOR for side in SIDES}
        if effects and setting in effects and effects[setting].families:
            row["generation loses more by"] = effects[setting].effect.text()
        rows.append(row)
    return pd.DataFrame(rows).fillna("–")


def questions(left: pd.DataFrame) -> dict[str, int]:
    """How many questions stand behind each of ``SIDES``, from :func:`by_side`."""
    return {str(side): int(n) for side, n in left.groupby("series", sort=False)["n"].max().items()}


def sides_floored(found: Costs) -> list[str]:
    """Kinds of task of which no score is above its floor."""
    return [side for side in SIDES if not any(side in one for one in found.values())]


def pair(names: Iterable[str], layers: int) -> list[str]:
    """Of the pruned models, the two that stand for Table 1's: a quarter of the attention sublayers
    dropped and a quarter of the MLPs (8 of 32 there), or the most of each that there is.

    >>> pair(["Drop-2A", "Drop-8A", "Drop-4M", "Wanda 50%"], 30)
    ['Drop-8A', 'Drop-4M']
    """
    chosen = []
    for letter in "AM":
        counts = {
            int(name[5:-1]): name
            for name in names
            if name.startswith("Drop-") and name.endswith(letter)
        }
        enough = [count for count in counts if 4 * count >= layers]
        if counts:
            chosen.append(counts[min(enough) if enough else max(counts)])
    return chosen


def sparse(names: Iterable[str], method: str = "Wanda") -> dict[str, str]:
    """Pruned models of one method by what is removed: shares in rising order, then patterns.

    >>> sparse(["Wanda 2:4", "Wanda 50%", "Wanda 25%", "Drop-8A"])
    {'25%': 'Wanda 25%', '50%': 'Wanda 50%', '2:4': 'Wanda 2:4'}
    """
    found = {name.split(" ")[1]: name for name in names if name.startswith(f"{method} ")}
    shares = sorted((each for each in found if "%" in each), key=lambda each: float(each[:-1]))
    patterns = sorted((each for each in found if ":" in each), key=_block, reverse=True)
    return {each: found[each] for each in (*shares, *patterns)}


def _block(pattern: str) -> tuple[int, int]:
    kept, among = map(int, pattern.split(":"))
    return among, kept


def reported_kept(kind: str) -> dict[str, float]:
    """The same share by the paper's Table 1, by name of model: from its rows, corrected for what
    guessing scores, as ours are."""
    rows = reported.rows("a" if kind == "retrieval" else "b", kind)
    chance = rows["task"].map(GUESSING).fillna(0.0)
    scores = rows[list(reported.SETTINGS)].sub(chance, axis=0).div(100 - chance, axis=0).mean()
    shares = scores / scores["full"]
    return {reported.SETTINGS[each]: float(shares[each]) for each in ("drop_8a", "drop_8m")}


@dataclass(frozen=True)
class Claim:
    """A claim: what is measured of each pruned model, by name, and the bounds it must lie in."""

    claim: str
    criterion: str
    answers: Mapping[str, Estimate]
    low: float = -math.inf
    high: float = math.inf
    paper: str = "–"
    percent: bool = True
    questions: int = 0

    @property
    def verdict(self) -> str:
        """``held`` in every model, ``partly`` in some, ``not``, ``open``; or why there is none."""
        if not self.answers:
            return AT_FLOOR
        words = judged(self.answers.values(), self.low, self.high)
        return FEW if words.startswith("too few") else words

    @property
    def measured(self) -> str:
        """Every number with its interval, and how many questions are behind each, if known."""
        form = ".0%" if self.percent else ".2f"
        listed = "; ".join(f"{name} {one.text(form)}" for name, one in self.answers.items())
        return listed + (f" (n = {self.questions})" if listed and self.questions else "") or "–"


def section_4(
    left: pd.DataFrame,
    effects: Mapping[str, Effect],
    retrieval: Mapping[str, Estimate],
    names: Iterable[str],
    layers: int,
) -> list[Claim]:
    """The claims of Section 4 on the pruned models by ``names``, of so many ``layers``; ``left``
    from :func:`by_side`. ``retrieval`` holds what the two encoders keep that stand for the
    paper's, by name."""
    found, names = costs(left), list(names)
    n = {side: questions(left).get(side, 0) for side in SIDES}
    asked = max((one.items for one in effects.values()), default=0)
    dropped = pair(names, layers)
    half = [name for amount, name in sparse(names).items() if amount in HALF_GONE]

    def kept(chosen: Iterable[str], side: str) -> dict[str, Estimate]:
        return {name: found[name][side] for name in chosen if side in found.get(name, {})}

    def more(chosen: Iterable[str]) -> dict[str, Estimate]:
        known = [name for name in chosen if name in effects and effects[name].families]
        return {name: effects[name].effect for name in known}

    comparable = f"at least {KEPT:.0%} of the score above guessing is left"
    gone = f"less than {HALF:.0%} of the score above guessing is left"
    beyond = "generation loses more than multiple choice, asked the same"
    return [
        Claim(
            f"Multiple choice stays largely comparable ({' and '.join(dropped)})",
            comparable,
            kept(dropped, CHOOSING),
            questions=n[CHOOSING],
            low=KEPT,
            paper=_as_reported("multiple_choice"),
        ),
        Claim(
            "Retrieval stays competitive (sublayers of the encoder dropped)",
            comparable,
            retrieval,
            low=KEPT,
            paper=_as_reported("retrieval"),
        ),
        Claim(
            f"Generative tasks collapse ({' and '.join(dropped)})",
            gone,
            kept(dropped, GENERATING),
            questions=n[GENERATING],
            high=HALF,
            paper=_as_reported("generation"),
        ),
        Claim(
            "… and so does generation on the probes (ours)",
            gone,
            kept(dropped, WRITTEN),
            questions=n[WRITTEN],
            high=HALF,
        ),
        Claim(
            "The form of the task decides, at fixed content (ours)",
            beyond,
            more(dropped),
            questions=asked,
            low=0.0,
            percent=False,
        ),
        Claim(
            "Weights removed by half: generative tasks degrade",
            gone,
            kept(half, GENERATING),
            questions=n[GENERATING],
            high=HALF,
            paper="Figure 3",
        ),
        Claim(
            "… and so does generation on the probes (ours)",
            gone,
            kept(half, WRITTEN),
            questions=n[WRITTEN],
            high=HALF,
        ),
        Claim(
            "… where multiple choice stays comparable",
            comparable,
            kept(half, CHOOSING),
            questions=n[CHOOSING],
            low=KEPT,
            paper="Figure 3",
        ),
        Claim(
            "Weights removed by half: the form decides, at fixed content (ours)",
            beyond,
            more(half),
            questions=asked,
            low=0.0,
            percent=False,
        ),
    ]


def _as_reported(kind: str) -> str:
    return "; ".join(f"{name} {share:.0%}" for name, share in reported_kept(kind).items())


def claim_table(claims: Iterable[Claim]) -> pd.DataFrame:
    """Claims with verdict, measured numbers, what the paper's own numbers give, and criterion."""
    return pd.DataFrame(
        [
            {
                "claim": one.claim,
                "verdict": one.verdict,
                "measured": one.measured,
                "the paper's": one.paper,
                "criterion": one.criterion,
            }
            for one in claims
        ]
    )
