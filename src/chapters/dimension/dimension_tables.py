"""Width or nonlinearity? The numbers of :mod:`dimensions` in tables, with verdicts."""

import numpy as np
import pandas as pd

from chapters.dimension.dimensions import AS_IS, FAMILIES, READOUTS, Widths, sublayer_means
from reporting.estimates import CLOSE
from reporting.hierarchy import verdict
from reporting.reach import Estimate


def factor_table(found: Widths, lens: str) -> pd.DataFrame:
    """What multiplies 1 − cos when one thing changes and the others are held fixed."""
    first, last = found.widths[0], found.widths[-1]
    rows: list[dict[str, str]] = []
    for readout, words in ({AS_IS: AS_IS} | READOUTS).items():
        rows.append(
            {"changed": f"outputs, {first} to {last:,}", "held fixed": words}
            | {
                label: found.by_width(lens, family, readout).text()
                for family, label in FAMILIES.items()
            }
        )
    steps = (
        ("linear to softmax at unit spread", "unit", "linear"),
        ("unit spread to the model's own", "softmax", "unit"),
        ("linear to softmax, both", "softmax", "linear"),
    )
    for words, after, before in steps:
        for width in dict.fromkeys((first, last)):
            rows.append(
                {"changed": words, "held fixed": f"{width:,} outputs"}
                | {
                    label: found.by_readout(lens, family, after, before, width).text()
                    for family, label in FAMILIES.items()
                }
            )
    return pd.DataFrame(rows)


def count_table(table: pd.DataFrame, lens: str) -> pd.DataFrame:
    """In how many sublayers does the mean 1 − cos rise when one thing changes?"""
    means = sublayer_means(table, lens)
    widths = means.columns.get_level_values("width")
    first, last = int(widths.min()), int(widths.max())
    compared = {
        f"{last:,} outputs over {first}, linear": (("linear", last), ("linear", first)),
        f"{last:,} outputs over {first}, softmax": (("softmax", last), ("softmax", first)),
        f"softmax over linear, {first} outputs": (("softmax", first), ("linear", first)),
        f"softmax over linear, {last:,} outputs": (("softmax", last), ("linear", last)),
    }
    return pd.DataFrame(
        [
            {"compared": words}
            | {
                label: f"{(means[family, *after] > means[family, *before]).sum()} of {len(means)}"
                for family, label in FAMILIES.items()
            }
            for words, (after, before) in compared.items()
        ]
    )


def spread_table(found: Widths) -> pd.DataFrame:
    """How wide the logits spread, and on how many outputs the softmax puts its mass."""
    first, last = found.widths[0], found.widths[-1]
    return pd.DataFrame(
        [
            {
                "lens": lens,
                "read by": label,
                "spread of the logits": found.mean(lens, family, "linear", last, "spread").text(
                    ".1f"
                ),
            }
            | {
                f"effective outputs of {width:,}": found.mean(
                    lens, family, "softmax", width, "effective"
                ).text(".1f")
                for width in dict.fromkeys((first, last))
            }
            for lens in ("raw", "normed")
            for family, label in FAMILIES.items()
        ]
    )


def concentration_table(found: pd.DataFrame) -> pd.DataFrame:
    """:func:`concentration` in words."""
    return pd.DataFrame(
        {
            "outputs": [f"{width:,}" for width in found["width"]],
            "mean ratio": found["mean"].map("{:.3f}".format),
            "nine in ten lie in": [
                f"{low:.2f}–{high:.2f}"
                for low, high in zip(found["low"], found["high"], strict=True)
            ],
            "by chance": [
                f"{low:.2f}–{high:.2f}"
                for low, high in zip(found["chance_low"], found["chance_high"], strict=True)
            ],
        }
    )


def verdicts(found: Widths, lens: str) -> pd.DataFrame:
    """What dimension does and what the softmax does, for one lens: criterion, number, verdict."""
    first, last = found.widths[0], found.widths[-1]
    linear, softmax = (
        {family: found.by_width(lens, family, readout) for family in FAMILIES}
        for readout in ("linear", "softmax")
    )
    added, unit = (
        {
            family: [
                found.by_readout(lens, family, readout, "linear", width) for width in found.widths
            ]
            for family in FAMILIES
        }
        for readout in ("softmax", "unit")
    )
    more = {
        family: found.estimate(
            _square(found.column(lens, family, "softmax", first))
            / found.column(lens, family, "linear", first)
            / found.column(lens, family, "softmax", last)
        )
        for family in FAMILIES
    }
    same = {
        family: found.estimate(
            found.column(lens, family, "linear", last, "agreement")
            - found.column(lens, family, "linear", first, "agreement")
        )
        for family in FAMILIES
    }
    low, high = CLOSE
    factor = f"{last:,} outputs over {first}"
    flat = [one.above(low) and one.below(high) for one in linear.values()]
    table = pd.DataFrame(
        [
            {
                "claim": "Dimension alone does not explain the gap (Section 5)",
                "criterion": f"linear, {factor}: between {low} and {high}; softmax over linear at "
                f"{first} outputs: above 1",
                "measured": _each({family: each[0] for family, each in added.items()}),
                "verdict": verdict(*flat, *(each[0].above(1) for each in added.values())),
            },
            {
                "claim": "Read linearly, the number of outputs does not matter",
                "criterion": f"1 − cos, {factor}: between {low} and {high}",
                "measured": _each(linear),
                "verdict": verdict(*flat),
            },
            {
                "claim": "At the same number of outputs, the softmax deviates more",
                "criterion": "1 − cos, softmax over linear: above 1 at every number of outputs",
                "measured": _least(added),
                "verdict": verdict(*(one.above(1) for each in added.values() for one in each)),
            },
            {
                "claim": "Through the softmax, more outputs deviate more",
                "criterion": f"1 − cos of the softmax, {factor}: above 1",
                "measured": _each(softmax),
                "verdict": verdict(*(one.above(1) for one in softmax.values())),
            },
            {
                "claim": "The softmax matters more than the number of outputs",
                "criterion": f"softmax over linear at {first} outputs, divided by {factor} "
                "through the softmax: above 1",
                "measured": _each(more),
                "verdict": verdict(*(one.above(1) for one in more.values())),
            },
            {
                "claim": "At unit spread the softmax adds nothing",
                "criterion": f"1 − cos, softmax at unit spread over linear: below {high} at every "
                "number of outputs",
                "measured": _most(unit),
                "verdict": verdict(*(one.below(high) for each in unit.values() for one in each)),
            },
            {
                "claim": "Among more outputs the largest one changes more often",
                "criterion": f"share with the same largest output, {last:,} minus {first}: below 0",
                "measured": _each(same),
                "verdict": verdict(*(one.below(0) for one in same.values())),
            },
        ]
    )
    if not found.enough:
        table["verdict"] = "too few prompts"
    return table[["claim", "verdict", "measured", "criterion"]]


def _square(values: np.ndarray) -> np.ndarray:
    result: np.ndarray = values**2
    return result


def _each(found: dict[str, Estimate]) -> str:
    return "; ".join(f"{FAMILIES[family]} {one.text()}" for family, one in found.items())


def _least(found: dict[str, list[Estimate]]) -> str:
    """The smallest of each family, whose lower end the criterion looks at."""
    ends = {
        family: min(each, key=lambda one: one.value if one.low is None else one.low)
        for family, each in found.items()
    }
    return f"least: {_each(ends)}"


def _most(found: dict[str, list[Estimate]]) -> str:
    ends = {
        family: max(each, key=lambda one: one.value if one.high is None else one.high)
        for family, each in found.items()
    }
    return f"most: {_each(ends)}"
