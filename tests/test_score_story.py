"""What Section 4 shows of scores: the matrix, the claims, and the paper's table beside ours."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from chapters.inconsistent_effects import score_story
from chapters.inconsistent_effects.score_matrix import score_matrix
from reporting import figures, forms, scores
from reporting.statistics import Estimate
from runs.parameters import RunParameters
from runs.settings import named

DROPS = "Drop-2A,Drop-8A,Drop-8M,Wanda 25%,Wanda 50%,Wanda 2:4,Wanda 4:8"


def models(names):
    return named(RunParameters(), names)


def questions(task, kind, form, dense, pruned, chance, family=""):
    """Answers as of a chapter: so many questions, of which the first few are right."""
    n = 20
    right = lambda count: (np.arange(n) < count).astype(float)  # noqa: E731
    return pd.DataFrame(
        {
            "setting": "Drop-8A",
            "task": task,
            "kind": kind,
            "form": form,
            "metric": "acc",
            "item": [f"{family or task} {i}" for i in range(n)],
            "family": family,
            "chance": chance,
            "dense": right(dense),
            "pruned": right(pruned),
            "verdict": "ok",
        }
    )


def items():
    return pd.concat(
        [
            questions("piqa", "multiple_choice", "0-shot", 15, 14, 0.5),
            questions("openbookqa", "multiple_choice", "0-shot", 10, 9, 0.25),
            questions("asdiv", "generation", "0-shot", 8, 1, 0.0),
            questions("nq_open", "generation", "0-shot", 1, 0, 0.0).assign(verdict="at_floor"),
        ]
    )


def probes():
    return pd.concat(
        [
            questions("probes", "probe", "choice, prefix", 20, 18, 0.25, family="capitals"),
            questions("probes", "probe", "generation, prefix", 20, 4, 0.0, family="capitals"),
        ]
    )


def test_models_that_stand_for_the_papers():
    assert score_story.pair(models(DROPS), 30) == ["Drop-8A", "Drop-8M"]
    few = models("Drop-1A,Drop-2A,Drop-3A,Drop-1M")
    assert score_story.pair(few, 6) == ["Drop-2A", "Drop-1M"]
    assert score_story.pair(models("Dense,Wanda 50%"), 30) == []
    assert list(scores.by_sparsity(models(DROPS)))[1:] == ["Wanda 50%", "Wanda 4:8", "Wanda 2:4"]


def test_shares_of_the_papers_table_by_hand():
    dense = (35.9 / 50 + 37.1 / 75 + 22.0 / 75 + 22.9 / 50 + 28.8 / 50) / 5
    eight = (28.2 / 50 + 34.1 / 75 + 16.2 / 75 + 22.1 / 50 + 21.1 / 50) / 5
    found = score_story.reported_kept("multiple_choice")
    assert found == pytest.approx({"Drop-8A": 1.02, "Drop-8M": eight / dense}, abs=0.005)
    written = (36.2 + 0 + 0.4 + 9.6 + 20.9) / 111.3
    assert score_story.reported_kept("generation")["Drop-8A"] == pytest.approx(written)
    assert score_story.reported_kept("retrieval")["Drop-8M"] == pytest.approx(0.97, abs=0.005)


def test_section_4_tells_forms_apart():
    kept = scores.kept_series(items(), probes(), by="kind")
    assert set(kept["series"]) == set(score_story.SERIES)
    found = score_story.claims(
        kept,
        forms.effects(probes()),
        {"Drop-2A": Estimate(0.9, 0.85, 0.95)},
        models("Drop-8A,Wanda 50%"),
        30,
    )
    verdicts = {one.claim: one.verdict for one in found}
    assert verdicts["Retrieval stays competitive (sublayers of the encoder dropped)"] == "supported"
    assert verdicts["Generative tasks collapse (Drop-8A)"] == "supported"
    assert [one.measured.rpartition("(n = ")[2] for one in found[2:5]] == ["20)"] * 3
    assert verdicts["The same questions lose more when written than when chosen"] == "supported"
    assert verdicts["Weights removed by half: generative tasks degrade"] == "model too weak"


def collected():
    """Scores of two tasks, dense and two pruned models, one task at its floor."""
    rows = []
    for setting, value in (("Dense", 0.6), ("Drop-8A", 0.55), ("Drop-8M", 0.3)):
        base = {"setting": setting, "form": "0-shot", "metric": "acc"}
        rows.append(
            base
            | {
                "task": "openbookqa",
                "kind": "multiple_choice",
                "value": value,
                "dense_value": 0.6,
                "verdict": "ok",
            }
        )
        rows.append(
            base
            | {
                "task": "nq_open",
                "kind": "generation",
                "dense_value": 0.01,
                "value": 0.01 if setting == "Dense" else np.nan,
                "verdict": "at_floor",
            }
        )
        rows.append(
            base
            | {
                "task": "piqa",
                "kind": "multiple_choice",
                "value": value + 0.1,
                "dense_value": 0.7,
                "verdict": "ok",
            }
        )
    return pd.DataFrame(rows)


LEFT = {"Dense": 134_515_008, "Drop-8A": 120_000_000, "Drop-8M": 99_000_000}


def test_table_1b_stands_beside_the_papers():
    table = score_story.table_1("b", collected(), LEFT, ["Drop-8A", "Drop-8M"], ("7B", "135M"))
    rows = table.set_index("task")
    assert rows.loc["#Params"].tolist()[1:] == ["7.1B", "6.8B", "5.7B", "135M", "120M", "99M"]
    assert rows.loc["OpenBookQA"].tolist()[1:] == ["47.0", "46.8", "41.2", "60.0", "55.0", "30.0"]
    assert rows.loc["RTE", ["135M: Dense", "135M: Drop-8A"]].tolist() == ["–", "–"]
    assert rows.loc["PIQA", ["7B: Full model", "135M: Drop-8M"]].tolist() == ["–", "40.0"]
    floor = rows.loc["NQ-Open", ["135M: Dense", "135M: Drop-8A", "135M: Drop-8M"]]
    assert floor.tolist() == ["1.0 (model too weak)", "model too weak", "model too weak"]
    means = rows.loc["Average"].set_index("kind")["135M: Drop-8A"]
    assert means["multiple choice"] == "60.0 (n = 2)"
    assert means["generation"] == "model too weak"
    assert not table.isna().any(axis=None)


def test_table_1a_finds_the_papers_sets():
    frame = pd.DataFrame(
        [
            {"setting": name, "task": task, "value": value, "dense_value": 0.4, "verdict": "ok"}
            for task in ("fiqa", "boolq-passages")
            for name, value in (("Dense", 0.4), ("Drop-2A", 0.38))
        ]
    )
    table = score_story.table_1(
        "a",
        frame.assign(kind="retrieval"),
        LEFT | {"Drop-2A": 20_000_000},
        ["Drop-2A"],
        ("7B", "23M"),
    )
    rows = table.drop(columns="kind").set_index("task")
    assert rows.loc["FiQA"].tolist() == ["56.4", "50.9", "52.8", "40.0", "38.0"]
    assert rows.loc["BoolQ passages"].tolist() == ["–", "–", "–", "40.0", "38.0"]
    assert rows.loc["Average"].tolist() == [
        "58.9",
        "53.4",
        "56.8",
        "40.0 (n = 2)",
        "38.0 (n = 2)",
    ]
    assert len(table) == 1 + 13 + 1 + 1


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("FiQA2018", "FiQA"),
        ("Touche2020", "Touche-2020"),
        ("QuoraRetrieval", "Quora"),
        ("TRECCOVID", "TREC-COVID"),
        ("ClimateFEVER", "Climate-FEVER"),
        ("NQ", "NQ"),
        ("SciDocs", "SCIDOCS"),
    ],
)
def test_names_of_retrieval_sets(name, meant):
    known = [
        "FiQA",
        "Touche-2020",
        "Quora",
        "TREC-COVID",
        "Climate-FEVER",
        "FEVER",
        "NQ",
        "SCIDOCS",
    ]
    assert score_story.match(name, known) == meant


def test_averages_that_the_papers_rows_do_not_give_are_told():
    assert score_story.odd_averages("b") == "Drop-8A 13.2 (13.4)"
    assert score_story.odd_averages("a").startswith("Full model 58.9 (58.3); ")


WORDS = {"name": "left", "title": "What is left", "caption": "Done so.", "provenance": {"run": "r"}}


def cells():
    rows = [
        ("Multiple choice", "PIQA", "attention", "Drop-8A", 0.97, 0.9, 1.04, ""),
        ("Multiple choice", "PIQA", "MLP", "Drop-2M", 0.41, 0.2, 0.6, ""),
        ("Generation", "NQ-Open", "attention", "Drop-8A", np.nan, np.nan, np.nan, "model too weak"),
        ("Generation", "NQ-Open", "MLP", "Drop-2M", np.nan, np.nan, np.nan, "model too weak"),
        ("Generation", "ASDiv", "MLP", "Drop-2M", -0.03, np.nan, np.nan, ""),
    ]
    names = ["group", "task", "part", "setting", "kept", "low", "high", "state"]
    return pd.DataFrame(rows, columns=names).assign(dense="dense 0.60")


class Rows(HTMLParser):
    """Cells of every table row: class and text."""

    def __init__(self):
        super().__init__()
        self.rows, self.inside = [], False

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append([dict(attrs).get("class", ""), "", dict(attrs)])
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1][1] += data


def shown(output):
    parser = Rows()
    parser.feed(output.html)
    return parser.rows


def test_every_cell_says_what_is_left():
    rows = shown(score_matrix(cells(), **WORDS))
    assert [cell[1] for cell in rows[1]] == ["task", "Drop-8A", "Drop-2M"]
    piqa = next(row for row in rows if row[0][1].startswith("PIQA"))
    assert [cell[1] for cell in piqa[1:]] == ["97", "41"]
    assert "lost" not in piqa[1][0]  # the interval holds 100%
    assert "lost" in piqa[2][0].split()
    assert "begins" in piqa[2][0].split()  # another kind of sublayer
    assert piqa[2][2]["title"] == "41 [20 to 60]"
    shades = [float(re.search(r"([\d.]+)\)", cell[2]["style"])[1]) for cell in piqa[1:]]
    assert shades[0] / shades[1] == pytest.approx(0.97 / 0.41, rel=0.05)


def test_scores_at_their_floor_have_no_number():
    output = score_matrix(cells(), **WORDS)
    floored = next(row for row in shown(output) if row[0][1].startswith("NQ-Open"))
    assert [cell[1] for cell in floored[1:]] == ["–", "–"]
    assert all("unknown" in cell[0] for cell in floored[1:])
    assert output.html.count('aria-label="model too weak"') == 2
    below = next(row for row in shown(output) if row[0][1].startswith("ASDiv"))
    assert below[1][1] == ""  # not asked under Drop-8A
    assert below[2][1] == "−3"
    assert not re.search(r"\bnan\b", output.html.partition("base64")[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.head(0), "one row for each task and setting"),
        (lambda frame: pd.concat([frame, frame.head(1)]), "one row for each task and setting"),
    ],
)
def test_wrong_scores_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        score_matrix(change(cells()), **WORDS)


def test_cells_from_scores():
    """Probes are rows by form; a floor hides the number; what was not asked says so."""
    frame = pd.DataFrame(
        [
            ("Dense", "piqa", "multiple_choice", "0-shot", 0.7, "ok"),
            ("Drop-8A", "piqa", "multiple_choice", "0-shot", 0.7, "ok"),
            ("Drop-8A", "nq_open", "generation", "0-shot", 0.0, "at_floor"),
            ("Drop-8A", "probes", "probe", "choice, plain", 0.9, "ok"),
        ],
        columns=["setting", "task", "kind", "form", "dense_value", "verdict"],
    )
    kept = pd.DataFrame(
        [("Drop-8A", "piqa", "0-shot", Estimate(0.8, 0.7, 0.9))],
        columns=["setting", "task", "form", "share"],
    )
    found = score_story.cells(frame, kept, models("Drop-8A")).set_index("task")
    assert found.index.tolist() == ["PIQA", "NQ-Open", "choice, plain"]
    assert found.loc["PIQA", ["kept", "low", "high", "state"]].tolist() == [0.8, 0.7, 0.9, ""]
    assert np.isnan(found.loc["NQ-Open", "kept"])
    assert found["state"].tolist() == ["", "model too weak", "not measured"]
    assert found["part"].tolist() == ["attention"] * 3


def test_tables_fold_behind_their_lines():
    frame = pd.DataFrame({"model": ["Drop-8A"], "score": [0.25]})
    output = figures.folded_tables({"PIQA <1>": frame, "BoolQ": frame}, "Scores", {"score": ".2f"})
    assert output.html.count("<details") == 2
    assert "<summary>PIQA &lt;1&gt;</summary>" in output.html
    assert output.html.count("0.25") == 2
    assert output.html.count('class="table-caption"') == 1
    with pytest.raises(ValueError, match="no table to fold"):
        figures.folded_tables({}, "Scores")


def answered(values, answers):
    return pd.DataFrame(
        {
            "task": "piqa",
            "form": "0-shot",
            "metric": "acc",
            "item": [str(place) for place in range(len(values))],
            "answer": answers,
            "value": values,
        }
    )


def test_number_formats_by_hand():
    """Wilson's interval of 4 in 6 is 0.30 to 0.90, of which 3 in 6 lies inside and 1 in 6 not."""
    full = answered([1.0, 1.0, 0.0, 0.0, 1.0, 1.0], list("ABBAAB"))
    short = answered([1.0, 0.0, 0.0, 0.0, 1.0, 1.0], list("AABAAB"))
    one = score_story.agreement(full, short.sample(frac=1, random_state=1)).iloc[0]
    assert (one["full"], one["short"], one["others"], one["n"]) == (4 / 6, 3 / 6, 1, 6)
    assert one["within"]
    far = answered([1.0] + [0.0] * 5, list("AABAAB"))
    assert not score_story.agreement(full, far)["within"].any()
    with pytest.raises(ValueError, match="different questions"):
        score_story.agreement(full, short.head(4))
