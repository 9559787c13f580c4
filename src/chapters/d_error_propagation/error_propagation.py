"""Appendix D in tables: what was measured, and whether the paper's claims held."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from chapters.d_error_propagation.path_summary import NAMES, Paths
from chapters.d_error_propagation.term_summary import ORDERS, TERMS, Terms
from helpers.errors import InputError
from reporting.hierarchy import verdict
from reporting.reach import Estimate
from reporting.resampling import judged

TOLERANCE = 0.1  # how far a measured order may lie from the expected one
LASTING = 0.5  # ratio above which a term is said to last
LEADING = 0.5  # share from which one part is said to lead
WHEN = {False: "before they part", True: "after they parted"}


def reached(found: Mapping[str, Paths]) -> dict[str, Paths]:
    """Only the pruned models in which an attention reads something else than in the dense model;
    :class:`InputError` if there is none."""
    kept = {name: one for name, one in found.items() if one.layers}
    if not kept:
        raise InputError(
            "no attention reads anything that pruning changed: raise dropped, or sparsity"
        )
    return kept


def layer_paths(found: Mapping[str, Paths], names: Iterable[str], layer: int) -> pd.DataFrame:
    """One row per pruned model: how the output of one layer's attention changes, and by which
    path; dashes where the attention is dropped or nothing reaches it."""
    rows = []
    for name in names:
        one = found.get(name)
        if one is None or layer not in one.layers:
            rows.append({"model": name, "change of o": "–"})
            continue
        rows.append(
            {
                "model": name,
                "change of o": one.at(layer, "change", "size").text(),
                **{
                    f"by {label}": one.at(layer, term, "share").text()
                    for term, label in NAMES.items()
                },
                "missed by first order": one.missed_at(layer).text(),
                "from its inputs": one.at(layer, "change", "part").text() if one.own else "all",
            }
        )
    return pd.DataFrame(rows).fillna("–")


def depth_paths(found: Mapping[str, Paths]) -> pd.DataFrame:
    """One row per pruned model: the same over all layers that an upstream change reaches."""
    return pd.DataFrame(
        [
            {
                "model": name,
                "layers": len(one.layers),
                "change of o": one.median("change", "size").text(),
                **{f"by {NAMES[term]}": one.median(term, "share").text() for term in NAMES},
                "missed by first order": one.missed_median.text(),
                "values lead in": one.by_values.text(".0%"),
                "remainder shortest in": one.dominant.text(".0%"),
            }
            for name, one in found.items()
        ]
    )


def first_token(found: Mapping[str, Paths], facts: Mapping[str, Mapping[str, Any]]) -> str:
    """Prose on the models in which the first token's value makes most of some layer's change;
    ``facts`` are those of each model's manifest."""
    parts = []
    for name, one in found.items():
        layer, share = one.from_first
        if not share > LEADING:
            continue
        layers, norms = facts[name]["layers"], facts[name]["first_norms"]
        place = layers.index(layer)
        parts.append(
            f"In {name} the value of one position, the first token of the text, makes {share:.2f} "
            f"of the change at layer {layer}. What attention reads there is "
            f"{norms['dense'][place]:.3g} times as long as at other tokens in the dense model, and "
            f"{norms['pruned'][place]:.3g} times in the pruned one." + _jump(layers, norms["dense"])
        )
    if parts:
        return " ".join(parts)
    return "In none of these models does the first token's value make most of any layer's change."


def _jump(layers: list[int], norms: list[float]) -> str:
    """Where in the dense model the first token's state grows most from one layer to the next."""
    steps = [
        (after / before, lower)
        for lower, upper, before, after in zip(layers, layers[1:], norms, norms[1:], strict=False)
        if upper == lower + 1
    ]
    if not steps:
        return ""
    rise, layer = max(steps)
    return f" The dense model makes it so long in layer {layer}: there it grows {rise:.3g}-fold."


def term_shares(found: Mapping[str, Terms]) -> pd.DataFrame:
    """Shares of the three terms, one row per pruned model, order, and side of the parting."""
    return pd.DataFrame(
        [
            {
                "model": name,
                "texts": WHEN[parted],
                "order": words,
                **{term: one.value(term, "share", parted, order).text() for term in TERMS},
            }
            for name, one in found.items()
            for parted in WHEN
            for order, words in ORDERS.items()
        ]
    )


def term_sizes(found: Mapping[str, Terms]) -> pd.DataFrame:
    """Lengths of the whole difference and of each term, relative to the dense state, and the KL
    that each adds; one row per pruned model and side of the parting, parameters first."""
    return pd.DataFrame(
        [
            {
                "model": name,
                "texts": WHEN[parted],
                **{
                    f"length, {term}": one.value(term, "relative", parted).text()
                    for term in ("whole", *TERMS)
                },
                "KL in nats": one.value("whole", "kl", parted).text(".1f"),
                "of it tokens": one.value("tokens", "kl", parted).text(".1f"),
            }
            for name, one in found.items()
            for parted in WHEN
        ]
    )


