"""The figure of scores that are left, and tables that fold."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from chapters.inconsistent_effects import figure_score_matrix
from reporting import figures
from reporting.reach import Estimate
from reporting.score_layouts import matrix_frame

WORDS = {"name": "left", "title": "What is left", "caption": "Done so.", "provenance": {"run": "r"}}


def cells():
    rows = [
        ("Multiple choice", "PIQA", "attention", "Drop-8A", 0.97, 0.9, 1.04, ""),
        ("Multiple choice", "PIQA", "MLP", "Drop-2M", 0.41, 0.2, 0.6, ""),
        ("Generation", "NQ-Open", "attention", "Drop-8A", np.nan, np.nan, np.nan, "at floor"),
        ("Generation", "NQ-Open", "MLP", "Drop-2M", np.nan, np.nan, np.nan, "at floor"),
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
    rows = shown(figure_score_matrix.score_matrix(cells(), **WORDS))
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
    output = figure_score_matrix.score_matrix(cells(), **WORDS)
    floored = next(row for row in shown(output) if row[0][1].startswith("NQ-Open"))
    assert [cell[1] for cell in floored[1:]] == ["–", "–"]
    assert all("unknown" in cell[0] for cell in floored[1:])
    assert output.html.count('aria-label="at floor"') == 2
    below = next(row for row in shown(output) if row[0][1].startswith("ASDiv"))
    assert below[1][1] == ""  # not asked under Drop-8A
    assert below[2][1] == "−3"
    assert not re.search(r"\bnan\b", output.html.partition("base64")[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="state"), "the scores lack state"),
        (lambda frame: frame.head(0), "one row for each task and setting"),
        (lambda frame: pd.concat([frame, frame.head(1)]), "one row for each task and setting"),
    ],
)
def test_wrong_scores_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        figure_score_matrix.score_matrix(change(cells()), **WORDS)


def test_cells_from_scores():
    """Probes are rows by form; a floor hides the number; what was not asked says so."""
    scores = pd.DataFrame(
        [
            ("Dense", "all", "piqa", "multiple_choice", "0-shot", 0.7, "ok"),
            ("Drop-8A", "attention", "piqa", "multiple_choice", "0-shot", 0.7, "ok"),
            ("Drop-8A", "attention", "nq_open", "generation", "0-shot", 0.0, "at_floor"),
            ("Drop-8A", "attention", "probes", "probe", "choice, plain", 0.9, "ok"),
        ],
        columns=["setting", "target", "task", "kind", "form", "dense_value", "verdict"],
    )
    kept = pd.DataFrame(
        [
            ("Drop-8A", "piqa", "0-shot", Estimate(0.8, 0.7, 0.9)),
            ("Drop-8A", "nq_open", "0-shot", Estimate(0.5, 0.1, 0.9)),
        ],
        columns=["setting", "task", "form", "kept"],
    )
    found = matrix_frame(scores, kept).set_index("task")
    assert found.index.tolist() == ["PIQA", "NQ-Open", "choice, plain"]
    assert found.loc["PIQA", ["kept", "low", "high", "state"]].tolist() == [0.8, 0.7, 0.9, ""]
    assert np.isnan(found.loc["NQ-Open", "kept"])
    assert found["state"].tolist() == ["", "at floor", "not measured"]
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
