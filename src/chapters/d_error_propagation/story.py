"""Appendix D: by which path an error enters an attention, and what makes two texts' states differ.

Pure functions of ``paths`` and ``terms`` tables, one of each for every pruned model. Each number is
a mean within each prompt first, over layers or steps, and over prompts then.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch

from helpers import theory
from helpers.errors import InputError
from helpers.theory.attention_paths import PATHS
from reporting import prose, statistics
from reporting.claims import OURS, Claim
from reporting.statistics import Estimate, counted, resampled
from reporting.step_frames import line

NAMES = {"value": "values", "weight": "weights", "remainder": "remainder"}
SMALL = 2.0**-4  # up to here the largest term of an expansion rules
KEYS = ["layer", "cause", "term", "metric"]
TERMS = ("parameters", "history", "tokens")
ORDERS = {"parameters_first": "parameters first", "tokens_first": "tokens first"}
WHEN = {False: "before they part", True: "after they parted"}
FEWEST_STEPS = 4  # a text with fewer has no earlier and later half
FLOOR = 0.1  # mean probability cosine at the first step below which nothing is left to lose
TOLERANCE = 0.1  # how far a measured order may lie from the expected one
HALF = 0.5  # from here a term lasts, or a part leads


@dataclass(frozen=True)
class Paths:
    """The table ``paths`` of one pruned model; intervals are drawn with ``seed``."""

    table: pd.DataFrame
    seed: int

    @cached_property
    def means(self) -> pd.DataFrame:
        """Means within each prompt at full size: prompts × (layer, cause, term, metric). Layers
        that nothing upstream reaches are left out."""
        whole = self.table[self.table["scale"] == 1]
        text = whole.assign(**{name: whole[name].astype(str) for name in ("prompt", *KEYS[1:])})
        wide = text.groupby([*KEYS, "prompt"])["value"].mean().unstack(KEYS)
        changed = wide.xs(("inputs", "change", "size"), axis=1, level=KEYS[1:]).mean() > 0
        kept = wide.columns.get_level_values("layer").isin(changed.index[changed])
        return wide.loc[:, kept]

    @property
    def layers(self) -> list[int]:
        """Layers whose attention is there and reads something else than in the dense model."""
        return sorted(set(self.means.columns.get_level_values("layer")))

    def samples(self, term: str, metric: str, cause: str = "inputs") -> np.ndarray:
        """Means over prompts (1 + R, layers), see :func:`reporting.statistics.resampled`."""
        part = self.means.xs((cause, term, metric), axis=1, level=KEYS[1:])
        return resampled(part.reindex(columns=self.layers), self.seed)

    @property
    def missed(self) -> np.ndarray:
        """What the first order misses (1 + R, layers): length of the remainder over that of the
        whole change."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found: np.ndarray = self.samples("remainder", "size") / self.samples("change", "size")
        return found

    def reduced(self, samples: np.ndarray, layer: int | None = None) -> Estimate:
        """One layer of ``samples`` (1 + R, layers), or their median over layers."""
        if layer is None:
            return self.estimate(np.nanmedian(samples, axis=1))
        return self.estimate(samples[:, self.layers.index(layer)])

    def row(self, layer: int | None = None) -> dict[str, str]:
        """Size of the change, share of each path and what the first order misses, at one layer or
        in the median."""
        samples = {"change of o": self.samples("change", "size")}
        samples |= {f"by {label}": self.samples(term, "share") for term, label in NAMES.items()}
        samples |= {"missed by first order": self.missed}
        return {name: self.reduced(values, layer).text() for name, values in samples.items()}

    @property
    def own(self) -> bool:
        """Whether the attention's own parameters were pruned too."""
        return bool(self.samples("change", "size", "parameters")[0].any())

    @property
    def by_values(self) -> Estimate:
        """Share of the layers where the values account for more of the change than the weights."""
        more = self.samples("value", "share") > self.samples("weight", "share")
        return self.estimate(more.mean(axis=1))

    @property
    def dominant(self) -> Estimate:
        """Share of the layers where the remainder is shorter than each of the two paths."""
        value, weight, rest = (self.samples(path, "size") for path in PATHS)
        return self.estimate(((rest < value) & (rest < weight)).mean(axis=1))

    @property
    def from_first(self) -> tuple[int, float]:
        """The layer where the first token's value accounts for most of the change, and its share
        there, mean over prompts."""
        share = self.samples("value", "first")[0]
        place = int(np.nanargmax(share))
        return self.layers[place], float(share[place])

    def estimate(self, samples: np.ndarray) -> Estimate:
        """From means over prompts (1 + R,)."""
        return Estimate.of(samples, counted(self.means))


