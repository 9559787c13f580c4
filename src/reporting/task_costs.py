"""What does pruning cost by kind of task, and is it what Section 4 says? Pure functions.

A cost is told by what is left: the share of the dense score above guessing that a pruned model
keeps, with a 95% interval. Tasks at the dense model's floor count nowhere.
"""

from collections.abc import Iterable, Mapping

import pandas as pd

from reporting import score_frames, score_tables
from reporting.probe_effects import Effect
from reporting.reach import Estimate
from reporting.reported import scores as reported
from reporting.score_claims import AT_FLOOR, Claim, falls, form_decides, stays
from reporting.score_frames import CHOSEN, WRITTEN

CHOOSING, GENERATING = "multiple choice", "generation"
BY_KIND = {"multiple_choice": CHOOSING, "generation": GENERATING}
SIDES = (CHOOSING, GENERATING, CHOSEN, WRITTEN)
ON_PROBES = "… and so does generation on the probes (ours)"
HALF_GONE = ("50%", "4:8", "2:4")

# what guessing scores on the multiple-choice tasks of Table 1(b), in percent
GUESSING = {"BoolQ": 50, "MMLU": 25, "OpenBookQA": 25, "RTE": 50, "Winogrande": 50}

Costs = dict[str, dict[str, Estimate]]  # pruned model → one of SIDES → share kept


def by_side(tasks: pd.DataFrame, probes: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """What is left by kind of task: columns ``setting``, ``series`` (one of ``SIDES``), ``kind``,
    ``n`` questions and ``kept``, an :class:`Estimate`, for the figures of
    :mod:`reporting.score_frames`. From every question asked of the ``tasks`` and ``probes``, as
    :func:`reporting.score_tables.collected_items` has them; either frame may be empty."""
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
    found = score_frames.by_model(left)
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

    return [
        stays(
            f"Multiple choice stays largely comparable ({' and '.join(dropped)})",
            kept(dropped, CHOOSING),
            _as_reported("multiple_choice"),
            n[CHOOSING],
        ),
        stays(
            "Retrieval stays competitive (sublayers of the encoder dropped)",
            retrieval,
            _as_reported("retrieval"),
        ),
        falls(
            f"Generative tasks collapse ({' and '.join(dropped)})",
            kept(dropped, GENERATING),
            _as_reported("generation"),
            n[GENERATING],
        ),
        falls(ON_PROBES, kept(dropped, WRITTEN), n=n[WRITTEN]),
        form_decides("The form of the task decides, at fixed content (ours)", more(dropped), asked),
        falls(
            "Weights removed by half: generative tasks degrade",
            kept(half, GENERATING),
            "Figure 3",
            n[GENERATING],
        ),
        falls(ON_PROBES, kept(half, WRITTEN), n=n[WRITTEN]),
        stays(
            "… where multiple choice stays comparable",
            kept(half, CHOOSING),
            "Figure 3",
            n[CHOOSING],
        ),
        form_decides(
            "Weights removed by half: the form decides, at fixed content (ours)",
            more(half),
            asked,
        ),
    ]


def _as_reported(kind: str) -> str:
    return "; ".join(f"{name} {share:.0%}" for name, share in reported_kept(kind).items())
