"""The start page: a puzzle of real answers, verdicts of the ledger, nothing where nothing is."""

import sys
from pathlib import Path

import pandas as pd
import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from pages import ledger, puzzle, start  # noqa: E402
from pages.points import Grid  # noqa: E402
from runs import profiles  # noqa: E402
from runs.store import Measurement  # noqa: E402

QUESTIONS = ("capitals-01", "capitals-02", "capitals-03")
MODEL = {"name": "Tiny <1>", "size": "1M", "layers": 30}


def measured(folder, name, parameters, table, rows):
    folder = folder / "-".join(map(str, (name, *parameters.values()))).replace("/", "")
    folder.mkdir()
    pd.DataFrame(rows).to_parquet(folder / f"{table}.parquet")
    said = {"measurement": name, "run": folder.name, "parameters": parameters}
    return Measurement(folder, said | {"facts": {"model": MODEL}})


def answers(folder, dropped, target, chosen, written):
    rows = [
        {"form": form, "item": item, "answer": f"{form[0]}<{item}>", "value": float(right)}
        for form, values in ((puzzle.CHOSEN, chosen), (puzzle.WRITTEN, written))
        for item, right in zip(QUESTIONS, values, strict=True)
    ]
    setting = {"method": "drop", "dropped": dropped} | ({"target": target} if dropped else {})
    return measured(folder, "probe_items", setting, "items", rows)


def texts(folder, **written):
    rows = [
        {
            "method": "drop",
            "target": "mlp",
            "amount": float(amount),
            "pattern": "",
            "prompt": "Table2",
            "writer": writer,
            "every": 0,
            "step": step,
            "text": word,
        }
        for amount, text in ((2, "so <b> it"), (4, "a a a"))
        for writer, words in (("dense", "all is well<|im_end|>"), ("pruned", text))
        for step, word in enumerate(words.split(" "))
    ]
    return measured(folder, "pruned_texts", {"sampling": False}, "tokens", rows)


@pytest.fixture
def taken(tmp_path):
    return [
        texts(tmp_path),
        answers(tmp_path, 0, "", (1, 1, 1), (0, 1, 1)),
        answers(tmp_path, 2, "mlp", (1, 1, 1), (0, 1, 0)),
        answers(tmp_path, 4, "mlp", (1, 0, 1), (0, 0, 0)),
        answers(tmp_path, 8, "mlp", (1, 1, 1), (0, 0, 0)),  # whose texts were not taken
    ]


def test_the_puzzle_shows_the_model_that_loses_most_by_writing(taken):
    page = BeautifulSoup(puzzle.puzzle(taken, "notebooks/x"), "html.parser")
    heads = [head.get_text() for head in page.select("thead th")]
    assert heads == ["dense", "pruned: Drop-2M"]  # lost a third by writing and none by choosing
    rows = [[cell.get_text() for cell in row.select("td")] for row in page.select("tbody tr")]
    assert rows[0] == ["c<capitals-03> ✓", "c<capitals-03> ✓"]
    assert rows[1] == ["g<capitals-03> ✓", "g<capitals-03> ✗"]
    assert rows[2] == ["alliswell", "so<b>it …"]
    assert "2 of 30 MLPs left out" in page.select_one(".start-note").get_text()
    assert page.select_one("a")["href"] == "../notebooks/x.html"


def test_without_a_telling_question_the_first_that_both_choose_stands_there(taken):
    dense, pruned = puzzle._answers(taken)["Dense"], puzzle._answers(taken)["Drop-4M"]
    assert puzzle.telling(dense, pruned) == "capitals-03"
    assert puzzle.telling(dense, dense) == "capitals-01"


def test_no_puzzle_without_the_dense_answers_or_without_texts(taken):
    assert puzzle.puzzle(taken[2:], "x") == ""
    assert puzzle.puzzle([taken[0], *taken[2:]], "x") == ""


def test_a_text_is_cut_and_escaped():
    assert puzzle.short("a <b>\n c<|im_end|>") == "a &lt;b&gt; c"
    assert puzzle.short("") == "(nothing)"
    assert len(puzzle.short("word " * 100)) == puzzle.LONGEST + len(" …") - 1


def finding(verdict_of, model="m", size="1M"):
    return ledger.Finding(
        claim="c",
        tests="abstract-form-decides",
        measured="0.3 [0.2–0.4] (<x>)",
        numbers=(),
        criterion="",
        conditions=tuple(verdict_of),
        verdict="",
        paper="",
        paper_verdict="",
        model=model,
        size=size,
        run="r",
        table="t",
        page="notebooks/probes",
        title="t",
        place=0,
    )


def test_a_verdict_is_of_all_conditions_on_a_model():
    found = [finding([True]), finding([False]), finding([True], model="n", size="2M")]
    page = BeautifulSoup(start.verdicts_of(found), "html.parser")
    badges = [each.get_text() for each in page.select(".verdict")]
    assert badges == ["◐ in some (1 of 2) at 1M", "✓ supported at 2M"]
    assert "(<x>)" in page.get_text()
    assert "not measured" in start.verdicts_of([])


def test_a_changed_result_changes_the_count():
    claims = {one.key: one for one in ledger.paper_claims().values()}
    claim = claims["abstract-form-decides"]

    def shown(met):
        return BeautifulSoup(
            start.counts([ledger.Entry(claim, (finding([met]),))]), "html.parser"
        ).get_text()

    assert "1 supported" in shown(True)
    assert "1 contradicted" in shown(False)
    assert start.counts([]) == ""


def test_a_profile_without_results_leaves_no_place_open(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("chapters:\n  05-hierarchical-effects:\n  ladder:\n")
    grid = Grid.of(profiles.read(str(path)), tmp_path / "results")
    words = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    page = start.page(grid, words, ledger.findings(grid))
    assert "{{" not in page
    assert page.count("not measured in this profile") == len(start.FINDINGS) + 1
    assert start.PLACE.findall(words)
