"""What did pruning cost? Tables of the ``prunings`` measurement as a chapter prints them."""

import pandas as pd

from reporting.hierarchy import LABELS as SUBLAYERS

CONTROL = "random"
LABELS = {
    CONTROL: CONTROL,
    "magnitude": "magnitude",
    "wanda": "Wanda",
    "sparsegpt": "SparseGPT",
}


def dense_perplexity(prunings: pd.DataFrame) -> float:
    """Perplexity of held-out text of the dense model."""
    return float(prunings.loc[prunings["method"] == "dense", "value"].item())


def perplexities(prunings: pd.DataFrame) -> pd.DataFrame:
    """Perplexity by (method, setting): ``mean``, ``low``, ``high`` and ``n`` over seeds.

    Settings are a share such as ``50%``, or a pattern such as ``2:4``; methods go from the control
    to the one with a repair.
    """
    rows = prunings[(prunings["metric"] == "perplexity") & prunings["method"].isin(LABELS)]
    share = rows["amount"].map("{:.0%}".format)
    setting = rows["pattern"].astype(str).where(rows["pattern"] != "", share)
    rows = rows.assign(
        method=pd.Categorical(rows["method"].astype(str).map(LABELS), list(LABELS.values())),
        setting=pd.Categorical(setting, list(dict.fromkeys(setting))),
    )
    grouped = rows.groupby(["method", "setting"], observed=True)["value"]
    return grouped.agg(mean="mean", low="min", high="max", n="size")


def extremes(found: pd.DataFrame, setting: str) -> tuple[str, str]:
    """Methods of the lowest and of the highest mean perplexity at a setting, the control apart."""
    means = found.xs(setting, level="setting")["mean"].drop(CONTROL)
    return str(means.idxmin()), str(means.idxmax())


def perplexity_table(found: pd.DataFrame) -> pd.DataFrame:
    """One row per method, one column per setting; ranges over seeds where there are several."""
    text = found.apply(_with_range, axis=1)
    table: pd.DataFrame = text.unstack("setting")
    return table.rename_axis(columns=None).reset_index()


def published_order(found: pd.DataFrame, setting: str) -> str:
    """Whether SparseGPT ≤ Wanda < magnitude at a setting, and 4:8 < 2:4 for each method but the
    control, hold for the means, in words."""
    at = found.xs(setting, level="setting")["mean"]
    parts = [
        f"SparseGPT {_holds(at['SparseGPT'] <= at['Wanda'], 'at most', 'above')} Wanda",
        f"Wanda {_holds(at['Wanda'] < at['magnitude'], 'below', 'not below')} magnitude",
    ]
    for method in (name for name in found.index.unique("method") if name != CONTROL):
        four, two = found.loc[(method, "4:8"), "mean"], found.loc[(method, "2:4"), "mean"]
        if four >= two:
            parts.append(f"4:8 not better than 2:4 for {method}")
    if not any("2:4" in part for part in parts):
        parts.append("4:8 better than 2:4 for every method")
    return "; ".join(parts)


def layer_errors(prunings: pd.DataFrame) -> pd.DataFrame:
    """Mean relative layer error over layers (and seeds): one row per kind of weight, one column
    per method."""
    rows = prunings[prunings["metric"] == "layer_error"]
    means = rows.groupby(["sublayer", "weight", "method"], observed=True)["value"].mean()
    table = means.unstack("method")
    table.columns = [LABELS[str(name)] for name in table.columns]
    wanted = [name for name in LABELS.values() if name in table.columns]
    found = table[wanted].reset_index().astype({"sublayer": str, "weight": str})
    return found.assign(sublayer=found["sublayer"].replace(SUBLAYERS))


def importances(prunings: pd.DataFrame) -> pd.DataFrame:
    """Importance of every sublayer: ``mean``, ``low``, ``high`` and ``n`` over seeds, with
    ``layers``, the depth of the model."""
    rows = prunings[prunings["metric"] == "importance"]
    grouped = rows.groupby(["sublayer", "layer"], observed=True)["value"]
    table = grouped.agg(mean="mean", low="min", high="max", n="size").reset_index()
    return table.assign(sublayer=table["sublayer"].astype(str), layers=int(rows["layer"].max()) + 1)


def least(found: pd.DataFrame, count: int = 3) -> dict[str, list[int]]:
    """The layers of the ``count`` least important attentions and MLPs, least first."""
    return {
        str(sublayer): part.nsmallest(count, "mean")["layer"].tolist()
        for sublayer, part in found.groupby("sublayer")
    }


def drops(prunings: pd.DataFrame) -> pd.DataFrame:
    """Perplexity after dropping the least important sublayers: one row per kind, one column per
    count."""
    chosen = (prunings["method"] == "drop") & (prunings["metric"] == "perplexity")
    grouped = prunings[chosen].groupby(["target", "amount"], observed=True)["value"]
    found = grouped.agg(mean="mean", low="min", high="max", n="size")
    table: pd.DataFrame = found.apply(_with_range, axis=1).unstack("amount")
    table.columns = [f"{count:.0f} dropped" for count in table.columns]
    table.index = table.index.map(SUBLAYERS)
    return table.rename_axis("sublayers").reset_index()


def number(value: float) -> str:
    """A perplexity in words: ``44.5``, ``1,279``, ``6.4 million``."""
    if value >= 1e6:
        return f"{value / 1e6:,.1f} million"
    return f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"


def _with_range(row: pd.Series) -> str:
    text = number(row["mean"])
    return text if row["n"] < 2 else f"{text} [{number(row['low'])}–{number(row['high'])}]"


def _holds(condition: bool, yes: str, no: str) -> str:
    return yes if condition else f"**{no}**"
