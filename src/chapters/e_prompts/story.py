"""The prompts in frames: how long they are, and what a chat template adds."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from helpers.texts.data import appendix_e
from reporting.figures import FigureOutput, Line, Panel
from reporting.figures.style import NEUTRAL, Style
from reporting.words import shown

OPTIONS = ("A", "B", "C", "D")
PARTS = {"before": "before the prompt", "prompt": "the prompt", "after": "after the prompt"}
FORMS = {"template": "in the chat template", "plain": "text alone"}
STYLES = {
    FORMS["template"]: Style(NEUTRAL, "square", "7px,3px", thin=True),
    FORMS["plain"]: Style(NEUTRAL, "circle"),
}


def lengths(table: pd.DataFrame) -> pd.DataFrame:
    """Tokens of each prompt, in order: ``prompt``, ``category``, ``plain`` and ``template``, the
    same as ``plain`` where the tokenizer has no chat template."""
    plain = table[table["form"] == "plain"]
    template = table[table["form"] == "template"]
    found = plain[["prompt", "category"]].astype(str).reset_index(drop=True)
    return found.assign(
        plain=plain["tokens"].to_numpy(),
        template=(template if len(template) else plain)["tokens"].to_numpy(),
    )


def groups(found: pd.DataFrame) -> str:
    """``1–4 Multiple-Choice Selection, 5–8 …``: places of each run of one category."""
    runs = groupby(enumerate(found["category"], 1), key=lambda each: each[1])
    places = [(category, [at for at, _ in run]) for category, run in runs]
    return ", ".join(f"{span(pd.Series(at))} {category}" for category, at in places)


def profile(found: pd.DataFrame, **words: Any) -> FigureOutput:
    """Lengths as dots, a row for each prompt, the first at the top; ``words`` are the name, title,
    caption and provenance of the figure."""
    rows = [float(len(found) - at) for at in range(len(found))]
    lines = [
        Line(
            x=found[form].tolist(),
            mean=rows,
            look=STYLES[label],
            label=label,
            cloud=True,
            says=[
                f"{each}: {count} tokens"
                for each, count in zip(found["prompt"], found[form], strict=True)
            ],
        )
        for form, label in FORMS.items()
    ]
    panel = Panel(
        title="Length of each prompt",
        lines=lines,
        x_label="tokens",
        y_label="prompt, in the order of the table",
        x_range=(0.0, 1.06 * float(found["template"].max())),
        y_range=(0.3, len(found) + 0.7),
        y_ticks=list(zip(rows, found["prompt"], strict=True)),
    )
    return FigureOutput.of([panel], found, **words)


def template_table(parts: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The tokens of a wrapped prompt, made visible and kept apart by blanks, in three parts."""
    rows = [
        (name, len(parts[part]), " ".join(shown(token) for token in parts[part]))
        for part, name in PARTS.items()
        if parts.get(part)
    ]
    return pd.DataFrame(rows, columns=["Part", "Tokens", "Token by token"])


def constant_guess() -> dict[str, int]:
    """How many of the paper's multiple-choice prompts each letter gets right if it is all that is
    ever answered."""
    answers = [prompt.answer for prompt in appendix_e() if prompt.answer in OPTIONS]
    return {letter: answers.count(letter) for letter in OPTIONS}


def span(numbers: pd.Series) -> str:
    """``16–48``, or ``30`` where all are the same."""
    return "–".join(dict.fromkeys([str(numbers.min()), str(numbers.max())]))
