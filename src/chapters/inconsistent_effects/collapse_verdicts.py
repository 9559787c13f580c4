"""Do pruned models' texts collapse, and as in the paper's Table 2? Criteria, then verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from chapters.inconsistent_effects.collapse_tables import DENSE, Texts, beyond
from chapters.inconsistent_effects.table2 import GARBLED, LOOPS, READABLE, Shown
from reporting.hierarchy import verdict
from reporting.reach import Estimate
from runs.parameters import RunParameters

SLACK = 0.1  # a share of tokens or phrases, beyond dense, up to which it is no collapse
WORDS = {"loops": "loops", "garbled": "garbled", "stock": "stock phrases"}
BOUNDS = {"loops": SLACK, "garbled": 0.0, "stock": SLACK}
NONE, TOO_FEW = "none of the three", "too few prompts"


@dataclass(frozen=True)
class Collapse:
    """Three ways in which texts of one writer collapse. ``loops``: the share of tokens in loops,
    beyond that of the dense model's greedy texts. ``garbled``: nats per token, beyond those of
    texts that the dense model draws at random. ``stock``: the share of phrases that the writer also
    uses for other prompts, beyond that of the dense model."""

    loops: Estimate
    garbled: Estimate
    stock: Estimate

    def shows(self, kind: str) -> bool | None:
        """Whether the texts collapse in one way: the whole interval lies above its bound, or none
        of it; None in between, and with too few prompts."""
        one: Estimate = getattr(self, kind)
        if one.above(BOUNDS[kind]):
            return True
        return False if one.below(BOUNDS[kind]) else None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The ways in which the texts collapse."""
        return tuple(kind for kind in WORDS if self.shows(kind))

    @property
    def open(self) -> tuple[str, ...]:
        """The ways that cannot be told."""
        return tuple(kind for kind in WORDS if self.shows(kind) is None)

    @property
    def words(self) -> str:
        """``garbled, loops`` and the like, with what is open; or why nothing can be said."""
        if self.garbled.low is None:
            return TOO_FEW
        found = ", ".join(WORDS[kind] for kind in self.kinds)
        doubt = ", ".join(WORDS[kind] for kind in self.open)
        return "; ".join(filter(None, [found, doubt and f"{doubt} cannot be told"])) or NONE

    def as_in(self, shown: Shown) -> str:
        """``held`` if the texts are what the paper's is, ``not`` if they are not, ``partly`` if
        they are not but collapse in another way; or why there is no verdict.

        A readable text neither loops nor is garbled. One text says nothing of stock phrases.
        """
        if self.words == TOO_FEW:
            return TOO_FEW
        if shown.kind == READABLE:
            signs = [self.shows(kind) for kind in (LOOPS, GARBLED)]
            return "not" if any(signs) else "undecided" if None in signs else "held"
        sign = self.shows(shown.kind)
        if sign is None:
            return "undecided"
        return verdict(sign, sign or bool(self.kinds))


def collapses(texts: Texts, drawn: pd.DataFrame, seed: int) -> dict[str, Collapse]:
    """What becomes of each pruned model's greedy texts; ``drawn`` are the dense model's texts
    drawn at random, the measure of how unlikely a usual text is."""
    return {
        name: Collapse(
            loops=beyond(rows, texts[DENSE], "looped", seed),
            garbled=beyond(rows, drawn, "nats", seed),
            stock=beyond(rows, texts[DENSE], "shared", seed),
        )
        for name, rows in texts.items()
        if name != DENSE
    }


def verdict_table(found: Mapping[str, Collapse], paper: Mapping[str, Shown]) -> pd.DataFrame:
    """What the paper's one text per setting shows, what is measured here, and whether that is
    the same. Settings that the paper lacks have no verdict."""
    rows = []
    for name, one in found.items():
        shown = paper.get(name)
        rows.append(
            {
                "setting": name,
                "the paper's text": f"{shown.kind} ({shown.setting})" if shown else "–",
                "here": one.words,
                "verdict": one.as_in(shown) if shown else "–",
                "tokens in loops, beyond dense": one.loops.text(".0%"),
                "nats, beyond dense at random": one.garbled.text(),
                "stock phrases, beyond dense": one.stock.text(".0%"),
            }
        )
    return pd.DataFrame(rows)


def reported_by_name(
    settings: Mapping[str, RunParameters], paper: Mapping[tuple[str, bool], Shown]
) -> dict[str, Shown]:
    """The paper's text for each setting: the same kind of sublayer, and as large a part of them.

    ``paper`` maps kind of sublayer, and whether all of the larger amount is dropped, to it.
    """
    drops = {name: one for name, one in settings.items() if one.method == "drop"}
    most = max(one.dropped for one in drops.values())
    found = {name: paper.get((one.target, one.dropped == most)) for name, one in drops.items()}
    return {name: shown for name, shown in found.items() if shown}
