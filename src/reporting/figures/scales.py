"""Linear and logarithmic axes: ranges, ticks and numbers as words, the same for both renderers.

Values and ranges are in data units throughout; `placed` gives the position along an axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

Range = tuple[float, float]
Tick = tuple[float, str]

SCALES = ("linear", "log")
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PLAIN = (0.99e-3, 1.01e4)  # log axes between these show 0.001, and others 10⁻³


def placed(value: float, scale: str) -> float:
    """Where a value lies along its axis: the value itself, or its decimal logarithm.

    >>> placed(0.01, "log")
    -2.0
    """
    return math.log10(value) if scale == "log" else value


def unplaced(position: float, scale: str) -> float:
    """The value at a position along the axis: the inverse of `placed`."""
    return 10.0**position if scale == "log" else position


def extent(given: Sequence[Range | None], values: Sequence[float], scale: str = "linear") -> Range:
    """The union of the ranges that were given or, where none was, of the values and a margin.

    The margin is added on a linear axis, and multiplied on a logarithmic one.
    """
    limits = [pair for pair in given if pair is not None]
    if limits:
        return (min(low for low, _ in limits), max(high for _, high in limits))
    kept = [placed(value, scale) for value in values if scale != "log" or value > 0]
    low, high = (min(kept), max(kept)) if kept else (0.0, 1.0)
    margin = 0.04 * (high - low) or 0.5
    return (unplaced(low - margin, scale), unplaced(high + margin, scale))


def ticks(limits: Range, scale: str = "linear", whole: bool = False, most: int = 5) -> list[Tick]:
    """At most about `most` ticks with their texts.

    `whole` asks for whole numbers, such as decoding steps.
    """
    values = _even(limits, most, whole) if scale == "linear" else _decades(limits, most)
    plain = scale == "linear" or (_PLAIN[0] < min(values) and max(values) < _PLAIN[1])
    texts = [short(each, 8) if plain else _power(each, 8).removeprefix("1×") for each in values]
    return [(value, text.replace("-", "−")) for value, text in zip(values, texts, strict=True)]


def short(value: float, digits: int = 3) -> str:
    """A number in words for a person, with powers of ten where it is tiny or huge.

    >>> short(0.000012), short(0.25)
    ('1.2×10⁻⁵', '0.25')
    """
    text = f"{value:.{digits}g}"
    if "e" not in text:
        return text
    return f"{value:.0f}" if 1 <= abs(value) < 1e6 else _power(value, digits)


def _power(value: float, digits: int) -> str:
    """`2×10⁻⁵`, and `2` where the power would be zero."""
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    raised = "" if int(exponent) == 1 else str(int(exponent)).translate(_SUPERSCRIPTS)
    return f"{float(mantissa):g}" + (f"×10{raised}" if int(exponent) else "")


def _even(limits: Range, most: int, whole: bool = False) -> list[float]:
    """Evenly spaced round numbers within the range."""
    found = MaxNLocator(most, integer=whole, min_n_ticks=1, steps=[1, 2, 2.5, 5, 10])
    values = _within(limits, found.tick_values(*limits))
    return [round(value) for value in values if value == round(value)] if whole else values


def _decades(limits: Range, most: int) -> list[float]:
    """Powers of ten; with 2, 3 and 5 times these where the range holds few of them."""
    first, last = (math.floor(math.log10(limit)) for limit in limits)
    exponents = np.arange(first, last + 2)
    powers = _within(limits, 10.0**exponents)
    step = math.ceil(len(powers) / most)
    if len(powers) > 2:
        return powers if step == 1 else _within(limits, 10.0 ** exponents[exponents % step == 0])
    for factors in ((1, 2, 5), (1, 3)):
        values = _within(limits, np.outer(10.0**exponents, factors).ravel())
        if 2 <= len(values) <= most:
            return values
    return powers if len(powers) == 2 else _even(limits, most)


def _within(limits: Range, values: Sequence[float] | np.ndarray) -> list[float]:
    """The values inside the limits, or on them but for rounding."""
    low, high = limits
    edge = [np.isclose(values, limit, rtol=1e-9, atol=0) for limit in limits]
    inside = (np.asarray(values) >= low) & (np.asarray(values) <= high)
    return [float(value) for value in np.asarray(values)[inside | edge[0] | edge[1]]]
