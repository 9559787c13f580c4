"""The table of written tokens: two models' texts, where they part, and how likely each token is."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
from torch import Tensor

from helpers.data import Prompt
from helpers.parameters import RunParameters


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
    parameters: RunParameters,
    run: str,
    rows: list[tuple[int, Prompt]],
    writings: list[Writing],
    tokenizer: Any,
) -> pa.Table:
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
            for step, (token, value) in enumerate(
                zip(own, writing.likelihoods[row].tolist(), strict=True)
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
                        "text": tokenizer.decode([token]),
                        "parted": parted,
                        "beyond": step >= len(other),
                        "value": value,
                    }
                )
    constant = {
        "run": run,
        "model": parameters.model,
        "method": parameters.method,
        "target": parameters.whole_target,
        "amount": parameters.whole_amount,
        "pattern": "",
    }
    return pa.Table.from_pandas(pd.DataFrame(records).assign(**constant), preserve_index=False)


def _partner(writings: list[Writing], row: int) -> list[int]:
    """The text that the dense one is compared with: the pruned model's own."""
    return next(one.written[row] for one in writings if one.writer == "pruned")
