"""Does a shorter number format change a score? The same questions, answered by one model twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from helpers.evaluation import paired
from runs.store import Measurement

FULL, SHORT = "float32", "bfloat16"
SCORE = ["task", "form", "metric"]


@dataclass(frozen=True)
class Agreement:
    """Scores of one model in two number formats, by ``full`` and by ``short`` one.

    ``table`` has one row for each score: ``task``, ``form``, ``metric``, ``n`` questions, the
    score as ``full`` and as ``short``, the 95% interval ``low`` to ``high`` of the full one
    (missing with too few questions), and ``others``, answers that differ.
    """

    table: pd.DataFrame

    @classmethod
    def of(cls, full: pd.DataFrame, short: pd.DataFrame) -> "Agreement":
        """From rows of table ``items`` of the same questions. Raises :class:`ValueError` if the
        questions differ."""
        keys = [*SCORE, "item"]
        columns = [*keys, "answer", "value"]
        names = dict.fromkeys(keys, str)
        both = (
            full[columns]
            .astype(names)
            .merge(short[columns].astype(names), on=keys, how="outer", suffixes=("", "_short"))
        )
        if both[["value", "value_short"]].isna().any(axis=None):
            raise ValueError("the two number formats were asked different questions")
        rows = []
        for labels, part in both.groupby(SCORE, sort=False):
            low, high = paired.score_interval(part["value"]) or (None, None)
            numbers = {
                "n": len(part),
                "full": float(part["value"].mean()),
                "short": float(part["value_short"].mean()),
                "low": low,
                "high": high,
                "others": int((part["answer"] != part["answer_short"]).sum()),
            }
            rows.append(dict(zip(SCORE, labels, strict=True)) | numbers)
        ends = {"low": "float64", "high": "float64"}
        return cls(pd.DataFrame(rows, columns=[*SCORE, *numbers]).astype(ends))

    @property
    def within(self) -> bool:
        """Whether every short score lies within the interval of the full one."""
        rows = self.table
        return bool((rows["short"].ge(rows["low"]) & rows["short"].le(rows["high"])).all())

    def said(self, seconds: Mapping[str, float]) -> str:
        """In a sentence; ``seconds`` by name of format is how long the answers took."""
        rows = self.table
        inside = (rows["short"].ge(rows["low"]) & rows["short"].le(rows["high"])).sum()
        return (
            f"In {SHORT} the dense model chooses otherwise than in {FULL} on "
            f"{rows['others'].sum()} of {rows['n'].sum()} questions, and {inside} of {len(rows)} "
            f"scores lie within the 95% interval of their {FULL} score; the answers took "
            f"{seconds[SHORT]:.0f} s in {SHORT} and {seconds[FULL]:.0f} s in {FULL}."
        )


def compared(measured: Mapping[str, Sequence[Measurement]]) -> str:
    """Whether scores of multiple choice are the same in both formats, in a sentence; ``measured``
    holds the dense model's answers by name of format."""
    found = {}
    for name, runs in measured.items():
        tables = [one.table("items") for one in runs]
        chosen = [table[table["kind"].eq("multiple_choice")] for table in tables]
        if not any(map(len, chosen)):
            return "No multiple choice is asked here, so number formats are not compared."
        found[name] = pd.concat(chosen, ignore_index=True)
    seconds = {
        name: sum(float(one.manifest["seconds"]) for one in runs) for name, runs in measured.items()
    }
    return Agreement.of(found[FULL], found[SHORT]).said(seconds)
