"""*Should I prune?*: what it measures of cost, and what it makes of scores, texts and sizes."""

import re
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chapters.should_i_prune import story
from chapters.should_i_prune.measure import ROUNDS, running_cost, weight_bytes
from helpers.models.load import load
from helpers.pruning.weights import prunable
from reporting import scores
from reporting.reported import scores as paper
from reporting.statistics import Estimate
from runs.parameters import RunParameters
from runs.settings import named

PAGE = Path(__file__).parents[1] / "notebooks" / "should-i-prune.md"


@pytest.fixture
def run(tiny_folder, little_text, tmp_path):
    words = {"calibration": little_text, "calibration_samples": 2, "calibration_length": 16}
    place = {"model": str(tiny_folder), "results": str(tmp_path / "results"), "device": "cpu"}
    return RunParameters(**words, **place)


def cost_of(run, name):
    (one,) = named(run, name).values()
    return story.Cost(name, story.kind(one), running_cost(one))


def test_weights_and_cache_are_those_of_what_is_there(run, tiny_folder):
    model = load(str(tiny_folder)).model
    config, whole = model.config, sum(each.numel() for each in model.parameters()) * 4
    a_layer = 2 * config.num_key_value_heads * config.head_dim * 4  # keys and values of one token
    masked, dropped = cost_of(run, "Magnitude 50%"), cost_of(run, "Drop-2A")
    assert (
        weight_bytes(model)
        == masked.bytes("weights")
        == masked.bytes("weights", dense=True)
        == whole
    )
    assert masked.bytes("cache") == a_layer * config.num_hidden_layers
    gone = [one for one in prunable(load(str(tiny_folder)).decoder)[0] if one.kind == "attention"]
    norm = config.hidden_size
    lost = 2 * 4 * (sum(one.matrix.numel() for one in gone) + norm)
    assert dropped.bytes("weights") == whole - lost
    assert dropped.bytes("cache") <= a_layer * (config.num_hidden_layers - 2) + 2 * 4
    assert masked.row()["weights"].endswith("(100%)")


@pytest.mark.parametrize("name", ["INT8", "NF4"])
def test_packed_weights_take_what_their_numbers_and_scales_take(run, tiny_folder, name):
    """Also after the passes that were timed, when int8 has its scales elsewhere."""
    pytest.importorskip("bitsandbytes")
    linears = [one.matrix for layer in prunable(load(str(tiny_folder)).decoder) for one in layer]
    dense = sum(weight.numel() for weight in linears)
    packed = cost_of(run, name)
    if name == "NF4":
        taken = dense // 2 + 4 * sum(-(-weight.numel() // 64) for weight in linears)  # a block
    else:
        taken = dense + 4 * sum(weight.shape[0] for weight in linears)  # a row
    saved = packed.bytes("weights", dense=True) - packed.bytes("weights")
    assert saved == 4 * dense - taken


def test_both_models_are_timed_in_every_turn(run):
    one = cost_of(run, "Drop-1M")
    table = one.measured.table("speed")
    assert (
        table.groupby("phase", observed=True)["turn"].agg(list).tolist()
        == [list(range(ROUNDS))] * 2
    )
    assert (table[["seconds", "dense_seconds"]] > 0).all(axis=None)
    rates = one.rates("write") / one.rates("write", dense=True)
    assert one.faster("write").tolist() == pytest.approx(rates.tolist())
    assert story.costs([one])["model"].tolist() == ["Dense", "Drop-1M"]


@pytest.mark.parametrize(("half", "share"), [(0.2, 0.8), (0.1, 0.8), (0.1, 0.5), (0.05, 0.8)])
def test_fewest_questions_by_trying_every_number(half, share):
    def width(n, z=1.959964):
        return 2 * z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))

    assert story.questions_for(half, share) == next(
        n for n in range(1, 9999) if width(n) <= 2 * half
    )


def test_safe_is_by_the_whole_interval():
    found = {"kept": (0.9, 0.85, 0.95), "lost": (0.5, 0.4, 0.6), "open": (0.85, 0.7, 1.0)}
    found["best 50%"] = (0.95, 0.9, 1.0)
    kept = pd.DataFrame(
        {"use": story.FEW, "setting": name, "share": Estimate(*numbers, 20)}
        for name, numbers in found.items()
    )
    table = story.safe(kept).set_index("my task …")
    cells = table.loc[story.FEW, ["✓ safe", "✗ not safe", "? too few data"]]
    assert cells.tolist() == ["95% best\N{NO-BREAK SPACE}50%\n90% kept", "50% lost", "85% open"]
    assert table.loc[story.WRITES, "✓ safe"] == "–"
    told = story.left(kept, [story.FEW, story.MANY]).set_index("model")
    assert told.loc["kept"].tolist() == ["90% [85%–95%]", "–"]
    assert told.index.tolist() == list(found)


