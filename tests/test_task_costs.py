"""What pruning costs by kind of task: shares, verdicts, and the paper's table beside ours."""

import re

import numpy as np
import pandas as pd
import pytest

from chapters.inconsistent_effects.number_formats import Agreement
from reporting import score_layouts, task_costs, task_words
from reporting.probe_effects import effect
from reporting.reach import Estimate
from reporting.score_claims import Claim, claim_table
from reporting.task_costs import CHOOSING, GENERATING

DROPS = ["Drop-2A", "Drop-8A", "Drop-8M", "Wanda 25%", "Wanda 50%", "Wanda 2:4", "Wanda 4:8"]


def questions(task, kind, form, dense, pruned, chance, setting="Drop-8A", family=""):
    """Rows as of ``collected_items``: so many questions, of which the first few are right."""
    n = 20
    right = lambda count: (np.arange(n) < count).astype(float)  # noqa: E731
    return pd.DataFrame(
        {
            "setting": setting,
            "task": task,
            "kind": kind,
            "form": form,
            "metric": "acc",
            "item": [f"{task} {i}" for i in range(n)],
            "family": family,
            "chance": chance,
            "dense": right(dense),
            "pruned": right(pruned),
            "verdict": "ok",
        }
    )


def test_probes_stand_beside_tasks():
    probes = pd.concat(
        [
            questions("probes", "probe", "choice, prefix", 20, 18, 0.25, family="capitals"),
            questions("probes", "probe", "generation, prefix", 20, 4, 0.0, family="capitals"),
        ]
    ).assign(item=[f"q{i}" for i in range(20)] * 2)
    found = costs(items(), probes)["Drop-8A"]
    assert list(found) == [CHOOSING, GENERATING, *task_costs.SIDES[2:]]
    assert found[task_costs.SIDES[2]].value == pytest.approx((0.9 - 0.25) / 0.75)
    assert found[task_costs.SIDES[3]].value == pytest.approx(0.2)


def items():
    return pd.concat(
        [
            questions("piqa", "multiple_choice", "0-shot", 15, 14, 0.5),
            questions("openbookqa", "multiple_choice", "0-shot", 10, 9, 0.25),
            questions("asdiv", "generation", "0-shot", 8, 1, 0.0),
            questions("nq_open", "generation", "0-shot", 1, 0, 0.0).assign(verdict="at_floor"),
        ]
    )


def left(tasks, probes=None):
    return task_costs.by_side(tasks, tasks.head(0) if probes is None else probes)


def costs(tasks, probes=None):
    return task_costs.costs(left(tasks, probes))


def test_costs_are_shares_of_the_score_above_guessing():
    found = costs(items())["Drop-8A"]
    dense = ((0.75 - 0.5) / 0.5 + (0.5 - 0.25) / 0.75) / 2
    pruned = ((0.7 - 0.5) / 0.5 + (0.45 - 0.25) / 0.75) / 2
    assert found[CHOOSING].value == pytest.approx(pruned / dense)
    assert found[GENERATING].value == pytest.approx(1 / 8)  # the task at its floor counts nowhere
    assert found[CHOOSING].low < found[CHOOSING].value < found[CHOOSING].high


def test_kinds_of_task_at_their_floor_are_named():
    without = items()[items()["kind"].eq("multiple_choice")]
    found = costs(without)
    assert GENERATING in task_costs.sides_floored(found)
    assert CHOOSING not in task_costs.sides_floored(found)
    table = task_costs.cost_table(left(without), ["Drop-8A", "Drop-1B"])
    assert table[GENERATING].tolist() == ["at floor"] * 2
    assert (
        table[f"{CHOOSING}, n = 40"].iloc[0].startswith(f"{found['Drop-8A'][CHOOSING].value:.0%}")
    )


