"""The table of written tokens: two models' texts, where they part, and how likely each token is."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
from torch import Tensor

from helpers.texts.data import Prompt
from runs.columns import (
    CATEGORY,
    COUNT,
    FLAG,
    NUMBER,
    PROMPT,
    SEED,
    STEP,
    STRING,
    TEXT,
    TOKEN,
    Column,
)

TOKENS = (
    PROMPT,
    CATEGORY,
    SEED,
    Column(
        "writer",
        TEXT,
        "whose text it is; control: the pruned model's, with its own second choice now and then; "
        "forced: what the pruned model would choose at each step of the dense text",
        ("dense", "pruned", "control", "forced"),
    ),
    Column(
        "every",
        COUNT,
        "in the pruned model's text, one token in so many is the dense model's choice, or in the "
        "control the second choice; 0: none",
    ),
    STEP,
    TOKEN,
    Column("text", STRING, "text of the token"),
    Column(
        "parted",
        FLAG,
        "whether this token, or one before it, differs between the dense and the pruned text",
    ),
    Column("beyond", FLAG, "whether the other text had ended before this step"),
    Column(
        "value",
        NUMBER,
        "log-likelihood of the token in nats, as the dense model gives it after this text so far",
    ),
)


@dataclass(frozen=True)
class Writing:
    """Texts by one writer, one for each row, with the dense model's log-likelihood of every token.

    ``every``: in the pruned model's text one token in so many is the dense model's; 0 for none.
    """

    writer: str
    written: list[list[int]]
    likelihoods: list[Tensor]
    every: int = 0


def token_table(
    rows: list[tuple[int, Prompt]],
    writings: list[Writing],
    tokenizer: Any,
) -> pd.DataFrame:
    """Table ``tokens`` of ``writings``; the first is the dense text that the others part from.

    ``rows`` names each text by its seed and prompt.
    """
    dense = writings[0].written
    records = []
    for writing in writings:
        for row, (seed, prompt) in enumerate(rows):
            own = writing.written[row]
            other = dense[row] if writing is not writings[0] else _partner(writings, row)
            parted = False
            likelihoods = writing.likelihoods[row].tolist()
            for step, (token, text, value) in enumerate(
                zip(own, pieces(tokenizer, own), likelihoods, strict=True)
            ):
                parted |= step >= len(other) or token != other[step]
                records.append(
                    {
                        "prompt": prompt.id,
                        "category": prompt.category,
                        "seed": seed,
                        "writer": writing.writer,
                        "every": writing.every,
                        "step": step,
                        "token": token,
                        "text": text,
                        "parted": parted,
                        "beyond": step >= len(other),
                        "value": value,
                    }
                )
    return pd.DataFrame(records)


def pieces(tokenizer: Any, tokens: list[int]) -> list[str]:
    """What each token adds to the text so far. A token decoded alone loses the space before it
    where words are marked at their beginning, as with SentencePiece."""
    found, before = [], ""
    for end, token in enumerate(tokens, start=1):
        text = tokenizer.decode(tokens[:end])
        # a letter of several tokens is a replacement sign until its last one comes
        grown = text.startswith(before)
        found.append(text[len(before) :] if grown else tokenizer.decode([token]))
        before = text
    return found


def _partner(writings: list[Writing], row: int) -> list[int]:
    """The text that the dense one is compared with: the pruned model's own."""
    return next(one.written[row] for one in writings if one.writer == "pruned")
