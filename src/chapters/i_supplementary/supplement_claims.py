"""What Appendix I says of every layer, each claim with its criterion, through both lenses."""

import numpy as np
import pandas as pd

from reporting.estimates import CLOSE, RANKED, interval, side_by_side
from reporting.hierarchy import FEWEST_PROMPTS, Verdict, verdict
from runs.store import Measurement

LENSES = ("raw", "normed")
MOST = 0.9  # share of sublayers that "every layer" allows us to ask for
FIGURES = {"kl": ("Theorem 3", "KL", 14), "angular": ("Theorem 2", "the angle", 15)}
LOCAL = {"embedding": 16, "logit": 17}


def claims_table(measured: Measurement, seed: int) -> pd.DataFrame:
    """One row per claim and lens: verdict, measured, criterion."""
    rows = []
    for lens in LENSES:
        for metric in FIGURES:
            rows.append(_tracks(measured, lens, metric))
        for space in LOCAL:
            rows.append(_local(measured, lens, space))
        rows.append(_deeper(measured, lens, seed))
    table = pd.DataFrame(rows)
    prompts = measured.manifest["facts"]["prompts"]
    return table if prompts >= FEWEST_PROMPTS else table.assign(verdict="too few prompts")


def sublayers(measured: Measurement, lens: str, metric: str, space: str) -> pd.DataFrame:
    """Median estimate / truth (``ratio``) and rank correlation over states (``rank``) of each
    sublayer, with ``outer``: whether it is in the first or last layer."""
    rows = measured.table("deviations", metric=metric, lens=lens, space=space)
    pairs = side_by_side(rows[~rows["centred"]])
    pairs = pairs[pairs["quantity"] == "theorem"].dropna(subset="ratio")
    groups = pairs.groupby(["sublayer", "layer"], observed=True)
    found = pd.DataFrame(
        {
            "ratio": groups["ratio"].median(),
            "rank": {
                place: part["truth"].rank().corr(part["estimate"].rank()) for place, part in groups
            },
        }
    )
    layer = found.index.get_level_values(1)
    return found.assign(outer=layer.isin([0, layer.max()]), close=found["ratio"].between(*CLOSE))


def _tracks(measured: Measurement, lens: str, metric: str) -> dict[str, str]:
    theorem, what, figure = FIGURES[metric]
    found = sublayers(measured, lens, metric, "probability")
    ranked = found["rank"] >= RANKED
    return {
        "claim": f"{theorem} tracks {what} across layers and steps (Figure {figure})",
        "lens": lens,
        "verdict": verdict(found["close"].mean() >= MOST, ranked.mean() >= MOST),
        "measured": f"ratio close in {found['close'].sum()}, rank high in {ranked.sum()} of "
        f"{len(found)} sublayers",
        "criterion": f"median ratio {CLOSE[0]}–{CLOSE[1]}, and rank correlation over steps at "
        f"least {RANKED}, each in {MOST:.0%} of sublayers",
    }


def _local(measured: Measurement, lens: str, space: str) -> dict[str, str]:
    found = sublayers(measured, lens, "angular", space)
    inner, outer = found[~found["outer"]], found[found["outer"]]
    return {
        "claim": f"Theorem 1 is close in the {space} space, but for the first and last layers "
        f"(Figure {LOCAL[space]})",
        "lens": lens,
        "verdict": _with_exception(inner["close"].mean(), bool(outer["close"].all())),
        "measured": f"{inner['close'].sum()} of {len(inner)} inner, {outer['close'].sum()} of "
        f"{len(outer)} outer sublayers",
        "criterion": f"median ratio {CLOSE[0]}–{CLOSE[1]} in {MOST:.0%} of the inner sublayers, "
        "not in all outer ones; partly if in all of them too",
    }


def _with_exception(inner: float, outer_too: bool) -> Verdict:
    if np.isfinite(inner) and inner < MOST:
        return "not"
    return "partly" if outer_too else "held"


def _deeper(measured: Measurement, lens: str, seed: int) -> dict[str, str]:
    """Rank correlation of depth with the mean KL of each sublayer, within each prompt."""
    rows = measured.table("deviations", metric="kl", lens=lens, quantity="measured")
    each = []
    for _, part in rows.groupby("prompt", observed=True):
        means = part.groupby(["sublayer", "layer"], observed=True)["value"].mean().reset_index()
        each.append(means["layer"].rank().corr(means["value"].rank()))
    values = np.array(each)
    low, high = interval(values, seed)
    text = f"{values.mean():.2f}" + (f" [{low:.2f}–{high:.2f}]" if np.isfinite(low) else "")
    return {
        "claim": "Deeper layers deviate more (Figures 14 and 15)",
        "lens": lens,
        "verdict": verdict(low > 0),
        "measured": f"rank correlation of depth with mean KL {text}",
        "criterion": "above zero at the lower end of its interval over prompts",
    }