def test_models_that_stand_for_the_papers():
    assert task_costs.pair(DROPS, 30) == ["Drop-8A", "Drop-8M"]
    assert task_costs.pair(["Drop-1A", "Drop-2A", "Drop-3A", "Drop-1M"], 6) == [
        "Drop-2A",
        "Drop-1M",
    ]
    assert task_costs.pair(["Wanda 50%"], 30) == []
    assert list(task_costs.sparse(DROPS)) == ["25%", "50%", "4:8", "2:4"]


def test_shares_of_the_papers_table_by_hand():
    dense = (35.9 / 50 + 37.1 / 75 + 22.0 / 75 + 22.9 / 50 + 28.8 / 50) / 5
    eight = (28.2 / 50 + 34.1 / 75 + 16.2 / 75 + 22.1 / 50 + 21.1 / 50) / 5
    found = task_costs.reported_kept("multiple_choice")
    assert found["Drop-8M"] == pytest.approx(eight / dense)
    assert found["Drop-8A"] > 1
    written = task_costs.reported_kept("generation")
    assert written["Drop-8A"] == pytest.approx((36.2 + 0 + 0.4 + 9.6 + 20.9) / 111.3)
    assert task_costs.reported_kept("retrieval")["Drop-8M"] == pytest.approx(0.97, abs=0.01)


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([(0.9, 0.85, 0.95), (1.0, 0.9, 1.1)], "held"),
        ([(0.9, 0.85, 0.95), (0.5, 0.4, 0.6)], "partly"),
        ([(0.5, 0.4, 0.6)], "not"),
        ([(0.8, 0.7, 0.9)], "open"),
        ([(0.8, None, None)], "too few questions"),
        ([], "at floor"),
    ],
)
def test_claims_need_whole_intervals(answers, verdict):
    given = {str(place): Estimate(*one) for place, one in enumerate(answers)}
    one = Claim("kept", "at least 0.8", given, low=0.8)
    assert one.verdict == verdict
    assert "nan" not in one.measured


def probe_effect(choice, generation):
    """The effect of form of one family of twenty questions of which so many stay right."""
    forms = [
        questions("probes", "probe", "choice, prefix", 20, choice, 0.25, family="capitals"),
        questions("probes", "probe", "generation, prefix", 20, generation, 0.0, family="capitals"),
    ]
    both = pd.concat(forms).assign(item=[f"q{i}" for i in range(20)] * 2)
    return effect(both.assign(value=both["dense"]), both.assign(value=both["pruned"]))


def test_section_4_tells_forms_apart():
    effects = {"Drop-8A": probe_effect(19, 2)}
    claims = task_costs.section_4(
        left(items()), effects, {"Drop-2A": Estimate(0.9, 0.85, 0.95)}, ["Drop-8A", "Wanda 50%"], 30
    )
    table = claim_table(claims)
    verdicts = dict(zip(table["claim"], table["verdict"], strict=True))
    assert verdicts["Retrieval stays competitive (sublayers of the encoder dropped)"] == "held"
    assert verdicts["Generative tasks collapse (Drop-8A)"] == "held"
    assert table["measured"].str.endswith("(n = 20)").sum() == 2  # one task, and one family
    assert verdicts["The form of the task decides, at fixed content (ours)"] == "held"
    assert verdicts["Weights removed by half: generative tasks degrade"] == "at floor"
    assert not table.isna().any(axis=None)


