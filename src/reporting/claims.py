"""Does a claim of the paper hold here? One claim, held to one criterion, and the table of several.

A criterion is fixed before the verdict and the same for every model. The table of claims in a
notebook also leaves them there as data, from which the claim ledger is made.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from reporting import figures, verdicts
from reporting.reported.claims import check_key
from reporting.statistics import Estimate
from reporting.verdicts import CONTRADICTED, IN_SOME, MARKS, SUPPORTED, TOO_FEW, TOO_WEAK, judge
from runs.store import Measurement

__all__ = ["CONTRADICTED", "IN_SOME", "MARKS", "SUPPORTED", "TOO_FEW", "TOO_WEAK", "judge"]

OURS = "ours"  # what a claim tests that the paper does not make
PAPER = "the paper's numbers"  # a column
MIME = "application/vnd.when-pruning-works.claims+json"
Conditions = Sequence[bool | None]


@dataclass(frozen=True)
class Printed:
    """What the paper's own numbers say to a claim: as text, and whether each meets the criterion;
    no condition where they cannot be held to it."""

    text: str
    conditions: Conditions = ()

    @classmethod
    def of(
        cls,
        found: Mapping[str, float],
        low: float = -np.inf,
        high: float = np.inf,
        form: str = ".2f",
    ) -> "Printed":
        """Numbers without interval, each of which should lie between ``low`` and ``high``."""
        text = listed({name: Estimate(value) for name, value in found.items()}, form)
        return cls(text if found else "", [low < value < high for value in found.values()])

    @property
    def verdict(self) -> str:
        """The verdict on them; empty where they cannot be held to the criterion."""
        return judge(self.conditions) if self.conditions else ""

    def __str__(self) -> str:
        return f"{verdicts.marked(self.verdict)}: {self.text}" if self.conditions else self.text


@dataclass(frozen=True)
class Claim:
    """A claim in a sentence; the key of the paper's claim that it ``tests``, or ``OURS``; what was
    measured; the criterion that it was held to, with the conditions in it that are met (True), not
    met (False) or undecided (None); the numbers behind them, where they are estimates; and what
    the paper's own numbers give. Raises ValueError for a key that no claim of the paper has."""

    claim: str
    tests: str
    measured: str
    criterion: str
    conditions: Conditions
    paper: Printed = Printed("")
    numbers: Mapping[str, Estimate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.tests != OURS:
            check_key(self.tests)

    @classmethod
    def of(
        cls,
        claim: str,
        tests: str,
        found: Mapping[str, Estimate],
        criterion: str,
        *,
        low: float = -np.inf,
        high: float = np.inf,
        form: str = ".2f",
        paper: Mapping[str, float] | str = "",
        counting: bool = False,
        judged: bool = True,
    ) -> "Claim":
        """A claim on one number of each of several models, ``found``, whose whole interval must
        lie between ``low`` and ``high``, as the ``paper``'s numbers must, or a text says where it
        draws them; measured shows all, with how many questions are behind them if ``counting``.
        Too few data where they are not ``judged``."""
        bounds = (low, high)
        printed = Printed(paper) if isinstance(paper, str) else Printed.of(paper, *bounds, form)
        met = conditions(found.values() if judged else (), *bounds)
        measured = listed(found, form) + (counted(found) if counting else "")
        return cls(claim, tests, measured, criterion, met, printed, found)

    @property
    def verdict(self) -> str:
        """The verdict on all conditions together."""
        return judge(self.conditions)

    def data(self) -> dict[str, Any]:
        """The claim as JSON holds it."""
        return {
            "claim": self.claim,
            "tests": self.tests,
            "measured": self.measured,
            "numbers": [
                {"of": name, "n": one.n}
                | {part: _plain(getattr(one, part)) for part in ("value", "low", "high")}
                for name, one in self.numbers.items()
            ],
            "criterion": self.criterion,
            "conditions": [None if met is None else bool(met) for met in self.conditions],
            "verdict": self.verdict,
            "paper": self.paper.text,
            "paper_verdict": self.paper.verdict,
        }


def conditions(
    found: Iterable[Estimate], low: float = -np.inf, high: float = np.inf
) -> list[bool | None]:
    """Whether the whole interval of each estimate lies between ``low`` and ``high``."""
    return [one.within(low, high) for one in found]


def listed(found: Mapping[str, Estimate], form: str = ".2f") -> str:
    """``0.62 [0.55–0.71] (Drop-8A); 0.10 [0.05–0.12] (Drop-8M)``; a dash for none."""
    return "; ".join(f"{one.text(form)} ({name})" for name, one in found.items()) or "–"


def counted(found: Mapping[str, Estimate]) -> str:
    """How many questions are behind the largest of these numbers: `` (n = 49)``, or nothing."""
    numbers = [one.n for one in found.values() if one.n]
    return f" (n = {max(numbers)})" if numbers else ""


def claims_table(claims: Iterable[Claim]) -> pd.DataFrame:
    """Claims, one a row: verdict with its mark, measured, criterion; and the paper's own numbers
    with their verdict where a claim has any."""
    rows = [
        {
            "claim": one.claim,
            "verdict": verdicts.marked(one.verdict),
            "measured": one.measured,
            PAPER: str(one.paper),
            "criterion": one.criterion,
        }
        for one in claims
    ]
    table = pd.DataFrame(rows)
    return table if table[PAPER].any() else table.drop(columns=PAPER)


@dataclass(frozen=True)
class ClaimsOutput(figures.HtmlOutput):
    """A table of claims as the value of a notebook cell, and the claims as data."""

    claims: dict[str, Any]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {**super()._repr_mimebundle_(), MIME: self.claims}


def show(claims: Iterable[Claim], caption: str, measured: Measurement) -> ClaimsOutput:
    """The table of claims under a caption, with the legend of its signs; and the claims as data,
    with the run and the model that they were ``measured`` on."""
    claims = list(claims)
    shown = figures.table(claims_table(claims), caption)
    model = measured.manifest["facts"]["model"]
    data = {
        "run": measured.run,
        "table": caption,
        "model": {"name": model["name"], "size": model["size"]},
        "claims": [one.data() for one in claims],
    }
    return ClaimsOutput(shown.html + verdicts.legend(), shown.text, data)


def _plain(value: float | None) -> float | None:
    """What JSON can hold."""
    return float(value) if value is not None and math.isfinite(value) else None
