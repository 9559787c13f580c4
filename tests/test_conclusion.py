"""The page on what held: claims stand where their verdicts put them, and move with a result."""

import sys
from dataclasses import fields
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from pages import conclusion  # noqa: E402
from pages.ledger import Entry, Finding  # noqa: E402
from reporting import verdicts  # noqa: E402
from reporting.reported.claims import PaperClaim  # noqa: E402


def entry(key, untested="", **conditions):
    """A claim with one finding for each model, by the conditions that it met there."""
    blank = {field.name: "" for field in fields(Finding)} | {"tests": key, "numbers": ()}
    findings = tuple(
        Finding(
            **blank
            | {"conditions": met, "verdict": verdicts.judge(met), "page": f"notebooks/{key}"}
            | {"model": model, "size": f"{model} million"}
        )
        for model, met in conditions.items()
    )
    return Entry(PaperClaim(key, "1", f"Claim {key}.", "x", untested), findings)


def under(page, heading):
    """What stands under a heading of the page."""
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    ("conditions", "group"),
    [
        ({"a": (True,), "b": (True, True)}, conclusion.HELD),
        ({"a": (True,), "b": (None,)}, conclusion.HELD),
        ({"a": (True,), "b": (False,)}, conclusion.MIXED),
        ({"a": (True, False)}, conclusion.MIXED),
        ({"a": (False,), "b": ()}, conclusion.FAILED),
        ({"a": (None,), "b": ()}, conclusion.OPEN),
        ({}, conclusion.UNASKED),
    ],
)
def test_a_claim_stands_where_its_verdicts_put_it(conditions, group):
    page = conclusion.page([entry("x", **conditions), entry("other", a=(True,), b=(True,))])
    assert "Claim x." in under(page, group)
    assert page.count("Claim x.") == 1 + page.count("that differ")


def test_each_model_has_its_verdict_and_each_claim_its_chapter():
    page = conclusion.page([entry("x", a=(True,), b=(False, None)), entry("y", untested="No way.")])
    line = under(page, conclusion.MIXED)
    assert "[Claim x.](../notebooks/x.ipynb)" in line
    assert "a million: supported" in line
    assert "b million: contradicted" in line
    assert "- Claim y. *No way.*\n" in under(page, conclusion.UNASKED)
    assert "Of 2 claims: held **0**, held in some cases **1**, did not hold **0**" in page


def test_what_overturns_a_claim_stands_under_one_that_did_not_hold():
    page = conclusion.page([entry("x", a=(False,)), entry("y", a=(True,))])
    assert (
        page.count("*Overturned by:* x") == under(page, conclusion.FAILED).count("Overturned") == 1
    )


def test_what_changes_from_one_model_to_the_next_is_told():
    differs, alike = entry("x", a=(True,), b=(False,)), entry("y", a=(True,), b=(True, True))
    page = conclusion.page(
        [differs, alike, entry("z", a=(None,), b=(True,)), entry("w", a=(True,))]
    )
    told = page.partition("**From a million to b million.** ")[2].partition("A verdict")[0]
    assert told.startswith(
        "Claims tested at both: 3; decided at both: 2; with the same kind of verdict: 1."
    )
    assert "The 1 that differ" in told
    assert "Claim x." in told
    assert "Claim y." not in told
    assert "**From" not in conclusion.page([entry("w", a=(True,))])
