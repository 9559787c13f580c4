"""What the introduction says in words and tables, all of it computed from its results."""

from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from reporting import figure_1_words
from reporting.probe_effects import FEW, MORE, NONE, OPEN, Effect
from reporting.prose import join_words
from reporting.reach import Estimate
from reporting.score_claims import Claim, falls, form_decides, stays
from reporting.score_frames import CHOSEN, WRITTEN
from reporting.score_layouts import title
from runs.settings import DENSE

Kept = Mapping[str, Mapping[str, Estimate]]  # pruned model → series → share kept
PAPER_TASKS = {
    "hellaswag": "HellaSwag",
    "mmlu": "MMLU",
    "gsm8k": "GSM8K",
    "humaneval": "HumanEval",
}
STAND_INS = {"HellaSwag": "piqa", "GSM8K": "asdiv"}


def told(kept: Kept, effects: Mapping[str, Effect]) -> str:
    """The answer: where form decides, and what the clearest of these models keeps of each."""
    both = [name for name, one in kept.items() if CHOSEN in one and WRITTEN in one]
    if not both:
        return (
            "No family of questions is above its floor in both forms, so nothing can be said of "
            "this model."
        )
    judged = [name for name in both if name in effects]
    parts = []
    for verdicts, words in (
        ((MORE["generation"],), "writing loses more than choosing under {}"),
        ((MORE["choice"],), "choosing loses more than writing under {}"),
        ((NONE,), "neither does under {}"),
        ((OPEN, FEW), "it stays open under {}"),
    ):
        names = [name for name in judged if effects[name].verdict in verdicts]
        if names:
            parts.append(words.format(join_words(names)))
    if NONE in {effects[name].verdict for name in judged} and len(parts) == 1:
        parts = [f"no form loses more than the other under {join_words(judged)}"]
    return (
        f"The same short questions, asked in both forms: {'; '.join(parts)}. "
        f"{_clearest(kept, judged or both, effects)}"
    )


def _clearest(kept: Kept, names: list[str], effects: Mapping[str, Effect]) -> str:
    """What the model with the largest effect of form keeps, in a sentence."""
    largest = max(names, key=lambda name: effects[name].effect.value if name in effects else 0.0)
    one = kept[largest]
    return (
        f"With {largest}, {one[CHOSEN].text('.0%')} of the score above guessing is left where an "
        f"answer is chosen, and {one[WRITTEN].text('.0%')} where it is written."
    )


def asked_of(scores: pd.DataFrame, probes: pd.DataFrame, counted: tuple[str, ...]) -> str:
    """Which questions were asked, in sentences. ``scores`` as from :func:`score_tables.collected`,
    ``probes`` as from :func:`score_tables.collected_items`."""
    rows = scores.drop_duplicates("task")
    named = [f"{title(row.task)} ({row.dense_n} questions)" for row in rows.itertuples()]
    text = f"{join_words(named)}. " if named else ""
    floor = [title(row.task) for row in rows.itertuples() if row.verdict == "at_floor"]
    if floor:
        text += (
            f"The dense model is at its floor in {join_words(floor)}, so pruned models were not "
            "asked there, and nothing is concluded. "
        )
    families = probes["family"].nunique()
    count = probes.loc[probes["family"].isin(counted), "item"].nunique()
    text += (
        f"Of the paired probes, the {count} questions of {len(counted)} families are counted, in "
        f"which the dense model scores at least half in both forms, of {families} families asked."
    )
    return text


def instead(scores: pd.DataFrame) -> str:
    """Which tasks stand for those of the paper's figure, and why, in sentences."""
    asked = set(scores["task"].astype(str))
    missing = [task for name, task in PAPER_TASKS.items() if name not in asked]
    if not missing:
        return "All tasks of the paper's figure are asked themselves."
    stand = [f"{title(two)} for {task}" for task, two in STAND_INS.items() if two in asked]
    text = f"{join_words(missing)} are not asked here"
    text += f"; in their place {join_words(stand)}" if stand else ""
    return (
        f"{text}. The book comes with questions that need no network; those of HellaSwag and GSM8K "
        "are fetched by name (`-p tasks hellaswag,gsm8k`), and HumanEval, whose answers are "
        "programs, runs them in a sandbox if it may (`-p tasks humaneval -p run_code true`). What "
        "carries the figure is the probes, for in them this model has a score to lose."
    )


