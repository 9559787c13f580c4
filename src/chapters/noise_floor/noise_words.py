"""What the noise chapter says: the tables of :mod:`noise` in words and short numbers."""

import math

import pandas as pd

from chapters.noise_floor.noise import CONDITIONS

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
RESOLUTION = 1e-16  # of float64 beside 1: smaller deviations are there, but tell nothing
ORDERS = ("batch", "cached", "one_thread")  # the same format, summed in another order


def answer(floor: pd.DataFrame, conclusion: str) -> str:
    """The chapter's answer, from :func:`floor` and :func:`conclusion`."""
    found = floor[floor["space"] == "probability"].set_index("condition")
    again = found.loc["again", "largest"]
    exact = "by exactly 0" if again == 0 else f"by up to {short(again)}"
    orders = [name for name in ORDERS if name in found.index]
    most = found.loc[orders, "largest"].max()
    text = (
        f"The same run twice deviates {exact}. Summing in another order, in float32, turns the "
        f"probabilities by at most {short(most)} (1 − cosine), where dropping one sublayer turns "
        f"them by {short(found['effect'].iloc[0])} in the median. "
    )
    if "bfloat16" not in found.index:
        return f"{text}A run in bfloat16 did not fit here; {conclusion}."
    narrow = found.loc["bfloat16"]
    return (
        f"{text}In bfloat16 the same dense model turns them by {short(narrow['median'])} in the "
        f"median and up to {short(narrow['largest'])}, and {conclusion}."
    )


def conclusion(judged: pd.DataFrame, first: str, second: str) -> str:
    """How many verdicts of :func:`claims_by_format` differ between two formats."""
    if (judged[first] == "too few prompts").any():
        return f"with so few prompts no claim is judged, in {first} or in {second}"
    differ = int((judged[first] != judged[second]).sum())
    return f"{second} changes {differ or 'none'} of the {len(judged)} verdicts on Section 5"


def headline(floor: pd.DataFrame) -> str:
    """Where noise is not small beside the effect, in the probability space."""
    share = floor[floor["space"] == "probability"].set_index("condition")["drowned"]
    orders = share.drop(["bfloat16", "float16"], errors="ignore").max()
    text = f"Noise exceeds a tenth of the effect in {100 * orders:.0f}% of places in float32"
    if "bfloat16" not in share.index:
        return text
    return f"{text} and in {100 * share['bfloat16']:.0f}% in bfloat16"


def top_words(top: pd.DataFrame) -> str:
    """:func:`chapters.noise_floor.noise.top_changes` as a sentence."""
    rows = [(name, row) for name, row in top.iterrows() if row["changed"]]
    if not rows:
        positions = int(top["n"].max())
        return f"At none of the {positions} positions does any row change the likeliest next token."
    found = " and ".join(
        f"at {row['changed']} of {row['n']} positions with *{CONDITIONS[name]}*"
        for name, row in rows
    )
    return f"The likeliest next token changes {found}."


def cost_of_float32(changed: pd.DataFrame) -> str:
    """What float32 costs the measured effects, from :func:`changed_effects`."""
    found = changed[changed["space"].eq("probability") & changed["metric"].eq("angular")]
    found = found.set_index("condition")
    if not {"float64", "projection"} <= set(found.index):
        return "A run in float64 throughout did not fit here, so the cost of float32 is unknown."
    whole, part = found.loc["float64"], found.loc["projection"]
    source = "projections" if part["median"] > whole["median"] / 2 else "states"
    return (
        f"Against float64 throughout, float32 changes the angular effect in the probability space "
        f"by {short(whole['median'])} of its value in the median place and by less than "
        f"{short(whole['most'])} in 95% of them. Projecting the same float32 states in float64 "
        f"changes it by {short(part['median'])} and {short(part['most'])}: most of the cost comes "
        f"from the {source}."
    )


def floor_table(table: pd.DataFrame) -> pd.DataFrame:
    """:func:`floor` in words and short numbers, as it is printed.

    Below ``RESOLUTION`` only that is said; 0 stands where every single value is exactly 0.
    """

    def shown(name: str, exact: str) -> list[str]:
        pairs = zip(table[name], table[exact], strict=True)
        return [resolved(value, zero=most == 0) for value, most in pairs]

    return pd.DataFrame(
        {
            "what changes": table["condition"].map(CONDITIONS),
            "space": table["space"],
            "median": shown("median", "largest"),
            "largest": shown("largest", "largest"),
            "output, median": shown("output_median", "output_largest"),
            "output, largest": shown("output_largest", "output_largest"),
            "KL, median": shown("kl_median", "kl_largest"),
            "KL, largest": shown("kl_largest", "kl_largest"),
            "dropping": table["effect"].map(short),
            "dropping / noise": [
                "no noise"
                if row.largest == 0
                else ("> " if row.median < RESOLUTION else "")
                + short(row.effect / max(row.median, RESOLUTION))
                for row in table.itertuples()
            ],
            "noise above a tenth": (100 * table["drowned"]).map("{:.1f}%".format),
            "n": table["n"],
        }
    )


def changed_table(table: pd.DataFrame) -> pd.DataFrame:
    """:func:`changed_effects` in words and short numbers."""
    names = {"angular": "1 − cos", "kl": "KL"}
    return pd.DataFrame(
        {
            "format": table["condition"].map(CONDITIONS),
            "space": table["space"],
            "effect": table["metric"].map(names),
            "relative change, median": table["median"].map(short),
            "in 95% of places below": table["most"].map(short),
            "changed by over a tenth": (100 * table["over"]).map("{:.1f}%".format),
            "n": table["n"],
        }
    )


def resolved(value: float, zero: bool) -> str:
    """A deviation as text; ``zero`` says that it is exactly 0, not only too small to tell."""
    if value < RESOLUTION and not zero:
        return "< 10⁻¹⁶"
    return short(value)


def short(value: float) -> str:
    """A number of any size in few signs; a missing one as a dash.

    >>> short(0.0), short(3.14e-13), short(0.0521), short(float("nan"))
    ('0', '3.1×10⁻¹³', '0.052', '–')
    """
    if math.isnan(value):
        return "–"
    if value == 0:
        return "0"
    digits, exponent = f"{value:.1e}".split("e")
    if -4 < int(exponent) < 4:
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"
    return f"{digits}×10{str(int(exponent)).translate(RAISED)}"
