"""Temperature: how the probability space and its estimates change with T (Appendix H)."""

import pandas as pd

from reporting import statistics
from reporting.claims import Claim, conditions
from reporting.estimates import CLOSE, RANKED, Tracking, theorem, tracking
from reporting.statistics import Estimate
from reporting.step_frames import picked

PANELS = {"angular": "Angular deviation", "kl": "KL divergence"}
THEOREMS = {"angular": "Theorem 2", "kl": "Theorem 3"}
LENSES = ("raw", "normed")
Y_LABELS = {  # the lenses have scales of their own: labels differ by a space that nobody sees
    f"{panel}, {lens} lens": unit + " " * (lens == "normed")
    for panel, unit in (
        (PANELS["angular"], "1 − cos (0 = unchanged)"),
        (PANELS["kl"], "nats (0 = unchanged)"),
    )
    for lens in LENSES
}


def levels(deviations: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Typical size at each temperature: the median over sublayers and steps within each prompt,
    averaged over prompts. In the columns of ``figures.lines``, and ``metric`` and ``lens``; with
    intervals over prompts where a line was measured."""
    rows = []
    used = deviations[deviations["metric"].isin(list(PANELS))]
    keys = ["lens", "metric", "quantity", "temperature"]
    for (lens, metric, quantity, temperature), part in used.groupby(keys, observed=True):
        found = statistics.mean(part.groupby("prompt", observed=True)["value"].median(), seed)
        measured = quantity == "measured"
        series = {"measured": "measured", "bounded": "bounded form"}
        rows.append(
            {
                "panel": f"{PANELS[metric]}, {lens} lens",
                "series": series.get(quantity, THEOREMS[metric]),
                "space": "probability",
                "quantity": str(quantity),
                "metric": str(metric),
                "lens": str(lens),
                "x": float(temperature),
                "point": f"T = {temperature:g}",
                "mean": found.value,
                "low": found.low if measured else None,
                "high": found.high if measured else None,
                "n": found.n,
            }
        )
    order = {name: place for place, name in enumerate(("measured", "theorem", "bounded"))}
    return (
        pd.DataFrame(rows)
        .sort_values("quantity", key=lambda names: names.map(order), kind="stable")
        .sort_values(["lens", "metric"], ascending=[False, True], kind="stable", ignore_index=True)
    )


def average(deviations: pd.DataFrame, temperature: float, seed: int) -> Estimate:
    """Mean KL in nats at one temperature, normed lens, averaged within prompts first."""
    return statistics.over_prompts(_kl(deviations, temperature), seed)


def same_order(deviations: pd.DataFrame, first: float, second: float) -> float:
    """Rank correlation, over sublayers, of their mean KL at two temperatures, normed lens."""
    means = [
        _kl(deviations, one).groupby(["sublayer", "layer"], observed=True)["value"].mean()
        for one in (first, second)
    ]
    return float(means[0].rank().corr(means[1].rank()))


def _kl(deviations: pd.DataFrame, temperature: float) -> pd.DataFrame:
    wanted = {"metric": "kl", "quantity": "measured", "lens": "normed", "temperature": temperature}
    return picked(deviations, **wanted)


Tracked = dict[tuple[str, str, float], Tracking]


def tracked(deviations: pd.DataFrame, seed: int) -> Tracked:
    """How each theorem tracks the truth, by (metric, lens, temperature)."""
    return {
        (metric, str(lens), float(temperature)): tracking(part, seed)
        for metric in THEOREMS
        for (lens, temperature), part in theorem(
            deviations[deviations["metric"] == metric]
        ).groupby(["lens", "temperature"], observed=True)
    }


def tracking_table(found: Tracked) -> pd.DataFrame:
    """One row per lens and temperature; rank correlation and median ratio of both theorems."""
    rows = []
    for lens in LENSES:
        for temperature in sorted({key[2] for key in found}):
            kept = found["angular", lens, temperature].comparisons
            row: dict[str, object] = {"lens": lens, "T": f"{temperature:g}", "n": f"{kept:,}"}
            for metric, name in THEOREMS.items():
                one = found[metric, lens, temperature]
                row[f"{name}: rank"] = one.rank.text()
                row[f"{name}: estimate / truth"] = one.ratio.text()
            rows.append(row)
    return pd.DataFrame(rows)


def claims(found: Tracked) -> list[Claim]:
    """The claim of Appendix H, for each theorem and lens."""
    rows = []
    for metric, name in THEOREMS.items():
        for lens in LENSES:
            every = {key[2]: one for key, one in sorted(found.items()) if key[:2] == (metric, lens)}
            at = f"at T = {', '.join(f'{one:g}' for one in every)}"
            ranks = [one.rank for one in every.values()]
            ratios = [one.ratio for one in every.values()]
            rows += [
                Claim(
                    f"{name} ranks deviations alike at every temperature, {lens} lens",
                    "H-temperature",
                    f"{_values(ranks)} {at}",
                    f"rank correlation above {RANKED}",
                    conditions(ranks, RANKED),
                    numbers={f"T = {heat:g}": one.rank for heat, one in every.items()},
                ),
                Claim(
                    f"{name} is close at every temperature, {lens} lens",
                    "H-temperature",
                    f"{_values(ratios)} {at}",
                    f"also median estimate / truth {CLOSE[0]}–{CLOSE[1]}",
                    [one.close for one in every.values()],
                    numbers={f"T = {heat:g}": one.ratio for heat, one in every.items()},
                ),
            ]
    return rows


def _values(found: list[Estimate]) -> str:
    return ", ".join(Estimate(one.value).text() for one in found)