def reached(found: Mapping[str, Paths]) -> dict[str, Paths]:
    """Only the pruned models in which an attention reads something else than in the dense model;
    :class:`InputError` if there is none."""
    kept = {name: one for name, one in found.items() if one.layers}
    if not kept:
        raise InputError(
            "no attention reads anything that pruning changed: raise dropped, or sparsity"
        )
    return kept


def by_depth(found: Mapping[str, Paths]) -> pd.DataFrame:
    """Shares of the three terms at every layer, a panel for each pruned model: for
    ``figures.lines``."""
    return pd.concat(
        line(part.T.stack(), "layer").assign(panel=name, series=label, space="embedding")
        for name, one in found.items()
        for term, label in NAMES.items()
        for part in [one.means.xs(("inputs", term, "share"), axis=1, level=KEYS[1:])]
    )


def scaled(found: Mapping[str, Paths]) -> pd.DataFrame:
    """Length of each term as the change of the inputs is scaled, a panel for each pruned model, for
    ``figures.lines``; with the measured order ``slope`` and the expected one, ``order``."""
    parts = []
    for name, one in found.items():
        table = one.table
        rows = table[(table["cause"] == "inputs") & (table["metric"] == "size")]
        layers = rows.loc[rows["scale"] < 1, "layer"].unique()
        rows = rows[rows["layer"].isin(layers) & rows["term"].isin(PATHS)]
        grouped = rows.assign(term=rows["term"].astype(str)).groupby(["term", "scale"])["value"]
        lengths = grouped.mean().unstack("term")
        if lengths.empty or not (lengths > 0).all(axis=None):
            continue
        small = lengths[lengths.index <= SMALL]
        for term, label in NAMES.items():
            sizes, errors = (
                torch.tensor(values.to_numpy(float)) for values in (small.index, small[term])
            )
            line = pd.DataFrame({"x": lengths.index, "mean": lengths[term]})
            order = {"order": 1 + (term == "remainder"), "slope": theory.order(sizes, errors)}
            parts.append(line.assign(panel=name, series=label, space="embedding", **order))
    columns = ["panel", "series", "x", "mean", "space", "order", "slope"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def layer_paths(found: Mapping[str, Paths], names: Iterable[str], layer: int) -> pd.DataFrame:
    """One row per pruned model: how the output of one layer's attention changes, and by which
    path; dashes where the attention is dropped or nothing reaches it."""
    rows = []
    for name in names:
        row = {"model": name, "change of o": "–"}
        if (one := found.get(name)) is not None and layer in one.layers:
            part = one.reduced(one.samples("change", "part"), layer).text() if one.own else "all"
            row |= one.row(layer) | {"from its inputs": part}
        rows.append(row)
    return pd.DataFrame(rows).fillna("–")


def depth_paths(found: Mapping[str, Paths]) -> pd.DataFrame:
    """One row per pruned model: the same, medians over all layers that an upstream change
    reaches."""
    return pd.DataFrame(
        {"model": name, "layers": str(len(one.layers))}
        | one.row()
        | {
            "values lead in": one.by_values.text(".0%"),
            "remainder shortest in": one.dominant.text(".0%"),
        }
        for name, one in found.items()
    )


def first_token(found: Mapping[str, Paths], facts: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row per pruned model: the layer where the first token's value makes most of the change,
    how much longer the first token's state is there than others, and in which layer of the dense
    model it grows most. ``facts`` are those of each model's manifest."""
    rows = []
    for name, one in found.items():
        layer, share = one.from_first
        layers, norms = facts[name]["layers"], facts[name]["first_norms"]
        place = layers.index(layer)
        dense = pd.Series(norms["dense"], index=layers)
        growth = (dense.shift(-1) / dense)[np.diff(layers, append=np.inf) == 1]
        rows.append(
            {
                "model": name,
                "layer": layer,
                "its value's share": f"{share:.2f}",
                "length over others', dense": f"{norms['dense'][place]:.3g}",
                "pruned": f"{norms['pruned'][place]:.3g}",
                "grows most in layer": "–" if growth.empty else str(growth.idxmax()),
                "by a factor of": "–" if growth.empty else f"{growth.max():.3g}",
            }
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Terms:
    """The table ``terms`` of one pruned model; intervals are drawn with ``seed``. The terms are
    vectors between states after the final norm, in the embedding space."""

    table: pd.DataFrame
    seed: int

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Shares and sizes in the embedding space, and KL."""
        table = self.table
        kept = table["metric"].isin(["share", "relative", "kl"])
        rows = table[kept & (table["space"].ne("logit"))]
        words = ("prompt", "order", "term", "metric")
        return rows.assign(**{name: rows[name].astype(str) for name in words})

    @property
    def largest_residual(self) -> float:
        """How far the terms miss the whole difference that two other passes find, at most."""
        return float(self.table.loc[self.table["metric"] == "residual", "value"].max())

    @property
    def at_floor(self) -> bool:
        """Whether the pruned model has collapsed at its first step, as Section 7 counts it."""
        table = self.table
        kept = table["step"].eq(0) & table["term"].eq("whole") & table["metric"].eq("angular")
        kept &= table["space"].eq("probability") & table["order"].eq("parameters_first")
        return bool(1 - table.loc[kept, "value"].mean() < FLOOR)

    @property
    def parting(self) -> str:
        """How many texts, as read, come to differ, and at which step: ``11 of 12, at step 1 to
        16``."""
        steps = self.rows["step"].where(self.rows["parted"]).groupby(self.rows["prompt"]).min()
        return f"{steps.notna().sum()} of {len(steps)}, at step {prose.span(steps, '.0f')}"

    @property
    def before_parting(self) -> float:
        """Length of the largest tokens term, relative to the dense state, while texts are equal."""
        rows = self.pick("tokens", "relative")
        return float(rows.loc[~rows["parted"], "value"].max())

    def value(
        self, term: str, metric: str, parted: bool, order: str = "parameters_first"
    ) -> Estimate:
        """Mean of one number over the steps before, or after, the texts have parted; over the
        prompts that have such steps."""
        rows = self.pick(term, metric, order)
        return statistics.over_prompts(rows[rows["parted"] == parted], self.seed)

    def rise(self) -> Estimate:
        """Length of the whole after the texts have parted over that before, over prompts that have
        both."""
        return self._ratio(self.pick("whole", "relative"), "parted")

    def growth(self, term: str, parted: bool | None = None) -> Estimate:
        """Length over the later half of each text's steps over that of the earlier half: above 1
        where a term grows. ``parted`` keeps the steps after (True) or before the parting."""
        rows = self.pick(term, "relative")
        rows = rows if parted is None else rows[rows["parted"] == parted]
        steps = rows.groupby("prompt")["step"]
        rows = rows[steps.transform("size") >= FEWEST_STEPS]
        place = rows.groupby("prompt")["step"].rank(pct=True)
        return self._ratio(rows.assign(later=place > 0.5), "later")

    def _ratio(self, rows: pd.DataFrame, by: str) -> Estimate:
        """Mean of the rows where a column is true over that of the others."""
        names = rows[by].map({True: by, False: "other"})
        wide = rows.groupby(["prompt", names])["value"].mean().unstack()
        return statistics.ratio(wide.reindex(columns=[by, "other"]), by, "other", self.seed)

    def pick(self, term: str, metric: str, order: str = "parameters_first") -> pd.DataFrame:
        """Rows of one term and metric in one order."""
        rows = self.rows
        kept = rows["metric"].eq(metric) & rows["term"].eq(term) & rows["order"].eq(order)
        return rows[kept]


def by_step(found: Mapping[str, Terms], metric: str, order: str) -> pd.DataFrame:
    """One number of each term at every step, a panel for each pruned model: for
    ``figures.lines``."""
    return pd.concat(
        line(one.pick(term, metric, order).set_index("step")["value"]).assign(
            panel=name, series=term, space="embedding"
        )
        for name, one in found.items()
        for term in TERMS
    )


def term_shares(found: Mapping[str, Terms]) -> pd.DataFrame:
    """Shares of the three terms, one row per pruned model, order, and side of the parting."""
    return pd.DataFrame(
        {"model": name, "texts": WHEN[parted], "order": words}
        | {term: one.value(term, "share", parted, order).text() for term in TERMS}
        for name, one in found.items()
        for parted in WHEN
        for order, words in ORDERS.items()
    )


def term_sizes(found: Mapping[str, Terms]) -> pd.DataFrame:
    """Lengths of the whole difference and of each term, relative to the dense state, and the KL
    that each adds; one row per pruned model and side of the parting, parameters first."""
    return pd.DataFrame(
        {"model": name, "texts": WHEN[parted]}
        | {
            f"length, {term}": one.value(term, "relative", parted).text()
            for term in ("whole", *TERMS)
        }
        | {
            "KL in nats": one.value("whole", "kl", parted).text(".1f"),
            "of it tokens": one.value("tokens", "kl", parted).text(".1f"),
        }
        for name, one in found.items()
        for parted in WHEN
    )


def term_growth(found: Mapping[str, Terms]) -> pd.DataFrame:
    """Does a term grow along the text? Ratios of lengths; 1 where it does not."""
    return pd.DataFrame(
        {
            "model": name,
            "parameters, later / earlier": one.growth("parameters").text(),
            "history, later / earlier": one.growth("history").text(),
            "whole, after / before parting": one.rise().text(),
            "whole, later / earlier after parting": one.growth("whole", True).text(),
        }
        for name, one in found.items()
    )


def claims(
    paths: Mapping[str, Paths], terms: Mapping[str, Terms], orders: pd.DataFrame
) -> list[Claim]:
    """The claims of Appendix D, each with its criterion; ``orders`` as from :func:`scaled`. Of a
    model at the floor no term is judged: where nothing is left to lose, nothing can build up."""
    terms = {name: one for name, one in terms.items() if not one.at_floor}
    history = {name: one.growth("history") for name, one in terms.items()}
    before = max((one.before_parting for one in terms.values()), default=0.0)
    lines = orders.drop_duplicates(["panel", "series"])
    powers = [f"{line.series} {line.slope:.2f} ({line.panel})" for line in lines.itertuples()]
    met = ((lines["slope"] - lines["order"]).abs() <= TOLERANCE).tolist()

    return [
        Claim(
            "D.1: to first order there are two paths, values and weights",
            "D.1-two-paths",
            "; ".join(powers) or "–",
            "as the change of the inputs shrinks, both paths shrink with order 1 and the remainder "
            f"with order 2, to ± {TOLERANCE}",
            met or [None],
        ),
        Claim.of(
            "D.1: … and they dominate",
            "D.1-dominate",
            {name: one.dominant for name, one in paths.items()},
            "at full size the remainder is shorter than each path in most layers",
            low=HALF,
            form=".0%",
        ),
        Claim.of(
            "The values are the larger path (ours)",
            OURS,
            {name: one.by_values for name, one in paths.items()},
            "their share exceeds that of the weights in most layers",
            low=HALF,
            form=".0%",
        ),
        Claim.of(
            "7.1: deviations of earlier steps persist",
            "7.1-persist",
            history,
            "on the same tokens, the history's term is in the later half of the text at least "
            "half as long as in the earlier half",
            low=HALF,
        ),
        Claim.of(
            "D.3, 7.1: … and compound",
            "7.1-compound",
            history,
            "on the same tokens, the history's term is longer in the later half",
            low=1,
        ),
        Claim.of(
            "D.4: generation adds a term that a fixed text does not have",
            "D.4-generated",
            {name: one.value("tokens", "relative", True) for name, one in terms.items()},
            f"the tokens' term is 0 while texts are equal (largest: {before:.1g}) and longer "
            "than 0 afterwards",
            low=0.0 if before == 0 else math.inf,
        ),
        Claim.of(
            "That term is the main one (ours)",
            OURS,
            {
                f"{name}, {words}": one.value("tokens", "share", True, order)
                for name, one in terms.items()
                for order, words in ORDERS.items()
            },
            "after parting, the tokens' share is above one half in both orders",
            low=HALF,
        ),
        Claim.of(
            "7.1: the deviation rises sharply once texts differ",
            "7.1-jump",
            {name: one.rise() for name, one in terms.items()},
            "whole difference after parting over before, above 1",
            low=1,
        ),
        Claim.of(
            "7.1: … and goes on growing",
            "7.1-compound",
            {name: one.growth("whole", True) for name, one in terms.items()},
            "after parting, later half over earlier half, above 1",
            low=1,
        ),
    ]
