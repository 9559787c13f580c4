"""Prompts in tables and words: what they ask, how long they are, what a chat template adds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from helpers.texts.data import Prompt, appendix_e
from reporting.words import shown

OPTIONS = ("A", "B", "C", "D")
PARTS = {"before": "before the prompt", "prompt": "the prompt", "after": "after the prompt"}


@dataclass(frozen=True)
class Lengths:
    """Tokens of each chosen prompt, in the order in which they were chosen.

    ``frame`` has one row for each: ``prompt``, ``category``, ``plain`` and, where the tokenizer
    has a chat template, ``template``.
    """

    frame: pd.DataFrame

    @classmethod
    def of(cls, table: pd.DataFrame) -> "Lengths":
        """From the table ``prompts``."""
        plain = table[table["form"].eq("plain")].rename(columns={"tokens": "plain"})
        frame = plain[["prompt", "category", "plain"]].astype({"prompt": str, "category": str})
        rest = table[table["form"].eq("template")]
        if len(rest):
            frame["template"] = rest["tokens"].to_numpy()
        return cls(frame.reset_index(drop=True))

    @property
    def wrapped(self) -> bool:
        """Whether there is a chat template."""
        return "template" in self.frame

    @property
    def longest(self) -> int:
        """The largest number of tokens that the model reads at once."""
        return int(self.frame["template" if self.wrapped else "plain"].max())

    def span(self) -> str:
        """``16 to 48``: the shortest and the longest text."""
        return _span(self.frame["plain"])

    def added(self) -> str:
        """``30``, or ``28 to 31``: tokens that the template adds."""
        return _span(self.frame["template"] - self.frame["plain"])

    def added_share(self) -> float:
        """Share of all tokens that the template adds."""
        return 1 - float(self.frame["plain"].sum() / self.frame["template"].sum())

    def groups(self) -> str:
        """``1–4 Multiple-Choice Selection, 5–8 …``: places of each run of one category."""
        category = self.frame["category"]
        runs = category.ne(category.shift()).cumsum()
        words = []
        for _, places in self.frame.groupby(runs):
            first, last = places.index[0] + 1, places.index[-1] + 1
            where = str(first) if first == last else f"{first}–{last}"
            words.append(f"{where} {places['category'].iloc[0]}")
        return ", ".join(words)


def prompt_table(prompts: Sequence[Prompt], lengths: Lengths) -> pd.DataFrame:
    """One row for each prompt: its id, its text, its tokens alone and in the template."""
    columns = ["plain", *(["template"] if lengths.wrapped else [])]
    numbers = lengths.frame[columns].astype(int).to_numpy().tolist()
    return pd.DataFrame(
        {
            "Prompt": [prompt.id for prompt in prompts],
            "Text": [prompt.text for prompt in prompts],
            "Tokens": [" → ".join(map(str, each)) for each in numbers],
        }
    )


def answer_table(prompts: Sequence[Prompt]) -> pd.DataFrame:
    """The prompts with one right answer, the answer, and how it is found."""
    rows = [(each.id, each.answer, each.working) for each in prompts if each.answer]
    return pd.DataFrame(rows, columns=["Prompt", "Right", "Because"])


def template_table(parts: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The tokens of a wrapped prompt, made visible and kept apart by blanks, in three parts."""
    rows = [
        (name, len(parts[part]), " ".join(shown(token) for token in parts[part]))
        for part, name in PARTS.items()
        if parts[part]
    ]
    return pd.DataFrame(rows, columns=["Part", "Tokens", "Token by token"])


def constant_guess() -> dict[str, int]:
    """How many of the paper's multiple-choice prompts each letter gets right if it is all that is
    ever answered."""
    answers = [prompt.answer for prompt in appendix_e() if prompt.answer in OPTIONS]
    return {letter: answers.count(letter) for letter in OPTIONS}


def _span(numbers: pd.Series) -> str:
    low, high = int(numbers.min()), int(numbers.max())
    return str(low) if low == high else f"{low} to {high}"
