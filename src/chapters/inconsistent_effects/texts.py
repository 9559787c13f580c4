"""Table 2: do pruned models' texts collapse, and in which way?

A writer is a model and a way of choosing tokens; its texts are rows of ``collapse.measures``. All
numbers are means within prompts, then over them, with 95% bootstrap intervals over prompts.
"""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from chapters.inconsistent_effects.figure_texts import Question, Text
from helpers.evaluation.collapse import GRAMS, distinct, measures
from helpers.texts.data import Prompt
from reporting.claims import TOO_FEW, Claim
from reporting.parting import Course, matches_of_texts
from reporting.statistics import FEWEST, Estimate, mean, over_prompts
from runs.parameters import RunParameters
from runs.store import Measurement

DENSE = "Dense"
SLACK = 0.1  # a share of tokens or phrases, beyond dense, up to which it is no collapse
SIGNS = {"loops": ("looped", SLACK), "garbled": ("nats", 0.0), "stock phrases": ("shared", SLACK)}
CRITERIA = {
    "readable": "neither loops nor is garbled",
    "loops": f"tokens in loops exceed those of dense texts by more than {SLACK:.0%} of the text",
    "garbled": "nats per token exceed those of texts that the dense model draws at random",
}
WHOLE = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
RIGHT, CUT, NAMES = "right", "cut off", ", but names it"

Tokens = dict[str, pd.DataFrame]  # pruned model → rows of table tokens, its texts and dense ones
Texts = dict[str, pd.DataFrame]  # writer → its texts, as from collapse.measures


@dataclass(frozen=True)
class Shown:
    """One text of the paper's Table 2: its setting, what becomes of it (a key of ``CRITERIA``, our
    reading), and what it looks like, in our words with a short quotation."""

    setting: str
    kind: str
    words: str

    @property
    def line(self) -> str:
        """What stands beside a text of ours."""
        return f"Reported, {self.setting}, 7B: {self.words}"


UNPRUNED = Shown(
    "Baseline", "readable", "finds half of 48 to be 24, in whole sentences up to the total."
)
PAPER = {  # kind of sublayer, and whether eight of them, the larger amount, are dropped
    ("attention", False): Shown("Drop-4A", "readable", "the same steps in nearly the same words."),
    ("attention", True): Shown(
        "Drop-8A",
        "garbled",
        "breaks off in “the number of clips Alicia, the”; then pieces of capitals and mark-up, a "
        "date, and long rows of digits.",
    ),
    ("mlp", False): Shown("Drop-4M", "readable", "the same steps in a single sentence."),
    ("mlp", True): Shown(
        "Drop-8M", "loops", "loses its thread after a few words and repeats “and your”."
    ),
}


def paper_by_name(settings: Mapping[str, RunParameters]) -> dict[str, Shown]:
    """The paper's text for each setting: the same kind of sublayer, and as large a part of them."""
    drops = {name: one for name, one in settings.items() if one.method == "drop"}
    most = max(one.dropped for one in drops.values())
    found = {name: PAPER.get((one.target, one.dropped == most)) for name, one in drops.items()}
    return {name: shown for name, shown in found.items() if shown}


def by_setting(measured: Iterable[Measurement], settings: Mapping[str, RunParameters]) -> Tokens:
    """The tokens of each pruned model of ``settings``, from the runs that hold them."""
    rows = pd.concat([one.table("tokens") for one in measured], ignore_index=True)
    found = {}
    for name, one in settings.items():
        kept = rows["method"].eq(one.method) & rows["target"].eq(one.whole_target)
        kept &= rows["amount"].eq(one.whole_amount) & rows["every"].eq(0)
        if kept.any():
            found[name] = rows[kept].astype({"prompt": str, "category": str, "writer": str})
    return found


def written(tokens: Tokens, prompts: Collection[str], limit: int, drawn: str = "") -> Texts:
    """The texts of the dense model and of each pruned one, by name, after ``prompts``; ``drawn`` is
    added to the names where tokens were drawn at random."""
    found: Texts = {}
    for name, rows in tokens.items():
        table = measures(rows[rows["prompt"].isin(prompts)], limit)
        for writer, part in table.groupby("writer", sort=False):
            called = (DENSE if writer == "dense" else name) + drawn
            found.setdefault(called, part.reset_index(drop=True))
    return dict(sorted(found.items(), key=lambda item: not item[0].startswith(DENSE)))


