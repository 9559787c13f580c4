"""What do scores of the same questions, dense and pruned, allow to say? In closed form.

Everything takes what each question scores, from 0 to 1, as an array (N,) float64: 0 or 1 where an
answer is right or wrong, anything between where it is graded. An interval is None with fewer than
``FEWEST`` questions; no number is ever NaN.
"""

from math import lgamma, sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, stdtrit

Verdict = Literal["ok", "at_floor", "at_ceiling"]
Interval = tuple[float, float]

LEVEL = 0.95
FEWEST = 5  # questions, below which no interval is given
RIGHT = 0.5  # what an answer must score to count as right
FLOOR = 0.1  # a score that is not clearly above this shows nothing, whatever guessing gives
ALIKE = 1e-9  # graded scores that differ by less are all the same, which would promise too much
CEILING = 0.99  # a score that may be above this has nowhere to go


def scored(values: ArrayLike) -> np.ndarray:
    """``values`` (N,) as float64; :class:`ValueError` if one is missing or outside 0 to 1."""
    found = np.asarray(values, dtype=float)
    if found.ndim != 1 or not len(found):
        raise ValueError(f"scores stand in one row and there is one at least, not {found.shape}")
    if not ((found >= 0) & (found <= 1)).all():  # NaN is neither
        raise ValueError("a score lies between 0 and 1")
    return found


def binary(values: np.ndarray) -> bool:
    """Whether every answer (N,) is right (1) or wrong (0), none graded."""
    return bool(np.isin(values, (0.0, 1.0)).all())


def standard_error(values: ArrayLike) -> float | None:
    """Standard error of the mean, from the sample's standard deviation (N − 1), as lm-eval gives
    it; None of a single question."""
    found = scored(values)
    if len(found) < 2:
        return None
    return float(found.std(ddof=1) / sqrt(len(found)))


def score_interval(values: ArrayLike) -> Interval | None:
    """95% interval of one mean score, within 0 and 1.

    Wilson's, which holds up where few answers are right or wrong and where all are. Graded scores
    vary less than right and wrong ones of the same mean m: by d = s² / (m (1 − m)), so n of them
    tell as much as n / d right and wrong ones, the effective sample size of survey statistics. As
    Korn and Graubard do (Survey Methodology 24, 1998), that is multiplied by the square of the
    normal over Student's quantile, since s² itself is only estimated.
    """
    found = scored(values)
    n = len(found)
    if n < FEWEST:
        return None
    mean = float(found.mean())
    if binary(found):
        return wilson(float(found.sum()), n)
    ratio = min(1.0, float(found.var(ddof=1)) / (mean * (1 - mean)))
    if ratio < ALIKE:
        ratio = 1.0
    worth = n / ratio * (normal() / student(n - 1)) ** 2
    return wilson(mean * worth, worth)


def paired_difference(dense: ArrayLike, pruned: ArrayLike) -> float:
    """Mean of pruned − dense over the same questions."""
    before, after = _both(dense, pruned)
    return float(np.mean(after - before))


def paired_interval(dense: ArrayLike, pruned: ArrayLike) -> Interval | None:
    """95% interval of the mean of pruned − dense, within −1 and 1.

    Bonett and Price's interval for paired shares (Journal of Educational and Behavioral
    Statistics 37, 2012): the normal one, after a pair lost and a pair gained are added to those
    seen. Its coverage holds for few questions and where none flips, where a bootstrap would give
    an interval of width 0. Graded scores: the pairs added are as large as the largest difference
    seen (1 if there is none above ``ALIKE``), and Student's quantile stands for the normal one.
    """
    before, after = _both(dense, pruned)
    n = len(before)
    if n < FEWEST:
        return None
    difference = after - before
    largest = float(np.abs(difference).max())
    if largest < ALIKE:
        largest = 1.0
    added = np.array([*difference, largest, -largest])
    quantile = normal() if binary(before) and binary(after) else student(n - 1)
    half = quantile * sqrt(float(added.var()) / (n + 2))
    centre = float(added.mean())
    return max(-1.0, centre - half), min(1.0, centre + half)


def flips(dense: ArrayLike, pruned: ArrayLike) -> tuple[int, int]:
    """Questions lost (right when dense, wrong when pruned) and gained (the other way round).

    A graded answer counts as right from ``RIGHT`` on: half of what can be had.
    """
    before, after = (values >= RIGHT for values in _both(dense, pruned))
    return int((before & ~after).sum()), int((after & ~before).sum())


def mcnemar(lost: int, gained: int) -> float:
    """p value of McNemar's exact test, two-sided: how likely flips are split at least as
    unevenly, if each goes either way with probability 1/2.

    p = min(1, 2 Σ_{i ≤ min(lost, gained)} C(m, i) / 2ᵐ with m = lost + gained; 1 without flips.
    """
    if lost < 0 or gained < 0:
        raise ValueError(f"{lost} lost and {gained} gained are no counts")
    m, fewer = lost + gained, min(lost, gained)
    return min(1.0, 2 * float(bdtr(fewer, m, 0.5))) if lost != gained else 1.0


def log_binomial(n: int, k: int) -> float:
    """Natural logarithm of the number of ways to take ``k`` of ``n``."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def verdict(dense: ArrayLike, chance: ArrayLike = 0.0, pruned: ArrayLike | None = None) -> Verdict:
    """Whether scores of these questions allow a conclusion. ``chance`` is what guessing scores.

    ``at_floor``: the dense score is not clearly above guessing, or above ``FLOOR`` where guessing
    scores less: the lower end of its interval does not exceed it. Nothing that pruning does to
    such a score means anything. ``at_ceiling``: the dense score may be ``CEILING`` or more, and so
    may the pruned one where it is given: the questions are so easy that a loss need not show. A
    pruned score that falls from the ceiling is ``ok``. With too few questions for an interval the
    scores themselves are compared.
    """
    floor = max(float(np.mean(np.asarray(chance, dtype=float))), FLOOR)
    ends = [_ends(values) for values in (dense, pruned) if values is not None]
    if ends[0][0] <= floor:
        return "at_floor"
    return "at_ceiling" if all(high >= CEILING for _, high in ends) else "ok"


def wilson(successes: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a share, from ``successes`` among ``n`` independent draws (as
    many as they are worth, where that is no whole number).

    The shares p that a normal test would not refute: |k/n − p| ≤ z √(p(1 − p)/n). Raises
    :class:`ValueError` if the counts make no share.
    """
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"{successes} of {n} is no share")
    z2 = normal(level) ** 2
    share = successes / n
    centre = share + z2 / (2 * n)
    half = sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n)))
    low, high = (centre - half) / (1 + z2 / n), (centre + half) / (1 + z2 / n)
    return (low if successes else 0.0), (high if successes < n else 1.0)


def student(freedom: int, level: float = LEVEL) -> float:
    """Student's two-sided quantile: |t| stays below it with probability ``level``."""
    return float(stdtrit(freedom, (1 + level) / 2))


def normal(level: float = LEVEL) -> float:
    """The normal two-sided quantile."""
    return NormalDist().inv_cdf((1 + level) / 2)


def _ends(values: ArrayLike) -> Interval:
    mean = float(scored(values).mean())
    return score_interval(values) or (mean, mean)


def _both(dense: ArrayLike, pruned: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    before, after = scored(dense), scored(pruned)
    if len(before) != len(after):
        raise ValueError(f"{len(before)} questions when dense are {len(after)} when pruned")
    return before, after