def kept_table(kept: Kept, left: Mapping[str, int], effects: Mapping[str, Effect]) -> pd.DataFrame:
    """One row for each pruned model, as text: parameters ``left``, what each series keeps, and
    by how much more the written probes lose."""
    series = list(dict.fromkeys(each for one in kept.values() for each in one))
    rows = []
    for name, count in left.items():
        row = {"pruned model": name, "parameters left": f"{count / 1e6:.0f}M"}
        for each in series:
            one = kept.get(name, {}).get(each)
            row[each] = one.text(".0%") if one else "–"
        if name in effects:
            row["written lose more by"] = effects[name].effect.text()
        rows.append(row)
    return pd.DataFrame(rows).fillna("–")


def claims(
    kept: pd.DataFrame, panels: Mapping[str, str], effects: Mapping[str, Effect]
) -> list[Claim]:
    """The claims of Section 1, asked of the model with most parts dropped in each panel.

    ``kept`` as from :func:`score_frames.kept_series`; ``panels`` names the panel of each pruned
    model, the one with most parts last.
    """
    most = list({panel: name for name, panel in panels.items()}.values())
    chosen, written = (
        figure_1_words.at(kind) for kind in (figure_1_words.CHOOSING, figure_1_words.WRITING)
    )
    return [
        *each_series(stays, "Tasks that choose keep their score", kept, most, chosen),
        *each_series(falls, "Tasks that generate lose it", kept, most, written),
        form_claim(effects, most),
    ]


def each_series(
    claim: Callable[..., Claim], words: str, kept: pd.DataFrame, names: Iterable[str], paper: str
) -> list[Claim]:
    """That the named models keep their score (``claim`` is ``stays``), for each series of tasks
    that choose, or lose most of it (``falls``), for each of tasks that write."""
    kind, names = ("choosing" if claim is stays else "generating"), list(names)
    return [
        claim(f"{words} ({series})", shares_of(kept, series, names), paper)
        for series in kept.loc[kept["kind"].eq(kind), "series"].unique()
    ]


def shares_of(kept: pd.DataFrame, series: str, names: Iterable[str]) -> dict[str, Estimate]:
    """What each of the named models keeps of one series, where there is a number."""
    rows = kept[kept["series"].eq(series)].set_index("setting")["kept"]
    return {name: rows[name] for name in names if name in rows.index}


def form_claim(effects: Mapping[str, Effect], names: Iterable[str]) -> Claim:
    """That the form of the task is what decides, on the probes."""
    return form_decides(
        "… because they generate: the same questions lose more when written (ours)",
        {name: effects[name].effect for name in names if name in effects},
    )


def figure_title(effects: Mapping[str, Effect], panels: Mapping[str, str]) -> str:
    """Under how many pruned models the written form loses more, by what is dropped."""
    parts = []
    for panel in dict.fromkeys(panels.values()):
        mine = [name for name in panels if panels[name] == panel and name in effects]
        more = sum(effects[name].verdict == MORE["generation"] for name in mine)
        if mine:
            words = panel if panel.startswith("MLP") else panel.lower()
            parts.append(f"{more} of {len(mine)} with {words}")
    if not parts:
        return "What pruned models keep, as reported: no probe is above its floor here"
    return f"Written answers lose more than chosen ones in {', '.join(parts)}"


def control(effects: Mapping[str, Effect]) -> str:
    """What the paired probes are, and on how many pruned models they decide."""
    if not effects:
        return "no family of them counts for this model."
    items = max(one.items for one in effects.values())
    decided = [name for name, one in effects.items() if one.verdict != OPEN]
    return (
        f"{items} of them count here, and decide whether the form matters for {len(decided)} of "
        f"{len(effects)} pruned models."
    )


def flips(scores: pd.DataFrame) -> str:
    """The pruned model and task whose score changes least, and how many answers flip: what a mean
    hides. ``scores`` as from :func:`score_tables.collected`."""
    rows = scores[scores["flips_lost"].notna() & scores["setting"].ne(DENSE)]
    if rows.empty:
        return "Here no task of the table is above its floor."
    change = (rows["value"] - rows["dense_value"]).abs()
    flipped = rows["flips_lost"] + rows["flips_gained"]
    row = rows.loc[flipped[change.eq(change.min())].idxmax()]
    return (
        f"Under {row['setting']}, {title(row['task'])} moves by {100 * change.min():.1f} points on "
        f"{row['n']} questions: {row['flips_lost']:.0f} right answers are lost, and "
        f"{row['flips_gained']:.0f} gained."
    )
