"""How large is the noise beside the effect? Pure functions of the ``noise`` table, and of the
same profile measured in two formats."""

import pandas as pd

from reporting.hierarchy import Hierarchy, section_5

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
FORMATS = ("projection", "float64", "bfloat16", "float16")
SPACES = ("embedding", "logit", "probability")
REFERENCE, DROPPING = "reference", "dropping a sublayer"
PLACE = ["prompt", "step", "layer", "sublayer", "space"]
ABSOLUTE = 1e-9  # effects below are too small for their relative change to mean anything


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
    keys = [*PLACE, "metric"]
    effects = noise[noise["quantity"].eq("effect") & noise["metric"].isin(["angular", "kl"])]
    base = effects[effects["condition"] == REFERENCE].set_index(keys)["value"]
    base = base[base > ABSOLUTE]
    rows = []
    for condition in present(noise):
        own = effects[effects["condition"] == condition].set_index(keys)["value"]
        if own.empty:
            continue
        change = (own.reindex(base.index) - base).abs() / base
        for (space, metric), part in change.groupby(["space", "metric"], observed=True):
            rows.append(
                {
                    "condition": condition,
                    "space": str(space),
                    "metric": str(metric),
                    "median": part.median(),
                    "most": part.quantile(0.95),
                    "over": float((part > 0.1).mean()),
                    "n": len(part),
                }
            )
    return pd.DataFrame(rows)


def top_changes(noise: pd.DataFrame) -> pd.DataFrame:
    """At how many positions is the model's likeliest next token another one? By condition:
    ``changed`` of ``n``."""
    rows = noise[noise["metric"].eq("top1") & noise["sublayer"].eq("model")]
    found = rows.groupby("condition", observed=True)["value"].agg(["sum", "size"])
    found = found.rename(columns={"sum": "changed", "size": "n"}).astype(int)
    return found.reindex(present(noise))


def layer_noise(noise: pd.DataFrame, space: str = "probability") -> pd.DataFrame:
    """Median 1 − cos (raw lens) per sublayer and layer, over prompts and steps: of every
    condition that is not exactly the reference everywhere, and of dropping that sublayer.

    Projections alone are left out: their line would lie on that of float64 throughout.
    """
    noise = noise[noise["condition"] != "projection"]
    rows = noise[
        noise["metric"].eq("angular")
        & noise["space"].eq(space)
        & noise["lens"].eq("raw")
        & (noise["quantity"].eq("noise") | noise["condition"].eq(REFERENCE))
    ]
    labels = CONDITIONS | {REFERENCE: DROPPING}
    means = rows.groupby(["condition", "sublayer", "layer"], observed=True)["value"]
    table = means.agg(value="median", low="min", high="max", n="size").reset_index()
    moved = table.groupby("condition", observed=True)["high"].transform("max") > 0
    table = table[moved].astype({"condition": str, "sublayer": str})
    table["label"] = table["condition"].map(labels)
    return table.assign(layers=int(rows["layer"].max()) + 1).reset_index(drop=True)


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
    formats = list(found)
    tables = []
    for lens in found[formats[0]]:
        judged = {name: section_5(*found[name][lens]) for name in formats}
        table = judged[formats[0]][["claim"]].assign(lens=lens)
        for name in formats:
            table[name] = judged[name]["verdict"]
        for name in formats:
            table[f"measured, {name}"] = judged[name]["measured"]
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def order_changes(first: Hierarchy, second: Hierarchy) -> tuple[int, int]:
    """In how many sublayers does another format change whether the probability cosine is below
    the embedding's, by the mean? And of how many."""
    below = []
    for one in (first, second):
        wide = one.means.pivot(index=["sublayer", "layer"], columns="space", values="mean")
        below.append(wide["probability"] < wide["embedding"])
    return int((below[0] != below[1]).sum()), len(below[0])
