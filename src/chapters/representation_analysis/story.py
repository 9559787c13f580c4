"""What Section 6 needs of one measurement: the head's attenuation, and how the theorems track."""

from itertools import product

import pandas as pd

from helpers.models.known import EMBEDDED
from reporting import reported
from reporting.claims import OURS, Claim, Printed, listed
from reporting.estimates import CLOSE, CRITERION, RANKED, Tracking, side_by_side, theorem, tracking
from reporting.figures.style import Style, style_of
from reporting.layers import LABELS, PLACE, Contrast, contrast, over_depth, ratios
from runs.store import Measurement

LENSES = ("raw", "normed")
PANEL = {"model": EMBEDDED, "revision": "main", "prompts": "Math2"}  # whose state it shows
THEOREMS = {
    "Theorem 1 (embedding)": ("angular", "embedding"),
    "Theorem 1 (logit)": ("angular", "logit"),
    "Theorem 2": ("angular", "probability"),
    "Theorem 3": ("kl", "probability"),
}
FORMULAS = {"Theorem 3": "KL in nats", "Theorem 2": "1 − cosine of p"}  # and what each estimates
_HUE = style_of("probability").colour
KINDS = {"attention": Style(_HUE, "circle"), "MLP": Style(_HUE, "triangle", thin=True)}
KEYS = {  # the paper's claim that each tests
    "Theorem 1 (embedding)": "6.1-theorem-1",
    "Theorem 1 (logit)": "6.1-theorem-1",
    "Theorem 2": "6.2-theorem-2",
    "Theorem 3": "6.2-theorem-3",
}
Contrasts = dict[tuple[str, bool], dict[str, Contrast]]  # lens and centred; kind of sublayer
Tracked = dict[tuple[str, str], Tracking]  # theorem and lens


def contrasts(orthogonal: pd.DataFrame, seed: int) -> Contrasts:
    """The relative orthogonal magnitude in the logit space beside that in the embedding space,
    logits as they are and centred."""
    found: Contrasts = {}
    for lens in LENSES:
        for centred in (False, True):
            found[lens, centred] = {}
            for kind in LABELS:
                rows = orthogonal[orthogonal["lens"].eq(lens) & orthogonal["sublayer"].eq(kind)]
                base = rows[rows["space"].eq("embedding")]
                other = rows[rows["space"].eq("logit") & rows["centred"].eq(centred)]
                found[lens, centred][kind] = contrast(base, other, seed)
    return found


def contrast_table(found: Contrasts) -> pd.DataFrame:
    """One row per reading; for each kind of sublayer the count of layers and the median ratio."""
    rows = []
    for (lens, centred), kinds in found.items():
        row = {"logits read": f"{lens}, {'centred' if centred else 'as they are'}"}
        for kind, one in kinds.items():
            row[f"{LABELS[kind]}: layers reduced"] = str(one)
            row[f"{LABELS[kind]}: logit / embedding"] = one.ratio.text()
        rows.append(row)
    return pd.DataFrame(rows)


