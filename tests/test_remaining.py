"""How many parameters are left: dropped sublayers and zeroed weights do not count."""

import pytest
import torch
from conftest import tiny_model
from transformers import AutoConfig, AutoModelForCausalLM

from helpers.models.architecture import Decoder
from helpers.models.known import size_in_words
from helpers.pruning import Recipe, prune
from helpers.pruning.drop import drop
from measurements.pruned_model import remaining_parameters


def test_all_are_left_of_a_model_as_it_is(architecture):
    decoder = Decoder.of(tiny_model(architecture))
    counted = {id(each): each.numel() for each in decoder.model.parameters()}
    assert remaining_parameters(decoder) == sum(counted.values())


@pytest.mark.parametrize("kind", ["attention", "mlp"])
def test_a_dropped_sublayer_goes_with_its_norm(kind):
    decoder = Decoder.of(tiny_model("llama"))
    whole = remaining_parameters(decoder)
    layer = decoder.layers[1]
    body = layer.self_attn if kind == "attention" else layer.mlp
    gone = sum(each.numel() for each in body.parameters()) + 32  # a norm has one weight a channel
    assert remaining_parameters(drop(decoder, [(1, kind)])) == whole - gone


def test_zeroed_weights_are_counted_one_by_one():
    decoder = Decoder.of(tiny_model("llama"))
    report = prune(decoder, Recipe("magnitude", 0.3), progress=False)
    assert remaining_parameters(Decoder.of(decoder.model)) == report.parameters_kept


def test_what_was_zero_before_is_not_pruned():
    dense, other = (Decoder.of(tiny_model("llama")) for _ in range(2))
    with torch.no_grad():
        for decoder in (dense, other):
            decoder.layers[0].mlp.up_proj.weight[:, :2] = 0
        other.layers[0].mlp.up_proj.weight[:, 1:5] = 0
    whole = sum(each.numel() for each in dense.model.parameters())
    assert remaining_parameters(dense, dense) == whole
    assert remaining_parameters(other, dense) == whole - 3 * 48
    assert remaining_parameters(other) == whole - 5 * 48


def test_the_papers_row_of_table_1():
    """E5-Mistral-7B, an encoder and so without a head: 7.1B, 6.8B, 5.7B."""
    config = AutoConfig.for_model(
        "mistral",
        vocab_size=32000,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
    )
    found = []
    for kind in (None, "attention", "mlp"):
        with torch.device("meta"):
            decoder = Decoder.of(AutoModelForCausalLM.from_config(config))
        places = [(layer, kind) for layer in range(8)] if kind else []
        left = remaining_parameters(drop(decoder, places)) if kind else decoder.parameter_count
        found.append(size_in_words(left - decoder.head.weight.numel()))
    assert found == ["7.1B", "6.8B", "5.7B"]
