"""The paper's claims, those of the chapters, and the ledger that a build makes of both."""

import ast
import json
import sys
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from pages import ledger, ledger_page, points  # noqa: E402
from pages.contents import SiteError  # noqa: E402
from reporting import claims, verdicts  # noqa: E402
from reporting.claims import MIME, OURS, Claim  # noqa: E402
from reporting.reported.claims import checked, paper_claims  # noqa: E402
from reporting.statistics import Estimate  # noqa: E402
from runs import profiles  # noqa: E402
from runs.store import Measurement  # noqa: E402

PROFILE = """
about: Two models for tests
axes: {model: [smollm2-135m, org/other]}
chapters: {05-hierarchical-effects: }
"""
SIZES = {"smollm2-135m": "135M", "org/other": "494M"}
KEY, OTHER = "5-embedding-similar", "5-logit-more-similar"
UNTESTED = {
    "1-guidance": "Advice",
    "2-shown-on-choosing": "other papers",
    "5-angle-fits-tasks": "criterion",
    "6.2-divergence-explains": "a cause",
    "7.1-within-few": "at which step",
    "8-fine-tuning": "without training",
    "A-small-shift": "assume",
    "B-closed-form": "identity",
    "C-same-structure": "derivation",
    "D.2-no-history": "follows",
    "E-not-difficulty": "difficulty",
    "F-late-rise": "where the model ends it",
    "G-other-models": "one model",
}


def test_the_papers_claims_go_from_the_abstract_to_appendix_i():
    found = paper_claims()
    assert len(found) >= 25
    assert {"1", "2", "4", "5", "6", "7", "8"} | set("ABCDEFGHI") <= {
        part.strip()[0] for one in found.values() for part in one.section.split(",")
    }
    assert next(iter(found.values())).section.startswith("Abstract")


def test_untested_are_those_that_no_chapter_names_and_each_says_why():
    sources = [*(ROOT / "src/chapters").rglob("*.py"), *(ROOT / "src/reporting").glob("*.py")]
    named = {
        node.value
        for path in sources
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    known = paper_claims()
    assert set(known) - named == set(UNTESTED)
    assert {key: one.untested for key, one in known.items() if one.untested}.keys() == set(UNTESTED)
    assert all(word in known[key].untested for key, word in UNTESTED.items())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"section": ""}, "none is empty"),
        ({"section": 5}, "every field is a text"),
        ({"verdict": "supported"}, "wrong or missing fields: verdict"),
    ],
)
def test_a_damaged_list_of_claims_is_refused(change, said):
    row = {"key": "a", "section": "5", "claim": "It is so.", "overturned_by": "It is not."}
    assert list(checked([row])) == ["a"]
    with pytest.raises(ValueError, match=said):
        checked([row | change])
    with pytest.raises(ValueError, match="stands there twice"):
        checked([row, row])


def test_a_key_that_the_paper_has_not_is_refused_with_what_is_near():
    with pytest.raises(ValueError, match=rf"no claim '5-embeding-similar'.*{KEY}"):
        Claim("c", "5-embeding-similar", "1", "k", [True])


def test_a_word_outside_the_vocabulary_is_no_verdict():
    with pytest.raises(ValueError, match="'partly' is no verdict: use one of supported"):
        verdicts.kind("partly")
    one = verdicts.said("◐ in some (1 of 2)")
    assert one == verdicts.said("in some (1 of 2)") == ("in some (1 of 2)", "")
    assert verdicts.said("◐ in some (1 of 2): 0.9 (A)") == ("in some (1 of 2)", ": 0.9 (A)")
    assert verdicts.said("not supported") == verdicts.said("? maybe") == ("", "")
    assert verdicts.said("supported by none") == ("", "")


def table(value, model="smollm2-135m", **more):
    """What a chapter shows of one claim of the paper on a model, and of a question of its own."""
    found = {"Drop-1A": Estimate(value, value - 0.01, value + 0.01, 12)}
    facts = {"facts": {"model": {"name": model, "size": SIZES[model]}}, "run": f"run-{model[:3]}"}
    rows = [
        Claim.of("Embeddings stay similar", KEY, found, "above 0.9", low=0.9, paper={"7B": 0.97}),
        Claim.of("So do others (ours)", OURS, {}, "above 0.9", low=0.9),
    ]
    shown = claims.show(rows, "Claims, measured at 135M", Measurement(Path(), facts))
    bundle = json.loads(json.dumps(shown._repr_mimebundle_(), allow_nan=False))
    bundle[MIME]["claims"][0] |= more
    return bundle


@pytest.fixture
def grid(tmp_path):
    """Both runs done, each with a table; and how to put another in place of one."""
    path = tmp_path / "two.yaml"
    path.write_text(PROFILE)
    profile = profiles.read(str(path))
    folder = tmp_path / "results" / "two"
    folder.mkdir(parents=True)

    def write(run, bundle, listed=None):
        output = nbformat.v4.new_output("execute_result", bundle, execution_count=1)
        cells = [
            nbformat.v4.new_markdown_cell("# What a sublayer does\n\nText"),
            nbformat.v4.new_code_cell("", outputs=[output]),
        ]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{run.name}.ipynb")
        asked = {"measurements": [{"name": "walk", "run": listed or bundle[MIME]["run"]}]}
        (folder / f"{run.name}.json").write_text(json.dumps(asked))

    for run, model in zip(profile.runs, SIZES, strict=True):
        write(run, table(0.98, model))
    return points.Grid.of(profile, folder.parent), write


