"""Folders as other people's tools leave them: the right value, or one line that says why not."""

import json
import shutil
from functools import partial

import pytest
import torch
from conftest import tiny_batch, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from helpers.errors import InputError
from helpers.models import Decoder, load
from helpers.models.load import outline
from helpers.pruning import Recipe, prune
from helpers.pruning.checkpoint import differences, load_pruned, refuse_other_head, save
from helpers.pruning.drop import drop, dropped_in
from helpers.pruning.rounding import same_numbers
from helpers.texts.calibration import calibration_text
from measurements.pruned_model import evaluated_model, remaining_parameters
from runs.parameters import validate

UP = "model.layers.1.mlp.up_proj.weight"


def logits(model):
    ids, mask = tiny_batch()
    with torch.inference_mode():
        return model(input_ids=ids, attention_mask=mask).logits[:, -1]


class Folder:
    """A good folder, a copy of which is to be spoilt."""

    def __init__(self, path):
        self.path = path

    def __str__(self):
        return str(self.path)

    def weights(self, change):
        """Edit the weights by name."""
        found = load_file(self.path / "model.safetensors")
        change(found)
        found = {key: weight.contiguous() for key, weight in found.items()}
        save_file(found, self.path / "model.safetensors", metadata={"format": "pt"})

    def config(self, **changes):
        """Edit config.json."""
        file = self.path / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.fixture
def folder(tiny_folder, tmp_path):
    return Folder(shutil.copytree(tiny_folder, tmp_path / "stranger"))


def masked(weights, part="", what="weight"):
    """torch.nn.utils.prune still on: the weight is its original times its mask."""
    for key in [key for key in weights if key.endswith(f"proj.{what}") and part in key]:
        weight = weights.pop(key)
        weights[f"{key}_orig"], weights[f"{key}_mask"] = weight, (weight > 0).float()


def packed(weights, *suffixes):
    """Every linear exchanged for packed integers, as GPTQ and AWQ do."""
    for key in [key for key in weights if key.endswith("proj.weight")]:
        del weights[key]
        for suffix in suffixes:
            weights[key.removesuffix("weight") + suffix] = torch.ones(4, 4, dtype=torch.int32)


def scaled(weights, dtype=torch.float8_e4m3fn, suffix="weight_scale"):
    """Every linear in eight bits, of the right shape, and beside it the factor."""
    for key in [key for key in weights if key.endswith("proj.weight")]:
        weights[key] = weights[key].to(dtype)
        if suffix:
            weights[key.removesuffix("weight") + suffix] = torch.ones(1)


def renamed(weights, old, new):
    for key in [key for key in weights if old in key]:
        weights[key.replace(old, new)] = weights.pop(key)


def removed(weights, part):
    for key in [key for key in weights if part in key]:
        del weights[key]


def extra(key, dtype=torch.float32):
    return lambda weights: weights.update({key: torch.ones(4, 4, dtype=dtype)})


def doubled(weights):
    """All of the last layer once more, as a layer 4."""
    for key in [key for key in weights if ".layers.3." in key]:
        weights[key.replace(".layers.3.", ".layers.4.")] = weights[key].clone()


