"""Where do the theorems hold? Error of each estimate against the size of the perturbation."""

import pandas as pd

from reporting.estimates import CLOSE, side_by_side
from reporting.hierarchy import LABELS as ENDS
from runs.store import Measurement

# panel: metric, space, and the metric that says how large the perturbation is
PANELS = {
    "Theorem 1, embedding": ("angular", "embedding", "orthogonal"),
    "Theorem 1, logits": ("angular", "logit", "orthogonal"),
    "Theorem 2, angle of p": ("angular", "probability", "variance_r"),
    "Theorem 3, KL": ("kl", "probability", "variance_p"),
}
PLACE = ["layer", "sublayer"]
MOSTLY = 0.9  # share of points that makes a size one at which an estimate mostly holds
WINDOW = 24  # neighbours in size whose share is taken
UNITS = {
    "orthogonal": "of the state's length",
    "variance_r": "logits of spread",
    "variance_p": "logits of spread",
}


def settings_map(measured: dict[str, Measurement], lens: str) -> pd.DataFrame:
    """One point per setting, theorem and sublayer: how large the perturbation typically is, and
    by which factor the estimate typically misses.

    ``measured`` maps a setting's name, such as ``Wanda 50%``, to its layer profile. Columns
    ``panel``, ``series`` (setting), ``space``, ``point``, ``called_out``, ``call``, ``layer``,
    ``sublayer``, ``x`` (median over prompts and steps of ‖Δ⊥‖/‖state‖, or of the standard
    deviation of Δz in logits), ``y`` (median estimate / truth) and ``n``.
    """
    parts = []
    for setting, one in measured.items():
        for panel, (metric, space, size) in PANELS.items():
            parts.append(
                _points(one, lens, metric, space, size).assign(panel=panel, series=setting)
            )
    return pd.concat(parts, ignore_index=True)


def _points(one: Measurement, lens: str, metric: str, space: str, size: str) -> pd.DataFrame:
    rows = one.table("deviations", metric=metric, space=space, lens=lens)
    pairs = side_by_side(rows[~rows["centred"]])
    pairs = pairs[pairs["quantity"] == "theorem"].dropna(subset="ratio")
    sizes = one.table("deviations", metric=size, space=space, lens=lens)
    typical = sizes[~sizes["centred"]].groupby(PLACE, observed=True)["value"].median()
    grouped = pairs.groupby(PLACE, observed=True)["ratio"]
    found = grouped.agg(y="median", n="size").join(typical.rename("x")).reset_index()
    if size.startswith("variance"):
        found["x"] **= 0.5
    last = int(sizes["layer"].max())
    kinds = found["sublayer"].astype(str).map(ENDS)
    ends = found["layer"].isin([0, last])
    named = found["layer"].map({0: "first ", last: "last "}).fillna("") + kinds
    return found.assign(
        space=space,
        point=kinds + ", layer " + found["layer"].astype(str),
        called_out=ends,
        call=named.where(ends, ""),
    )


SMALLEST = 1e-3  # sizes and factors beyond these stand at the edge of the map
FARTHEST = 30.0


def drawn(points: pd.DataFrame, named: str) -> pd.DataFrame:
    """Points as the map draws them: within its edges, and first and last layers named for the
    setting ``named`` only, where they are least like the others."""
    return points.assign(
        x=points["x"].clip(lower=SMALLEST),
        y=points["y"].clip(1 / FARTHEST, FARTHEST),
        called_out=points["called_out"] & (points["series"] == named),
    )


def limits(points: pd.DataFrame) -> pd.DataFrame:
    """In how many sublayers is each estimate typically close? One row per theorem, one column
    per setting; the first and last layer are counted apart in ``ends``."""
    close = points["y"].between(*CLOSE)
    rows = []
    for panel, part in points.assign(close=close).groupby("panel", sort=False):
        row: dict[str, object] = {"theorem": panel}
        for setting, group in part.groupby("series", sort=False):
            inner, ends = group[~group["called_out"]], group[group["called_out"]]
            row[str(setting)] = (
                f"{inner['close'].sum()} of {len(inner)} inner, "
                f"{ends['close'].sum()} of {len(ends)} outer"
            )
        rows.append(row)
    return pd.DataFrame(rows)


def limit(points: pd.DataFrame, panel: str) -> float:
    """Where an estimate stops being close: the middle size of the first ``WINDOW`` neighbours in
    size of which fewer than ``MOSTLY`` are close. Infinite if there are none; 0 if the smallest
    are such already; NaN with fewer points than neighbours."""
    part = points[points["panel"] == panel].sort_values("x")
    if len(part) < WINDOW:
        return float("nan")
    share = part["y"].between(*CLOSE).rolling(WINDOW).mean().dropna()
    middle = part["x"].rolling(WINDOW).median().dropna()
    missed = (share < MOSTLY).to_numpy()
    if not missed.any():
        return float("inf")
    return 0.0 if missed[0] else float(middle.to_numpy()[missed.argmax()])


def limit_words(points: pd.DataFrame, panel: str) -> str:
    """:func:`limit` in words that follow "stops being close"."""
    found, largest = limit(points, panel), points.loc[points["panel"] == panel, "x"].max()
    unit = UNITS[PANELS[panel][2]]
    if found != found:
        return "at a size that too few sublayers show"
    if found == float("inf"):
        return f"nowhere up to {largest:.2g} {unit}, the largest measured"
    return "at the smallest sizes already" if found == 0 else f"at {found:.2g} {unit}"


def typically_close(points: pd.DataFrame, panel: str, setting: str) -> str:
    """``51 of 60``: sublayers of a setting whose estimate is typically close."""
    part = points[(points["panel"] == panel) & (points["series"] == setting)]
    return f"{part['y'].between(*CLOSE).sum()} of {len(part)}"


def named(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs with the column ``deviation``: ``angle of p, raw``."""
    words = pairs["metric"].astype(str).map({"angular": "angle of p", "kl": "KL"})
    return pairs.assign(deviation=words + ", " + pairs["lens"].astype(str))


def worst_agreement(deviations: pd.DataFrame) -> float:
    """Largest absolute difference between the exact identities and what was measured."""
    pairs = side_by_side(deviations)
    exact = pairs[pairs["quantity"] == "exact"]
    return float((exact["estimate"] - exact["truth"]).abs().max())
