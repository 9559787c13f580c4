"""Temperature: how the probability space and its estimates change with T (Appendix H)."""

import numpy as np
import pandas as pd

from helpers.claims import Verdict, verdict
from helpers.estimates import RANKED, Tracking, close_match, interval, side_by_side, tracking

METRICS = {"angular": "Angular deviation", "kl": "KL divergence"}
QUANTITIES = {
    ("angular", "measured"): "measured",
    ("angular", "theorem"): "Theorem 2",
    ("angular", "bounded"): "bounded form",
    ("kl", "measured"): "measured",
    ("kl", "theorem"): "Theorem 3",
}
LENSES = ("raw", "normed")


def levels(deviations: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Typical size at each temperature: the median over sublayers and steps within each prompt,
    averaged over prompts.

    Columns ``panel``, ``series``, ``quantity``, ``metric``, ``lens``, ``temperature``, ``mean``,
    ``low`` and ``high`` (95% over prompts; missing with too few), ``n`` (prompts).
    """
    rows = []
    keys = ["lens", "metric", "quantity", "temperature"]
    for (metric, quantity), label in QUANTITIES.items():
        chosen = (deviations["metric"] == metric) & (deviations["quantity"] == quantity)
        for key, part in deviations[chosen].groupby(keys, observed=True):
            each = part.groupby("prompt", observed=True)["value"].median().to_numpy()
            low, high = interval(each, seed)
            lens, _, _, temperature = key
            rows.append(
                {
                    "panel": f"{METRICS[metric]}, {lens} lens",
                    "series": label,
                    "quantity": quantity,
                    "metric": metric,
                    "lens": str(lens),
                    "temperature": float(temperature),
                    "mean": float(each.mean()),
                    "low": low,
                    "high": high,
                    "n": len(each),
                }
            )
    found = pd.DataFrame(rows)
    return found.sort_values(["lens", "metric", "temperature"], ascending=[False, True, True])


Tracked = dict[tuple[str, str, float], dict[str, Tracking]]


def tracked(deviations: pd.DataFrame, seed: int) -> Tracked:
    """How each theorem tracks the truth, by (metric, lens, temperature)."""
    found: Tracked = {}
    for metric in METRICS:
        pairs = side_by_side(deviations[deviations["metric"] == metric])
        pairs = pairs[pairs["quantity"] == "theorem"]
        for (lens, temperature), part in pairs.groupby(["lens", "temperature"], observed=True):
            found[metric, str(lens), float(temperature)] = tracking(part, seed)
    return found


def tracking_table(found: Tracked) -> pd.DataFrame:
    """One row per lens and temperature; rank correlation and median ratio of both theorems."""
    rows = []
    for lens in LENSES:
        for temperature in sorted({key[2] for key in found}):
            row: dict[str, object] = {"lens": lens, "T": f"{temperature:g}"}
            for metric, name in (("angular", "Theorem 2"), ("kl", "Theorem 3")):
                one = found[metric, lens, temperature]
                row[f"{name}: rank"] = one["rank"].text
                row[f"{name}: estimate / truth"] = one["ratio"].text
            rows.append(row)
    return pd.DataFrame(rows)


def follows(found: Tracked, metric: str, lens: str) -> Verdict:
    """Does the estimate rank deviations well at every temperature, as the paper's trends do?"""
    lows = [one["rank"].low for key, one in found.items() if key[:2] == (metric, lens)]
    if not np.isfinite(lows).all():
        return "too few prompts"
    return verdict(*(low >= RANKED for low in lows))


def close_everywhere(found: Tracked, metric: str, lens: str) -> Verdict:
    """Is the estimate close (rank and ratio) at every temperature?"""
    each = [close_match(one) for key, one in found.items() if key[:2] == (metric, lens)]
    if "too few prompts" in each:
        return "too few prompts"
    return verdict(*(one == "held" for one in each))


def claims_table(found: Tracked) -> pd.DataFrame:
    """The claim of Appendix H for each theorem, one column per lens."""
    rows = []
    for metric, name in (("angular", "Theorem 2"), ("kl", "Theorem 3")):
        rows.append(
            {"claim": f"{name} ranks deviations alike at every temperature"}
            | {f"{lens} lens": follows(found, metric, lens) for lens in LENSES}
        )
        rows.append(
            {"claim": f"{name} is close at every temperature"}
            | {f"{lens} lens": close_everywhere(found, metric, lens) for lens in LENSES}
        )
    return pd.DataFrame(rows)