UNREAD = "do not read, the first"
OTHER_WEIGHTS = {
    "masks of torch": (masked, r"first model\.layers\.0\.mlp\.down_proj\.weight_mask"),
    "masks of attention": (lambda w: masked(w, "self_attn"), "self_attn.k_proj.weight_mask"),
    "masks of one weight": (lambda w: masked(w, "layers.2.mlp.up"), "layers.2.mlp.up_proj.weight_"),
    "mask beside its weight": (extra(f"{UP}_mask"), UNREAD),
    "GPTQ": (lambda w: packed(w, "qweight", "qzeros", "scales", "g_idx"), UNREAD),
    "AWQ": (lambda w: packed(w, "qweight", "qzeros", "scales"), UNREAD),
    "sparse 2:4": (lambda w: packed(w, "weight.compressed", "weight.bitmask"), UNREAD),
    "FP8": (scaled, UNREAD),
    "FP8 in blocks": (lambda w: scaled(w, suffix="weight_scale_inv"), UNREAD),
    "FP8 without factors": (lambda w: scaled(w, suffix=""), "packed, as F8_E4M3"),
    "integers with factors": (lambda w: scaled(w, torch.int8, "SCB"), UNREAD),
    "integers without factors": (lambda w: scaled(w, torch.int8, ""), "packed, as I8"),
    "adapter of peft": (extra("base_model.model.model.layers.0.q_proj.lora_A.weight"), UNREAD),
    "adapter within": (extra("model.layers.0.self_attn.q_proj.lora_A.default.weight"), UNREAD),
    "bias": (extra("model.layers.0.self_attn.q_proj.bias"), UNREAD),
    "value head": (extra("v_head.summary.weight"), UNREAD),
    "class head": (extra("score.weight"), UNREAD),
    "rotated": (extra("model.layers.0.attn_shortcut_Q"), UNREAD),
    "other prefix": (lambda w: renamed(w, "model.layers", "module.layers"), UNREAD),
    "other architecture": (lambda w: renamed(w, "self_attn", "attention"), UNREAD),
    "one more layer": (doubled, r"9 weights .* the first model\.layers\.4\."),
    "one layer less": (lambda w: removed(w, ".layers.3."), "fewer layers than the 4"),
    "two layers less": (
        lambda w: (removed(w, ".layers.3."), removed(w, ".layers.2.")),
        "fewer layers than the 4",
    ),
    "no layers": (lambda w: removed(w, ".layers."), "fewer layers than the 4"),
    "one weight less": (lambda w: removed(w, UP), r"lacks 1 weights, the first model\.layers\.1"),
    "no up": (lambda w: removed(w, "up_proj"), "lacks 4 weights"),
    "no norm": (lambda w: removed(w, "layers.1.input_layernorm"), "lacks 1 weights"),
    "no final norm": (lambda w: removed(w, "model.norm"), "lacks 1 weights"),
    "no head": (lambda w: removed(w, "lm_head"), r"lacks 1 weights, the first lm_head\.weight"),
    "no embedding": (lambda w: removed(w, "embed_tokens"), "lacks 1 weights"),
    "empty": (lambda w: removed(w, ""), "fewer layers than the 4"),
}


@pytest.mark.parametrize("kind", OTHER_WEIGHTS)
def test_weights_that_are_not_the_models_are_refused(folder, kind):
    change, message = OTHER_WEIGHTS[kind]
    folder.weights(change)
    with pytest.raises(InputError, match=message) as caught:
        load(str(folder), device="cpu")
    assert "\n" not in str(caught.value)


OTHER_CONFIGS = {
    "fewer layers": ({"num_hidden_layers": 3}, r"the first model\.layers\.3\."),
    "one layer": ({"num_hidden_layers": 1}, r"the first model\.layers\.1\."),
    "more layers": ({"num_hidden_layers": 5}, "fewer layers than the 5"),
    "many more layers": ({"num_hidden_layers": 9}, "fewer layers than the 9"),
    "biases": ({"attention_bias": True}, "lacks 16 weights"),
    "biases of MLPs": ({"mlp_bias": True}, "lacks 12 weights"),
    "width": ({"hidden_size": 16}, "of another shape"),
    "heads": ({"num_key_value_heads": 4}, "of another shape"),
    "vocabulary": ({"vocab_size": 200}, "of another shape"),
    "unknown type": ({"model_type": "nobodys"}, "cannot be loaded"),
}


@pytest.mark.parametrize("kind", OTHER_CONFIGS)
def test_configuration_of_another_model_is_refused(folder, kind):
    changes, message = OTHER_CONFIGS[kind]
    folder.config(**changes)
    with pytest.raises(InputError, match=message):
        load(str(folder), device="cpu")


