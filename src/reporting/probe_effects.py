"""Does the form in which a question is asked decide what pruning costs? Content held fixed.

Every probe is asked as a choice and as free generation, by a dense and a pruned model. What each
form loses is compared on the same questions: a difference of differences. Scores are corrected
for chance first, item by item, so that losing everything costs 1 in both forms.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.evaluation.paired import FEWEST, RIGHT
from reporting.kept_shares import resampled
from reporting.prose import join_words
from reporting.reach import Estimate

FORMS = ("choice", "generation")
NARROW = 0.1  # an effect whose whole interval is smaller than this is none that matters here
MORE = {"generation": "generation loses more", "choice": "choice loses more"}
NONE, OPEN, FEW = "no effect", "open", "no family counts"


@dataclass(frozen=True)
class Effect:
    """One pruned model and one way to ask (``asked``: prefix or plain), over ``families``.

    ``dense`` and ``pruned`` hold mean scores above chance by form, ``lost`` what each form loses
    (dense − pruned), and ``effect`` generation's loss minus choice's, with 95% intervals: questions
    are drawn anew within each family, the same ones for both models and both forms.
    """

    asked: str
    families: tuple[str, ...]
    items: int
    dense: dict[str, float]
    pruned: dict[str, float]
    lost: dict[str, Estimate]
    effect: Estimate

    @property
    def verdict(self) -> str:
        """Which form loses more, if the interval leaves out 0. ``no effect`` if the whole interval
        lies within ±``NARROW`` and there are enough questions: what happens to none of n may
        happen to 3/n of others (the rule of three). Else ``open``."""
        if not self.families:
            return FEW
        if self.effect.above(0):
            return MORE["generation"]
        if self.effect.below(0):
            return MORE["choice"]
        small = self.effect.above(-NARROW) and self.effect.below(NARROW)
        return NONE if small and 3 / self.items <= NARROW else OPEN


def counted_families(dense: pd.DataFrame, asked: str = "prefix") -> tuple[str, ...]:
    """Families of which the dense model's ``items`` score ``RIGHT`` or more above chance in both
    forms: where it cannot answer, nothing can be lost.

    The same answers choose families and are compared, so luck of the dense model counts for it.
    Simulated on families of 12 and a pruned model that is no worse, with 6 to 21% of the answers
    flipped, this adds 0.006 to 0.014 to the effect of form: a third of its standard error.
    """
    means = _corrected(dense, asked).groupby("family", sort=False)[[*FORMS]].mean()
    return tuple(str(name) for name in means.index[(means >= RIGHT).all(axis=1)])


def effect(
    dense: pd.DataFrame,
    pruned: pd.DataFrame,
    asked: str = "prefix",
    seed: int = 0,
    families: tuple[str, ...] | None = None,
) -> Effect:
    """The effect of form over the families that count, or over those named; from rows of table
    ``items`` of the probes by both models. Raises :class:`ValueError` if they were not asked the
    same."""
    chosen = counted_families(dense, asked) if families is None else families
    old, new = (_corrected(items, asked) for items in (dense, pruned))
    if set(old.index) != set(new.index):
        raise ValueError("the dense and the pruned model were not asked the same questions")
    old = old[old["family"].isin(chosen)].sort_index()
    new = new.reindex(old.index)
    if old.empty:
        nothing = Estimate(float("nan"))
        return Effect(asked, (), 0, {}, {}, dict.fromkeys(FORMS, nothing), nothing)
    lost = old[[*FORMS]] - new[[*FORMS]]
    total: np.ndarray = sum(
        len(part) * resampled(part.to_numpy(float), _generator(str(family), seed))
        for family, part in lost.groupby(old["family"], sort=True)
    )  # type: ignore[assignment]
    means = total / len(lost)
    enough = len(lost) >= FEWEST
    return Effect(
        asked,
        tuple(name for name in chosen if name in set(old["family"])),
        len(lost),
        {form: float(old[form].mean()) for form in FORMS},
        {form: float(new[form].mean()) for form in FORMS},
        {form: Estimate.of(means[:, column], enough) for column, form in enumerate(FORMS)},
        Estimate.of(means[:, 1] - means[:, 0], enough),
    )


def family_table(
    dense: pd.DataFrame, pruned: pd.DataFrame, asked: str = "prefix", seed: int = 0
) -> pd.DataFrame:
    """The effect in each family by itself, and last in all that count: text for a page."""
    counted = counted_families(dense, asked)
    rows = []
    for name in dict.fromkeys(map(str, dense["family"])):
        one = effect(dense, pruned, asked, seed, (name,))
        if one.families:
            counts = {"counts": "yes" if name in counted else "no"}
            rows.append({"family": name} | counts | _row(one))
    whole = effect(dense, pruned, asked, seed)
    if whole.families:
        rows.append({"family": "all that count", "counts": f"{len(counted)}"} | _row(whole))
    return pd.DataFrame(rows)


def effect_table(effects: Mapping[str, Effect]) -> pd.DataFrame:
    """One row for each pruned model, by name: text for a page."""
    return pd.DataFrame([{"model": name} | _row(one) for name, one in effects.items()])


def said(effects: Mapping[str, Effect]) -> str:
    """In sentences: for which pruned models generation loses more than choice on the same
    questions, for which less, for which there is no effect, and for which it stays open."""
    found: dict[str, list[str]] = {}
    for name, one in effects.items():
        found.setdefault(one.verdict, []).append(f"{name} ({one.effect.text()})")
    words = {
        MORE["generation"]: "Generation loses more than choice with {}.",
        MORE["choice"]: "Choice loses more than generation with {}.",
        NONE: f"No effect of form, that is none as large as {NARROW:g}, with {{}}.",
        OPEN: "Open, for the interval holds 0 and is too wide to exclude an effect, with {}.",
    }
    texts = [form.format(join_words(found[key])) for key, form in words.items() if key in found]
    if FEW in found:
        texts.append(f"No family reaches {RIGHT:g} above chance in both forms when dense.")
    return " ".join(texts)


def _row(one: Effect) -> dict[str, str]:
    cells = {"n": str(one.items)}
    for form in FORMS:
        pair = [f"{scores.get(form, 0.0):z.2f}" for scores in (one.dense, one.pruned)]
        cells[f"{form}, dense → pruned"] = " → ".join(pair).replace("-", "−") if one.dense else "–"
    for form in FORMS:
        cells[f"{form} loses"] = one.lost[form].text()
    return cells | {"difference": one.effect.text(), "verdict": one.verdict}


def _corrected(items: pd.DataFrame, asked: str) -> pd.DataFrame:
    """Scores above chance of the questions asked in both forms: indexed by item, with ``family``
    and a column for each form."""
    text = items.assign(**{name: items[name].astype(str) for name in ("form", "item", "family")})
    values = (text["value"] - text["chance"]) / (1 - text["chance"])
    columns = {}
    for form in FORMS:
        own = text["form"].eq(f"{form}, {asked}")
        columns[form] = values[own].set_axis(text.loc[own, "item"])
    family = text.drop_duplicates("item").set_index("item")["family"]
    both = pd.DataFrame(columns).dropna()
    return both.assign(family=family.reindex(both.index))


def _generator(family: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(family.encode())])
