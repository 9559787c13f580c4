"""From the ``deviations`` table to lines over decoding steps, as ``figures.lines`` draws them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

ESTIMATES = {
    ("angular", "embedding", "theorem"): "Theorem 1",
    ("angular", "logit", "theorem"): "Theorem 1",
    ("angular", "probability", "theorem"): "Theorem 2",
    ("angular", "probability", "bounded"): "bounded form",
    ("kl", "probability", "theorem"): "Theorem 3",
}
VARIANCES = {
    "variance_p": "Var under p",
    "variance_r": "Var under r",
    "variance_uniform": "Var, equal weights",
}
Lines = Sequence[tuple[str, str]]  # metric and space of what one panel shows

PROBABILITY_PANELS: Mapping[str, Lines] = {
    "Angular deviation, probability space": [("angular", "probability")],
    "KL divergence": [("kl", "probability")],
}
DEVIATION_PANELS: Mapping[str, Lines] = {  # of Appendix I
    **PROBABILITY_PANELS,
    "Angular deviation, embedding and logit space": [
        ("angular", "embedding"),
        ("angular", "logit"),
    ],
    "Relative orthogonal magnitude": [("orthogonal", "embedding"), ("orthogonal", "logit")],
    "Variance of the change of logits": [
        ("variance_uniform", "logit"),
        ("variance_p", "probability"),
        ("variance_r", "probability"),
    ],
}
COSINES: Lines = [("cosine", space) for space in ("embedding", "logit", "probability")]
Y_LABELS = {
    "Angular deviation, probability space": "1 − cos (0 = unchanged)",
    "KL divergence": "KL(dense ‖ pruned) in nats",
    "Angular deviation, embedding and logit space": "1 − cos (0 = unchanged) ",
    "Relative orthogonal magnitude": "‖Δ⊥‖ / ‖state‖",
    "Variance of the change of logits": "Var(Δz) in squared logits",
}
STEPS: Mapping[str, Any] = {
    "x_label": "decoding step",
    "x_whole": True,
    "edges": "lower quartile",
}


QUARTILES = (0.25, 0.75)


def picked(deviations: pd.DataFrame, centred: bool = False, /, **equal: Any) -> pd.DataFrame:
    """Rows where each named column equals the value; centred logits, if wanted, in their space."""
    kept = deviations["centred"].eq(centred)
    if centred:
        kept |= deviations["space"].ne("logit")
    for column, value in equal.items():
        kept &= deviations[column].eq(value)
    return deviations[kept]


def line(
    values: pd.Series, unit: str = "step", edges: tuple[float, float] = (0.0, 1.0)
) -> pd.DataFrame:
    """One line of a chart from single values by x (index level 0): ``mean``, the quantiles ``low``
    and ``high`` (the smallest and the largest), ``n``, and ``point``, x in words."""
    by_x = values.groupby(level=0)
    low, high = (by_x.quantile(edge) for edge in edges)
    found = pd.DataFrame({"mean": by_x.mean(), "low": low, "high": high, "n": by_x.count()})
    found = found.rename_axis("x").reset_index()
    return found.assign(point=found["x"].map(f"{unit} {{:.0f}}".format))


def step_lines(deviations: pd.DataFrame, panels: Mapping[str, Lines]) -> pd.DataFrame:
    """Means over prompts at each step, with their quartiles ``low`` and ``high`` and ``n`` (prompts
    that got so far), in the columns of ``figures.lines``.

    ``deviations`` are rows of one sublayer and lens, logits as they are or, for the variance with
    equal weights, centred. A panel names the metrics and spaces that it shows; every estimate of
    them comes along.
    """
    parts = []
    for panel, lines in panels.items():
        for metric, space in lines:
            rows = deviations[(deviations["metric"] == metric) & (deviations["space"] == space)]
            if metric != "variance_uniform":
                rows = rows[~rows["centred"]]
            for quantity, part in rows.groupby("quantity", observed=True):
                label = _label(metric, space, str(quantity), len(lines) > 1)
                look = {"panel": panel, "series": label, "space": space, "quantity": str(quantity)}
                own = line(part.set_index("step")["value"], edges=QUARTILES)
                parts.append(own.assign(**look))
    return pd.concat(parts, ignore_index=True)


def by_lens(deviations: pd.DataFrame, panels: Mapping[str, Lines]) -> pd.DataFrame:
    """:func:`step_lines` of both lenses, the lens named in the panel."""
    parts = [
        step_lines(deviations[deviations["lens"] == lens], panels).assign(
            panel=lambda found, lens=lens: found["panel"] + f", {lens} lens"
        )
        for lens in ("raw", "normed")
    ]
    return pd.concat(parts, ignore_index=True)


def typical_ranges(frames: Iterable[pd.DataFrame]) -> dict[str, tuple[float, float]]:
    """For each panel one y range for all frames, without the smallest and the largest hundredth of
    all positive values, so that a few extreme ones do not flatten the rest."""
    every = pd.concat(list(frames), ignore_index=True)
    every = every[every["mean"] > 0]
    return {
        str(panel): (float(values.quantile(0.01)) / 1.3, float(values.quantile(0.99)) * 1.3)
        for panel, values in every.groupby("panel", sort=False)["mean"]
    }


def y_labels(found: pd.DataFrame) -> dict[str, str]:
    """The y label of each panel. Panels of two lenses have scales of their own: labels differ by
    a space that nobody sees."""
    return {
        name: Y_LABELS[name.removesuffix(", raw lens").removesuffix(", normed lens")]
        + " " * name.endswith("normed lens")
        for name in dict.fromkeys(found["panel"])
    }


def _label(metric: str, space: str, quantity: str, several: bool) -> str:
    if metric in VARIANCES:
        return VARIANCES[metric]
    if quantity == "measured":
        return space if several else "measured"
    name = ESTIMATES[metric, space, quantity]
    return f"{name}, {space}" if several else name


def longest(deviations: pd.DataFrame) -> str:
    """The prompt with the most steps; the first by name where several have as many."""
    steps = deviations.groupby("prompt", observed=True)["step"].max()
    return str(min(str(prompt) for prompt in steps.index[steps == steps.max()]))