CONSTANTS = [
    ("llama", "model.layers.0.self_attn.rotary_emb.inv_freq", torch.float32),
    ("gpt_neox", "gpt_neox.layers.0.attention.bias", torch.bool),
    ("gpt_neox", "gpt_neox.layers.0.attention.masked_bias", torch.float32),
    ("gpt_neox", "gpt_neox.layers.0.attention.rotary_emb.inv_freq", torch.float32),
    ("gpt2", "transformer.h.0.attn.bias", torch.uint8),
    ("gpt2", "transformer.h.0.attn.masked_bias", torch.float32),
]


@pytest.mark.parametrize(("family", "key", "dtype"), CONSTANTS)
def test_constants_of_old_files_change_nothing(family, key, dtype, tiny_tokenizer, tmp_path):
    model = tiny_model(family)
    model.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    Folder(tmp_path).weights(extra(key, dtype))
    assert torch.equal(logits(load(str(tmp_path), device="cpu").model), logits(model))


def test_every_architecture_is_read_whole(architecture, tiny_tokenizer, tmp_path):
    model = tiny_model(architecture)
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    tiny_tokenizer.save_pretrained(tmp_path)
    loaded = load(str(tmp_path), device="cpu")
    assert torch.equal(logits(loaded.model), logits(model))
    assert set(loaded.stored.values()) == {torch.float32}
    assert (tmp_path / "model.safetensors.index.json").is_file()


NOTHING = [
    *((method, 0.3, "heads", groups) for method in ("magnitude", "random") for groups in (1, 2)),
    ("wanda", 0.49, "heads", 2),
    ("magnitude", 0.99, "heads", 1),
    ("magnitude", 0.02, "neurons", 2),
    ("wanda", 0.02, "neurons", 2),
    ("wanda", 0.01, "", 2),
    ("sparsegpt", 0.0001, "", 2),
    ("magnitude", 0.0001, "", 2),
]


@pytest.mark.parametrize(("method", "share", "structure", "groups"), NOTHING)
def test_recipe_that_removes_nothing_is_refused(tiny_tokenizer, method, share, structure, groups):
    decoder = Decoder.of(tiny_model("llama", num_key_value_heads=groups))
    text = calibration_text(tiny_tokenizer, "embedded", 2, 16, 0)
    with pytest.raises(InputError, match=r"removes nothing: .* is less than one; "):
        prune(decoder, Recipe(method, share, structure=structure), text, progress=False)
    report = prune(decoder, Recipe(method, 0.0, structure=structure), text, progress=False)
    assert report.removed == 0


@pytest.mark.parametrize(("groups", "share", "gone"), [(2, 0.5, 1), (4, 0.25, 1), (4, 0.3, 1)])
def test_smallest_share_that_removes_is_taken(groups, share, gone):
    decoder = Decoder.of(tiny_model("llama", num_key_value_heads=groups))
    report = prune(decoder, Recipe("magnitude", share, structure="heads"), progress=False)
    assert report.sparsity == gone / groups


ATTENTION, MLP = "drop_attn_list", "drop_mlp_list"
DECLARED = {
    "attention": ({ATTENTION: [2, 1], MLP: []}, {(1, "attention"), (2, "attention")}),
    "attention as bools": (
        {ATTENTION: [False, True, True, False]},
        {(1, "attention"), (2, "attention")},
    ),
    "layers 0 and 1, not bools": ({ATTENTION: [0, 1]}, {(0, "attention"), (1, "attention")}),
    "bools of every layer": ({MLP: [True] * 4}, {(layer, "mlp") for layer in range(4)}),
    "MLP": ({ATTENTION: None, MLP: [3]}, {(3, "mlp")}),
    "block": ({ATTENTION: [3], MLP: [3]}, {(3, "attention"), (3, "mlp")}),
    "twice": ({MLP: [1, 1]}, {(1, "mlp")}),
    "none": ({ATTENTION: [], MLP: [False] * 4}, set()),
}
PARTS = {
    "attention": ("input_layernorm", "self_attn"),
    "mlp": ("post_attention_layernorm", "mlp"),
}
REMOTE = {
    "AutoConfig": "configuration_dropped_llama.LlamaConfig",
    "AutoModelForCausalLM": "modeling_dropped_llama.LlamaForCausalLM",
}


