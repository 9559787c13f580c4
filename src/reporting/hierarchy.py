"""Does a claim of the paper hold here? Each claim with its criterion, stated before the verdict."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from reporting.summaries import gaps, intervals, layer_means, layers_below, logits_above

Verdict = Literal["held", "partly", "not", "too few prompts"]
FEWEST_PROMPTS = 5  # below, a bootstrap over prompts says nothing, and no claim is judged
LABELS = {"attention": "attention", "mlp": "MLP"}
STABLE = 0.95  # a cosine that Section 5 would call high: its embedding curves lie above it


def verdict(*conditions: bool) -> Verdict:
    """``held`` if every condition is met, ``partly`` if some, ``not`` if none."""
    return "held" if all(conditions) else "partly" if any(conditions) else "not"


@dataclass(frozen=True)
class Hierarchy:
    """What Section 5 needs of one model through one lens.

    ``means`` as from :func:`summaries.layer_means`; ``below`` (by mean), ``below_minimum`` and
    ``above`` count layers, ``gap`` is a median cosine difference, all by sublayer; ``interval``
    holds 95% intervals over prompts, or None for a reported curve.
    """

    means: pd.DataFrame
    below: pd.Series
    below_minimum: pd.Series
    above: pd.Series
    gap: pd.Series
    interval: pd.DataFrame | None

    @property
    def layers(self) -> int:
        """Depth of the model."""
        return int(self.means["layers"].iloc[0])

    def median(self, space: str, sublayer: str | None = None) -> float:
        """Median over layers of the mean cosine in ``space``; of both sublayers unless one is
        named."""
        chosen = self.means[self.means["space"] == space]
        if sublayer:
            chosen = chosen[chosen["sublayer"] == sublayer]
        return float(chosen["mean"].median())

    def at_least(self, count: str, sublayer: str) -> float:
        """Lower end of the interval of ``below`` or ``above``; the count itself if reported."""
        if self.interval is None:
            return float(getattr(self, count)[sublayer])
        return float(self.interval.loc[sublayer, f"{count}_low"])

    def lowest(self, space: str) -> float:
        """Median over layers of the lowest single cosine in ``space``."""
        return float(self.means.loc[self.means["space"] == space, "low"].median())


def hierarchy(deviations: pd.DataFrame, seed: int) -> Hierarchy:
    """Summarize measured cosines of one lens (rows of ``deviations``).

    With fewer than ``FEWEST_PROMPTS`` prompts there are no intervals, and so no verdicts.
    """
    enough = deviations["prompt"].nunique() >= FEWEST_PROMPTS
    return _summarize(layer_means(deviations), intervals(deviations, seed) if enough else None)


def reported_hierarchy(means: pd.DataFrame) -> Hierarchy:
    """Summarize a reported curve (columns as :func:`summaries.layer_means`)."""
    return _summarize(means, None)


def _summarize(means: pd.DataFrame, interval: pd.DataFrame | None) -> Hierarchy:
    return Hierarchy(
        means=means,
        below=layers_below(means, "mean"),
        below_minimum=layers_below(means, "low"),
        above=logits_above(means),
        gap=gaps(means),
        interval=interval,
    )


def layer_table(found: dict[str, Hierarchy]) -> pd.DataFrame:
    """In how many layers is the probability space below the embedding space? One row per
    source (measured lens, or reported) and sublayer, counts with intervals where measured."""
    rows = []
    for source, one in found.items():
        for sublayer in LABELS:
            rows.append(
                {
                    "source": source,
                    "sublayer": LABELS[sublayer],
                    "by mean": _count(one, one.below, sublayer, "below"),
                    "by minimum": f"{one.below_minimum[sublayer]} of {one.layers}",
                    "median gap": _gap(one, sublayer),
                    "logit above embedding": _count(one, one.above, sublayer, "above"),
                }
            )
    return pd.DataFrame(rows)


def section_5(as_is: Hierarchy, centred: Hierarchy) -> pd.DataFrame:
    """The three claims of Section 5 for one lens: criterion, measured number, verdict.

    ``as_is`` uses logits as they are, ``centred`` logits with their mean subtracted.
    """
    embedding = as_is.means[as_is.means["space"] == "embedding"]
    last = as_is.layers - 1
    inner = embedding[~embedding["layer"].isin([0, last])].groupby("sublayer")["mean"].median()
    outer = embedding[embedding["layer"].isin([0, last])].groupby("sublayer")["mean"].min()
    inner, outer = inner.reindex(list(LABELS)), outer.reindex(list(LABELS))  # two layers: no inner
    half = as_is.layers / 2
    lowest = as_is.lowest("probability"), as_is.lowest("embedding")
    table = pd.DataFrame(
        [
            {
                "claim": "Embeddings stay similar, except at the first and last layers",
                "criterion": f"median inner cosine at least {STABLE}; first or last layer lower",
                "measured": _both("{:.2f} inner, {:.2f} outer", inner, outer),
                "verdict": verdict(
                    *(inner[kind] >= STABLE and outer[kind] < inner[kind] for kind in LABELS)
                ),
            },
            {
                "claim": "Probabilities fluctuate although embeddings are alike",
                "criterion": "mean below embedding in most layers; "
                "lowest value less than half of the embedding's",
                "measured": _both(f"{{}} of {as_is.layers} layers", as_is.below)
                + f"; lowest {lowest[0]:.2f} against {lowest[1]:.2f}",
                "verdict": verdict(
                    *(as_is.at_least("below", kind) > half for kind in LABELS),
                    lowest[0] < lowest[1] / 2,
                ),
            },
            {
                "claim": "Logits are even more similar than embeddings",
                "criterion": "mean above embedding in most layers",
                "measured": _both(f"{{}} of {as_is.layers} layers", as_is.above),
                "verdict": verdict(*(as_is.at_least("above", kind) > half for kind in LABELS)),
            },
            {
                "claim": "… also without the offset that all logits share",
                "criterion": "the same with centred logits (our addition)",
                "measured": _both(f"{{}} of {centred.layers} layers", centred.above),
                "verdict": verdict(*(centred.at_least("above", kind) > half for kind in LABELS)),
            },
        ]
    )
    if as_is.interval is None:
        table["verdict"] = "too few prompts"
    return table[["claim", "verdict", "measured", "criterion"]]


def _both(form: str, *values: pd.Series) -> str:
    return "; ".join(
        f"{label} {form.format(*(value[kind] for value in values))}"
        for kind, label in LABELS.items()
    )


def _count(one: Hierarchy, counts: pd.Series, sublayer: str, name: str) -> str:
    text = f"{counts[sublayer]} of {one.layers}"
    if one.interval is None:
        return text
    low, high = (one.interval.loc[sublayer, f"{name}_{end}"] for end in ("low", "high"))
    return f"{text} [{low:.0f}–{high:.0f}]"


def _gap(one: Hierarchy, sublayer: str) -> str:
    text = f"{one.gap[sublayer]:.3f}"
    if one.interval is None:
        return text
    low, high = (one.interval.loc[sublayer, f"gap_{end}"] for end in ("low", "high"))
    return f"{text} [{low:.3f}–{high:.3f}]"
