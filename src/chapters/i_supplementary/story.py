"""Appendix I: every layer, every step, and what the paper says of them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from reporting import statistics
from reporting.claims import Claim
from reporting.estimates import CLOSE, RANKED, ranked, theorem
from reporting.hierarchy import Hierarchy
from reporting.layers import LABELS, PLACE, Contrast, contrast, layer_means
from reporting.statistics import FEWEST, Estimate
from reporting.step_frames import COSINES, step_lines
from runs.store import Measurement

LENSES = ("raw", "normed")
MOST = 0.9  # share of sublayers that "every layer" allows us to ask for
WEIGHTS = {
    "variance_uniform": "equal weights",
    "variance_p": "under p",
    "variance_r": "under r",
}
FIGURES = {
    "kl": ("Theorem 3", "KL", 14, "I-theorem-3-layers"),
    "angular": ("Theorem 2", "the angle", 15, "I-theorem-2-layers"),
}
ALIKE = 0.5  # rank correlation of two profiles that we would call alike
LOCAL = {"embedding": 16, "logit": 17}


def cosines(measured: Measurement, lens: str) -> pd.DataFrame:
    """Cosines of one lens, logits as they are."""
    rows = measured.table("deviations", metric="cosine", lens=lens)
    return rows[~rows["centred"]]


def similarity_at(
    measured: Mapping[str, Measurement], sublayer: str, layer: int, lens: str
) -> pd.DataFrame:
    """Lines of the cosine in the three spaces over decoding steps, one panel for each setting."""
    place = {"layer": layer, "sublayer": sublayer, "lens": lens, "metric": "cosine"}
    parts = [
        step_lines(one.table("deviations", **place), {setting: COSINES})
        for setting, one in measured.items()
    ]
    return pd.concat(parts, ignore_index=True)


def variances(measured: Measurement, lens: str) -> pd.DataFrame:
    """The three variances of Δz per sublayer and layer: columns of :func:`layers.layer_means` and
    ``series``."""
    return pd.concat(
        layer_means(measured.table("deviations", metric=metric, lens=lens)).assign(series=label)
        for metric, label in WEIGHTS.items()
    )


def ratios(measured: Measurement, lens: str, metric: str, space: str) -> pd.DataFrame:
    """Rows of one variance, over the squared relative orthogonal magnitude of the same state in a
    space."""
    keys = ["prompt", "step", "layer", "sublayer"]
    size = measured.table("deviations", metric="orthogonal", lens=lens, space=space)
    size = size[~size["centred"]].set_index(keys)["value"]
    rows = measured.table("deviations", metric=metric, lens=lens).set_index(keys)
    return rows.assign(value=rows["value"] / size**2, space=space).reset_index()


def variance_ratios(measured: Measurement, lens: str) -> pd.DataFrame:
    """:func:`ratios` in the embedding (Figure 20) and the logit space (Figure 21): columns as
    :func:`variances`."""
    return pd.concat(
        layer_means(ratios(measured, lens, metric, space)).assign(
            series=f"{WEIGHTS[metric]} / {space}"
        )
        for space in ("embedding", "logit")
        for metric in ("variance_uniform", "variance_r")
    )


def weighted(measured: Measurement, lens: str, metric: str, seed: int) -> Contrast:
    """A weighted variance beside that with equal weights, over all sublayers."""
    one, equal = (
        measured.table("deviations", metric=name, lens=lens)
        for name in (metric, "variance_uniform")
    )
    return contrast(equal, one, seed)


def sublayers(measured: Measurement, lens: str, metric: str, space: str) -> pd.DataFrame:
    """Of each sublayer (index: sublayer, layer), median estimate / truth (``ratio``) over prompts
    and steps, whether that is ``close``, the ``rank`` correlation over states, and whether it is
    in the first or last layer (``outer``)."""
    rows = measured.table("deviations", metric=metric, lens=lens, space=space)
    places = theorem(rows).astype({"sublayer": str}).dropna(subset="ratio").groupby(PLACE)
    found = places["ratio"].median().to_frame()
    layer = found.index.get_level_values("layer")
    return found.assign(
        close=found["ratio"].between(*CLOSE),
        rank=pd.Series({place: ranked(part) for place, part in places}),
        outer=layer.isin([0, rows["layer"].max()]),
    )


def claims(measured: Measurement, half: Measurement, seed: int) -> list[Claim]:
    """What the paper reads off these figures, through both lenses; ``measured`` with every sublayer
    removed, ``half`` with half of its weights gone."""
    enough = measured.manifest["facts"]["prompts"] >= FEWEST
    found = []
    for lens in LENSES:
        found += [*_thinned(measured, half, lens, seed), _large(measured, lens, seed)]
        for metric, (name, what, figure, key) in FIGURES.items():
            every = sublayers(measured, lens, metric, "probability")
            high = every["rank"] >= RANKED
            shares = [every["close"].mean() >= MOST, high.mean() >= MOST]
            found.append(
                Claim(
                    f"{name} tracks {what} across layers and steps (Figure {figure}), {lens} lens",
                    key,
                    f"ratio close in {every['close'].sum()}, rank high in {high.sum()} of "
                    f"{len(every)} sublayers",
                    f"median ratio {CLOSE[0]}–{CLOSE[1]}, and rank correlation over steps at least "
                    f"{RANKED}, each in {MOST:.0%} of sublayers",
                    shares if enough else [None],
                )
            )
        for space, figure in LOCAL.items():
            every = sublayers(measured, lens, "angular", space)
            inner, outer = (every.loc[every["outer"] == side, "close"] for side in (False, True))
            found.append(
                Claim(
                    f"Theorem 1 is close in the {space} space, but for the first and last layers "
                    f"(Figure {figure}), {lens} lens",
                    "I-theorem-1-layers",
                    f"{inner.sum()} of {len(inner)} inner, {outer.sum()} of {len(outer)} outer "
                    "sublayers",
                    f"median ratio {CLOSE[0]}–{CLOSE[1]} in {MOST:.0%} of the inner sublayers; not "
                    "in all outer ones",
                    _with_exception(inner, outer) if enough else [None],
                )
            )
        deeper = depth_and_kl(measured, lens, seed)
        found.append(
            Claim(
                f"Deeper layers deviate more (Figures 14 and 15), {lens} lens",
                "I-deeper-more",
                f"rank correlation of depth with mean KL {deeper}",
                "above zero with its whole interval over prompts",
                [deeper.within(0)],
                numbers={"depth and KL": deeper},
            )
        )
    return found


def _thinned(removed: Measurement, half: Measurement, lens: str, seed: int) -> list[Claim]:
    """How a sublayer that is thinned compares with one that is removed, on the same steps."""
    thin = cosines(half, lens)
    whole = cosines(removed, lens)
    whole = whole[whole["step"] <= thin["step"].max()]
    one, other = (Hierarchy.of(rows, seed).samples for rows in (thin, whole))

    def orders(space: str) -> np.ndarray:
        a, b = (each.xs(space, axis=1, level="space").to_numpy() for each in (one, other))
        return statistics.rank_correlation(a, b)

    prompts = thin["prompt"].nunique()
    alike = {space: Estimate.of(orders(space), prompts) for _, space in COSINES}
    turned, thinned = (
        rows[rows["sublayer"].eq("mlp") & rows["space"].eq("embedding")].assign(
            value=lambda kept: 1 - kept["value"]
        )
        for rows in (whole, thin)
    )
    closer = contrast(turned, thinned, seed)
    return [
        Claim.of(
            f"Layers rank alike, thinned by half or removed (Figure 13), {lens} lens",
            "I-single-weights-alike",
            alike,
            f"rank correlation of cosines over sublayers above {ALIKE}, in each space",
            low=ALIKE,
        ),
        Claim(
            f"MLPs stay more alike thinned than removed (Figure 13), {lens} lens",
            "I-mlp-milder",
            str(closer),
            "embedding cosine higher in most layers",
            [closer.in_most],
        ),
    ]


def _large(measured: Measurement, lens: str, seed: int) -> Claim:
    """Is the variance large beside the orthogonal part? It compares squared logits with a pure
    number, as the paper's figures do."""
    ratio = ratios(measured, lens, "variance_r", "logit")
    over = contrast(ratio, ratio.assign(value=1.0), seed)
    means = layer_means(ratio)
    last = means["layer"].eq(means["layers"] - 1)
    ends, middle = means.loc[last, "mean"].median(), means.loc[~last, "mean"].median()
    enough = measured.manifest["facts"]["prompts"] >= FEWEST
    return Claim(
        f"The variance is large beside the orthogonal part, above all in the last layer "
        f"(Figure 21), {lens} lens",
        "6.2-variance-large",
        f"larger in {over}; last layer {ends:,.0f}, median {middle:,.0f}",
        "variance under r over the squared relative orthogonal part above 1 in most sublayers; "
        "larger in the last layer than in the median one",
        [over.in_most, bool(ends > middle) if enough else None],
    )


def _with_exception(inner: pd.Series, outer: pd.Series) -> list[bool]:
    """The exception is a claim only where the rule holds."""
    rule = not len(inner) or inner.mean() >= MOST
    return [rule, rule and not outer.all()]


def depth_and_kl(measured: Measurement, lens: str, seed: int) -> Estimate:
    """Rank correlation of depth with the mean KL of each sublayer, within each prompt."""
    rows = measured.table("deviations", metric="kl", lens=lens, quantity="measured")
    means = rows.groupby(["prompt", *PLACE], observed=True)["value"].mean().reset_index()
    prompts = means.groupby("prompt", observed=True)
    each = [part["layer"].rank().corr(part["value"].rank()) for _, part in prompts]
    return statistics.mean(np.array(each), seed)


def hierarchy_table(found: Mapping[str, Hierarchy]) -> pd.DataFrame:
    """One row per setting and lens: median cosines, and layers with p below h by mean."""
    return pd.DataFrame(
        {"setting": name}
        | {f"median {space}": f"{one.median(space).value:.4f}" for _, space in COSINES}
        | {
            f"{label}: p below h": f"{one.below(kind).text('.0f')} of {one.layers}"
            for kind, label in LABELS.items()
        }
        for name, one in found.items()
    )
