"""Where do the theorems hold? Error of each estimate against the size of the perturbation."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from reporting.estimates import CLOSE, theorem, tracking
from reporting.figures import Reference
from reporting.layers import LABELS, PLACE
from runs.store import Measurement

# panel: metric, space, and the metric that says how large the perturbation is
PANELS = {
    "Theorem 1, embedding": ("angular", "embedding", "orthogonal"),
    "Theorem 1, logits": ("angular", "logit", "orthogonal"),
    "Theorem 2, angle of p": ("angular", "probability", "variance_r"),
    "Theorem 3, KL": ("kl", "probability", "variance_p"),
}
MOSTLY = 0.9  # share of points that makes a size one at which an estimate mostly holds
WINDOW = 24  # neighbours in size whose share is taken
SMALLEST, FARTHEST = 1e-3, 30.0  # sizes and factors beyond these stand at the edge of the map
RIGHT = Reference(x=(1e-30, 1e30), y=(1.0, 1.0), label="estimate = truth")
METRICS = {
    "angular": ("Angular deviation of p", "true deviation, 1 − cos"),
    "kl": ("KL divergence", "true deviation in nats"),
}
FORMULAS = {"exact": "exact identity", "bounded": "bounded form", "theorem": "theorem"}
FEWEST = 5  # comparisons in a bin
SHOWN = (1e-3, 30.0)  # factors; those beyond stand at the edge


def settings_map(measured: Mapping[str, Measurement], lens: str) -> pd.DataFrame:
    """One point per setting, theorem and sublayer: how large the perturbation typically is, and
    by which factor the estimate typically misses.

    ``measured`` maps a setting's name, such as ``Wanda 50%``, to its layer profile. Columns of
    ``figures.lines``: ``x`` is the median over prompts and steps of ‖Δ⊥‖/‖state‖, or of the
    standard deviation of Δz in logits, ``mean`` the median estimate / truth; and ``outer``:
    whether the sublayer is in the first or last layer.
    """
    parts = [
        _points(one, lens, *of).assign(panel=panel, series=setting)
        for setting, one in measured.items()
        for panel, of in PANELS.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _points(one: Measurement, lens: str, metric: str, space: str, size: str) -> pd.DataFrame:
    rows = one.table("deviations", metric=metric, space=space, lens=lens)
    ratio = theorem(rows).dropna(subset="ratio").groupby(PLACE, observed=True)["ratio"]
    sizes = one.table("deviations", metric=size, space=space, lens=lens)
    typical = sizes[~sizes["centred"]].groupby(PLACE, observed=True)["value"].median()
    if size.startswith("variance"):
        typical **= 0.5
    found = ratio.agg(mean="median", n="size").join(typical.rename("x")).reset_index()
    kinds = found["sublayer"].astype(str).map(LABELS)
    last = int(sizes["layer"].max())
    return found.assign(
        space=space,
        point=kinds + ", layer " + found["layer"].astype(str),
        outer=found["layer"].isin([0, last]),
        call=found["layer"].map({0: "first ", last: "last "}) + kinds,
    )


def drawn(points: pd.DataFrame, named: str) -> pd.DataFrame:
    """Points as the map draws them: within its edges, and first and last layers named for the
    setting ``named`` only, where they are least like the others."""
    return points.assign(
        x=points["x"].clip(lower=SMALLEST),
        mean=points["mean"].clip(1 / FARTHEST, FARTHEST),
        call=points["call"].where(points["outer"] & (points["series"] == named), ""),
    )


def close(points: pd.DataFrame, panel: str, setting: str) -> str:
    """``51 of 60``: sublayers of a setting whose estimate is typically close."""
    part = points[(points["panel"] == panel) & (points["series"] == setting)]
    return f"{part['mean'].between(*CLOSE).sum()} of {len(part)}"


def limits(points: pd.DataFrame) -> pd.DataFrame:
    """In how many sublayers is each estimate typically close? One row per theorem, one column
    per setting; inner layers apart from the first and last."""
    sides = {"inner": points[~points["outer"]], "outer": points[points["outer"]]}
    return pd.DataFrame(
        {"theorem": panel}
        | {
            str(setting): ", ".join(
                f"{close(part, panel, setting)} {side}" for side, part in sides.items()
            )
            for setting in points["series"].unique()
        }
        for panel in points["panel"].unique()
    )


def limit(points: pd.DataFrame, panel: str) -> float:
    """Where an estimate stops being close: the middle size of the first ``WINDOW`` neighbours in
    size of which fewer than ``MOSTLY`` are close. Infinite if there are none; 0 if the smallest
    are such already; NaN with fewer points than neighbours."""
    part = points[points["panel"] == panel].sort_values("x")
    if len(part) < WINDOW:
        return float("nan")
    share = part["mean"].between(*CLOSE).rolling(WINDOW).mean().dropna()
    middle = part["x"].rolling(WINDOW).median().dropna()
    missed = (share < MOSTLY).to_numpy()
    if not missed.any():
        return float("inf")
    return 0.0 if missed[0] else float(middle.to_numpy()[missed.argmax()])


def limit_text(points: pd.DataFrame, panel: str) -> str:
    """:func:`limit` as a number, or as a bound where no measured size is the limit."""
    found, sizes = limit(points, panel), points.loc[points["panel"] == panel, "x"]
    if not np.isfinite(found):
        return "–" if np.isnan(found) else f"> {sizes.max():.2g}"
    return f"{found:.2g}" if found else f"< {sizes.nsmallest(WINDOW).median():.2g}"


def tracking_table(pairs: pd.DataFrame, seed: int) -> pd.DataFrame:
    """One row per deviation, lens and formula: rank correlation and median ratio, overall and in
    the largest tenth of each text, and the share within 10%. ``pairs`` as from
    :func:`estimates.side_by_side`."""
    rows = []
    groups = ["metric", "lens", "quantity"]
    for (metric, lens, quantity), part in pairs.groupby(groups, sort=False, observed=True):
        tail = tracking(part, seed, tail=True)
        name = {"deviation": f"{METRICS[metric][0]}, {lens}", "formula": FORMULAS[quantity]}
        largest = {
            "rank, largest tenth": tail.rank.text(),
            "ratio, largest tenth": tail.ratio.text(),
        }
        rows.append(name | tracking(part, seed).cells() | largest)
    return pd.DataFrame(rows)


def worst_agreement(pairs: pd.DataFrame) -> float:
    """Largest absolute difference between the exact identities and what was measured."""
    exact = pairs[pairs["quantity"] == "exact"]
    return float((exact["estimate"] - exact["truth"]).abs().max())


def binned(pairs: pd.DataFrame) -> pd.DataFrame:
    """Median estimate / truth and its quartiles within bins of the truth, two to a decade, in the
    columns of ``figures.lines``: one panel for each metric and lens. What lies beyond ``SHOWN``
    stands at its edge."""
    rows = pairs.dropna(subset="ratio")
    rows = rows.assign(bin=np.floor(2 * np.log10(rows["truth"])) / 2 + 0.25)
    ratio = rows.groupby(["metric", "lens", "quantity", "bin"], observed=True)["ratio"]
    quartiles = ratio.quantile([0.25, 0.5, 0.75]).unstack().clip(*SHOWN)
    found = quartiles.set_axis(["low", "mean", "high"], axis=1).assign(n=ratio.size()).reset_index()
    found = found[found["n"] >= FEWEST]
    names = found["metric"].astype(str).map(lambda metric: METRICS[metric][0])
    found = found.assign(
        panel=names + ", " + found["lens"].astype(str) + " lens",
        series=found["quantity"].astype(str).map(FORMULAS),
        quantity=found["quantity"].astype(str),
        space="probability",
        x=10 ** found["bin"],
    )
    return found.sort_values(["metric", "lens"], key=lambda names: names.astype(str))