def test_a_changed_result_changes_the_verdict_at_the_next_build(grid):
    built, write = grid
    first, second = SIZES

    def verdict(model):
        page = BeautifulSoup(ledger_page.page(ledger.findings(built)), "html.parser")
        cells = page.find(id=f"claim-{KEY}").tr.find_all("td")
        place = list(SIZES).index(model)
        assert cells[place]["data-label"] == f"{SIZES[model]} ({model})"
        return cells[place].get_text(strip=True)

    assert verdict(first) == verdict(second) == "✓supported"
    write(built.profile.runs[1], table(0.5, second))
    assert (verdict(first), verdict(second)) == ("✓supported", "✗contradicted")
    write(built.profile.runs[1], table(0.9, second))
    assert (verdict(first), verdict(second)) == ("✓supported", "?too few data")


def test_all_rows_that_test_a_claim_are_judged_together(grid):
    built, write = grid
    bundle, other = table(0.98), table(0.5)
    bundle[MIME]["claims"] += other[MIME]["claims"]
    write(built.profile.runs[0], bundle)
    entry = next(one for one in ledger.collect(ledger.findings(built)) if one.claim.key == KEY)
    assert [one.verdict for one in entry.at("smollm2-135m")] == ["supported", "contradicted"]
    assert entry.verdict("smollm2-135m") == "in some (1 of 2)"
    assert entry.verdict("no such model") == ""
    assert ledger.counts(ledger.collect(ledger.findings(built))) == {
        "smollm2-135m": {"in some": 1},
        "org/other": {"supported": 1},
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"measured": "– (Drop-8A)"}, "has the verdict supported, and no number"),
        ({"verdict": "contradicted"}, "which its conditions do not give"),
        ({"tests": "5-nothing"}, "no claim of the paper"),
    ],
)
def test_what_may_not_stand_in_the_ledger_stops_the_build(grid, change, said):
    built, write = grid
    write(built.profile.runs[0], table(0.98, **change))
    with pytest.raises(SiteError, match=f"05-hierarchical-effects: 'Embeddings.*{said}"):
        ledger_page.page(ledger.findings(built))


def test_a_number_without_its_run_stops_the_build(grid):
    built, write = grid
    write(built.profile.runs[0], table(0.98), listed="another")
    with pytest.raises(SiteError, match="names run run-smo, which its page did not ask for"):
        ledger.collect(ledger.findings(built))


def test_the_page_shows_number_run_page_and_what_would_overturn(grid):
    page = BeautifulSoup(ledger_page.page(ledger.findings(grid[0])), "html.parser")
    claim = page.find(id=f"claim-{KEY}")
    assert paper_claims()[KEY].overturned_by in claim.tr.get_text()
    (test,) = claim.select("details .ledger-test")
    told, *found = test.find_all("p")
    assert "✓ supported 0.97 (7B)" in told.get_text()
    assert [one.code.get_text() for one in found] == ["run-smo", "run-org"]
    assert "0.98 [0.97–0.99] (Drop-1A)" in found[0].get_text()
    assert [one["data-label"] for one in found] == ["135M (smollm2-135m)", "494M (org/other)"]
    pages = [f"../notebooks/{run.name}.html" for run in grid[0].profile.runs]
    assert [one.a["href"] for one in found] == pages
    rows = page.select("table[aria-label^='Claims of the paper'] tbody")
    assert [row["id"].removeprefix("claim-") for row in rows] == list(paper_claims())
    assert "Not tested here" in page.find(id=f"claim-{OTHER}").get_text()
    choices = {one["value"] for one in page.select(".ledger-filter input")}
    assert {word for row in rows for word in row["data-verdicts"].split()} <= choices
    *parts, own = page.select("details.ledger-part")
    assert [one.summary.get_text() for one in parts[:3]] == [
        *("Abstract (3)not tested", "Section 1 (2)not tested", "Section 2 (1)not tested")
    ]
    texts = [one.summary.get_text().replace("\N{NO-BREAK SPACE}", " ") for one in parts]
    assert "Section 5 (5)135M: ✓ 1494M: ✓ 1" in texts
    assert own.summary.get_text() == "What a sublayer does"
    assert "∅ model too weak" in own.get_text()


def test_a_claims_table_has_its_legend_and_its_verdicts_in_colour():
    page = BeautifulSoup(table(0.98)["text/html"], "html.parser")
    (legend,) = page.select(".verdict-legend")
    assert all(f"{sign} {word}" in legend.get_text() for word, sign in verdicts.MARKS.items())
    ours, paper = page.select("td .verdict-supported")
    assert ours.get_text() == paper.get_text() == "✓ supported"
    assert paper.parent.get_text() == "✓ supported: 0.97 (7B)"
