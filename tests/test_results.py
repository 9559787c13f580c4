import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from helpers.errors import InputError
from measurements.deviations import DEVIATIONS
from measurements.generation import generation
from measurements.layer_profile import layer_profile
from measurements.walk import TEXTS
from runs import asked, store
from runs.columns import CONSTANTS, check, long_table
from runs.parameters import validate

MAY_VARY = {"method", "target", "amount", "pattern", "seed"}  # within some measurements
SHORT = {"prompts": "MC2,Gen4", "max_new_tokens": 3, "device": "cpu"}


@pytest.fixture
def parameters(tiny_folder, tmp_path):
    return validate(SHORT | {"model": str(tiny_folder), "results": str(tmp_path / "results")})


def texts_table() -> pa.Table:
    return pa.table(
        {
            "prompt": ["MC1"],
            "category": ["c"],
            "prompt_tokens": [3],
            "steps": [2],
            "ended": [False],
            "text": ["a"],
        }
    )


def test_measured_once_then_read_back(parameters):
    first = layer_profile(parameters)
    stamp = (first.folder / "manifest.json").stat().st_mtime_ns
    again = layer_profile(parameters)
    assert again.manifest == first.manifest
    assert (again.folder / "manifest.json").stat().st_mtime_ns == stamp
    table = first.table("deviations", metric="kl", lens="normed", quantity="measured")
    assert set(table["space"]) == {"probability"}
    assert len(table) == first.manifest["facts"]["chains"] * 8


def test_threads_are_part_of_a_measurement_about_threads(parameters, monkeypatch):
    from chapters.noise_floor.measure import noise_floor

    def identity(stored, threads):
        monkeypatch.setattr("helpers.machine.granted_threads", lambda: threads)
        return store._dependencies(stored, parameters)

    assert identity(noise_floor, 1) != identity(noise_floor, 2)
    assert identity(layer_profile, 1) == identity(layer_profile, 2)


def test_same_run_gives_the_same_tables_bit_for_bit(parameters, tmp_path):
    first = layer_profile(parameters)
    other = layer_profile(parameters.model_copy(update={"results": str(tmp_path / "elsewhere")}))
    assert first.folder != other.folder
    assert first.run == other.run
    for name in ("deviations", "texts"):
        ours, theirs = (m.folder / f"{name}.parquet" for m in (first, other))
        assert ours.read_bytes() == theirs.read_bytes()


def test_identity_follows_what_the_measurement_uses(parameters):
    run = layer_profile(parameters).run
    same = parameters.model_copy(update={"profile": "another"})
    assert layer_profile(same).run == run
    other = parameters.model_copy(update={"temperature": 2.0})
    assert layer_profile(other).run != run


def test_manifest_says_what_made_it(parameters):
    manifest = layer_profile(parameters).manifest
    assert manifest["parameters"]["max_new_tokens"] == 3
    assert manifest["models"]["model"].startswith("folder-sha256:")
    assert manifest["threads"] >= 1
    assert {"torch", "transformers", "python"} <= set(manifest["versions"])
    assert manifest["peak_memory_bytes"] > 0
    assert {"commit", "device", "seconds", "source", "finished"} <= set(manifest)


def test_what_is_constant_stands_once_and_is_joined_when_asked(parameters):
    """In the manifest, and as columns where tables of several runs are read together."""
    profile = layer_profile(parameters.model_copy(update={"seed": 3}))
    place = {"run": profile.run, "model": parameters.model, "dtype": "float32"}
    removed = {"method": "drop", "target": "sublayer", "amount": 1.0, "pattern": ""}
    for name, seed in (("deviations", []), ("texts", ["seed"])):
        plain, labelled = profile.table(name), profile.labelled(name)
        assert [*labelled] == [*place, *removed, *seed, *plain]
        assert labelled[[*plain]].equals(plain)
        assert (labelled["seed"] == 3).all()
        first = labelled.iloc[0]
        assert {key: first[key] for key in place | removed} == place | removed
    whole = parameters.model_copy(update={"target": "mlp", "dropped": 2})
    row = generation(whole).labelled("tokens", writer="pruned").iloc[0]
    assert [row[name] for name in removed] == ["drop", "mlp", 2.0, ""]


