"""From tidy tables to the numbers that a chapter prints: pure functions of frames."""

import numpy as np
import pandas as pd

KEYS = ["sublayer", "layer", "space"]
RESAMPLES = 2000


def layer_means(deviations: pd.DataFrame, by: tuple[str, ...] = ()) -> pd.DataFrame:
    """One metric per sublayer, layer and space: averaged within each prompt, then over prompts.

    ``low`` and ``high`` are the smallest and largest single value, ``n`` the number of values,
    ``prompts`` the number of prompts and ``layers`` the depth of the model. ``by`` adds columns
    to group by, such as ``category``.
    """
    keys = [*by, *KEYS]
    within = deviations.groupby([*keys, "prompt"], observed=True)["value"]
    prompts = within.agg(["mean", "min", "max", "size"]).reset_index()
    grouped = prompts.groupby(keys, observed=True)
    table = grouped.agg(
        mean=("mean", "mean"),
        low=("min", "min"),
        high=("max", "max"),
        n=("size", "sum"),
        prompts=("prompt", "size"),
    ).reset_index()
    text = {name: table[name].astype(str) for name in keys if name != "layer"}
    return table.assign(layers=int(deviations["layer"].max()) + 1, **text)


def layers_below(means: pd.DataFrame, column: str = "mean") -> pd.Series:
    """In how many layers is the probability space below the embedding space? Per sublayer.

    ``means`` as from :func:`layer_means`; ``column`` is ``mean`` or ``low`` (the minimum).
    """
    wide = means.pivot(index=["sublayer", "layer"], columns="space", values=column)
    below = wide["probability"] < wide["embedding"]
    return below.groupby("sublayer").sum().astype(int)


def gaps(means: pd.DataFrame) -> pd.Series:
    """Median over layers of embedding cosine minus probability cosine, per sublayer."""
    wide = means.pivot(index=["sublayer", "layer"], columns="space", values="mean")
    return (wide["embedding"] - wide["probability"]).groupby("sublayer").median()


def logits_above(means: pd.DataFrame) -> pd.Series:
    """In how many layers is the mean logit cosine above the embedding's? Per sublayer."""
    wide = means.pivot(index=["sublayer", "layer"], columns="space", values="mean")
    return (wide["logit"] > wide["embedding"]).groupby("sublayer").sum().astype(int)


def above_by_step(deviations: pd.DataFrame) -> dict[int, int]:
    """In how many sublayers the mean logit cosine is above the embedding's, at each step by
    itself; step 0 is the last token of the prompt. Cosines of one lens and intervention."""
    return {
        int(step): int(logits_above(layer_means(rows)).sum())
        for step, rows in deviations.groupby("step")
    }


def intervals(deviations: pd.DataFrame, seed: int, resamples: int = RESAMPLES) -> pd.DataFrame:
    """95% percentile intervals when prompts are drawn anew with replacement.

    Prompts, not steps, are resampled: steps of one text are not independent. One row per
    sublayer; columns ``below_low``, ``below_high`` (layers where the mean probability cosine is
    below the embedding's), ``above_…`` (logit above embedding) and ``gap_…`` (median over layers
    of embedding minus probability).
    """
    within = deviations.groupby([*KEYS, "prompt"], observed=True)["value"].mean()
    generator = np.random.default_rng(seed)
    rows = {}
    for sublayer, values in within.groupby("sublayer", observed=True):
        spaces = {
            str(space): part.unstack("prompt").to_numpy()
            for space, part in values.groupby("space", observed=True)
        }
        count = spaces["embedding"].shape[1]
        draws = generator.integers(count, size=(resamples, count))
        drawn = {space: table[:, draws].mean(axis=-1) for space, table in spaces.items()}
        embedding, logit, probability = (
            drawn[space] for space in ("embedding", "logit", "probability")
        )
        found = {
            "below": (probability < embedding).sum(axis=0),
            "above": (logit > embedding).sum(axis=0),
            "gap": np.median(embedding - probability, axis=0),
        }
        rows[str(sublayer)] = {
            f"{name}_{end}": float(np.percentile(sample, share))
            for name, sample in found.items()
            for end, share in (("low", 2.5), ("high", 97.5))
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("sublayer")


def agreement(by_category: pd.DataFrame, space: str) -> float:
    """Mean Spearman correlation, over pairs of categories, of their means along all sublayers:
    1 if every category ranks the sublayers alike. NaN with fewer than two categories."""
    rows = by_category[by_category["space"] == space]
    wide = rows.pivot(index=["sublayer", "layer"], columns="category", values="mean")
    correlation = wide.corr(method="spearman").to_numpy()
    pairs = correlation[np.triu_indices(len(correlation), k=1)]
    return float(pairs.mean()) if len(pairs) else float("nan")