@pytest.mark.parametrize("left_out", [False, True], ids=["weights stored", "weights left out"])
@pytest.mark.parametrize("kind", DECLARED)
def test_declared_sublayers_are_dropped(tiny_folder, folder, kind, left_out):
    """With its code beside it, which is never run, and with or without the dropped weights."""
    lists, places = DECLARED[kind]
    folder.config(**lists, auto_map=REMOTE)
    for file in ("configuration_dropped_llama.py", "modeling_dropped_llama.py"):
        (folder.path / file).write_text("raise SystemExit('this code must not run')")
    if left_out:
        for layer, what in places:
            for part in PARTS[what]:
                folder.weights(partial(removed, part=f"layers.{layer}.{part}"))
    dense, other = load(str(tiny_folder), device="cpu"), load(str(folder), device="cpu")
    found = differences(dense, other)
    assert set(dropped_in(other.decoder)) == set(found.dropped) == places
    assert ("exact copy" in found.summary) == (not places)
    assert ("sublayers without effect" in found.summary) == bool(places)
    assert outline(str(folder)).decoder.parameter_count == other.decoder.parameter_count
    drop(dense.decoder, places)
    assert torch.equal(logits(other.model), logits(dense.model))


@pytest.mark.parametrize(
    "wrong",
    [
        [4],
        [-1],
        [True],
        [True, False, True],
        [True] * 5,
        ["1"],
        [1.0],
        [1, True],
        "1",
        1,
        {"1": 1},
        [[1]],
    ],
    ids=str,
)
@pytest.mark.parametrize("name", [ATTENTION, MLP])
def test_list_of_another_meaning_is_refused(folder, name, wrong):
    folder.config(**{name: wrong})
    with pytest.raises(InputError, match=rf"{name} of config\.json is neither a list of layers"):
        load(str(folder), device="cpu")


def test_declared_sublayers_survive_saving(folder, tmp_path):
    folder.config(**{ATTENTION: [1]})
    loaded = load(str(folder), device="cpu")
    wanted = logits(loaded.model)
    save(loaded, tmp_path / "again", {})
    again = load_pruned(str(tmp_path / "again"), device="cpu")
    assert dropped_in(again.decoder) == ((1, "attention"),)
    assert torch.equal(logits(again.model), wanted)


def test_declared_sublayers_reach_the_chapters(tiny_folder, folder):
    folder.config(**{ATTENTION: [1, 2]})
    values = {"model": str(tiny_folder), "method": "checkpoint", "checkpoint": str(folder)}
    one = evaluated_model(validate(values | {"device": "cpu"}))
    assert "layer 1 attention, layer 2 attention" in one.words
    whole = load(str(folder), device="cpu").decoder.parameter_count
    assert one.parameters_left == whole < one.dense.decoder.parameter_count


FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def stored_as(folder, kind, change=lambda weights: None, near_zero=False):
    """The folder's weights rounded to a format after a change; some made tiny at first."""

    def edit(weights):
        if near_zero:
            weights[UP][:, ::4] *= 1e-8
        change(weights)
        for key in weights:
            weights[key] = weights[key].to(FORMATS[kind])

    folder.weights(edit)
    folder.config(dtype=kind)
    return folder


@pytest.fixture
def parent(tiny_folder, tmp_path):
    return Folder(shutil.copytree(tiny_folder, tmp_path / "parent"))


PAIRS = [(ours, theirs) for ours in FORMATS for theirs in FORMATS]