def test_exact_copy_as_checkpoint_is_zero_everywhere(parameters, tiny_folder):
    twin = parameters.model_copy(update={"method": "checkpoint", "checkpoint": str(tiny_folder)})
    table = layer_profile(twin).table("deviations")
    assert (table.loc[table["metric"] == "cosine", "value"] == 1).all()
    assert (table.loc[table["metric"] != "cosine", "value"] == 0).all()


def test_temperature_touches_probabilities_only(parameters):
    keys = ["prompt", "step", "layer", "sublayer", "space", "lens", "centred", "metric"]
    one = layer_profile(parameters).table("deviations").set_index(keys)
    hot = layer_profile(parameters.model_copy(update={"temperature": 3.0}))
    two = hot.table("deviations").set_index(keys)
    moved = (one["value"] != two["value"]).groupby("space", observed=True).any()
    assert moved.to_dict() == {"embedding": False, "logit": False, "probability": True}
    assert two["temperature"].isna().groupby("space", observed=True).all()["embedding"]


def test_a_run_lists_what_it_asked_for_taken_now_or_found(parameters, tmp_path, monkeypatch):
    monkeypatch.setenv(asked.FILE, str(tmp_path / "first"))
    taken = generation(parameters.model_copy(update={"dropped": 1}))
    monkeypatch.setenv(asked.FILE, str(tmp_path / "second"))
    for _ in range(2):
        generation(parameters.model_copy(update={"dropped": 1}))
    first, second = (asked.listed(tmp_path / name) for name in ("first", "second"))
    assert first == second
    assert {"name": "generation", "run": taken.run} in first
    assert {one["name"] for one in first} > {"generation"}  # and what that asked for
    folders = {(path.parts[-3], path.parts[-2]) for path in tmp_path.rglob("manifest.json")}
    assert {(one["name"], one["run"]) for one in first} == folders
    assert asked.listed(tmp_path / "nothing") == []


def test_unfinished_folder_is_measured_again(parameters):
    first = layer_profile(parameters)
    (first.folder / "manifest.json").unlink()
    (first.folder / "deviations.parquet").write_text("half")
    again = layer_profile(parameters)
    assert again.run == first.run
    assert len(again.table("deviations"))


def test_nothing_is_left_of_a_failed_measurement(parameters):
    @store.measurement("model", tables={})
    def fails(_parameters):
        raise KeyError("broken")

    with pytest.raises(KeyError):
        fails(parameters)
    left = [p for p in parameters.results_folder().rglob("*") if p.is_file()]
    assert all(path.suffix == ".lock" for path in left), left


@store.measurement("model", tables={"texts": TEXTS})
def counted(parameters):
    """A measurement that notes each time it is taken, slowly enough for two to meet."""
    with (Path(parameters.results) / "count").open("a") as file:
        file.write("x")
    time.sleep(0.5)
    return store.Measured({"texts": texts_table()}, {})


def _take(parameters):
    os.environ["WHEN_PRUNING_WORKS_THREADS"] = "1"
    counted(parameters)