def term_growth(found: Mapping[str, Terms]) -> pd.DataFrame:
    """Does a term grow along the text? Ratios of lengths; 1 where it does not."""
    return pd.DataFrame(
        [
            {
                "model": name,
                "parameters, later / earlier": one.growth("parameters").text(),
                "history, later / earlier": one.growth("history").text(),
                "whole, after / before parting": one.rise().text(),
                "whole, later / earlier after parting": one.growth("whole", True).text(),
            }
            for name, one in found.items()
        ]
    )


def bare(one: Estimate, form: str = ".2f") -> str:
    """The number without its interval; a dash where there is none."""
    return Estimate(one.value).text(form)


def trends(found: Mapping[str, Estimate]) -> str:
    """What ratios of later to earlier say: ``grows in A and shows no trend in B, C``."""
    by_word: dict[str, list[str]] = {}
    for name, one in found.items():
        by_word.setdefault(_trend(one), []).append(name)
    return " and ".join(f"{word} in {', '.join(names)}" for word, names in by_word.items())


def _trend(one: Estimate) -> str:
    if one.low is None:
        return "has too few prompts to tell"
    return "grows" if one.above(1) else "shrinks" if one.below(1) else "shows no trend"


def verdicts(
    paths: Mapping[str, Paths], terms: Mapping[str, Terms], orders: pd.DataFrame
) -> pd.DataFrame:
    """The claims of Appendix D, each with its criterion; ``orders`` as from
    :func:`scaled`. Of a model at the floor no term is judged: where nothing
    is left to lose, nothing can build up."""
    terms = {name: one for name, one in terms.items() if not one.at_floor}
    dominant = {name: one.dominant for name, one in paths.items()}
    values = {name: one.by_values for name, one in paths.items()}
    history = {name: one.growth("history") for name, one in terms.items()}
    rise = {name: one.rise() for name, one in terms.items()}
    later = {name: one.growth("whole", True) for name, one in terms.items()}
    before = max((one.before_parting for one in terms.values()), default=0.0)
    after = {name: one.value("tokens", "relative", True) for name, one in terms.items()}
    lead = {
        f"{name}, {words}": one.value("tokens", "share", True, order)
        for name, one in terms.items()
        for order, words in ORDERS.items()
    }
    return pd.DataFrame(
        [
            {
                "claim": "D.1: to first order there are two paths, values and weights",
                "verdict": _orders_hold(orders),
                "measured": _orders_text(orders),
                "criterion": "as the change of the inputs shrinks, both paths shrink with order 1 "
                f"and the remainder with order 2, to ± {TOLERANCE}",
            },
            _row(
                "D.1: … and they dominate",
                dominant,
                LEADING,
                "at full size the remainder is shorter than each path in most layers",
                ".0%",
            ),
            _row(
                "The values are the larger path (our question)",
                values,
                LEADING,
                "their share exceeds that of the weights in most layers",
                ".0%",
            ),
            _row(
                "7.1: deviations of earlier steps persist",
                history,
                LASTING,
                "on the same tokens, the history's term is in the later half of the text at least "
                "half as long as in the earlier half",
            ),
            _row(
                "D.3, 7.1: … and compound",
                history,
                1,
                "on the same tokens, the history's term is longer in the later half",
            ),
            _row(
                "D.4: generation adds a term that a fixed text does not have",
                after,
                0.0 if before == 0 else math.inf,
                f"the tokens' term is 0 while texts are equal (largest: {before:.1g}) and longer "
                "than 0 afterwards",
            ),
            _row(
                "That term is the main one (our question)",
                lead,
                LEADING,
                "after parting, the tokens' share is above one half in both orders",
            ),
            _row(
                "7.1: the deviation rises sharply once texts differ",
                rise,
                1,
                "whole difference after parting over before, above 1",
            ),
            _row(
                "7.1: … and goes on growing",
                later,
                1,
                "after parting, later half over earlier half, above 1",
            ),
        ]
    )


def _row(
    claim: str,
    found: Mapping[str, Estimate],
    bound: float,
    criterion: str,
    form: str = ".2f",
) -> dict[str, str]:
    """A claim that whole intervals lie above ``bound``; ``at floor`` without a model to judge."""
    word = judged(found.values(), bound) if found else "at floor"
    measured = "; ".join(f"{name} {one.text(form)}" for name, one in found.items())
    return {"claim": claim, "verdict": word, "measured": measured, "criterion": criterion}


def _orders_hold(orders: pd.DataFrame) -> str:
    if orders.empty:
        return "not measured"
    return verdict(*((orders["slope"] - orders["order"]).abs() <= TOLERANCE))


def _orders_text(orders: pd.DataFrame) -> str:
    slopes = orders.drop_duplicates(["state", "path"])
    return "; ".join(
        f"{state} {', '.join(f'{row.path} {row.slope:.2f}' for row in rows.itertuples())}"
        for state, rows in slopes.groupby("state", sort=False)
    )
