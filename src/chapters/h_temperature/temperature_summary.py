"""Temperature: how the probability space and its estimates change with T (Appendix H)."""

import numpy as np
import pandas as pd

from reporting.estimates import RANKED, Tracking, close_match, interval, side_by_side, tracking
from reporting.hierarchy import Verdict, verdict

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


def average(deviations: pd.DataFrame, temperature: float, lens: str, seed: int) -> str:
    """Mean KL at one temperature, averaged within prompts first, with its interval, in nats."""
    rows = _kl(deviations, temperature, lens)
    each = rows.groupby("prompt", observed=True)["value"].mean().to_numpy()
    low, high = interval(each, seed)
    text = f"{each.mean():.3g}"
    return f"{text} [{low:.3g}–{high:.3g}]" if np.isfinite(low) else text


def same_order(deviations: pd.DataFrame, first: float, second: float, lens: str) -> float:
    """Rank correlation, over sublayers, of their mean KL at two temperatures."""
    means = [
        _kl(deviations, one, lens).groupby(["sublayer", "layer"], observed=True)["value"].mean()
        for one in (first, second)
    ]
    return float(means[0].rank().corr(means[1].rank()))


def _kl(deviations: pd.DataFrame, temperature: float, lens: str) -> pd.DataFrame:
    wanted = {"metric": "kl", "quantity": "measured", "lens": lens, "temperature": temperature}
    for column, value in wanted.items():
        deviations = deviations[deviations[column] == value]
    return deviations


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
            kept = found["angular", lens, temperature]["rank"].comparisons
            row: dict[str, object] = {"lens": lens, "T": f"{temperature:g}", "n": f"{kept:,}"}
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
