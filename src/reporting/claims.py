"""Does a claim of the paper hold here? One claim, with one vocabulary of verdicts.

A criterion is fixed before the verdict and the same for every model.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reporting.statistics import Estimate

SUPPORTED = "supported"
IN_SOME = "in some"  # followed by how many: in some (2 of 3)
TOO_FEW = "too few data"  # no interval, or one that does not decide
CONTRADICTED = "contradicted"
TOO_WEAK = "model too weak"  # at its floor, where nothing can be lost
PAPER = "the paper's numbers"  # a column
MARKS = {SUPPORTED: "✓", IN_SOME: "◐", TOO_FEW: "?", CONTRADICTED: "✗", TOO_WEAK: "∅"}


@dataclass(frozen=True)
class Claim:
    """A claim in a sentence, what was measured, the criterion that it was held to, the verdict,
    and what the paper's own printed numbers give, if they can be held to it."""

    claim: str
    measured: str
    criterion: str
    verdict: str
    paper: str = ""

    @classmethod
    def of(
        cls,
        claim: str,
        found: Mapping[str, Estimate],
        criterion: str,
        *,
        low: float = -np.inf,
        high: float = np.inf,
        form: str = ".2f",
    ) -> "Claim":
        """A claim on one number of each of several models, ``found``, whose whole interval must
        lie between ``low`` and ``high``; measured shows all of them."""
        return cls(claim, listed(found, form), criterion, judged(found.values(), low, high))

    @property
    def mark(self) -> str:
        """The sign of the verdict."""
        return MARKS[self.verdict.partition(" (")[0]]


def judge(conditions: Iterable[bool | None]) -> str:
    """One verdict from conditions that are met (True), not met (False) or undecided (None), of one
    model or of several: supported if all are met, in some if some are, contradicted if none is and
    one is not; too few data if none is decided; and with no condition at all, a model too weak."""
    given = [None if one is None else bool(one) for one in conditions]
    if not given:
        return TOO_WEAK
    met = given.count(True)
    if met:
        return SUPPORTED if met == len(given) else f"{IN_SOME} ({met} of {len(given)})"
    return CONTRADICTED if False in given else TOO_FEW


def judged(found: Iterable[Estimate], low: float = -np.inf, high: float = np.inf) -> str:
    """The verdict on estimates whose whole interval must lie between ``low`` and ``high``."""
    return judge(one.within(low, high) for one in found)


def listed(found: Mapping[str, Estimate], form: str = ".2f") -> str:
    """``0.62 [0.55–0.71] (Drop-8A); 0.10 [0.05–0.12] (Drop-8M)``; a dash for none."""
    return "; ".join(f"{one.text(form)} ({name})" for name, one in found.items()) or "–"


def claims_table(claims: Iterable[Claim]) -> pd.DataFrame:
    """Claims, one a row: verdict with its mark, measured, criterion; and the paper's own numbers
    where a claim has any."""
    rows = [
        {
            "claim": one.claim,
            "verdict": f"{one.mark} {one.verdict}",
            "measured": one.measured,
            PAPER: one.paper,
            "criterion": one.criterion,
        }
        for one in claims
    ]
    table = pd.DataFrame(rows)
    return (
        table if table["the paper's numbers"].any() else table.drop(columns="the paper's numbers")
    )
