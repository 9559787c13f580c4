"""How large is the noise beside the effect? Pure functions of the ``noise`` table, and of the
same profile measured in two formats."""

import math

import pandas as pd

from reporting.figures import SPACES
from reporting.figures.scales import short
from reporting.hierarchy import Hierarchy, claims
from reporting.layers import PANELS

CONDITIONS = {
    "again": "the same run again",
    "batch": "all prompts in one batch",
    "cached": "one token at a time",
    "one_thread": "one thread",
    "bfloat16": "bfloat16",
    "float16": "float16",
    "projection": "projections in float64",
    "float64": "float64 throughout",
}
ORDERS = ("batch", "cached", "one_thread")  # the same format, summed in another order
REFERENCE, DROPPING = "reference", "dropping a sublayer"
PLACE = ["prompt", "step", "layer", "sublayer", "space"]
ABSOLUTE = 1e-9  # effects below are too small for their relative change to mean anything
RESOLUTION = 1e-16  # of float64 beside 1: smaller deviations are there, but tell nothing
LOWEST = 1e-18  # far below that: what lies there is not drawn


def floor(noise: pd.DataFrame) -> pd.DataFrame:
    """One row per condition and space: angular deviation from the reference.

    ``median`` and ``largest`` are over prompts, steps and sublayers, raw lens (``n`` values);
    ``output_…`` over prompts and steps of the model's output, final norm included
    (``output_n`` values); ``kl_…`` in nats, raw lens, NaN outside the probability space.
    ``effect`` is the median angular deviation from dropping one sublayer in place, as the
    reference sees it, and ``drowned`` the share of places (prompt, step and sublayer) where the
    noise is more than a tenth of the effect.
    """
    effects = _of(noise, "effect", "angular")
    effects = effects[effects["condition"] == REFERENCE].set_index(PLACE)["value"]
    rows = []
    for condition in present(noise):
        own = noise[noise["condition"] == condition]
        angular, kl = _of(own, "noise", "angular"), _of(own, "noise", "kl")
        for space in SPACES:
            part = angular[angular["space"] == space]
            inner, output = (part[part["lens"] == lens] for lens in ("raw", "normed"))
            effect = effects.xs(space, level="space", drop_level=False)
            beside = effect.reindex(pd.MultiIndex.from_frame(inner[PLACE]))
            divergence = kl[(kl["space"] == space) & (kl["lens"] == "raw")]["value"]
            rows.append(
                {
                    "condition": condition,
                    "space": space,
                    "median": inner["value"].median(),
                    "largest": inner["value"].max(),
                    "output_median": output["value"].median(),
                    "output_largest": output["value"].max(),
                    "kl_median": divergence.median(),
                    "kl_largest": divergence.max(),
                    "effect": effect.median(),
                    "drowned": float((inner["value"].to_numpy() > beside.to_numpy() / 10).mean()),
                    "n": len(inner),
                    "output_n": len(output),
                }
            )
    return pd.DataFrame(rows)


def changed_effects(noise: pd.DataFrame) -> pd.DataFrame:
    """By how much the measured effect of dropping changes with the format of numbers.

    One row per format and metric (angular in each space, and KL): |effect − reference's| /
    reference's, ``median`` and ``most`` (95th percentile) over the ``n`` places where the
    reference's effect is above 1e-9, and ``over`` the share of places where it exceeds a tenth.
    """
    effects = noise[noise["quantity"].eq("effect") & noise["metric"].isin(["angular", "kl"])]
    plain = effects.astype({"condition": str, "space": str, "metric": str})
    wide = plain.pivot(index=[*PLACE, "metric"], columns="condition", values="value")
    base = wide[REFERENCE].where(wide[REFERENCE] > ABSOLUTE).dropna()
    found = {}
    for condition in CONDITIONS:
        if condition in wide:
            change = (wide[condition].reindex(base.index) - base).abs() / base
            found[condition] = change.groupby(["space", "metric"]).agg(
                median="median",
                most=lambda part: part.quantile(0.95),
                over=lambda part: (part > 0.1).mean(),
                n="size",
            )
    return pd.concat(found, names=["condition"]).reset_index()


def top_changes(noise: pd.DataFrame) -> pd.DataFrame:
    """At how many positions is the model's likeliest next token another one? By condition:
    ``changed`` of ``n``."""
    rows = noise[noise["metric"].eq("top1") & noise["sublayer"].eq("model")]
    found = rows.groupby("condition", observed=True)["value"].agg(["sum", "size"])
    found = found.rename(columns={"sum": "changed", "size": "n"}).astype(int)
    return found.reindex(present(noise))


