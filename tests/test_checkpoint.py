"""Pruned models as folders, saved here and pruned elsewhere."""

import json
import shutil

import pytest
import torch
from conftest import tiny_batch, tiny_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from helpers.errors import InputError
from helpers.models import Decoder, load
from helpers.models.load import LoadedModel
from helpers.pruning import Recipe, prune
from helpers.pruning.checkpoint import differences, load_pruned, read_recipe, save
from helpers.pruning.drop import drop, dropped_in
from measurements.layer_profile import layer_profile
from runs.parameters import validate

PLACES = ((0, "attention"), (1, "mlp"), (3, "attention"))


def logits(model):
    ids, mask = tiny_batch()
    with torch.inference_mode():
        return model(input_ids=ids, attention_mask=mask).logits[:, -1]


@pytest.fixture
def loaded(architecture, tiny_tokenizer):
    model = tiny_model(architecture)
    return LoadedModel("tiny", model, tiny_tokenizer, Decoder.of(model), "test")


def test_masked_model_survives_saving(loaded, tmp_path):
    prune(loaded.decoder, Recipe("magnitude", 0.5), progress=False)
    save(loaded, tmp_path / "pruned", {"method": "magnitude"})
    again = load_pruned(str(tmp_path / "pruned"), device="cpu")
    assert torch.equal(logits(again.model), logits(loaded.model))
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "pruned")
    assert torch.equal(logits(plain), logits(loaded.model))
    assert read_recipe(str(tmp_path / "pruned"))["recipe"] == {"method": "magnitude"}


def test_dropped_model_survives_saving(loaded, tmp_path):
    """Ours drops again; plain transformers gets zeros that add nothing."""
    decoder = drop(loaded.decoder, PLACES)
    pruned = LoadedModel("tiny", loaded.model, loaded.tokenizer, decoder, "test")
    expected = logits(loaded.model)
    save(pruned, tmp_path / "pruned", {"method": "drop"})
    again = load_pruned(str(tmp_path / "pruned"), device="cpu")
    assert dropped_in(again.decoder) == PLACES
    torch.testing.assert_close(logits(again.model), expected, rtol=0, atol=1e-5)
    plain, notes = AutoModelForCausalLM.from_pretrained(
        tmp_path / "pruned", output_loading_info=True
    )
    assert not notes["missing_keys"]
    torch.testing.assert_close(logits(plain), expected, rtol=0, atol=1e-5)


def test_nothing_is_left_of_a_failed_save(tiny_folder, tmp_path, monkeypatch):
    loaded = load(str(tiny_folder), device="cpu")

    def full(*_args: object, **_keywords: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(loaded.tokenizer, "save_pretrained", full)
    with pytest.raises(OSError, match="disk full"):
        save(loaded, tmp_path / "pruned", {})
    assert not list(tmp_path.iterdir())


def test_saving_never_overwrites(tiny_folder, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="is there already"):
        save(load(str(tiny_folder), device="cpu"), tmp_path / "mine", {})


def test_copy_is_recognized(tiny_folder):
    dense = load(str(tiny_folder), device="cpu")
    found = differences(dense, load(str(tiny_folder), device="cpu"))
    assert found.table.empty
    assert "exact copy" in found.summary


@pytest.fixture
def elsewhere(tiny_folder, tmp_path):
    """A copy of the folder, to be edited as another tool would, tensor by tensor."""
    folder = tmp_path / "elsewhere"
    shutil.copytree(tiny_folder, folder)

    def edit(change):
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return str(folder)

    return edit


def test_zeros_are_counted(tiny_folder, elsewhere):
    name = "model.layers.2.mlp.up_proj.weight"

    def change(weights):
        weights[name][:, : weights[name].shape[1] // 4] = 0

    found = differences(load(str(tiny_folder), device="cpu"), load(elsewhere(change), device="cpu"))
    row = found.table.iloc[0]
    assert len(found.table) == 1
    assert (row["layer"], row["sublayer"], row["weight"]) == (2, "mlp", "up_proj")
    assert (row["zeroed"], row["changed"]) == (0.25, 0)


def test_other_weights_are_counted(tiny_folder, elsewhere):
    def change(weights):
        weights["model.layers.0.self_attn.q_proj.weight"] *= 2

    found = differences(load(str(tiny_folder), device="cpu"), load(elsewhere(change), device="cpu"))
    assert found.table[["zeroed", "changed"]].to_numpy().tolist() == [[0.0, 1.0]]
    assert "100.0% are other numbers" in found.summary


def test_missing_sublayer_adds_nothing(tiny_folder, elsewhere):
    """Some tools leave dropped sublayers out; transformers alone would fill in random weights."""

    def change(weights):
        for name in [name for name in weights if ".layers.1.self_attn." in name]:
            del weights[name]

    folder = elsewhere(change)
    dense, checkpoint = load(str(tiny_folder), device="cpu"), load(folder, device="cpu")
    found = differences(dense, checkpoint)
    assert found.dropped == ((1, "attention"),)
    assert "sublayers without effect: layer 1 attention" in found.summary
    drop(dense.decoder, [(1, "attention")])
    torch.testing.assert_close(logits(checkpoint.model), logits(dense.model), rtol=0, atol=1e-5)


def test_single_missing_weight_is_refused(elsewhere):
    def change(weights):
        del weights["model.layers.1.mlp.up_proj.weight"]

    with pytest.raises(InputError, match=r"lacks 1 weights, the first model\.layers\.1\.mlp\.up"):
        load(elsewhere(change), device="cpu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": 3}, "its number of layers is 3, not 4"),
        ({"intermediate_size": 40}, r"shape \(40, 32\), not \(48, 32\)"),
        ({"hidden_size": 16}, "its width is 16, not 32"),
    ],
)
def test_parent_of_another_shape_is_refused(tiny_folder, tiny_tokenizer, changes, message):
    dense = load(str(tiny_folder), device="cpu")
    model = tiny_model("llama", **{"max_position_embeddings": 512} | changes)
    other = LoadedModel("other", model, tiny_tokenizer, Decoder.of(model), "test")
    with pytest.raises(InputError, match=message):
        differences(dense, other)


def test_another_tokenizer_is_refused(tiny_folder, tmp_path):
    folder = tmp_path / "other"
    shutil.copytree(tiny_folder, folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    first, second = list(vocabulary)[10:12]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    dense = load(str(tiny_folder), device="cpu")
    with pytest.raises(InputError, match="another tokenizer"):
        differences(dense, load(str(folder), device="cpu"))


def test_chapter_measurement_takes_a_checkpoint(tiny_folder, tmp_path):
    """A folder pruned by this package goes through Section 5's measurement."""
    loaded = load(str(tiny_folder), device="cpu")
    prune(loaded.decoder, Recipe("magnitude", 0.5, targets="mlp"), progress=False)
    save(loaded, tmp_path / "pruned", {"method": "magnitude"})
    values = {"prompts": "MC2", "max_new_tokens": 2, "device": "cpu", "method": "checkpoint"}
    folders = {"model": str(tiny_folder), "checkpoint": str(tmp_path / "pruned")}
    measured = layer_profile(validate(values | folders | {"results": str(tmp_path / "results")}))
    table = measured.table("deviations", metric="angular", space="embedding", lens="raw")
    largest = table.groupby("sublayer", observed=True)["value"].max()
    assert largest["attention"] == 0
    assert largest["mlp"] > 0
    assert "of their entries are zero now" in measured.manifest["facts"]["checkpoint"]
