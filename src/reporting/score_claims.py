"""Claims about what pruning leaves of a score, with their criteria, and whether they held."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from reporting.reach import Estimate
from reporting.resampling import judged

KEPT, HALF = 0.8, 0.5  # comparable: at least this share is left; collapsed: less than that
AT_FLOOR, FEW = "at floor", "too few questions"


@dataclass(frozen=True)
class Claim:
    """A claim: what is measured of each pruned model, by name, and the bounds it must lie in."""

    claim: str
    criterion: str
    answers: Mapping[str, Estimate]
    low: float = -math.inf
    high: float = math.inf
    paper: str = "–"
    percent: bool = True
    questions: int = 0

    @property
    def verdict(self) -> str:
        """``held`` in every model, ``partly`` in some, ``not``, ``open``; or why there is none."""
        if not self.answers:
            return AT_FLOOR
        words = judged(self.answers.values(), self.low, self.high)
        return FEW if words.startswith("too few") else words

    @property
    def measured(self) -> str:
        """Every number with its interval, and how many questions are behind each, if known."""
        form = ".0%" if self.percent else ".2f"
        listed = "; ".join(f"{name} {one.text(form)}" for name, one in self.answers.items())
        return listed + (f" (n = {self.questions})" if listed and self.questions else "") or "–"


def stays(claim: str, answers: Mapping[str, Estimate], paper: str = "–", n: int = 0) -> Claim:
    """That most of a score is left; ``answers`` are shares kept, of ``n`` questions."""
    criterion = f"at least {KEPT:.0%} of the score above guessing is left"
    return Claim(claim, criterion, answers, low=KEPT, paper=paper, questions=n)


def falls(claim: str, answers: Mapping[str, Estimate], paper: str = "–", n: int = 0) -> Claim:
    """That most of a score is gone; ``answers`` are shares kept, of ``n`` questions."""
    criterion = f"less than {HALF:.0%} of the score above guessing is left"
    return Claim(claim, criterion, answers, high=HALF, paper=paper, questions=n)


def form_decides(claim: str, answers: Mapping[str, Estimate], n: int = 0) -> Claim:
    """That the same questions lose more when written; ``answers`` say by how much."""
    criterion = "generation loses more than multiple choice, asked the same"
    return Claim(claim, criterion, answers, low=0.0, percent=False, questions=n)


def claim_table(claims: Iterable[Claim]) -> pd.DataFrame:
    """Claims with verdict, measured numbers, what the paper's own numbers give, and criterion."""
    return pd.DataFrame(
        [
            {
                "claim": one.claim,
                "verdict": one.verdict,
                "measured": one.measured,
                "the paper's": one.paper,
                "criterion": one.criterion,
            }
            for one in claims
        ]
    )
