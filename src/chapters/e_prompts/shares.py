"""What can a few prompts support? Intervals and tests of shares, in closed form."""

from math import exp, lgamma, pi, sqrt

import numpy as np
import pandas as pd

from helpers.evaluation.paired import LEVEL, normal, wilson


def prompts_needed(width: float, level: float = LEVEL) -> int:
    """The fewest prompts whose interval is at most ``width`` wide, whatever the share is: Wilson's
    interval is widest at one half, where its width is z / √(n + z²)."""
    z = normal(level)
    return max(1, int(np.ceil((z / width) ** 2 - z**2)))


def fewest_flips(n: int, level: float = LEVEL) -> int | None:
    """How many of ``n`` paired answers must change, all in one direction, for a two-sided sign
    test to call it a change: the fewest m with 2 · (1/2)ᵐ ≤ 1 − ``level``; None beyond n."""
    flips = int(np.ceil(np.log2(2 / (1 - level))))
    return flips if flips <= n else None


def bootstrap_coverage(n: int, level: float = LEVEL) -> float:
    """How often a percentile bootstrap interval of a mean holds the truth, for ``n`` ≥ 2 normal
    values and many resamples.

    The interval reaches z √((n − 1)/n) standard errors to either side where Student's t asks for
    its own, larger quantile. So this is P(|t| ≤ z √((n − 1)/n)) with n − 1 degrees of freedom.
    """
    freedom = n - 1
    t = np.linspace(0.0, normal(level) * sqrt(freedom / n), 2001)
    ratio = exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2))
    density = ratio / sqrt(freedom * pi) * (1 + t**2 / freedom) ** (-(freedom + 1) / 2)
    return float(2 * np.trapezoid(density, t))


def support(sizes: list[int]) -> pd.DataFrame:
    """What each number of prompts, at least 2, can tell of a share; one row for each."""
    rows = []
    for n in sizes:
        flips = fewest_flips(n)
        rows.append(
            {
                "Prompts": str(n),
                "Half right": _interval(n // 2, n),
                "All right": _interval(n, n),
                "Losses": "out of reach" if flips is None else str(flips),
                "Covers": f"{bootstrap_coverage(n):.0%}",
            }
        )
    return pd.DataFrame(rows)


def _interval(successes: int, n: int) -> str:
    low, high = wilson(successes, n)
    return f"{low:.0%}–{high:.0%}"
