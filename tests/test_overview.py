"""What *All results* draws: numbers that the tables give, in files that stay small."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from pages import numbers  # noqa: E402
from reporting import overview, statistics  # noqa: E402
from reporting.overview import AMOUNT, DEPTH, FAMILIES, SIZE, curves  # noqa: E402
from runs.store import Measurement  # noqa: E402

FAMILY = {family.name: family for family in FAMILIES}
PLACE = {"sublayer": "mlp", "space": "probability", "lens": "normed", "metric": "kl"}


def deviations(seed, prompts=6):
    """A made-up table of deviations, with prompts of different lengths."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            **{"intervention": "in_place", "decoding": "free", "prompt": f"P{prompt}"},
            **{"category": f"C{prompt % 2}", "seed": 0, "step": step, "layer": layer},
            **{"sublayer": sublayer, "space": space, "lens": "normed"},
            **{"centred": centred, "temperature": 1.0 if space == "probability" else np.nan},
            **{"metric": metric, "quantity": "measured", "value": rng.lognormal()},
        }
        for prompt in range(prompts)
        for step in range(1 + prompt % 3)
        for layer in range(4)
        for sublayer in ("attention", "mlp")
        for space, centred in (("logit", False), ("logit", True), ("probability", False))
        for metric in ("kl", "angular")
    ]
    return pd.DataFrame(rows)


def kept(folder, table, name="deviations", run="0" * 16, parameters=(), **constants):
    """A measurement in a store, with that one table."""
    folder = folder / run
    folder.mkdir(parents=True)
    table.to_parquet(folder / f"{name}.parquet")
    usual = {"model": "m", "dtype": "float32", "method": "wanda", "target": "sublayer"}
    constants = usual | {"amount": 0.5, "pattern": "", "seed": 0} | constants
    manifest = {"run": run, "constants": constants, "parameters": dict(parameters)}
    return Measurement(folder, manifest)


def one(found, **equal):
    """The rows where each named column equals the value."""
    for name, value in equal.items():
        found = found[found[name] == value]
    return found


def test_over_depth_prompts_are_averaged_first(tmp_path):
    table = deviations(1)
    found = one(curves(FAMILY["sublayers"], DEPTH, [kept(tmp_path, table)]), **PLACE)
    by_prompt = one(table, **PLACE).groupby(["prompt", "layer"])["value"].mean().unstack()
    drawn = one(found, category="all").set_index("x")
    for layer in by_prompt:
        wanted = statistics.mean(by_prompt[layer], seed=0)
        row = drawn.loc[layer]
        assert row[["mean", "low", "high"]].tolist() == pytest.approx(
            [wanted.value, wanted.low, wanted.high]
        )
        assert row["n"] == wanted.n == 6
    few = one(found, category="C1").set_index("x")
    odd = by_prompt.loc[["P1", "P3", "P5"]].mean()
    assert few["mean"].tolist() == pytest.approx(odd.tolist())
    assert few[["low", "high"]].isna().all(axis=None)  # three prompts have no interval


def test_spaces_and_centred_logits_are_apart(tmp_path):
    table = deviations(2)
    found = curves(FAMILY["sublayers"], DEPTH, [kept(tmp_path, table)])
    assert set(found["space"]) == {"logit", "logit, centred", "probability"}
    centred = one(found, space="logit, centred", metric="kl", sublayer="mlp", category="all")
    rows = one(table, space="logit", centred=True, metric="kl", sublayer="mlp")
    wanted = rows.groupby(["layer", "prompt"])["value"].mean().groupby("layer").mean()
    assert centred["mean"].tolist() == pytest.approx(wanted.tolist())


def test_over_the_amount_the_median_over_sublayers_is_taken_within_prompts(tmp_path):
    tables = {0.25: deviations(3), 0.75: deviations(4)}
    measured = [
        kept(tmp_path, table, run=f"{amount:.14f}", amount=amount)
        for amount, table in tables.items()
    ]
    found = one(curves(FAMILY["sublayers"], AMOUNT, measured), **PLACE, category="all")
    assert found["x"].tolist() == [0.25, 0.75]
    wanted = [
        one(each, **PLACE).groupby("prompt")["value"].median().mean() for each in tables.values()
    ]
    assert found["mean"].tolist() == pytest.approx(wanted)
    assert set(found["unit"]) == {overview.SHARE}


def test_missing_values_are_left_out_as_everywhere():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(9, 3)))
    table.iloc[4:, 1] = np.nan
    table.iloc[0, 2] = np.nan
    found = overview.intervals(table, seed=7)
    for column in table:
        wanted = statistics.mean(table[column], seed=7)
        low, high = (np.nan if edge is None else edge for edge in (wanted.low, wanted.high))
        expected = [wanted.value, low, high, wanted.n]
        assert found.loc[column].tolist() == pytest.approx(expected, nan_ok=True)


def test_scores_begin_at_the_dense_model_and_keep_their_intervals(tmp_path):
    score = {
        **{"task": "piqa", "kind": "multiple_choice", "form": "0-shot", "metric": "acc"},
        **{"calibration": "none", "value": 0.5, "stderr": 0.1, "n": 25, "dense_value": 0.7},
        **{"paired_low": -0.3, "paired_high": -0.1, "verdict": "ok"},
    }
    scores = kept(
        tmp_path, pd.DataFrame([score]), "scores", method="drop", target="mlp", amount=2.0
    )
    found = curves(FAMILY["scores"], AMOUNT, [scores])
    level = one(found, shown="score").sort_values("x")
    assert level[["x", "mean"]].to_numpy().tolist() == [[0, 0.7], [2, 0.5]]
    assert level["low"].tolist() == pytest.approx([np.nan, 0.5 - 0.196], nan_ok=True)
    change = one(found, shown="change from dense")
    assert change[["mean", "low", "high"]].to_numpy() == pytest.approx(
        np.array([[-0.2, -0.3, -0.1]])
    )
    assert set(found["unit"]) == {overview.COUNT}


