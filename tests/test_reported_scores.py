"""The paper's Table 1 and Figure 1: the same numbers as read from the paper, and what they say."""

from pathlib import Path

import pandas as pd
import pytest

from reporting.reported import scores

PAPER = Path(__file__).parents[2] / "shared" / "paper"
SETTINGS = {"full": "Full", "drop_8a": "Drop-8A", "drop_8m": "Drop-8M"}
KINDS = {
    "Embedding Tasks": "retrieval",
    "Multi-choice Tasks": "multiple_choice",
    "Generation Tasks": "generation",
}


def paper(name):
    path = PAPER / name
    if not path.is_file():
        pytest.skip(f"{name} of the paper is not beside the project")
    return pd.read_csv(path, keep_default_na=False)


def test_table_1_is_the_papers():
    theirs = paper("tables.csv")
    ours = scores.table_1()
    assert len(theirs) == ours[list(SETTINGS)].size
    for row in theirs.itertuples():
        task = "Parameters" if row.task == "#Params" else row.task
        mine = ours[ours["part"].eq(row.table[2]) & ours["task"].eq(task)]
        mine = mine[mine["kind"].eq(KINDS.get(row.group, "parameters"))].iloc[0]
        column = next(name for name, setting in SETTINGS.items() if setting == row.setting)
        assert mine[column] == row.value


def test_figure_1_is_the_papers():
    targets = {"attention": "Attn Drop", "mlp": "MLP Drop", "block": "ShortGPT"}
    parts = {"multiple_choice": "non_generative", "generation": "generative"}
    ours = scores.figure_1()
    seen = 0
    for kind, name in parts.items():
        theirs = paper(f"figures/pruning_{name}.csv").set_index(["panel", "series", "x"])["y"]
        for row in ours[ours["kind"].eq(kind)].itertuples():
            value = theirs[row.task, targets[row.target], row.dropped]
            assert row.score == pytest.approx(value, abs=1e-5)
            seen += 1
        assert len(theirs) == ours["kind"].eq(kind).sum()
    assert seen == len(ours) == 4 * 3 * 13


def test_printed_averages_beside_those_of_the_rows():
    """By hand: four of the nine printed averages are not those of their rows."""
    found = scores.averages().set_index(["part", "kind", "setting"])
    retrieval = (60.9, 36.8, 47.9, 87.6, 56.4, 74.9, 38.1, 66.3, 88.6, 16.2, 75.8, 85.9, 22.9)
    assert found.loc[("a", "retrieval", "Full model"), "computed"] == pytest.approx(
        sum(retrieval) / 13
    )
    generation = (36.2, 0.0, 0.4, 9.6, 20.9)
    assert found.loc[("b", "generation", "Drop-8A"), "computed"] == pytest.approx(
        sum(generation) / 5
    )
    differ = found[~found["agree"]]["computed"].round(2).to_dict()
    assert differ == {
        ("a", "retrieval", "Full model"): 58.33,
        ("a", "retrieval", "Drop-8A"): 53.46,
        ("a", "retrieval", "Drop-8M"): 56.45,
        ("b", "generation", "Drop-8A"): 13.42,
    }


def test_rows_and_parameters():
    assert len(scores.rows("a", "retrieval")) == scores.TABLE_1A.points
    tasks = [*scores.rows("b", "multiple_choice")["task"], *scores.rows("b", "generation")["task"]]
    assert len(tasks) == scores.TABLE_1B.points
    assert "Average" not in tasks
    assert scores.parameters("b").tolist() == [7.1, 6.8, 5.7]
    with pytest.raises(ValueError, match="no tasks of the kind"):
        scores.rows("a", "generation")


def test_kept_is_a_share_of_the_score_above_guessing():
    found = scores.figure_1().set_index(["task", "target", "dropped"])
    assert (found.xs(0, level="dropped")["kept"] == 1).all()
    assert found.loc[("HellaSwag", "block", 5), "kept"] == pytest.approx((68 - 25) / (82 - 25))
    assert found.loc[("GSM8K", "block", 4), "kept"] == pytest.approx(5 / 75.5876)
    assert found.loc[("MMLU", "block", 11), "kept"] < 0  # below guessing


def test_block_scores_are_whole_and_start_elsewhere():
    """What the other two series are not: whole numbers, of other dense models in two tasks."""
    frame = scores.figure_1()
    pruned = frame[frame["dropped"].gt(0)]
    whole = pruned["score"].eq(pruned["score"].round()).groupby(pruned["target"]).mean()
    assert whole["block"] == 1
    assert max(whole["attention"], whole["mlp"]) < 0.5
    dense = frame[frame["dropped"].eq(0)].pivot(index="task", columns="target", values="score")
    assert dense["attention"].equals(dense["mlp"])
    other = dense.index[dense["block"].ne(dense["attention"])]
    assert sorted(other) == ["HellaSwag", "MMLU"]
