"""In place and at the output, in tables, with a verdict on what the one says about the other."""

import math
from collections.abc import Callable, Iterable

import pandas as pd

from reporting.hierarchy import LABELS, Hierarchy, Verdict, verdict
from reporting.reach import SPACES, Estimate, Reach

CHOSEN = 8  # sublayers of one kind that are dropped together, as in the paper's Drop-8A and Drop-8M
ALIKE = 0.5  # rank correlation above which one order is said to follow the other


def chosen_count(sublayers: int) -> int:
    """How many of so many sublayers of one kind to choose: eight, but at most a third."""
    return max(1, min(CHOSEN, sublayers // 3))


def correlation_table(found: dict[str, dict[str, Reach]]) -> pd.DataFrame:
    """One row per lens and space: how alike the two orders are, and what the layers above do."""
    return pd.DataFrame(
        [
            {
                "lens": lens,
                "space": space,
                "rank correlation": one.correlation.text(),
                "output / in place": one.amplification.text(),
                "smaller at the output": f"{one.repaired.text('.0f')} of {one.sublayers}",
                "ratio against depth": one.trend.text(),
            }
            for lens, by_space in found.items()
            for space, one in by_space.items()
        ]
    )


def choice_table(found: Reach, same: pd.Series) -> pd.DataFrame:
    """What choosing by importance in place costs at the output, for each kind of sublayer.

    ``same`` as from :func:`agreement`. ``by chance`` is the overlap of two unrelated choices.
    """
    rows = []
    for sublayer, label in LABELS.items():
        one = found.only(sublayer)
        count = chosen_count(one.sublayers)
        cost = one.cost(count)
        chosen = one.least_here(count)
        kept = same.loc[list(chosen[["sublayer", "layer"]].itertuples(index=False, name=None))]
        rows.append(
            {
                "sublayers": f"{count} of {one.sublayers} {label}",
                "in both choices": one.overlap(count).text(".0f"),
                "by chance": f"{count * count / one.sublayers:.1f}",
                "KL, chosen in place": cost["chosen"],
                "KL, best": cost["best"],
                "KL, all": cost["all"],
                "same top token, chosen": float(kept.mean()),
            }
        )
    return pd.DataFrame(rows)


def heaviest(found: Reach, same: pd.Series, count: int = 6) -> pd.DataFrame:
    """The sublayers whose removal costs the output most, with their rank in place."""
    table = found.table().join(same, on=["sublayer", "layer"])
    table["rank"] = table["here"].rank(ascending=False).astype(int)
    table = table.sort_values("there", ascending=False, ignore_index=True).head(count)
    return pd.DataFrame(
        {
            "sublayer": [
                f"{LABELS[row.sublayer]} {row.layer}" for row in table.itertuples(index=False)
            ],
            "KL at the output": table["there"],
            "same top token": table["agreement"],
            "1 − cos in place": table["here"],
            "rank in place": table["rank"],
        }
    )


def verdicts(
    spaces: dict[str, Reach],
    found: Reach,
    as_is: Hierarchy,
    centred: Hierarchy,
) -> pd.DataFrame:
    """What in place says about the output: criterion, measured number, verdict, for one lens.

    ``spaces`` as from :func:`reaches`, ``found`` from :func:`choice`;
    the hierarchies summarize cosines at the output, with logits as they are and centred.
    """
    by_space = {space: spaces[space] for space in SPACES}
    by_kind = {label: found.only(sublayer) for sublayer, label in LABELS.items()}
    half = as_is.layers / 2
    alike = [one.correlation for one in by_space.values()]
    sizes = [one.amplification for one in by_space.values()]
    trends = [one.trend for one in by_space.values()]
    chosen = [one.correlation for one in by_kind.values()]
    table = pd.DataFrame(
        [
            {
                "claim": "What moves little in place moves little at the output",
                "criterion": f"rank correlation over sublayers above {ALIKE}, in each space",
                "measured": _list(by_space, alike),
                "verdict": _judged(alike, lambda one: one.above(ALIKE)),
            },
            {
                "claim": "The layers above repair: the deviation shrinks on its way",
                "criterion": "median of output over in place below 1, in each space",
                "measured": _list(by_space, sizes),
                "verdict": _judged(sizes, lambda one: one.below(1)),
            },
            {
                "claim": "The more layers lie above, the more it grows",
                "criterion": "output over in place falls with depth (rank correlation below 0), "
                "in each space",
                "measured": _list(by_space, trends),
                "verdict": _judged(trends, lambda one: one.below(0)),
            },
            {
                "claim": "The hierarchy reaches the output",
                "criterion": "probability below embedding in most layers",
                "measured": _layers(as_is, "below"),
                "verdict": verdict(*(as_is.at_least("below", kind) > half for kind in LABELS)),
            },
            {
                "claim": "At the output, too, logits are even more similar than embeddings",
                "criterion": "logit above embedding in most layers",
                "measured": _layers(as_is, "above"),
                "verdict": verdict(*(as_is.at_least("above", kind) > half for kind in LABELS)),
            },
            {
                "claim": "… also without the offset that all logits share",
                "criterion": "the same with centred logits",
                "measured": _layers(centred, "above"),
                "verdict": verdict(*(centred.at_least("above", kind) > half for kind in LABELS)),
            },
            {
                "claim": "Importance in place finds the sublayers that the output misses least",
                "criterion": f"rank correlation with the KL at the output above {ALIKE}, for "
                "attention and for MLP",
                "measured": _list(by_kind, chosen),
                "verdict": _judged(chosen, lambda one: one.above(ALIKE)),
            },
        ]
    )
    if as_is.interval is None:
        table["verdict"] = "too few prompts"
    return table[["claim", "verdict", "measured", "criterion"]]


def _list(found: dict[str, Reach], estimates: list[Estimate]) -> str:
    return "; ".join(f"{name} {one.text()}" for name, one in zip(found, estimates, strict=True))


def _layers(one: Hierarchy, count: str) -> str:
    texts = []
    for sublayer, label in LABELS.items():
        value = getattr(one, count)[sublayer]
        ends = ""
        if one.interval is not None:
            low, high = (one.interval.loc[sublayer, f"{count}_{end}"] for end in ("low", "high"))
            ends = f" [{low:.0f}–{high:.0f}]"
        texts.append(f"{label} {value}{ends} of {one.layers} layers")
    return "; ".join(texts)


def _judged(estimates: Iterable[Estimate], meets: Callable[[Estimate], bool]) -> Verdict:
    """A verdict where every estimate exists: too few sublayers or prompts refute nothing."""
    given = list(estimates)
    if not all(math.isfinite(one.value) for one in given):
        return "too few prompts"
    return verdict(*map(meets, given))