def test_two_at_once_measure_once(parameters, tmp_path):
    (tmp_path / "results").mkdir()
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_take, args=(parameters,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert (tmp_path / "results" / "count").read_text() == "x"


@pytest.mark.parametrize("where", ["file/below", "file"])
def test_results_folder_that_cannot_be_written(parameters, tmp_path, where):
    (tmp_path / "file").touch()
    broken = parameters.model_copy(update={"results": str(tmp_path / where)})
    with pytest.raises(InputError, match="cannot be written"):
        layer_profile(broken)


def test_write_whole_leaves_the_old_file_on_failure(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    store.write_whole(path, "old")

    def full(*_args: object, **_keywords: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(type(path), "replace", full)
    with pytest.raises(OSError, match="disk full"):
        store.write_whole(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_long_table_has_one_row_for_each_number():
    """Against loops, with text, numbers, flags, what is missing and what is constant."""
    values = np.arange(12.0).reshape(2, 3, 2)
    axes = (
        {"prompt": ["MC1", "Gen4"], "step": [0, 5]},
        {"layer": [4, 4, 7]},
        {"space": pd.Categorical(["z", "p"]), "hot": [2.0, None], "centred": [True, False]},
    )
    table = long_table(values, *axes, decoding="free", seed=3)
    assert pa.types.is_dictionary(table.schema.field("prompt").type)
    rows = table.to_pandas()
    assert rows["space"].cat.categories.tolist() == ["p", "z"]
    wanted = [
        {
            name: given[place]
            for axis, place in zip(axes, where, strict=True)
            for name, given in axis.items()
        }
        | {"decoding": "free", "seed": 3, "value": values[where]}
        for where in np.ndindex(values.shape)
    ]
    pd.testing.assert_frame_equal(
        rows[[*wanted[0]]].astype(object).where(rows.notna(), None),
        pd.DataFrame(wanted, dtype=object).where(lambda one: one.notna(), None),
    )


class TestSchema:
    """Every table is checked when it is written."""

    def test_good_table_gets_the_types_of_the_schema(self):
        table = check("texts", TEXTS, texts_table())
        assert table.schema.field("steps").type == pa.int32()

    def test_missing_and_unknown_columns(self):
        table = texts_table().rename_columns(
            ["prompt", "category", "prompt_tokens", "steps", "ended", "txt"]
        )
        with pytest.raises(ValueError, match="text, txt"):
            check("texts", TEXTS, table)

    def test_missing_value(self):
        table = texts_table().set_column(0, "prompt", pa.array([None], pa.string()))
        with pytest.raises(ValueError, match="column prompt: 1 missing"):
            check("texts", TEXTS, table)

    def test_value_not_allowed(self, parameters):
        table = layer_profile(parameters).table("deviations").head(5)
        table["space"] = "elsewhere"
        with pytest.raises(ValueError, match=r"column space: \['elsewhere'\] not allowed"):
            check("deviations", DEVIATIONS, table)

    def test_every_column_is_explained(self):
        constant = {column.name for column in CONSTANTS}
        for stored in store.every_measurement().values():
            for columns in stored.tables.values():
                assert all(len(column.meaning) > 3 for column in columns)
                assert len({column.name for column in columns}) == len(columns)
                assert not {column.name for column in columns} & (constant - MAY_VARY)


def test_numbers_line_up_with_a_recomputation(parameters, tiny_folder):
    """One number of the long table, found again from Hugging Face's own hidden states: the last
    sublayer of a layer leaves what the next layer reads."""
    import torch

    from helpers.models import load
    from helpers.texts.data import select_prompts, tokenize

    loaded = load(str(tiny_folder), device="cpu")
    middle = []
    norm = loaded.model.model.layers[1].post_attention_layernorm
    handle = norm.register_forward_pre_hook(lambda _module, args: middle.append(args[0]))
    ids, mask = tokenize(select_prompts("Gen4"), loaded.tokenizer, True, "cpu")
    with torch.inference_mode():
        states = loaded.model(ids, attention_mask=mask, output_hidden_states=True).hidden_states
    handle.remove()
    before, after = (state[0, -1].double().numpy() for state in (middle[0], states[2]))
    cosine = before @ after / np.linalg.norm(before) / np.linalg.norm(after)
    rows = layer_profile(parameters).table(
        "deviations", prompt="Gen4", step=0, layer=1, sublayer="mlp", lens="raw", metric="cosine"
    )
    value = rows.loc[rows["space"] == "embedding", "value"].item()
    assert value == pytest.approx(cosine, abs=1e-6)
