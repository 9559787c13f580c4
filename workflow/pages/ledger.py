"""The claim ledger: what became of every claim of the paper, on every model, by the chapters' own
claims, which their executed notebooks hold as data.

A claim that several rows test is judged on the conditions of all of them together, as one row is.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import nbformat

from pages.contents import SiteError
from pages.points import Grid, read_json
from reporting import verdicts
from reporting.claims import MIME, OURS
from reporting.reported.claims import PaperClaim, paper_claims
from runs.profiles import Run

JUDGED = (verdicts.SUPPORTED, verdicts.IN_SOME, verdicts.CONTRADICTED)


@dataclass(frozen=True)
class Finding:
    """One row of a claims table: what one run of a chapter found on one model, named without what
    was done to it; ``run`` is the measurement's identity, ``table`` the caption
    under which the row stands, ``page`` the document and ``title`` its heading, and ``place`` how
    many rows with the same words stand before it there."""

    claim: str
    tests: str
    measured: str
    numbers: tuple[Mapping[str, Any], ...]
    criterion: str
    conditions: tuple[bool | None, ...]
    verdict: str
    paper: str
    paper_verdict: str
    model: str
    size: str
    run: str
    table: str
    page: str
    title: str
    place: int

    @property
    def same(self) -> tuple[str, int, str]:
        """What the same row of the same chapter has on another model."""
        return self.title, self.place, self.claim


@dataclass(frozen=True)
class Entry:
    """A claim of the paper, and all that tests it, in the order of the chapters."""

    claim: PaperClaim
    findings: tuple[Finding, ...]

    def at(self, model: str) -> list[Finding]:
        """What tests it on one model."""
        return [one for one in self.findings if one.model == model]

    def verdict(self, model: str) -> str:
        """The verdict on one model, over the conditions of all that tests it there; empty where
        nothing does."""
        found = self.at(model)
        return verdicts.judge(met for one in found for met in one.conditions) if found else ""


def collect(rows: Iterable[Finding]) -> list[Entry]:
    """Every claim of the paper, from the abstract to Appendix I, with all that tests it."""
    rows = list(rows)
    return [
        Entry(claim, tuple(one for one in rows if one.tests == key))
        for key, claim in paper_claims().items()
    ]


def findings(grid: Grid) -> list[Finding]:
    """Every row of every claims table of the profile's runs, those that test no claim of the paper
    (``tests == OURS``) too. Raises :class:`SiteError` for a verdict without a number, a number
    without a run, and a claim that the paper does not make."""
    return [one for run in grid.profile.runs if grid.done(run) for one in _of(grid, run)]


def models(found: Iterable[Entry]) -> dict[str, str]:
    """The models on which anything was tested, each with its size, in the order of the runs."""
    return {one.model: one.size for entry in found for one in entry.findings}


def counts(found: Iterable[Entry]) -> dict[str, Counter[str]]:
    """For each model how many of the paper's claims have which verdict (a key of
    ``reporting.verdicts.MARKS``); claims that nothing tests there are not counted."""
    found = list(found)
    return {
        model: Counter(verdicts.kind(said) for one in found if (said := one.verdict(model)))
        for model in models(found)
    }


def _of(grid: Grid, run: Run) -> Iterator[Finding]:
    notebook = nbformat.read(grid.folder / f"{run.name}.ipynb", as_version=4)
    listed = read_json(grid.folder / f"{run.name}.json").get("measurements", [])
    runs = {one["run"] for one in listed}
    title = next(one.source for one in notebook.cells if one.source.startswith("# "))
    where = {"page": f"notebooks/{run.name}", "title": title.partition("\n")[0].removeprefix("# ")}
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    before: Counter[str] = Counter()
    for table in (output["data"][MIME] for output in outputs if MIME in output.get("data", {})):
        model = {"model": table["model"]["name"].partition(",")[0], "size": table["model"]["size"]}
        for row in table["claims"]:
            lists = {name: tuple(row[name]) for name in ("numbers", "conditions")}
            place = {"run": table["run"], "table": table["table"], "place": before[row["claim"]]}
            before[row["claim"]] += 1
            yield _checked(Finding(**row | lists | model | place | where), runs)


def _checked(one: Finding, runs: set[str]) -> Finding:
    """The finding, if it may stand in the ledger."""
    said = f"{one.page}: {one.claim!r}"
    if one.tests != OURS and one.tests not in paper_claims():
        raise SiteError(f"{said} tests {one.tests!r}, which is no claim of the paper")
    if one.verdict != verdicts.judge(one.conditions):
        raise SiteError(f"{said} says {one.verdict}, which its conditions do not give")
    numbers = re.sub(r"\([^)]*\)", "", one.measured)  # names of models stand in brackets
    if verdicts.kind(one.verdict) in JUDGED and not any(map(str.isdigit, numbers)):
        raise SiteError(f"{said} has the verdict {one.verdict}, and no number")
    if one.run not in runs:
        raise SiteError(f"{said} names run {one.run or '(none)'}, which its page did not ask for")
    return one
