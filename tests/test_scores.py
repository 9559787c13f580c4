"""Scores of pruned models beside the dense one: from stored answers to shares and tables."""

import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.errors import InputError
from measurements.scoring import ITEMS, SCORES, compared
from reporting import scores
from runs import store
from runs.parameters import validate
from runs.settings import named

RIGHT = {  # share of right answers by task, dense and pruned
    "piqa": (0.9, 0.6),
    "mmlu": (0.25, 0.25),
    "asdiv": (0.8, 0.1),
    "boolq": (1.0, 1.0),
}
GENERATION = ("asdiv",)


USES = ("model", "seed", "tasks", "items", "method", "target", "dropped")


@store.measurement(*USES, tables={"items": ITEMS})
def answered(parameters):
    """One model's answers to one task, made up; each time it is taken is noted."""
    with (Path(parameters.results) / "taken").open("a") as file:
        file.write(f"{parameters.tasks} {parameters.dropped}\n")
    n, written = parameters.items, parameters.tasks in GENERATION
    right = round(RIGHT[parameters.tasks][not parameters.dense] * n)
    rows = pd.DataFrame(
        {
            "task": parameters.tasks,
            "kind": "generation" if written else "multiple_choice",
            "form": "0-shot",
            "metric": "exact_match" if written else "acc",
            "item": [f"{parameters.tasks}-{number}" for number in range(n)],
            "family": "",
            "answer": "a",
            "chance": 0.0 if written else 0.25,
            "value": [1.0] * right + [0.0] * (n - right),
        }
    )
    facts = {"model": {"parameters": 100, "size": "100"}, "pruned": "words", "parameters_left": 90}
    return store.Measured({"items": rows}, facts)


@store.measurement(*USES, tables={"scores": SCORES})
def beside(parameters):
    """Scores made of :func:`answered`."""
    parts = {
        name: parameters.model_copy(update={"tasks": name}) for name in parameters.tasks.split(",")
    }
    return compared(parameters, answered, parts, lambda: (80, "nothing asked"))


def _parameters(model, folder):
    chosen = {"model": str(model), "results": str(folder), "tasks": ",".join(RIGHT)}
    return validate(chosen | {"items": 20, "target": "mlp", "dropped": 2, "device": "cpu"})


@pytest.fixture
def parameters(tiny_folder, tmp_path):
    return _parameters(tiny_folder, tmp_path)


@pytest.fixture(scope="module")
def measured(tiny_folder, tmp_path_factory):
    parameters = _parameters(tiny_folder, tmp_path_factory.mktemp("scores"))
    return {name: beside(one) for name, one in named(parameters, "Drop-2M,Dense").items()}


def test_the_dense_model_is_asked_once_and_a_floor_of_the_dense_one_only(measured):
    taken = (measured["Dense"].folder.parents[2] / "taken").read_text().splitlines()
    assert sorted(taken) == sorted(
        ["asdiv 0", "asdiv 2", "boolq 0", "boolq 2", "mmlu 0", "piqa 0", "piqa 2"]
    )
    facts = measured["Drop-2M"].manifest["facts"]
    assert facts["asked"] == dict.fromkeys(RIGHT, 20)
    assert (facts["at_floor"], facts["parameters_left"]) == (["mmlu"], 90)
    assert facts["dense_parameters"] == facts["model"]["parameters"] == 100
    rows = measured["Drop-2M"].table("scores").set_index("task")
    assert rows["verdict"].astype(str).to_dict() == {
        "piqa": "ok",
        "mmlu": "at_floor",
        "asdiv": "ok",
        "boolq": "at_ceiling",
    }
    assert rows["n"].tolist() == [20, 0, 20, 20]
    assert rows["flips_lost"].tolist()[:1] == [6]
    assert np.isnan(rows.loc["mmlu", "value"])
    dense = measured["Dense"].table("scores").set_index("task")
    assert dense["value"].tolist() == rows["dense_value"].tolist()
    assert measured["Dense"].manifest["facts"]["parameters_left"] == 100


def test_parameters_left_where_no_task_is_clear_of_its_floor(parameters):
    found = beside(parameters.model_copy(update={"tasks": "mmlu"})).manifest["facts"]
    assert (found["parameters_left"], found["pruned"]) == (80, "nothing asked")


def test_collected_scores_stand_with_the_dense_model_first(measured):
    frame = scores.collected(measured)
    assert list(frame["setting"].cat.categories) == ["Dense", "Drop-2M"]
    assert frame["setting"].iloc[0] == "Dense"
    assert len(frame) == 8
    assert frame["dense_n"].eq(20).all()
    assert frame.loc[frame["task"].eq("asdiv"), "chance"].eq(0).all()
    own = frame[frame["setting"].eq("Dense")]
    assert own["stderr"].tolist() == pytest.approx(own["dense_stderr"].tolist())