def counterpart(name: str) -> str:
    """The dense writer beside a writer, whose tokens are chosen in the same way.

    >>> counterpart("Drop-8M"), counterpart("Drop-8M, drawn")
    ('Dense', 'Dense, drawn')
    """
    return DENSE + name.partition(",")[1] + name.partition(",")[2]


def average(rows: pd.DataFrame, column: str, seed: int) -> Estimate:
    """The mean of one measure over prompts; texts without a value are left out."""
    return over_prompts(rows, seed, column)


def beyond(rows: pd.DataFrame, other: pd.DataFrame, column: str, seed: int) -> Estimate:
    """How much larger a measure is than in the ``other`` texts, prompt by prompt."""
    own, theirs = (each.groupby("prompt")[column].mean() for each in (rows, other))
    return mean((own - theirs).dropna(), seed)


def variety(rows: pd.DataFrame, other: pd.DataFrame, n: int, seed: int) -> Estimate:
    """Distinct-n less that of the ``other`` texts, each pair cut to the shorter one's length."""
    pairs = rows.merge(other, on=["prompt", "seed"], suffixes=("", "_other"))
    values = []
    for own, theirs in zip(pairs["ids"], pairs["ids_other"], strict=True):
        short = min(len(own), len(theirs))
        values.append(distinct(own[:short], n) - distinct(theirs[:short], n))
    return average(pairs.assign(gap=values), "gap", seed)


def signs(texts: Texts, drawn: pd.DataFrame, seed: int) -> dict[str, dict[str, Estimate]]:
    """Of each pruned model's greedy texts, how far they go in each of the ``SIGNS`` of collapse:
    the share of tokens in loops and of phrases that also serve other prompts beyond those of dense
    texts, and nats per token beyond those of texts that the dense model has ``drawn`` at random."""
    against = {"loops": texts[DENSE], "garbled": drawn, "stock phrases": texts[DENSE]}
    return {
        name: {
            sign: beyond(rows, against[sign], column, seed) for sign, (column, _) in SIGNS.items()
        }
        for name, rows in texts.items()
        if name != DENSE
    }


def shows(found: Mapping[str, Estimate], sign: str) -> bool | None:
    """Whether one pruned model's texts show a sign: the whole interval lies above its bound (True),
    or none of it does (False); None in between, and with too few prompts."""
    return found[sign].within(SIGNS[sign][1])


def showing(found: Mapping[str, Mapping[str, Estimate]], sign: str) -> list[str]:
    """The pruned models whose texts show a sign."""
    return [name for name, one in found.items() if shows(one, sign)]


def sign_table(found: Mapping[str, Mapping[str, Estimate]]) -> pd.DataFrame:
    """The signs of collapse in numbers: which show, and for which there are too few data."""
    rows = []
    for name, one in found.items():
        told = {sign: shows(one, sign) for sign in SIGNS}
        rows.append(
            {
                "setting": name,
                "shows": ", ".join(sign for sign, yes in told.items() if yes) or "–",
                TOO_FEW: ", ".join(s for s, yes in told.items() if yes is None) or "–",
                "tokens in loops, beyond dense": one["loops"].text(".0%"),
                "nats, beyond dense at random": one["garbled"].text(),
                "stock phrases, beyond dense": one["stock phrases"].text(".0%"),
            }
        )
    return pd.DataFrame(rows)


def claims(found: Mapping[str, Mapping[str, Estimate]], paper: Mapping[str, Shown]) -> list[Claim]:
    """Whether the texts of each setting that the paper has are what its text is; one text says
    nothing of stock phrases."""
    rows = []
    for name, shown in paper.items():
        told = [shows(found[name], sign) for sign in ("loops", "garbled")]
        readable = False if True in told else None if None in told else True
        met = readable if shown.kind == "readable" else shows(found[name], shown.kind)
        loops, nats = found[name]["loops"].text(".0%"), found[name]["garbled"]
        rows.append(
            Claim(
                f"{name}: {shown.kind}, as the paper's {shown.setting}",
                "4-texts-break",
                f"in loops {loops}; nats {nats}",
                CRITERIA[shown.kind],
                [met],
                numbers={"in loops": found[name]["loops"], "nats": nats},
            )
        )
    return rows


