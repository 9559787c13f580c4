"""The sentences of the panel for one setting. The page's script says the same, word for word."""

from __future__ import annotations

from collections.abc import Mapping

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
NOTHING = 1e-12  # below this the truth is rounding, and no estimate can be judged by it


def number(value: float, digits: int = 3) -> str:
    """A number of `digits` significant digits, as a power of ten where it is small or large.

    >>> number(0.41234), number(4.1e-7), number(1234.0)
    ('0.412', '4.1 × 10⁻⁷', '1230')
    """
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    if value and not -3 <= int(exponent) < 5:
        return f"{float(mantissa):g} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    return f"{float(f'{mantissa}e{exponent}'):g}"


def cosine(value: float) -> str:
    """A cosine of four decimals; one that rounds to 1 is told apart from 1."""
    if 0.99995 <= value < 1:
        return "above 0.9999"
    return f"{value:z.4f}".replace("-", "−")


def judgement(estimate: float, truth: float) -> str:
    """How far an estimate is from the truth, in words after a comma; both positive."""
    if truth < NOTHING:
        return ""
    ratio = estimate / truth
    if abs(ratio - 1) <= 0.005:
        return ", right to half a percent"
    if ratio < 0.5:
        return f", {number(1 / ratio, 2)} times too little" if ratio else ", nothing at all"
    if ratio < 2:
        return f", {abs(ratio - 1) * 100:.0f}% too {'much' if ratio > 1 else 'little'}"
    return f", {number(ratio, 2)} times too much"


def sentences(reading: Mapping[str, float]) -> dict[str, str]:
    """HTML sentences on the angle of p, on KL and on the logits, from one row of `readings`."""
    angular, kl = reading["angular"], reading["kl"]

    def estimate(name: str, key: str, truth: float) -> str:
        return f"{name} says {_data(key, reading[key])}{judgement(reading[key], truth)}."

    return {
        "angular": (
            f"<b>Angle of p.</b> In truth 1 − cos(p, q) is {_data('angular', angular)}. "
            f"{estimate('Theorem 2', 'theorem_2', angular)} "
            f"{estimate('The bounded form', 'bounded', angular)}"
        ),
        "kl": (
            f"<b>KL.</b> In truth KL(p‖q) is {_data('kl', kl)} nats. "
            f"{estimate('Theorem 3', 'theorem_3', kl)}"
        ),
        "logits": (
            f"<b>Logits.</b> The cosine of z and z + Δz is {_data('cosine', reading['cosine'])}, "
            f"and {_data('cosine_centred', reading['cosine_centred'])} "
            f"with the mean logit taken out."
        ),
    }


def _data(name: str, value: float) -> str:
    text = cosine(value) if name.startswith("cosine") else number(value)
    return f'<data data-reading="{name}" value="{value!r}">{text}</data>'