@pytest.mark.parametrize("near_zero", [False, True], ids=["usual", "near zero"])
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_rounding_is_no_pruning(parent, folder, ours, theirs, dtype, near_zero):
    """One float32 original, rounded once for the parent and once for the copy."""
    dense = load(str(stored_as(parent, ours, near_zero=near_zero)), dtype=dtype, device="cpu")
    other = load(str(stored_as(folder, theirs, near_zero=near_zero)), dtype=dtype, device="cpu")
    found = differences(dense, other)
    refuse_other_head(dense, other)
    assert found.table.empty
    assert found.formats == (ours, theirs)
    said = "an exact copy" if ours == theirs else f"a copy of the model, stored in {theirs}, the"
    assert said in found.summary
    whole = sum(weight.numel() for weight in dense.model.parameters())
    assert remaining_parameters(other.decoder, dense.decoder) == whole


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_pruning_is_seen_through_rounding(parent, folder, ours, theirs):
    """A quarter of one weight is zero and another weight is scaled, beside all the rounding."""
    scaled_one = "model.layers.0.self_attn.q_proj.weight"

    def change(weights):
        weights[UP][:, :8] = 0
        weights[scaled_one] *= 1.05

    dense = load(str(stored_as(parent, ours)), device="cpu")
    other = load(str(stored_as(folder, theirs, change)), device="cpu")
    table = differences(dense, other).table.set_index("weight")
    assert table.loc["up_proj", ["zeroed", "changed"]].tolist() == [0.25, 0]
    assert table.loc["q_proj", "zeroed"] == 0
    assert table.loc["q_proj", "changed"] > 0.99
    assert len(table) == 2
    assert remaining_parameters(other.decoder, dense.decoder) == (
        dense.decoder.parameter_count - 8 * 48
    )


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_other_head_is_refused_through_rounding(parent, folder, ours, theirs):
    def change(weights):
        weights["lm_head.weight"][7] *= 1.05

    dense = load(str(stored_as(parent, ours)), device="cpu")
    other = load(str(stored_as(folder, theirs, change)), device="cpu")
    with pytest.raises(InputError, match="changed the LM head"):
        refuse_other_head(dense, other)


@settings(max_examples=200, deadline=None)
@given(st.floats(-60000, 60000, width=32), st.permutations(sorted(FORMATS)))
def test_two_roundings_of_a_number_are_the_same(number, kinds):
    exact = torch.tensor([number])
    ours, theirs = (exact.to(FORMATS[kind]).float() for kind in kinds[:2])
    stored = FORMATS[kinds[0]], FORMATS[kinds[1]]
    assert same_numbers(ours, theirs, stored).all()
    further = ours + ours.abs() * 0.02 + 1e-6
    assert not same_numbers(ours, further, stored).any()


def gone(*patterns):
    return lambda folder: [file.unlink() for each in patterns for file in folder.path.glob(each)]


def quantized(**section):
    return lambda folder: folder.config(quantization_config=section)


def adapter(folder):
    """As save_pretrained of peft leaves it in a folder that holds a model already."""
    said = {"base_model_name_or_path": str(folder), "peft_type": "LORA", "r": 2, "lora_alpha": 2}
    file = folder.path / "adapter_config.json"
    file.write_text(json.dumps(said | {"target_modules": ["q_proj"]}))
    part = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    tuned = {f"{part}A.weight": torch.ones(2, 32), f"{part}B.weight": torch.ones(32, 2)}
    save_file(tuned, folder.path / "adapter_model.safetensors", metadata={"format": "pt"})


def other_base(folder):
    (folder.path / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": "nobody/nothing", "peft_type": "LORA"})
    )


def beside(name):
    return lambda folder: shutil.copy(folder.path / "model.safetensors", folder.path / name)


def adapter_alone(folder):
    adapter(folder)
    (folder.path / "model.safetensors").unlink()