def repetition_table(texts: Texts, seed: int) -> pd.DataFrame:
    """One row per writer: length, whether it ends, loops, and distinct n-grams."""
    rows = []
    for name, part in texts.items():
        row: dict[str, object] = {
            "writer": name,
            "tokens": average(part, "tokens", seed).text(".0f"),
            "ended": f"{part['ended'].sum()} of {len(part)}",
            "in loops": average(part, "looped", seed).text(".0%"),
            "longest loop": f"{part['longest'].max()} tokens",
            "phrases shared": average(part, "shared", seed).text(".0%"),
        }
        row |= {f"distinct-{n}": average(part, f"distinct_{n}", seed).text() for n in GRAMS}
        other = counterpart(name)
        gap = "–" if other == name else variety(part, texts[other], 2, seed).text()
        rows.append(row | {"distinct-2 less dense": gap, "prompts": part["prompt"].nunique()})
    return pd.DataFrame(rows)


def likelihood_table(texts: Texts, seed: int) -> pd.DataFrame:
    """One row per writer: how unlikely the dense model finds its texts: whole, parted from the
    dense ones, and, of those that loop, in loops and outside them."""
    rows = []
    for name, part in texts.items():
        whole, rest = (average(part, column, seed) for column in ("nats", "nats_parted"))
        rest = Estimate(math.nan) if name == counterpart(name) else rest
        loops = part[part["longest"] > 0]
        rows.append(
            {
                "writer": name,
                "nats per token": whole.text(),
                "perplexity": as_perplexity(whole),
                "after the parting, nats": rest.text(),
                "after the parting, perplexity": as_perplexity(rest),
                "nats in loops": Estimate(average(loops, "nats_looped", seed).value).text(),
                "nats outside them": Estimate(average(loops, "nats_free", seed).value).text(),
                "prompts": part["prompt"].nunique(),
            }
        )
    return pd.DataFrame(rows)


def drawn_table(texts: Texts, drawn: Texts, seed: int) -> pd.DataFrame:
    """Pruned models that chose their tokens in both ways, greedy and ``drawn`` at random: tokens
    in loops, and nats per token beyond those of dense texts chosen in the same way."""
    rows = []
    for name, part in drawn.items():
        called = name.partition(",")[0]
        if called != DENSE:
            pairs = {"greedy": (texts[called], texts[DENSE])}
            pairs["drawn"] = (part, drawn[counterpart(name)])
            row = {"pruned model": called}
            for way, (own, _) in pairs.items():
                row[f"in loops, {way}"] = average(own, "looped", seed).text(".0%")
            for way, (own, dense) in pairs.items():
                row[f"nats beyond dense, {way}"] = beyond(own, dense, "nats", seed).text()
            rows.append(row)
    return pd.DataFrame(rows)


def parting_table(tokens: Tokens, prompts: Collection[str], seed: int) -> pd.DataFrame:
    """One row per pruned model: how many texts part from the dense ones, and when half have."""
    rows = []
    for name, own in tokens.items():
        found = matches_of_texts(own[own["prompt"].isin(prompts)])
        course = Course.of(found, seed)
        parted = found.groupby(["prompt", "seed"])["same"].min().eq(0)
        rows.append(
            {
                "writer": name,
                "texts that part": f"{parted.sum()} of {len(parted)}",
                "half have parted by token": half_time(course),
                "prompts": course.prompts,
            }
        )
    return pd.DataFrame(rows)


def half_time(course: Course) -> str:
    """The token, counted from 1, by which half of the texts have parted, with its interval;
    ``beyond 64`` if less than half have when the last was compared. Texts that end whole count as
    long as they run (Kaplan and Meier)."""
    gone = course.survival <= 0.5 + 1e-12
    first = np.where(gone.any(axis=1), gone.argmax(axis=1) + 1, np.inf)
    ends = [first[0]]
    if course.prompts >= FEWEST:
        ends += list(np.percentile(first[1:], (2.5, 97.5), method="nearest"))
    middle, *interval = (f"{x:.0f}" if np.isfinite(x) else f"beyond {gone.shape[1]}" for x in ends)
    return f"{middle} [{'–'.join(interval)}]" if interval else middle


def as_perplexity(nats: Estimate) -> str:
    """exp of nats per token with its interval: the geometric mean over prompts."""
    low, high = (None if end is None else float(np.exp(end)) for end in (nats.low, nats.high))
    return Estimate(float(np.exp(nats.value)), low, high).text(".3g")


