"""Does the form in which a question is asked decide what pruning costs? Content held fixed.

Every probe is asked as a choice and as free generation, by a dense and a pruned model. What each
form loses is compared on the same questions: a difference of differences. Scores are corrected
for chance first, item by item, so that losing everything costs 1 in both forms.

``items`` are answers to the probes as from :func:`reporting.scores.answers`; ``asked`` is the way
that both forms were asked, with the answer's beginning (``prefix``) or nothing (``plain``).
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.evaluation.paired import RIGHT
from reporting.claims import TOO_FEW, Claim
from reporting.statistics import Estimate, resampled

FORMS = ("choice", "generation")
NARROW = 0.1  # an effect whose whole interval is smaller than this is none that matters here
MORE = {form: f"{form} loses more" for form in FORMS}
NONE = "no effect"


@dataclass(frozen=True)
class Effect:
    """One pruned model over ``families`` of ``n`` questions.

    ``dense`` and ``pruned`` hold mean scores above chance by form, ``lost`` what each form loses
    (dense − pruned), and ``effect`` generation's loss minus choice's, with 95% intervals: questions
    are drawn anew within each family, the same ones for both models and both forms.
    """

    families: tuple[str, ...]
    n: int
    dense: dict[str, float]
    pruned: dict[str, float]
    lost: dict[str, Estimate]
    effect: Estimate

    @property
    def verdict(self) -> str:
        """Which form loses more, if the interval leaves out 0. ``no effect`` if the whole interval
        lies within ±``NARROW`` and there are enough questions: what happens to none of n may
        happen to 3/n of others (the rule of three). Else ``too few data``."""
        if self.effect.above(0):
            return MORE["generation"]
        if self.effect.below(0):
            return MORE["choice"]
        small = self.effect.within(-NARROW, NARROW) and 3 / self.n <= NARROW
        return NONE if small else TOO_FEW


def above_chance(items: pd.DataFrame, asked: str) -> pd.DataFrame:
    """Scores above chance of the questions asked in both forms: a row for each ``family`` and
    ``item``, a column for each model (``dense``, ``pruned``) and form."""
    forms = {f"{form}, {asked}": form for form in FORMS}
    own = items[items["form"].isin(list(forms))]
    values = own[["dense", "pruned"]].sub(own["chance"], axis=0).div(1 - own["chance"], axis=0)
    values = values.assign(form=own["form"].map(forms), family=own["family"], item=own["item"])
    table = values.pivot(index=["family", "item"], columns="form")
    wanted = pd.MultiIndex.from_product([["dense", "pruned"], FORMS], names=table.columns.names)
    return table.reindex(columns=wanted).dropna()


def counted_families(items: pd.DataFrame, asked: str = "prefix") -> tuple[str, ...]:
    """Families of which the dense model's answers score ``RIGHT`` or more above chance in both
    forms, in order of appearance: where it cannot answer, nothing can be lost.

    The same answers choose families and are compared, so luck of the dense model counts for it.
    Simulated on families of 12 and a pruned model that is no worse, with 6 to 21% of the answers
    flipped, this adds 0.006 to 0.014 to the effect of form: a third of its standard error.
    """
    if items.empty:
        return ()
    first = items[items["setting"].eq(items["setting"].iloc[0])]
    means = above_chance(first, asked)["dense"].groupby("family").mean()
    counted = set(means.index[(means >= RIGHT).all(axis=1)])
    return tuple(name for name in dict.fromkeys(first["family"]) if name in counted)


def effects(items: pd.DataFrame, asked: str = "prefix", seed: int = 0) -> dict[str, Effect]:
    """The effect of form for each pruned model, by name; none where no family counts."""
    families = counted_families(items, asked)
    if not families:
        return {}
    return {
        str(name): effect(above_chance(part, asked), families, seed)
        for name, part in items.groupby("setting", sort=False, observed=True)
    }


def effect(table: pd.DataFrame, families: Iterable[str], seed: int = 0) -> Effect:
    """The effect of form over some ``families`` of one pruned model, from :func:`above_chance`."""
    chosen = tuple(families)
    own = table.loc[list(chosen)].sort_index()
    lost = own["dense"] - own["pruned"]
    parts = [
        len(part) * resampled(part, [seed, zlib.crc32(str(family).encode())])
        for family, part in lost.groupby("family")
    ]
    n = len(lost)
    means = np.sum(parts, axis=0) / n
    return Effect(
        chosen,
        n,
        own["dense"].mean().to_dict(),
        own["pruned"].mean().to_dict(),
        {form: Estimate.of(means[:, place], n) for place, form in enumerate(FORMS)},
        Estimate.of(means[:, 1] - means[:, 0], n),
    )


def form_decides(claim: str, found: Mapping[str, Effect], names: Iterable[str]) -> Claim:
    """The claim that the same questions lose more when written, on the models by ``names``."""
    differences = {name: found[name].effect for name in names if name in found}
    criterion = "generation loses more than multiple choice, asked the same"
    return Claim.of(claim, "abstract-form-decides", differences, criterion, low=0.0, counting=True)


def tally(found: Mapping[str, Effect]) -> str:
    """``generation loses more: 9; too few data: 3``: pruned models by verdict; a dash for none."""
    verdicts = [one.verdict for one in found.values()]
    return "; ".join(f"{one}: {verdicts.count(one)}" for one in dict.fromkeys(verdicts)) or "–"


def effect_table(found: Mapping[str, Effect]) -> pd.DataFrame:
    """One row for each pruned model, by name: text for a page."""
    return pd.DataFrame([{"model": name} | _row(one) for name, one in found.items()])


def _row(one: Effect) -> dict[str, str]:
    cells = {"n": str(one.n)}
    for form in FORMS:
        pair = f"{one.dense[form]:z.2f} → {one.pruned[form]:z.2f}"
        cells[f"{form}, dense → pruned"] = pair.replace("-", "−")
    for form in FORMS:
        cells[f"{form} loses"] = one.lost[form].text()
    return cells | {"difference": one.effect.text(), "verdict": one.verdict}