GROUPS = {"group_0": {"weights": {"num_bits": 4, "type": "int"}}}
NOT_ONLY_THE_MODEL = {
    "adapter": (adapter, "merge it into them"),
    "adapter of another base": (other_base, "merge it into them"),
    "adapter without weights": (adapter_alone, "merge it into them"),
    "adapter without its settings": (beside("adapter_model.safetensors"), "move adapter_model"),
    "second set of weights": (beside("pruned.safetensors"), "move pruned.safetensors out"),
    "shards of another time": (
        beside("model-00001-of-00002.safetensors"),
        "move model-00001-of-00002.safetensors out",
    ),
    "no tokenizer": (gone("tokenizer*"), "put the tokenizer files of the model"),
    "no vocabulary": (gone("tokenizer.json"), "put the tokenizer files of the model"),
    "damaged tokenizer": (
        lambda folder: (folder.path / "tokenizer.json").write_text("{"),
        "no tokenizer that can be read",
    ),
    "GPTQ": (quantized(quant_method="gptq", bits=4), "is quantized .*gptq.*dequantized"),
    "AWQ": (quantized(quant_method="awq", bits=4), "is quantized .*awq"),
    "bitsandbytes": (quantized(quant_method="bitsandbytes", load_in_4bit=True), "is quantized"),
    "FP8": (quantized(quant_method="fp8", weight_block_size=[2, 2]), "is quantized .*fp8"),
    "unknown": (quantized(quant_method="nobodys"), "is quantized .*nobodys"),
    "no method": (quantized(bits=4), "is quantized .*no quant_method"),
    "llm-compressor": (
        quantized(quant_method="compressed-tensors", config_groups=GROUPS),
        "is quantized .*compressed-tensors",
    ),
}


@pytest.mark.parametrize("kind", NOT_ONLY_THE_MODEL)
def test_folder_that_is_not_only_the_model_is_refused(folder, kind):
    change, message = NOT_ONLY_THE_MODEL[kind]
    change(folder)
    with pytest.raises(InputError, match=message) as caught:
        load(str(folder), device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen2", "gpt_neox", "gemma", "phi3", "opt"])
def test_empty_tokenizer_is_refused_or_its_parents_taken(family, tiny_tokenizer, tmp_path):
    """Some classes are made without any file, and then know no word."""
    tiny_model(family).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="put the tokenizer files of the model"):
        load(str(tmp_path), device="cpu")
    taken = load(str(tmp_path), device="cpu", tokenizer=tiny_tokenizer)
    assert taken.tokenizer is tiny_tokenizer


def test_damaged_tokenizer_is_not_replaced(folder, tiny_tokenizer):
    text_of("tokenizer.json", "{")(folder)
    with pytest.raises(InputError, match="no tokenizer that can be read"):
        load(str(folder), device="cpu", tokenizer=tiny_tokenizer)


def test_pruned_folder_without_tokenizer_has_its_parents(tiny_folder, folder):
    folder.weights(lambda weights: weights[UP].mul_(0))
    gone("tokenizer*", "*.jinja")(folder)
    values = {"model": str(tiny_folder), "method": "checkpoint", "checkpoint": str(folder)}
    one = evaluated_model(validate(values | {"device": "cpu"}))
    assert one.parameters_left == one.dense.decoder.parameter_count - 32 * 48


@pytest.mark.parametrize(
    "section",
    [
        {"sparsity_config": {"format": "dense", "global_sparsity": 0.5}},
        {"config_groups": {}, "sparsity_config": {"format": "dense"}},
        {"config_groups": None},
    ],
    ids=str,
)
def test_section_that_packs_nothing_is_read_plainly(tiny_folder, folder, section):
    """As llm-compressor saves a model that it pruned and did not quantize."""
    quantized(quant_method="compressed-tensors", **section)(folder)
    found = differences(load(str(tiny_folder), device="cpu"), load(str(folder), device="cpu"))
    assert "exact copy" in found.summary