def plane(texts: Texts) -> pd.DataFrame:
    """One row per text for ``figures.lines``: distinct-2 against nats per token, one panel for each
    pruned model, with the dense texts in every panel."""
    parts = []
    for name in texts:
        looks = {DENSE: ("dense text", "dense"), name: ("pruned text", "probability")}
        for writer, (series, space) in looks.items() if name != DENSE else ():
            rows = texts[writer][["prompt", "distinct_2", "nats"]].dropna()
            rows = rows.set_axis(["point", "x", "mean"], axis=1)
            parts.append(rows.assign(panel=name, series=series, space=space))
    return pd.concat(parts, ignore_index=True)


def answers(texts: Texts, questions: Iterable[Prompt]) -> pd.DataFrame:
    """What each writer answers to each of the ``questions``, whose answers are numbers, of those
    that its texts answer: writers × questions."""
    found = {}
    for name, rows in texts.items():
        first = rows.drop_duplicates("prompt").set_index("prompt")
        found[name] = {
            each.id: judged(
                str(first.loc[each.id, "text"]), bool(first.loc[each.id, "ended"]), each.answer
            )
            for each in questions
            if each.id in first.index
        }
    return pd.DataFrame(found).T


def judged(text: str, ended: bool, answer: str) -> str:
    """What one text answers: the last number of it, or that this is right. A text that did not end
    has no last number, but may name the right one."""
    numbers = [each.replace(",", "") for each in WHOLE.findall(text)]
    same = [float(each) == float(answer) for each in numbers]
    named = NAMES if any(same) else ""
    if not ended:
        return CUT + named
    return RIGHT if same and same[-1] else (numbers[-1] if numbers else "no number") + named


def answer_table(given: pd.DataFrame, questions: Iterable[Prompt]) -> pd.DataFrame:
    """The same with how many answers are right, and first a row with the right ones."""
    right = given.eq(RIGHT).sum(axis=1).map(lambda count: f"{count} of {given.shape[1]}")
    truth = pd.DataFrame([{each.id: each.answer for each in questions}], index=["right answer"])
    both = pd.concat([truth[list(given)].assign(right="–"), given.assign(right=right)])
    return both.rename_axis("writer").reset_index()


def question(
    prompt: Prompt,
    tokens: Tokens,
    limit: int,
    reported: Mapping[str, str] | None = None,
    drawn: Tokens | None = None,
) -> Question:
    """What the dense model and each pruned one write after ``prompt``, of at most ``limit`` tokens.

    ``reported`` holds for some of them, by name, what the paper shows. ``drawn`` gives by name
    tokens of which the dense text alone is shown too.
    """
    shown = [(DENSE, next(iter(tokens.values())), "dense")]
    shown += [(name, rows, "pruned") for name, rows in tokens.items()]
    shown += [(name, rows, "dense") for name, rows in (drawn or {}).items()]
    texts = []
    for name, rows, writer in shown:
        own = rows[rows["prompt"].eq(prompt.id) & rows["writer"].eq(writer)]
        own = own[own["seed"].eq(own["seed"].min())].sort_values("step")
        one = measures(own, limit).iloc[0]
        parting = int(one["parting"]) if writer == "pruned" and one["parting"] < limit else None
        notes = [f"{one['tokens']} tokens, {'ends' if one['ended'] else 'cut off'}"]
        notes += [f"{one['nats']:.1f} nats a token"]
        if writer == "pruned":
            notes.insert(0, "never parts" if parting is None else f"parts at token {parting + 1}")
        line = (reported or {}).get(name, "")
        texts.append(Text(name, tuple(own["text"]), tuple(-own["value"]), parting, notes, line))
    return Question(prompt.id, prompt.text, tuple(texts))


def token_rows(questions: Iterable[Question]) -> pd.DataFrame:
    """Every token that is shown, for the download; nats to four digits after the point."""
    return pd.DataFrame(
        [
            {
                "setting": text.name,
                "prompt": each.title,
                "step": step,
                "text": token,
                "nats": round(nats, 4),
                "parted": text.parting is not None and step >= text.parting,
            }
            for each in questions
            for text in each.texts
            for step, (token, nats) in enumerate(zip(text.tokens, text.surprise, strict=True))
        ]
    )