def collected():
    """Scores of two tasks, dense and two pruned models, one task at its floor."""
    rows = []
    for setting, target, value in (
        ("Dense", "all", 0.6),
        ("Drop-8A", "attention", 0.55),
        ("Drop-8M", "mlp", 0.3),
    ):
        base = {"setting": setting, "target": target, "form": "0-shot", "metric": "acc"}
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
    table = score_layouts.table_1b(collected(), LEFT, ["Drop-8A", "Drop-8M"], ("7B", "135M"))
    rows = table.set_index("task")
    assert rows.loc["#Params"].tolist()[1:] == ["7.1B", "6.8B", "5.7B", "135M", "120M", "99M"]
    assert rows.loc["OpenBookQA"].tolist()[1:] == ["47.0", "46.8", "41.2", "60.0", "55.0", "30.0"]
    assert rows.loc["RTE", ["135M: Dense", "135M: Drop-8A"]].tolist() == ["–", "–"]
    assert rows.loc["PIQA", ["7B: Full", "135M: Drop-8M"]].tolist() == ["–", "40.0"]
    floor = rows.loc["NQ-Open", ["135M: Dense", "135M: Drop-8A", "135M: Drop-8M"]]
    assert floor.tolist() == ["1.0 (at floor)", "at floor", "at floor"]
    means = rows.loc["Average"].set_index("kind")["135M: Drop-8A"]
    assert means["multiple choice"] == "60.0 (2 tasks)"
    assert means["generation"] == "at floor"
    assert not table.isna().any(axis=None)


def test_table_1a_finds_the_papers_sets():
    frame = pd.DataFrame(
        [
            {"setting": name, "task": task, "value": value, "dense_value": 0.4, "verdict": "ok"}
            for task in ("fiqa", "boolq-passages")
            for name, value in (("Dense", 0.4), ("Drop-2A", 0.38))
        ]
    )
    table = score_layouts.table_1a(
        frame, LEFT | {"Drop-2A": 20_000_000}, ["Drop-2A"], ("7B", "23M")
    )
    rows = table.set_index("set")
    assert rows.loc["FiQA"].tolist() == ["56.4", "50.9", "52.8", "40.0", "38.0"]
    assert rows.loc["BoolQ passages"].tolist() == ["–", "–", "–", "40.0", "38.0"]
    assert rows.loc["Average"].tolist() == [
        "58.9",
        "53.4",
        "56.8",
        "40.0 (2 tasks)",
        "38.0 (2 tasks)",
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
    assert score_layouts.match(name, known) == meant


def test_averages_that_the_papers_rows_do_not_give_are_told():
    assert "13.2 printed, 13.4 by the rows" in score_layouts.averages(("b",))
    assert "58.9 printed, 58.3 by the rows" in score_layouts.averages(("a",))


def test_words_have_numbers_and_no_nan():
    found = costs(items())
    text = task_words.answer(found, {"Drop-2A": Estimate(0.9, 0.85, 0.95)}, DROPS, 30)
    assert "Drop-8A keeps" in text
    assert "90% [85%–95%] (Drop-2A)" in text
    bare = task_words.answer({}, {}, ["Drop-1A"], 4)
    assert bare.startswith("Every task is at the dense model's floor")
    assert not re.search(r"\bnan\b", text + bare)


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
    full = answered([1.0, 1.0, 0.0, 0.0, 1.0, 1.0], list("ABBAAB"))
    short = answered([1.0, 0.0, 0.0, 0.0, 1.0, 1.0], list("AABAAB"))
    one = Agreement.of(full, short.sample(frac=1, random_state=1))
    row = one.table.iloc[0]
    assert (row["full"], row["short"], row["others"], row["n"]) == (4 / 6, 3 / 6, 1, 6)
    assert one.within
    low, high = row["low"], row["high"]
    z2, share = 1.959964**2, 4 / 6  # Wilson's interval, written out
    middle, half = share + z2 / 12, (z2 * (share * (1 - share) / 6 + z2 / 144)) ** 0.5
    assert (low, high) == pytest.approx(
        ((middle - half) / (1 + z2 / 6), (middle + half) / (1 + z2 / 6)), rel=1e-5
    )
    assert "1 of 6 questions" in one.said({"float32": 9.0, "bfloat16": 3.0})
    far = answered([0.0] * 6, list("AABAAB"))
    assert not Agreement.of(full, far).within
    with pytest.raises(ValueError, match="different questions"):
        Agreement.of(full, short.head(4))