def head_ratios(orthogonal: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The relative orthogonal magnitude of logits over that of embeddings, raw, over depth: lines
    for ``figures.lines``, logits as they are and centred."""
    rows = orthogonal[orthogonal["lens"].eq("raw")]
    base = rows[rows["space"].eq("embedding")]
    logits = rows[rows["space"].eq("logit")]
    names = {False: ("logits as they are", "logit"), True: ("centred logits", "dense")}
    parts = [
        ratios(base, logits[logits["centred"].eq(centred)], seed).assign(series=name, space=space)
        for centred, (name, space) in names.items()
    ]
    return over_depth(pd.concat(parts, ignore_index=True), "series")


def scatter(found: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Estimate against truth of Theorems 2 and 3, for ``figures.lines`` as a cloud: one point for
    each sublayer, means over all states that have a ratio, and a panel for each lens."""
    parts = []
    for name, lens in product(FORMULAS, LENSES):
        rows = found[name].dropna(subset="ratio").astype({"sublayer": str})
        places = rows[rows["lens"].eq(lens)].groupby(PLACE, observed=True)
        means = places[["truth", "estimate"]].mean().reset_index()
        parts.append(
            pd.DataFrame(
                {
                    "panel": f"{name}, {lens} lens",
                    "series": means["sublayer"].map(LABELS),
                    "space": "probability",
                    "x": means["truth"],
                    "mean": means["estimate"],
                    "n": places.size().to_numpy(),
                    "point": means["sublayer"].map(LABELS) + " of layer " + means["layer"].map(str),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def pairs(measured: Measurement) -> dict[str, pd.DataFrame]:
    """Truth beside each theorem's estimate of it, over all sublayers and steps."""
    tables = {
        metric: theorem(measured.table("deviations", metric=metric)) for metric in ("angular", "kl")
    }
    return {
        name: tables[metric][tables[metric]["space"] == space]
        for name, (metric, space) in THEOREMS.items()
    }


def tracked(found: dict[str, pd.DataFrame], seed: int) -> Tracked:
    """How each theorem tracks the truth, ``found`` as from :func:`pairs`."""
    return {
        (name, lens): tracking(rows[rows["lens"] == lens], seed)
        for name, rows in found.items()
        for lens in LENSES
    }


def median_ratio(rows: pd.DataFrame, **place: str | int) -> float:
    """Median estimate / truth where each named column equals the value."""
    for column, value in place.items():
        rows = rows[rows[column] == value]
    return float(rows["ratio"].median())


def reported_tracking() -> dict[str, Tracking]:
    """The same of what the paper's Figure 6 drew for one text: no intervals."""
    drawn = reported.figure_6().assign(prompt="reported")
    names = {metric: name for name, (metric, _) in THEOREMS.items()}
    return {
        names[metric]: tracking(side_by_side(part), 0)
        for metric, part in drawn.groupby("metric", sort=False)
    }


def tracking_table(found: Tracked, size: str) -> pd.DataFrame:
    """All theorems through both lenses, and what the paper's Figure 6 shows."""
    rows = {f"{name}, {lens} lens, {size}": one for (name, lens), one in found.items()}
    rows |= {
        f"{name}, reported, {reported.FIGURE_4.size}": one
        for name, one in reported_tracking().items()
    }
    return pd.DataFrame({"source": source} | one.cells() for source, one in rows.items())


def _printed(one: Tracking) -> Printed:
    rank, ratio = one.rank.value, one.ratio.value
    met = [rank > RANKED, CLOSE[0] < ratio < CLOSE[1]]
    return Printed(f"{rank:.2f} (rank correlation); {ratio:.2f} (ratio)", met)


def claims(shrunk: Contrasts, found: Tracked) -> list[Claim]:
    """The claims of Section 6, through both lenses; the paper reads through the raw one."""
    printed = {(name, "raw"): _printed(one) for name, one in reported_tracking().items()}
    attenuation = {
        "The head reduces the relative orthogonal magnitude": False,
        "… also with centred logits (ours)": True,
    }
    return [
        Claim(
            f"{text}, {lens} lens",
            OURS if centred else "6.1-head-reduces",
            "; ".join(f"{LABELS[kind]} {one}" for kind, one in shrunk[lens, centred].items()),
            "smaller after the head in more than half of the layers of each kind",
            [one.in_most for one in shrunk[lens, centred].values()],
            numbers={LABELS[kind]: one.below for kind, one in shrunk[lens, centred].items()},
        )
        for text, centred in attenuation.items()
        for lens in LENSES
    ] + [
        Claim(
            f"{name} is close, {lens} lens",
            KEYS[name],
            listed({"rank correlation": one.rank, "ratio": one.ratio}),
            CRITERION,
            one.conditions,
            printed.get((name, lens), Printed("")),
            {"rank correlation": one.rank, "ratio": one.ratio},
        )
        for (name, lens), one in found.items()
    ]
