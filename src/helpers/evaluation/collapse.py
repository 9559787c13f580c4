"""How does a text collapse? Measures of texts: loops, variety, likelihood, stock phrases."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

LONGEST_UNIT = 16  # tokens: what repeats itself in a loop is at most so long
TIMES = 3  # it stands there at least so often in a row
SHORTEST_LOOP = 8  # tokens: shorter ones, such as 000, are no loop
GRAMS = (1, 2, 3)
PHRASE = 4  # tokens: so long a piece of text is a phrase


def loops(tokens: Sequence[int]) -> np.ndarray:
    """Which of the tokens (N,) stand in a loop: bool (N,).

    A loop is a stretch in which one unit of 1 to ``LONGEST_UNIT`` tokens follows itself, at least
    ``TIMES`` times and over at least ``SHORTEST_LOOP`` tokens in all. The last round may be cut
    off. Repeats that change a single token each time are no loop: ``distinct`` sees those.

    >>> loops([7, 8, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1]).sum()
    10
    """
    found = np.zeros(len(tokens), bool)
    for first, last in _stretches(tokens):
        found[first:last] = True
    return found


def longest_loop(tokens: Sequence[int]) -> int:
    """Length in tokens of the longest loop, as :func:`loops` defines one; 0 without any."""
    return max((last - first for first, last in _stretches(tokens)), default=0)


def distinct(tokens: Sequence[int], n: int) -> float:
    """Share of the n-grams of a text that are different ones, in (0, 1]: distinct-n.

    NaN for a text of fewer than n tokens. It falls with the length of a text, so texts are
    compared at equal length.
    """
    grams = list(zip(*(tokens[start:] for start in range(n)), strict=False))
    return len(set(grams)) / len(grams) if grams else math.nan


def surprise(log_likelihoods: Sequence[float]) -> float:
    """Mean of −log p in nats per token; its exponential is the perplexity. NaN for no token."""
    return -float(np.mean(log_likelihoods)) if len(log_likelihoods) else math.nan


def shared(texts: Sequence[Sequence[int]], n: int = PHRASE) -> list[float]:
    """For each of several texts, the share of its phrases of n tokens that stand in another one.

    NaN for a text of fewer than n tokens.

    >>> shared([[1, 2, 3], [9, 1, 2], [7, 8]], n=2)
    [0.5, 0.5, 0.0]
    """
    phrases = [[tuple(text[at : at + n]) for at in range(len(text) - n + 1)] for text in texts]
    holders = Counter(phrase for each in phrases for phrase in set(each))
    return [
        sum(holders[phrase] > 1 for phrase in each) / len(each) if each else math.nan
        for each in phrases
    ]


def measures(tokens: pd.DataFrame, limit: int) -> pd.DataFrame:
    """One row per text of rows of table ``tokens``, by ``prompt``, ``seed`` and ``writer``.

    ``text``; ``ids`` of its tokens, and their count ``tokens``; ``ended`` (by itself, before
    ``limit`` tokens); ``looped`` (share of its tokens in loops) and ``longest`` loop in tokens;
    ``distinct_1`` to ``_3``; ``nats`` per token in the dense model's eyes, and ``nats_parted`` from
    the first different token on, ``nats_looped`` in loops and ``nats_free`` outside (NaN without
    such tokens); ``parting``, the tokens before that one
    (infinite where they never part); ``shared``, the share of its phrases that stand in texts for
    other prompts by the same writer.
    """
    rows = []
    for key, part in tokens.groupby(["prompt", "seed", "writer"], sort=False):
        part = part.sort_values("step")
        own, parted = part["token"].tolist(), part["parted"].to_numpy()
        inside = loops(own)
        row: dict[str, object] = dict(zip(("prompt", "seed", "writer"), key, strict=True))
        row |= {
            "category": part["category"].iloc[0],
            "text": "".join(part["text"]),
            "ids": tuple(own),
            "tokens": len(own),
            "ended": len(own) < limit,
            "looped": float(inside.mean()),
            "longest": longest_loop(own),
            "nats": surprise(part["value"]),
            "nats_parted": surprise(part["value"][parted]),
            "nats_looped": surprise(part["value"][inside]),
            "nats_free": surprise(part["value"][~inside]),
            "parting": float(parted.argmax()) if parted.any() else math.inf,
        }
        rows.append(row | {f"distinct_{n}": distinct(own, n) for n in GRAMS})
    found = pd.DataFrame(rows)
    for _, part in found.groupby(["seed", "writer"]):
        found.loc[part.index, "shared"] = shared(part["ids"].tolist())
    return found


def _stretches(tokens: Sequence[int]) -> list[tuple[int, int]]:
    """Where loops begin and end, one entry for each unit's length that makes one."""
    values, found = np.asarray(tokens), []
    for unit in range(1, min(LONGEST_UNIT, len(values) // TIMES) + 1):
        again = np.concatenate([[False], values[unit:] == values[:-unit], [False]])
        edges = np.flatnonzero(again[1:] != again[:-1])  # where runs of repeats begin and end
        for first, last in list(pairwise(edges))[::2]:
            if last + unit - first >= max(TIMES * unit, SHORTEST_LOOP):
                found.append((int(first), int(last) + unit))
    return found