def layer_noise(noise: pd.DataFrame) -> pd.DataFrame:
    """Median 1 − cos of probabilities (raw lens) per sublayer and layer, over prompts and steps,
    for ``figures.lines``: of dropping that sublayer, in the hue of their space, and of the dense
    model in every condition that is not exactly the reference everywhere, in grey.

    Projections alone are left out: their line would lie on that of float64 throughout. What is
    exactly 0 has no place on a logarithmic axis.
    """
    rows = noise[
        noise["metric"].eq("angular")
        & noise["space"].eq("probability")
        & noise["lens"].eq("raw")
        & noise["condition"].ne("projection")
        & (noise["quantity"].eq("noise") | noise["condition"].eq(REFERENCE))
    ].astype({"condition": str, "sublayer": str})
    means = rows.groupby(["condition", "sublayer", "layer"])["value"]
    table = means.agg(mean="median", low="min", high="max", n="size").reset_index()
    table = table[table.groupby("condition")["high"].transform("max") > 0]
    last = int(rows["layer"].max())
    names = table["condition"].replace(CONDITIONS | {REFERENCE: DROPPING})
    table = table.assign(
        panel=table["sublayer"].map(PANELS),
        series=pd.Categorical(names, [DROPPING, *CONDITIONS.values()]),
        space=table["condition"].eq(REFERENCE).map({True: "probability", False: "dense"}),
        x=table["layer"] / max(last, 1),
        point=[f"layer {layer} of 0–{last}" for layer in table["layer"]],
    )
    return table.sort_values(["panel", "series", "x"]).astype({"series": str})


def drawn_range(frame: pd.DataFrame) -> tuple[float, float]:
    """The y range of :func:`layer_noise`: all medians that tell anything."""
    seen = frame.loc[frame["mean"] > LOWEST, "mean"]
    return (seen.min() / 3, 3 * seen.max()) if len(seen) else (LOWEST, 1.0)


def present(noise: pd.DataFrame) -> list[str]:
    """The conditions that were measured, in the order of the tables."""
    measured = set(noise.loc[noise["quantity"] == "noise", "condition"])
    return [name for name in CONDITIONS if name in measured]


def _of(noise: pd.DataFrame, quantity: str, metric: str) -> pd.DataFrame:
    return noise[noise["quantity"].eq(quantity) & noise["metric"].eq(metric)]


def claims_by_format(found: dict[str, dict[str, tuple[Hierarchy, Hierarchy]]]) -> pd.DataFrame:
    """The claims of Section 5 as each format would judge them.

    ``found[format][lens]`` holds the hierarchy with logits as they are and with centred ones.
    One row per lens and claim; for each format its verdict and what it measured.
    """
    rows = []
    for lens in next(iter(found.values())):
        judged = {name: claims(*lenses[lens]) for name, lenses in found.items()}
        for each in zip(*judged.values(), strict=True):
            row = {"claim": each[0].claim, "lens": lens}
            row |= {name: one.verdict for name, one in zip(judged, each, strict=True)}
            row |= {
                f"measured, {name}": one.measured for name, one in zip(judged, each, strict=True)
            }
            rows.append(row)
    return pd.DataFrame(rows)


def order_changes(first: Hierarchy, second: Hierarchy) -> tuple[int, int]:
    """In how many sublayers does another format change whether the probability cosine is below
    the embedding's, by the mean? And of how many."""
    below = []
    for one in (first, second):
        wide = one.means.pivot(index=["sublayer", "layer"], columns="space", values="mean")
        below.append(wide["probability"] < wide["embedding"])
    return int((below[0] != below[1]).sum()), len(below[0])


def floor_table(table: pd.DataFrame) -> pd.DataFrame:
    """:func:`floor` as it is printed, in short numbers.

    Below ``RESOLUTION`` only that is said; 0 stands where every single value is exactly 0.
    """

    def resolved(name: str, largest: str) -> list[str]:
        pairs = zip(table[name], table[largest], strict=True)
        return ["< 10⁻¹⁶" if most and value < RESOLUTION else text(value) for value, most in pairs]

    return pd.DataFrame(
        {
            "what changes": table["condition"].map(CONDITIONS),
            "space": table["space"],
            "median": resolved("median", "largest"),
            "largest": resolved("largest", "largest"),
            "output, median": resolved("output_median", "output_largest"),
            "output, largest": resolved("output_largest", "output_largest"),
            "KL, median": resolved("kl_median", "kl_largest"),
            "KL, largest": resolved("kl_largest", "kl_largest"),
            "dropping": table["effect"].map(text),
            "dropping / noise": [
                "no noise"
                if row.largest == 0
                else ("> " if row.median < RESOLUTION else "")
                + text(row.effect / max(row.median, RESOLUTION))
                for row in table.itertuples()
            ],
            "noise above a tenth": table["drowned"].map("{:.1%}".format),
            "n": table["n"],
        }
    )


def changed_table(table: pd.DataFrame) -> pd.DataFrame:
    """:func:`changed_effects` as it is printed."""
    return pd.DataFrame(
        {
            "format": table["condition"].map(CONDITIONS),
            "space": table["space"],
            "effect": table["metric"].map({"angular": "1 − cos", "kl": "KL"}),
            "relative change, median": table["median"].map(text),
            "in 95% of places below": table["most"].map(text),
            "changed by over a tenth": table["over"].map("{:.1%}".format),
            "n": table["n"],
        }
    )


def probability(table: pd.DataFrame, column: str, *conditions: str) -> str:
    """The largest number of some conditions in the probability space, from :func:`floor` or, by
    angle, :func:`changed_effects`; a dash if none of them was measured."""
    rows = table[table["space"].eq("probability") & table["condition"].isin(conditions)]
    rows = rows[rows["metric"].eq("angular")] if "metric" in rows else rows
    return text(rows[column].max())


def text(value: float) -> str:
    """A number of any size in few signs; a dash where it is missing."""
    return "–" if math.isnan(value) else short(value, 2)
