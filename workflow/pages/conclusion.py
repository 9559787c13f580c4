"""*What held, and what did not?*: the paper's claims by what became of them, from the ledger."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

from pages.ledger import Entry, models
from reporting import verdicts

HELD, MIXED, FAILED, OPEN, UNASKED = GROUPS = (
    "Held",
    "Held in some cases",
    "Did not hold",
    "Open",
    "Not asked",
)
UNDECIDED = {verdicts.TOO_FEW, verdicts.TOO_WEAK}
MEANINGS = {
    HELD: "Supported on every model on which anything could be decided.",
    MIXED: "Supported in some conditions or on some models, not in all. *2 of 3*: so many of the "
    "conditions, such as ways to prune, in which it was tried.",
    FAILED: "Contradicted wherever anything could be decided. What a claim means is our choice: "
    "under each stands what was to overturn it.",
    OPEN: "Asked here, and not decided: too few data, or a model too weak.",
    UNASKED: "Nothing in this build tests it; where that has a reason, it is given.",
}
FRAME = """# What held, and what did not?

*Section 9 of the paper: Conclusion*

The paper {{cite}}`he2026demystifying` concludes that language models withstand pruning unequally:
well where they choose or search, often badly where they write, and that the spaces between state
and word explain why. This page puts each of its claims, in our words, where the measurements of
this book have put it. It is made anew whenever the book is built: a result that changes moves its
claim.

{counts}

{changes}A verdict belongs to the model that it was measured on. The numbers behind it, with their
intervals, are in the chapter that the claim links to; all of them, with what would overturn each
claim, in [the ledger](ledger.md).

{groups}

## What would settle the rest

- **Larger models.** A score no better than guessing cannot fall, and small models often guess.
  Every chapter takes another model by one parameter, and profiles for the paper's own models come
  with the book: see [how to use it on your model](../notebooks/use-it-on-your-model.ipynb).
- **More questions.** Where an interval is too wide to decide, more of the same decide; the
  parameters `items` and `probes` set how many.
- **Training after pruning.** The paper leaves it out, and so does this book.
  [Others](02-related-work.md) find that it brings back more of choosing than of writing.
- **Other languages, longer texts, other families of models.** Nothing here was measured on them.
"""


def page(entries: Iterable[Entry]) -> str:
    """The page, from every claim of the paper with what tests it."""
    found = list(entries)
    sizes = models(found)
    kept: dict[str, list[Entry]] = {name: [] for name in GROUPS}
    for one in found:
        kept[group(one.verdict(model) for model in sizes)].append(one)
    groups = [_group(name, of, sizes) for name, of in kept.items() if of]
    changes = "".join(_change(found, sizes, *pair) for pair in pairwise(sizes))
    return FRAME.format(counts=_counts(kept, sizes), changes=changes, groups="\n\n".join(groups))


def group(said: Iterable[str]) -> str:
    """Where a claim stands by its verdicts on all models; an empty one is of no account."""
    kinds = {verdicts.kind(one) for one in said if one}
    if not kinds:
        return UNASKED
    decided = kinds - UNDECIDED
    if not decided:
        return OPEN
    if decided == {verdicts.SUPPORTED}:
        return HELD
    return FAILED if decided == {verdicts.CONTRADICTED} else MIXED


def _counts(kept: Mapping[str, list[Entry]], sizes: Mapping[str, str]) -> str:
    told = ", ".join(f"{name.lower()} **{len(of)}**" for name, of in kept.items())
    where = "; ".join(f"{model}, {size}" for model, size in sizes.items()) or "no model yet"
    return f"Of {sum(map(len, kept.values()))} claims: {told}. Measured on: {where}."


def _change(entries: list[Entry], sizes: Mapping[str, str], one: str, other: str) -> str:
    """What becomes of the verdicts from one model to the next: counts, and the claims that differ
    in a fold."""
    both = [each for each in entries if each.verdict(one) and each.verdict(other)]
    kinds = [{verdicts.kind(each.verdict(model)) for model in (one, other)} for each in both]
    decided = [found for found in kinds if not UNDECIDED & found]
    apart = [
        each
        for each, found in zip(both, kinds, strict=True)
        if len(found) > 1 and not UNDECIDED & found
    ]
    told = (
        f"**From {sizes[one]} to {sizes[other]}.** Claims tested at both: {len(both)}; decided at "
        f"both: {len(decided)}; with the same kind of verdict: {len(decided) - len(apart)}.\n\n"
    )
    pair = {one: sizes[one], other: sizes[other]}
    lines = "\n".join(_line(each, pair) for each in apart)
    return told + (
        f":::{{dropdown}} The {len(apart)} that differ\n{lines}\n:::\n\n" if apart else ""
    )


def _group(name: str, of: list[Entry], sizes: Mapping[str, str]) -> str:
    claims = "\n".join(_line(one, sizes) + _against(name, one) for one in of)
    if name == UNASKED:
        claims = f":::{{dropdown}} {len(of)} claims\n{claims}\n:::"
    return f"## {name}\n\n{MEANINGS[name]}\n\n{claims}"


def _against(name: str, one: Entry) -> str:
    """Under a claim that did not hold, what would overturn it."""
    return f"\n  <br>*Overturned by:* {one.claim.overturned_by}" if name == FAILED else ""


def _line(one: Entry, sizes: Mapping[str, str]) -> str:
    claim = one.claim.claim
    page = next((found.page for found in one.findings), "")
    said = [
        verdicts.badge(verdict, f"{size}: {verdict}")
        for model, size in sizes.items()
        if (verdict := one.verdict(model))
    ]
    why = [f"*{one.claim.untested}*"] if one.claim.untested and not said else []
    return " ".join([f"- [{claim}](../{page}.ipynb)" if page else f"- {claim}", *said, *why])
