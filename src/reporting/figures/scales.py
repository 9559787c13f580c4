"""Linear and logarithmic axes: ticks and numbers as words, the same for both renderers.

Values and ranges are in data units throughout; `placed` gives the position along an axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.ticker import MaxNLocator

Range = tuple[float, float]
Tick = tuple[float, str]

SCALES = ("linear", "log")
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PLAIN = (1e-3, 1e4)  # log axes within these decades show 0.001, and others 10⁻³
_USUAL = (0.05, 1e4)  # linear axes of at least this span, up to this size, need no care


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
    if scale == "log":
        places = [math.log10(value) for value in values if value > 0]
        low, high = (min(places), max(places)) if places else (-1.0, 0.0)
        margin = max(0.04 * (high - low), 0.03) if high > low else 0.5
        return (10 ** (low - margin), 10 ** (high + margin))
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    margin = 0.04 * (high - low) or 0.5
    return (low - margin, high + margin)


def ticks(limits: Range, scale: str = "linear", whole: bool = False, most: int = 5) -> list[Tick]:
    """At most about `most` ticks with their texts; none where the renderer's own serve.

    `whole` asks for whole numbers, such as decoding steps.
    """
    low, high = limits
    size = max(abs(low), abs(high))
    if scale == "log":
        values = _decades(low, high, most)
    elif whole or high - low < _USUAL[0] or size >= _USUAL[1]:
        values = _even(low, high, most, whole)
    else:
        return []
    shown = [abs(value) for value in values if value]
    small, large = min(shown, default=1.0), max(shown, default=1.0)
    if scale == "log":
        powers = small < _PLAIN[0] * 0.999 or large > _PLAIN[1] * 1.001
        return [(value, _power_text(value) if powers else _plain_text(value)) for value in values]
    if 1e-3 <= size < 1e6:
        return [(value, _plain_text(value)) for value in values]
    exponent = math.floor(math.log10(large) + 1e-9)
    return [(value, _power_text(value, exponent)) for value in values]


def short(value: float, digits: int = 3) -> str:
    """A number in words for a person, with powers of ten where it is tiny or huge.

    >>> short(0.000012), short(0.25)
    ('1.2×10⁻⁵', '0.25')
    """
    text = f"{value:.{digits}g}"
    if "e" not in text:
        return text
    if 1 <= abs(value) < 1e6:
        return f"{value:.0f}"
    mantissa, exponent = text.split("e")
    return f"{mantissa}×10{_raised(int(exponent))}"


def _even(low: float, high: float, most: int, whole: bool) -> list[float]:
    """Evenly spaced round numbers within the range."""
    found = MaxNLocator(most, integer=whole, min_n_ticks=1, steps=[1, 2, 2.5, 5, 10]).tick_values(
        low, high
    )
    room = 1e-9 * (high - low)
    inside = [float(value) for value in found if low - room <= value <= high + room]
    return [round(value) for value in inside if value == round(value)] if whole else inside


def _decades(low: float, high: float, most: int) -> list[float]:
    """Powers of ten; with 2, 3 and 5 times these where the range holds few of them."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    exponents = range(first, last + 1)

    def inside(factors: Sequence[int], step: int = 1) -> list[float]:
        every = [
            factor * 10.0**exponent
            for exponent in exponents
            if exponent % step == 0
            for factor in factors
        ]
        return [value for value in every if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]

    step = 1
    while len(inside((1,), step)) > most:
        step += 1
    found = inside((1,), step)
    if len(found) > 2:
        return found
    for factors in ((1, 2, 5), (1, 3)):
        if 2 <= len(inside(factors)) <= most:
            return inside(factors)
    return found if len(found) == 2 else _even(low, high, most, whole=False)


def _plain_text(value: float) -> str:
    return f"{value:.10g}".replace("-", "−")


def _power_text(value: float, exponent: int | None = None) -> str:
    """`10⁻³`, `2×10⁻⁵`, and 1 and 0 as they are; `exponent` may be given for a whole axis."""
    if value == 0:
        return "0"
    if exponent is None:
        exponent = math.floor(math.log10(abs(value)) + 1e-9)
    mantissa = f"{value / 10.0**exponent:.4g}".replace("-", "−")
    if exponent == 0:
        return mantissa
    power = f"10{_raised(exponent)}" if exponent != 1 else "10"
    return power if mantissa == "1" else f"{mantissa}×{power}"


def _raised(exponent: int) -> str:
    return str(exponent).translate(_SUPERSCRIPTS)
