"""From tables of tokens to texts side by side, as ``figures.texts`` shows them."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from chapters.inconsistent_effects.collapse_tables import DENSE, Tokens
from chapters.inconsistent_effects.figure_texts import Question, Text
from helpers.evaluation.collapse import measures
from helpers.texts.data import Prompt

COLUMNS = ("setting", "prompt", "step", "text", "nats", "parted")


def question(
    prompt: Prompt,
    tokens: Tokens,
    limit: int,
    reported: Mapping[str, str] | None = None,
    drawn: Tokens | None = None,
) -> Question:
    """What the dense model and each pruned one write after ``prompt``, of at most ``limit`` tokens.

    ``reported`` holds for some of them, by name, what the paper shows. ``drawn`` gives by name
    tokens of which the dense text alone, the first of them, is shown too.
    """
    texts: list[Text] = []
    runs: list[tuple[str, pd.DataFrame, tuple[str, ...]]]
    runs = [(name, rows, ("dense", "pruned")) for name, rows in tokens.items()]
    runs += [(name, rows, ("dense",)) for name, rows in (drawn or {}).items()]
    for name, rows, writers in runs:
        own = rows[rows["prompt"].eq(prompt.id) & rows["seed"].eq(rows["seed"].min())]
        for row in measures(own, limit).itertuples():
            dense = row.writer == "dense"
            called = DENSE if dense and len(writers) == 2 else name
            if row.writer in writers and called not in [each.name for each in texts]:
                part = own[own["writer"] == row.writer].sort_values("step")
                texts.append(_text(called, row, part, dense, (reported or {}).get(called, "")))
    texts.sort(key=lambda each: each.name != DENSE)
    return Question(prompt.id, prompt.text, tuple(texts))


def _text(called: str, row: Any, part: pd.DataFrame, dense: bool, reported: str) -> Text:
    """One text: a row of ``measures``, and its tokens."""
    parted = not dense and math.isfinite(row.parting)
    length = f"{row.tokens} tokens, {'ends' if row.ended else 'cut off'}"
    notes = [length, f"{row.nats:.1f} nats a token"]
    if not dense:
        notes.insert(0, f"parts at token {int(row.parting) + 1}" if parted else "never parts")
    parting = int(row.parting) if parted else None
    return Text(called, tuple(part["text"]), tuple(-part["value"]), parting, notes, reported)


def token_rows(questions: list[Question]) -> pd.DataFrame:
    """Every token that is shown, for the download; nats to four digits after the point."""
    rows = []
    for each in questions:
        for text in each.texts:
            parting = math.inf if text.parting is None else text.parting
            for step, (token, nats) in enumerate(zip(text.tokens, text.surprise, strict=True)):
                rows.append((text.name, each.title, step, token, round(nats, 4), step >= parting))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def first_partings(one: Question) -> list[int]:
    """After how many common tokens each pruned text of a question parts, in order; those that
    never part are left out."""
    return sorted(each.parting for each in one.texts if each.parting is not None)