@pytest.mark.parametrize(
    ("removed", "told"),
    [
        (("drop+rtn4", "attention", 8.0, ""), ("attention sublayers dropped + ", "8")),
        (("rtn4", "all", 0.0, ""), ("", "0%")),
        (("wanda+rtn4", "all", 0.5, "2:4"), ("Wanda 2:4 + ", "50%")),
        (("drop", "all", 0.0, ""), (overview.NOTHING, "0%")),
    ],
)
def test_what_is_removed_and_quantized_is_told_in_words(removed, told):
    words, unit, amount = overview._removed(*removed)
    assert (words.startswith(told[0]), amount) == (True, told[1])
    assert words.endswith("RTN 4") == ("rtn4" in removed[0])
    assert unit == (overview.COUNT if removed[1] == "attention" else overview.SHARE)


def test_a_model_that_is_quantized_alone_keeps_its_own_numbers(tmp_path):
    """It stands at amount 0, where other lines have the dense model."""
    score = {"task": "t", "kind": "probe", "form": "f", "metric": "acc", "calibration": "none"}
    score |= {"value": 0.4, "stderr": 0.1, "n": 25, "dense_value": 0.7, "verdict": "ok"}
    score |= {"paired_low": -0.4, "paired_high": -0.2}
    dense = score | {"value": 0.7}
    measured = [
        kept(tmp_path, pd.DataFrame([row]), "scores", run=f"{at:016d}", target="all", **constants)
        for at, (row, constants) in enumerate(
            [(score, {"method": "rtn4", "amount": 0.0}), (dense, {"method": "drop", "amount": 0.0})]
        )
    ]
    found = one(curves(FAMILY["scores"], AMOUNT, measured), shown="score")
    assert found[["x", "mean"]].to_numpy().tolist() == [[0.0, 0.4]]


def test_candidates_that_few_questions_have_are_not_averaged(tmp_path):
    rows = [
        {"item": f"i{item}", "family": "f", "form": "prefix", "candidates": "kind", "size": size,
         "rank": 1, "value": 1.0}
        for item in range(6)
        for size in (2, 4, 8)
        if size < 8 or item == 0
    ]  # fmt: skip
    found = curves(FAMILY["ladder"], SIZE, [kept(tmp_path, pd.DataFrame(rows), "ladder")])
    assert one(found, family="all")["x"].tolist() == [2, 4]


def test_measurements_that_differ_in_a_parameter_stay_apart(tmp_path):
    measured = [
        kept(tmp_path, deviations(seed), run=f"{seed:016d}", parameters={"max_new_tokens": steps})
        for seed, steps in ((5, 16), (6, 64))
    ]
    found = curves(FAMILY["sublayers"], DEPTH, measured)
    assert set(found["max_new_tokens"]) == {"16", "64"}
    again = [kept(tmp_path, deviations(seed), run=f"{seed}-measured-again") for seed in (5, 6)]
    assert curves(FAMILY["sublayers"], DEPTH, again)["run"].nunique() == 2


def test_files_hold_the_numbers_and_stay_small(tmp_path, monkeypatch):
    monkeypatch.setattr(numbers, "LARGEST", 1500)
    found = curves(FAMILY["sublayers"], DEPTH, [kept(tmp_path, deviations(8))])
    values = numbers.dimensions(found)
    assert values["category"][0] == "all"
    assert values["metric"] == ["angular", "kl"]
    files = numbers.write(found, values, "sublayers-layer", tmp_path)
    assert len(files) > 2
    read = []
    for each in files:
        path = tmp_path / f"{each['file']}.js"
        assert path.stat().st_size < 2 * numbers.LARGEST
        text = path.read_text().removeprefix(f'bookResults("{each["file"]}",').removesuffix(");\n")
        content = json.loads(text)
        for key, place, mean, low, _high, n in content["lines"]:
            told = {name: values[name][at] for name, at in zip(values, key, strict=True)}
            assert all(key[list(values).index(name)] == at for name, at in each["at"].items())
            lows = low or [None] * len(mean)
            for x, y, edge in zip(content["x"][place], mean, lows, strict=True):
                read.append({**told, "x": x, "mean": y, "low": edge, "n": n})
    assert len(read) == len(found)
    keys = [*values, "x"]
    both = pd.DataFrame(read).merge(found, on=keys, suffixes=("", "_table"))
    assert len(both) == len(found)
    assert np.allclose(both["mean"], both["mean_table"], rtol=1e-3)
    assert np.allclose(both["low"].astype(float), both["low_table"], rtol=1e-3, equal_nan=True)
    assert (both["n"] == both["n_table"]).all()


def test_what_is_shown_first_is_what_matters_most(tmp_path):
    found = curves(FAMILY["sublayers"], DEPTH, [kept(tmp_path, deviations(9))])
    values = numbers.dimensions(found)
    names, kinds = numbers.kinds(found, values)
    first = {name: values[name][at] for name, at in zip(names, kinds[0], strict=True)}
    assert first["metric"] == "angular"
    assert "category" not in first
