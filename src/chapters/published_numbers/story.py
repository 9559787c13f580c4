"""What the paper printed, held against itself: each function is one check."""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

VOCABULARY = 152_064  # rows of the head of the paper's model
READING = 1e-5  # nats, how exactly the printed KL can be read
MOST = -math.log(1e-12)  # nats that a KL can have with 1e-12 added inside its logarithms
BESIDE = 0.01  # how far beyond its range a value may lie for the rounding of the drawing


def least_cosine(kl: float, vocabulary: int) -> float:
    """A lower bound of the cosine of two distributions p and q with KL(p ‖ q) ≤ ``kl`` nats.

    With a = √p and b = √q, ‖a − b‖² ≤ KL. So ‖p − q‖ = ‖(a − b)(a + b)‖ is at most
    √KL (2 max a + √KL), where max a ≤ √‖p‖ and ‖p‖ is at least 1/√V. The angle is largest where
    q touches the ball of that radius about p. 0 where this says nothing.
    """
    root = math.sqrt(max(kl, 0.0))
    length = 1 / math.sqrt(vocabulary)
    sine = root * (2 / math.sqrt(length) + root / length)
    return math.sqrt(1 - sine**2) if sine < 1 else 0.0


def memory(values: pd.Series) -> float:
    """Correlation of a series with itself one step later; NaN for fewer than three values."""
    return float(values.autocorr()) if len(values) > 2 else math.nan


def impossible(kl: pd.Series, cosine: pd.Series) -> pd.DataFrame:
    """Printed steps at which KL leaves no room for the printed cosine: ``step``, ``kl``, ``cosine``
    and the ``least`` possible cosine."""
    most = kl.abs() + READING
    least = most.map(lambda one: least_cosine(one, VOCABULARY))
    found = pd.DataFrame({"kl": most, "cosine": cosine, "least": least})
    return found[cosine < least - READING].reset_index()


def undone(drawn: pd.Series, factor: float) -> pd.Series:
    """What was smoothed into ``drawn``, y: x with y_t = factor · x_t + (1 − factor) · y_(t−1) and
    y_0 = x_0. Rounding of y grows by (2 − factor) / factor at most."""
    return ((drawn - (1 - factor) * drawn.shift()) / factor).fillna(drawn)


def extremes(drawn: pd.DataFrame, factors: Iterable[float]) -> pd.DataFrame:
    """Least and greatest value of each column once smoothing by each of the factors is undone:
    columns ``factor``, ``series`` (the column), ``least`` and ``greatest``."""
    rows = []
    for factor in factors:
        raw = drawn.apply(undone, factor=factor)
        for name in drawn.columns:
            rows.append((factor, name, raw[name].min(), raw[name].max()))
    return pd.DataFrame(rows, columns=["factor", "series", "least", "greatest"])


def smallest(found: pd.DataFrame, low: float, high: float) -> float:
    """The smallest factor of :func:`extremes` whose values all lie between ``low`` and ``high``."""
    fits = found["least"].ge(low - BESIDE) & found["greatest"].le(high + BESIDE)
    return float(fits.groupby(found["factor"]).all().pipe(lambda kept: kept.index[kept].min()))


def tracking(truth: pd.Series, estimate: pd.Series) -> dict[str, float]:
    """How an estimate goes with the truth: Pearson's correlation, the median of estimate / truth
    and the share of estimates within a tenth of the truth."""
    ratio = estimate / truth
    return {
        "correlation": float(np.corrcoef(truth, estimate)[0, 1]),
        "median ratio": float(ratio.median()),
        "within a tenth": float(ratio.sub(1).abs().le(0.1).mean()),
    }