def test_how_far_the_paper_goes_is_read_off_its_figure():
    rows = paper.figure_1().query("kind == 'generation' and target == 'attention'")
    means = rows.groupby("dropped")["kept"].mean()
    far = max(n for n in means.index if (means[means.index <= n] >= scores.KEPT).all())
    assert story.far("generation")["attention"] == far
    assert (
        f"{paper.rows('a', 'retrieval')['full'].mean():.0f}" == story.printed(story.RETRIEVES)[:2]
    )
    assert story.printed(story.MANY) == "–"


def ladder(values):
    """A ladder of three questions of one family: 4 and 8 random candidates, and 3 of its kind."""
    return pd.DataFrame(
        {
            "form": story.PREFIX,
            "candidates": kind,
            "size": size,
            "family": "f",
            "item": f"i{item}",
            "value": value,
        }
        for item, value in enumerate(values)
        for kind, size in (("random", 4), ("random", 8), ("kind", 3), ("vocabulary", 99))
    )


def test_rivals_are_the_largest_sets_short_of_all_tokens():
    rows = story.rivals(ladder([1.0] * 9), ladder([1.0, 0.0, 0.5, *[1.0] * 6]), "Drop-1M")
    assert sorted(set(rows["chance"])) == [1 / 8, 1 / 3]
    assert set(rows["form"]) == {"random", "kind"}
    assert rows[rows["form"].eq("random")]["pruned"].tolist() == [1.0, 0.0, 0.5, *[1.0] * 6]
    assert set(rows["verdict"]) == {"ok"}
    assert set(story.rivals(ladder([0.0] * 9), ladder([0.0] * 9), "x")["verdict"]) == {"at_floor"}


def choice(name, size, chosen, written):
    found = {"choice": Estimate(chosen), "generation": Estimate(written)}
    return story.Choice(name, "dropped", size, found)


def test_a_model_is_beaten_by_one_that_is_better_and_no_larger():
    every = [
        choice("large", 9, 0.9, 0.9),
        choice("same", 9, 0.9, 0.5),
        choice("small", 4, 0.9, 0.6),
    ]
    every.append(choice("tiny", 2, 0.1, 0.1))
    assert story.unbeaten(every) == ["tiny", "small", "large"]
    assert story.unbeaten([every[0], every[0]]) == ["large", "large"]
    table = story.at_equal_memory(every).set_index("model")
    assert table.loc["same", "no other is better"] == "–"
    named_in_figure = story.cloud(every).query("panel == 'Written'").set_index("point")["call"]
    assert named_in_figure.to_dict() == {
        "tiny": "tiny",
        "small": "small",
        "large": "large",
        "same": "",
    }


def test_signs_are_counted_in_texts():
    loop = [7, 8, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1]
    plain = list(range(12))
    rows = [
        {
            "prompt": "A",
            "category": "c",
            "seed": 0,
            "writer": writer,
            "step": step,
            "token": token,
            "text": "x",
            "value": -1.0,
            "parted": writer == "pruned" and step >= 2,
        }
        for writer, tokens in (("dense", plain), ("pruned", loop))
        for step, token in enumerate(tokens)
    ]
    table = story.signs({"Drop-8M": pd.DataFrame(rows)}, 12).set_index("model")
    assert table.index.tolist() == ["Dense", "Drop-8M"]
    assert table.loc["Drop-8M", "texts that part"] == "1 of 1"
    assert table["same tokens before, median"].tolist() == ["–", "2"]
    assert table["tokens in loops"].tolist() == ["0%", f"{10 / 12:.0%}"]


def test_memory_of_the_papers_model_is_its_parameters_times_their_width():
    found = story.gigabytes()
    assert found["Full model"]["bfloat16"] == pytest.approx(2 * 7.1)
    assert found["Drop-8M"]["4 bits"] / found["Drop-8M"]["bfloat16"] == pytest.approx(4.5 / 16)


def test_the_code_of_the_page_runs(tiny_folder, capsys):
    (block, *_) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    code = block.replace("smollm2-135m", str(tiny_folder)).replace("tokens=64", "tokens=3")
    code = code.replace('"attention", 4', '"attention", 1')
    exec(compile(code, PAGE.name, "exec"), {})
    assert (
        len(re.findall(r"same for \d+ letters, loop of \d+ tokens", capsys.readouterr().out)) == 2
    )


def test_spread_is_median_least_and_greatest():
    assert story.spread(pd.Series([3.0, 1.0, 2.0]), ".1f") == "2.0 (1.0–3.0)"
    assert np.isclose(
        story.quality(
            pd.DataFrame(
                {
                    "form": ["choice, prefix", "generation, prefix"] * 2,
                    "family": "f",
                    "item": list("aabb"),
                    "value": [1.0, 1.0, 0.0, 1.0],
                    "chance": [0.25, 0.0] * 2,
                }
            ),
            ["f"],
            0,
        )["choice"].value,
        (1 - 1 / 3) / 2,
    )
