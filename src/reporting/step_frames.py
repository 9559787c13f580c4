"""From the ``deviations`` table to lines over decoding steps, as ``figures.step_series`` draws."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

SPACES = ("embedding", "logit", "probability")
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

# the lines of each panel of Appendix I
DEVIATION_PANELS: Mapping[str, Lines] = {
    "Angular deviation, probability space": [("angular", "probability")],
    "KL divergence": [("kl", "probability")],
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
COSINES: Lines = [("cosine", space) for space in SPACES]
PROBABILITY_PANELS: Mapping[str, Lines] = {
    name: DEVIATION_PANELS[name] for name in list(DEVIATION_PANELS)[:2]
}
Y_LABELS = {
    "Angular deviation, probability space": "1 − cos (0 = unchanged)",
    "KL divergence": "KL(dense ‖ pruned) in nats",
    "Angular deviation, embedding and logit space": "1 − cos (0 = unchanged) ",
    "Relative orthogonal magnitude": "‖Δ⊥‖ / ‖state‖",
    "Variance of the change of logits": "Var(Δz) in squared logits",
}


def step_lines(deviations: pd.DataFrame, panels: Mapping[str, Lines]) -> pd.DataFrame:
    """Means over prompts at each step: columns ``panel``, ``series``, ``space``, ``quantity``,
    ``step``, ``mean``, ``low`` and ``high`` (single prompts) and ``n`` (prompts that got so far).

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
                grouped = part.groupby("step")["value"]
                found = grouped.agg(mean="mean", low="min", high="max", n="size").reset_index()
                label = _label(metric, space, str(quantity), len(lines) > 1)
                parts.append(
                    found.assign(panel=panel, series=label, space=space, quantity=quantity)
                )
    found = pd.concat(parts, ignore_index=True)
    return found.assign(quantity=found["quantity"].astype(str))


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
    names = dict.fromkeys(found["panel"])
    return {
        name: Y_LABELS[name.rsplit(", ", 1)[0] if name.endswith(" lens") else name]
        + " " * name.endswith("normed lens")
        for name in names
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
