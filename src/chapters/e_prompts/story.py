"""The prompts in frames: how long they are, and what a chat template adds."""

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from helpers.texts.data import appendix_e
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


def profile(found: pd.DataFrame) -> pd.DataFrame:
    """Lengths for :func:`reporting.figures.lines`: a line breaks where the category changes."""
    place = np.arange(1, len(found) + 1)
    changes = place[1:][found["category"].to_numpy()[1:] != found["category"].to_numpy()[:-1]]
    gaps = pd.DataFrame({"x": changes - 0.5})
    named = found["prompt"] + ", " + found["category"]
    parts = [
        pd.concat([pd.DataFrame({"x": place, "mean": found[form], "point": named}), gaps])
        .assign(panel="Length of each prompt", series=words)
        .fillna({"point": ""})
        for form, words in FORMS.items()
    ]
    return pd.concat(parts, ignore_index=True)


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
