"""Appendix I: profiles over depth of similarity, variances and their ratios, every layer."""

import pandas as pd

from reporting import magnitudes, summaries
from reporting.estimates import side_by_side
from reporting.hierarchy import LABELS
from reporting.magnitudes import Contrast
from reporting.step_frames import COSINES, DEVIATION_PANELS, step_lines
from runs.store import Measurement

VARIANCES = {
    "variance_uniform": "equal weights",
    "variance_p": "under p",
    "variance_r": "under r",
}
THEOREMS = {"kl": "Theorem 3", "angular": "Theorem 2"}
Tracked = dict[tuple[str, int], dict[str, float]]


def cosine_profile(measured: Measurement, lens: str, steps: int | None = None) -> pd.DataFrame:
    """Mean cosine per sublayer, layer and space; logits as they are; of the first ``steps``."""
    rows = measured.table("deviations", metric="cosine", lens=lens)
    rows = rows[~rows["centred"] & (rows["step"] < (steps or float("inf")))]
    return summaries.layer_means(rows)


def median(profile: pd.DataFrame, space: str) -> float:
    """Median over all sublayers of the mean cosine in a space."""
    return float(profile.loc[profile["space"] == space, "mean"].median())


def hierarchy_table(profiles: dict[str, dict[str, pd.DataFrame]]) -> pd.DataFrame:
    """One row per setting and lens: median cosines, and layers with p below h by mean."""
    rows = []
    for setting, lenses in profiles.items():
        for lens, profile in lenses.items():
            below = summaries.layers_below(profile)
            layers = int(profile["layers"].iloc[0])
            row: dict[str, object] = {"setting": f"{setting}, {lens} lens"}
            for space in ("embedding", "logit", "probability"):
                row[f"median {space}"] = f"{median(profile, space):.4f}"
            for kind, label in LABELS.items():
                row[f"{label}: p below h"] = f"{below[kind]} of {layers}"
            rows.append(row)
    return pd.DataFrame(rows)


def _metric(measured: Measurement, lens: str, metric: str) -> pd.DataFrame:
    return measured.table("deviations", metric=metric, lens=lens)


def variance_profile(measured: Measurement, lens: str) -> pd.DataFrame:
    """The three variances of Δz per sublayer and layer: columns of :func:`summaries.layer_means`
    and ``series``."""
    parts = [
        summaries.layer_means(_metric(measured, lens, metric)).assign(series=label)
        for metric, label in VARIANCES.items()
    ]
    return pd.concat(parts, ignore_index=True)


def ratio_profile(measured: Measurement, lens: str) -> pd.DataFrame:
    """Variance over the squared relative orthogonal magnitude of the same step, in the embedding
    (Figure 20) and the logit space (Figure 21): columns as :func:`variance_profile`."""
    parts = [
        summaries.layer_means(_ratios(measured, lens, metric, space)).assign(
            series=f"{VARIANCES[metric]} / {space}"
        )
        for space in ("embedding", "logit")
        for metric in ("variance_uniform", "variance_r")
    ]
    return pd.concat(parts, ignore_index=True)


def median_of(measured: Measurement, lens: str, metric: str, space: str) -> float:
    """Median over all sublayers of the typical ratio of variance to squared magnitude."""
    rows = _ratios(measured, lens, metric, space)
    return float(rows.groupby(["sublayer", "layer"], observed=True)["value"].median().median())


def _ratios(measured: Measurement, lens: str, metric: str, space: str) -> pd.DataFrame:
    keys = ["prompt", "step", "layer", "sublayer"]
    size = _metric(measured, lens, "orthogonal")
    size = size[(size["space"] == space) & ~size["centred"]].set_index(keys)["value"]
    rows = _metric(measured, lens, metric).set_index(keys)
    return rows.assign(value=rows["value"] / size**2, space=space).reset_index()


def variance_summary(measured: Measurement, lens: str, seed: int) -> dict[str, Contrast]:
    """Each weighted variance against that with equal weights, over all sublayers.

    In a :class:`Contrast`, ``below`` counts sublayers where the weighted variance is *lower*, and
    ``ratio`` is the median of weighted / equal.
    """
    uniform = _metric(measured, lens, "variance_uniform").assign(space="embedding", centred=False)
    found = {}
    for metric in ("variance_p", "variance_r"):
        weighted = _metric(measured, lens, metric).assign(space="logit", centred=False)
        rows = pd.concat([uniform, weighted], ignore_index=True)
        # one line of depth for both kinds of sublayer: 2 × layer, and 1 more for the MLP
        place = 2 * rows["layer"] + rows["sublayer"].eq("mlp")
        rows = rows.assign(layer=place, sublayer="both")
        found[metric] = magnitudes.contrast(rows, "both", False, seed)
    return found


def lines_at(measured: Measurement, sublayer: str, layer: int, lens: str) -> pd.DataFrame:
    """Lines over decoding steps of all panels of Appendix I, at one sublayer."""
    rows = measured.table("deviations", layer=layer, sublayer=sublayer, lens=lens)
    return step_lines(rows, DEVIATION_PANELS)


def similarity_at(
    measured: dict[str, Measurement], sublayer: str, layer: int, lens: str
) -> pd.DataFrame:
    """Lines of the cosine in the three spaces over decoding steps, one panel for each setting."""
    place = {"layer": layer, "sublayer": sublayer, "lens": lens, "metric": "cosine"}
    parts = [
        step_lines(one.table("deviations", **place), {setting: COSINES})
        for setting, one in measured.items()
    ]
    return pd.concat(parts, ignore_index=True)


def lowest(profile: pd.DataFrame, sublayer: str, layer: int) -> str:
    """The space with the lowest mean cosine at one sublayer, and that cosine, in words."""
    rows = profile[(profile["sublayer"] == sublayer) & (profile["layer"] == layer)]
    least = rows.loc[rows["mean"].idxmin()]
    return f"{least['space']}, {least['mean']:.3f}"


def tracking_by_sublayer(measured: Measurement, lens: str) -> Tracked:
    """Median estimate / truth of Theorems 2 and 3 at each sublayer, over prompts and steps."""
    found: Tracked = {}
    for metric in THEOREMS:
        rows = measured.table("deviations", metric=metric, lens=lens, space="probability")
        pairs = side_by_side(rows)
        pairs = pairs[pairs["quantity"] == "theorem"]
        ratios = pairs.groupby(["sublayer", "layer"], observed=True)["ratio"].median()
        for (kind, layer), ratio in ratios.items():
            found.setdefault((str(kind), int(layer)), {})[metric] = float(ratio)
    return found