def test_weights_in_mistrals_own_layout_may_lie_beside(tiny_folder, folder):
    beside("consolidated.safetensors")(folder)
    assert torch.equal(
        logits(load(str(folder), device="cpu").model),
        logits(load(str(tiny_folder), device="cpu").model),
    )


def text_of(name, text):
    return lambda folder: (folder.path / name).write_text(text)


def setting(**changes):
    return lambda folder: folder.config(**changes)


def sharded(spoil):
    """The same weights in many files, and then their index spoilt."""

    def change(folder):
        load(str(folder), device="cpu").model.save_pretrained(folder.path, max_shard_size="20KB")
        (folder.path / "model.safetensors").unlink(missing_ok=True)
        index = folder.path / "model.safetensors.index.json"
        index.write_text(json.dumps(spoil(folder, json.loads(index.read_text()))))

    return change


def shard_lost(folder, index):
    min(folder.path.glob("*.safetensors")).unlink()
    return index


def shard_unnamed(folder, index):
    shard = min(folder.path.glob("*.safetensors")).name
    named = {key: file for key, file in index["weight_map"].items() if file != shard}
    return index | {"weight_map": named}


DAMAGED = {
    "shard lost": sharded(shard_lost),
    "shard that the index does not name": sharded(shard_unnamed),
    "empty index": sharded(lambda folder, index: {}),
    "list for an index": sharded(lambda folder, index: [1]),
    "index without settings": sharded(lambda folder, index: {"weight_map": index["weight_map"]}),
    "text for an index": sharded(lambda folder, index: "{"),
    "no bytes": text_of("model.safetensors", ""),
    "text for weights": text_of("model.safetensors", "version https://git-lfs.github.com/spec/v1"),
    "damaged configuration": text_of("config.json", "{"),
    "empty configuration": text_of("config.json", "{}"),
    "list for a configuration": text_of("config.json", "[]"),
    "damaged generation": text_of("generation_config.json", "{"),
    "damaged tokenizer settings": text_of("tokenizer_config.json", "{"),
    "list for tokenizer settings": text_of("tokenizer_config.json", "[]"),
    "tokenizer without parts": text_of("tokenizer.json", '{"model": {}}'),
    "layers as text": setting(num_hidden_layers="4"),
    "null layers": setting(num_hidden_layers=None),
    "no layer": setting(num_hidden_layers=0),
    "no head": setting(num_attention_heads=0),
    "three heads": setting(num_attention_heads=3),
    "broken vocabulary": setting(vocab_size=300.5),
    "width as text": setting(hidden_size="wide"),
    "unknown activation": setting(hidden_act="nobodys"),
    "unknown positions": setting(rope_parameters={"rope_type": "nobodys"}),
    "unknown format": setting(dtype="nobodys"),
    "end as text": setting(eos_token_id="end"),
    "null type": setting(model_type=None),
    "list for a type": setting(model_type=[]),
    "text for quantization": setting(quantization_config="gptq"),
    "encoder": setting(model_type="bert"),
    "encoder and decoder": setting(model_type="t5"),
    "other family": setting(model_type="gpt2"),
    "sister family": setting(model_type="qwen2"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_folder_is_one_line(folder, kind):
    DAMAGED[kind](folder)
    with pytest.raises(InputError, match=r"^(model|folder) ") as caught:
        load(str(folder), device="cpu")
    said = str(caught.value)
    assert str(folder) in said
    assert "\n" not in said
    assert not said.rstrip(")").endswith(":")


def test_head_of_its_own_is_read_whatever_is_said_of_ties(tiny_folder, folder):
    folder.config(tie_word_embeddings=True)
    wanted = logits(load(str(tiny_folder), device="cpu").model)
    assert torch.equal(logits(load(str(folder), device="cpu").model), wanted)


def test_tied_head_may_be_left_out(folder):
    folder.config(tie_word_embeddings=True)
    folder.weights(partial(removed, part="lm_head"))
    loaded = load(str(folder), device="cpu")
    assert loaded.decoder.head.weight is loaded.model.get_input_embeddings().weight