def test_every_cell_is_text_and_none_is_missing(measured):
    table = scores.score_table(scores.collected(measured))
    assert table.map(lambda cell: isinstance(cell, str) and "nan" not in cell).all(axis=None)
    found = table.set_index(["model", "task"])["verdict"].to_dict()
    assert found["Drop-2M", "PIQA"] == found["Drop-2M", "ASDiv"] == "lost"
    assert found["Drop-2M", "MMLU"] == found["Dense", "MMLU"] == "model too weak"
    assert found["Drop-2M", "BoolQ"] == "at ceiling"
    row = table.set_index(["model", "task"]).loc[("Drop-2M", "PIQA")]
    assert (row["n"], row["lost / gained"], row["p"]) == ("20", "6 / 0", "0.031")
    assert row["pruned"] == "0.600 ± 0.112"
    assert row["difference"].startswith("−0.300 [")


@pytest.mark.parametrize("items", [1, 3])
def test_a_handful_of_questions_supports_nothing_and_shows_no_nan(parameters, items):
    few = parameters.model_copy(update={"items": items})
    found = {name: beside(one) for name, one in named(few, "Dense,Drop-2M").items()}
    frame, questions = scores.collected(found), scores.answers(found)
    texts = [
        scores.score_table(frame).to_string(),
        scores.floors(frame),
        *scores.each_score(frame),
        *(one.text() for one in scores.kept_by(questions, ["task"])["share"]),
    ]
    assert not any("nan" in text.lower() for text in texts), texts
    assert "too few data" in texts[0]


def test_lists_follow_the_numbers(measured):
    frame = scores.collected(measured)
    assert scores.floors(frame) == "MMLU 0.25 (guessing 0.25)"
    assert scores.floors(frame[frame["task"].ne("mmlu")]) == "–"
    assert scores.asked(frame).endswith("ASDiv (exact_match, n = 20); BoolQ (acc, n = 20)")
    lines = list(scores.each_score(frame))
    assert lines[:2] == [
        "PIQA: dense 0.90, lost by 1 of 1 pruned models",
        "MMLU: dense 0.25 (model too weak), lost by 0 of 0 pruned models",
    ]


def test_kept_shares_are_above_chance(measured):
    questions = scores.answers(measured)
    assert set(questions["task"]) == {"piqa", "asdiv", "boolq"}
    found = scores.kept_by(questions, ["task"]).set_index("task")
    # piqa: (0.6 - 1/4) / (0.9 - 1/4); asdiv: 0.1 / 0.8
    values = {task: one.value for task, one in found["share"].items()}
    assert values == pytest.approx({"piqa": 0.35 / 0.65, "asdiv": 0.125, "boolq": 1})
    by_kind = scores.kept_by(questions, ["kind"]).set_index("kind")
    # both multiple-choice tasks count alike: ((0.35/0.75) + 1) / ((0.65/0.75) + 1)
    whole = (0.35 / 0.75 + 1) / (0.65 / 0.75 + 1)
    chosen, written = by_kind.loc["multiple_choice", "share"], by_kind.loc["generation", "share"]
    assert chosen.value == pytest.approx(whole)
    assert (chosen.n, by_kind.loc["multiple_choice", "n"]) == (40, 40)
    assert 0 <= written.low < 0.125 < written.high < chosen.low


def test_answers_that_are_gone_are_missed_in_words(parameters):
    one = beside(parameters.model_copy(update={"tasks": "mmlu"}))
    shutil.rmtree(Path(parameters.results) / "measurements" / "answered")
    with pytest.raises(InputError, match="no longer in the results"):
        scores.collected({"Drop-2M": one})


def test_samples_of_questions_against_every_sample_there_is():
    """Three questions: 27 equally likely samples; 2,000 draws meet their quantiles."""
    values = np.array([[0.0, 1.0], [0.5, 0.0], [1.0, 0.25]])
    every = np.array([values[list(rows)].mean(axis=0) for rows in product(range(3), repeat=3)])
    rows = pd.DataFrame(values, columns=["dense", "pruned"]).assign(
        task="t", form="a", metric="m", item=["q0", "q1", "q2"], chance=0.0
    )
    drawn = scores.Kept.of(rows, 0).means.T
    assert drawn[0] == pytest.approx(values.mean(axis=0))
    assert {tuple(row) for row in drawn[1:].round(9)} == {tuple(row) for row in every.round(9)}
    for column in (0, 1):
        for share in (0.1, 0.5, 0.9):
            expected = np.quantile(every[:, column], share)
            assert np.quantile(drawn[1:, column], share) == pytest.approx(expected, abs=0.09)
        assert drawn[1:, column].std() == pytest.approx(every[:, column].std(), abs=0.01)


def test_the_same_samples_serve_all_scores_of_a_task_in_any_order():
    rows = pd.DataFrame(
        {
            "task": "t",
            "form": ["a"] * 6 + ["b"] * 6,
            "metric": "m",
            "item": [f"q{number}" for number in range(6)] * 2,
            "chance": 0.0,
            "dense": [1.0] * 12,
            "pruned": [1.0, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 0],
        }
    )
    one = scores.Kept.of(rows, 0)
    # right in one form where wrong in the other: every sample's average is one half
    assert one.ratio == pytest.approx(np.full(2001, 0.5))
    mixed = scores.Kept.of(rows.sample(frac=1, random_state=1), 0)
    assert mixed.means == pytest.approx(one.means)
