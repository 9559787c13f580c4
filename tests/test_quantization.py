"""Quantizers beside naive float64 versions, transformers' own integration, and a rotated copy."""

import math

import pytest
import torch
from conftest import tiny_batch, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from helpers.errors import InputError
from helpers.models.architecture import Decoder
from helpers.models.load import load
from helpers.pruning.sparsegpt import hessian_factor, layer_error
from helpers.pruning.weights import prunable
from helpers.quantization import BITS, QUANTIZERS, Levels, Quantization, quantize, quantized
from helpers.quantization.awq import awq
from helpers.quantization.gptq import gptq
from helpers.quantization.grid import round_to_nearest
from helpers.quantization.rotation import ROTATED, orthogonal, rotate, rotated_folder
from helpers.quantization.storage import dense_bytes, stored_bytes
from helpers.texts.calibration import Calibration

SIMULATED = [name for name, one in QUANTIZERS.items() if not one.packed]
PACKED = [name for name, one in QUANTIZERS.items() if one.packed]
INTEGRATED = {
    "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    "fp4": {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"},
    "int8": {"load_in_8bit": True},
}


def _calibration():
    ids = torch.randint(3, 300, (6, 24), generator=torch.Generator().manual_seed(2))
    return Calibration(ids, "random tokens", 2)


def _naive(weight, bits, group):
    """One number after the other, in Python's floats."""
    result = weight.double().clone()
    for row in range(weight.shape[0]):
        for start in range(0, weight.shape[1], group):
            part = [float(each) for each in weight[row, start : start + group]]
            low, high = min(0.0, *part), max(0.0, *part)
            scale = (high - low) / (2**bits - 1) or 1.0
            zero = round(-low / scale)
            for at, number in enumerate(part):
                whole = min(max(round(number / scale + zero), 0), 2**bits - 1)
                result[row, start + at] = (whole - zero) * scale
    return result


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("group", [4, 8, 0])
def test_rounding_equals_a_naive_version(bits, group):
    weight = torch.randn(5, 16, generator=torch.Generator().manual_seed(bits), dtype=torch.float64)
    found = round_to_nearest(weight, Levels(bits, group))
    assert torch.allclose(found, _naive(weight, bits, group or 16), rtol=0, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(BITS), st.floats(1e-6, 1e6))
def test_rounding_is_idempotent_and_off_by_half_a_step_at_most(seed, bits, scale):
    weight = torch.randn(3, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    weight = weight * scale
    found = round_to_nearest(weight, Levels(bits, 8))
    low, high = weight.amin(-1).clamp(max=0), weight.amax(-1).clamp(min=0)
    step = ((high - low) / (2**bits - 1))[:, None]
    assert bool(((found - weight).abs() <= step * (0.5 + 1e-9)).all() or bits == 2)
    assert bool(((found - weight).abs() <= step * (1 + 1e-9)).all())
    assert torch.allclose(round_to_nearest(found, Levels(bits, 8)), found, rtol=1e-6)


def _layer(seed, rows=12, columns=32):
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(columns, columns, generator=generator, dtype=torch.float64)
    inputs = mixed @ torch.randn(columns, 200, generator=generator, dtype=torch.float64)
    inputs[3] *= 20  # one input that carries much
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64), inputs @ inputs.T


def _naive_gptq(weight, hessian, bits, group, damping=0.01):
    """Algorithm 1 without blocks, with an inverse that is made anew for each column."""
    work = weight.double().clone()
    damped = hessian + damping * hessian.diagonal().mean() * torch.eye(len(hessian)).double()
    result = torch.zeros_like(work)
    for column in range(work.shape[1]):
        if column % group == 0:
            part = work[:, column : column + group]
            low, high = part.amin(1).clamp(max=0), part.amax(1).clamp(min=0)
            scale = (high - low) / (2**bits - 1)
            zero = (-low / scale).round()
        inverse = torch.linalg.inv(damped[column:, column:])
        whole = (work[:, column] / scale + zero).round().clamp(0, 2**bits - 1)
        result[:, column] = (whole - zero) * scale
        error = (work[:, column] - result[:, column]) / inverse[0, 0]
        work[:, column:] -= error[:, None] * inverse[0][None]
    return result


@pytest.mark.parametrize("bits", [4, 3])
@pytest.mark.parametrize("group", [8, 16, 32])
@pytest.mark.parametrize("block", [8, 128])
def test_gptq_equals_the_algorithm_without_blocks(bits, group, block):
    weight, hessian = _layer(1)
    found = gptq(weight, hessian_factor(hessian), Levels(bits, group), block=block)
    assert torch.allclose(found, _naive_gptq(weight, hessian, bits, group), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("bits", [4, 3, 2])
@pytest.mark.parametrize("seed", range(3))
def test_whoever_looks_at_the_inputs_does_better_than_rounding(bits, seed):
    weight, hessian = _layer(seed)
    levels = Levels(bits, 16)
    plain = layer_error(weight, round_to_nearest(weight, levels), hessian)
    assert layer_error(weight, gptq(weight, hessian_factor(hessian), levels), hessian) < plain
    assert layer_error(weight, awq(weight, hessian, levels), hessian) < plain


@pytest.mark.parametrize("method", QUANTIZERS)
def test_what_was_quantized_comes_back_bit_for_bit(method):
    model = tiny_model("llama", hidden_size=64, intermediate_size=128)
    decoder, (ids, mask) = Decoder.of(model), tiny_batch()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    dense = model(ids, attention_mask=mask).logits
    recipe = Quantization(method, 0 if QUANTIZERS[method].packed else 4, 16)
    with quantized(decoder, recipe, _calibration()) as account:
        moved = (model(ids, attention_mask=mask).logits - dense).abs().max()
        assert 0 < moved < math.inf
        assert account.bits < 16
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("method", PACKED)
def test_bitsandbytes_gives_the_logits_of_transformers_own_integration(method, tmp_path, caplog):
    model = tiny_model("llama", hidden_size=64, intermediate_size=128)
    model.save_pretrained(tmp_path)
    asked = BitsAndBytesConfig(**INTEGRATED[method], bnb_4bit_compute_dtype=torch.float32)
    theirs = AutoModelForCausalLM.from_pretrained(
        tmp_path, quantization_config=asked, dtype=torch.float32
    )
    for module in theirs.modules():  # the same arithmetic on every processor, as ours
        module.support_avx512bf16_for_cpu = False
    ids, mask = tiny_batch()
    quantize(Decoder.of(model), Quantization(method))
    caplog.clear()
    ours = model(ids, attention_mask=mask).logits
    assert not caplog.records
    assert torch.equal(ours, theirs(ids, attention_mask=mask).logits)


@pytest.mark.parametrize("architecture", ROTATED)
@pytest.mark.parametrize("tied", [True, False])
def test_a_rotated_model_is_the_same_function_of_other_weights(architecture, tied):
    model = tiny_model(architecture, tie_word_embeddings=tied)
    ids, mask = tiny_batch()
    before = model(ids, attention_mask=mask).logits
    weights = [one.matrix.clone() for layer in prunable(Decoder.of(model)) for one in layer]
    rotate(Decoder.of(model), seed=5)
    after = model(ids, attention_mask=mask).logits
    assert torch.allclose(before[mask.bool()], after[mask.bool()], atol=2e-4)
    turned = [one.matrix for layer in prunable(Decoder.of(model)) for one in layer]
    assert all((a - b).norm() > 0.1 * a.norm() for a, b in zip(weights, turned, strict=True))


def test_a_rotated_copy_is_kept_and_loads_as_any_other_model(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("WHEN_PRUNING_WORKS_CACHE", str(tmp_path))
    folder = rotated_folder(str(tiny_folder), seed=1)
    assert rotated_folder(str(tiny_folder), seed=1) == folder
    assert rotated_folder(str(tiny_folder), seed=2) != folder
    ids = torch.randint(3, 250, (2, 12), generator=torch.Generator().manual_seed(0))
    dense, turned = load(str(tiny_folder)), load(f"{tiny_folder}+rotated1")
    assert turned.name == f"{tiny_folder}, rotated (seed 1)"
    assert turned.size == dense.size
    assert dense.fingerprint != turned.fingerprint == load(str(folder)).fingerprint
    assert torch.allclose(dense.model(ids).logits, turned.model(ids).logits, atol=2e-4)


@pytest.mark.parametrize("architecture", ["gpt2", "gemma2", "opt", "gpt_neox"])
def test_norms_that_do_not_commute_with_a_rotation_are_refused(architecture):
    with pytest.raises(InputError, match="cannot be rotated"):
        rotate(Decoder.of(tiny_model(architecture)), 0)


def test_random_rotations_are_orthogonal_and_their_seed_counts():
    q = orthogonal(24, 3)
    assert torch.allclose(q @ q.T, torch.eye(24, dtype=torch.float64), atol=1e-12)
    assert torch.equal(q, orthogonal(24, 3))
    assert not torch.equal(q, orthogonal(24, 4))


def test_bytes_are_those_of_the_formats():
    assert dense_bytes(64) == 128
    # 4-bit integers; a scale of 16 bits and a zero of 4 for each of 2 × 4 groups
    assert stored_bytes(2, 64, 128, levels=Levels(4, 16)) == 64 + 20
    # 2:4: half of the weights, and 2 bits for each; 4:8: one of 70 choices for every 8
    assert stored_bytes(2, 64, 64, "2:4") == 128 + 16
    assert stored_bytes(2, 64, 64, "4:8") == 128 + 2 * 8 * 7 // 8
    # anywhere: one bit for each place, and no more than the dense weight
    assert stored_bytes(2, 64, 64) == 128 + 16
    assert stored_bytes(2, 64, 128) == 256
    assert stored_bytes(2, 64, 127) == 256
    # both: half of the 4-bit integers, their places, and all scales
    assert stored_bytes(2, 64, 64, levels=Levels(4, 16)) == 32 + 16 + 20


BAD = {
    "quantizer 'rnt' is not offered": {"method": "rnt", "bits": 4},
    "bits=5 is not offered": {"method": "rtn", "bits": 5},
    "bits=0 is not offered": {"method": "gptq"},
    "group_size=-1 is not allowed": {"method": "rtn", "bits": 4, "group": -1},
    "nf4 has 4 bits": {"method": "nf4", "bits": 8},
    "int8 has 8 bits": {"method": "int8", "bits": 4},
    "targets='head' is refused": {"method": "rtn", "bits": 4, "targets": "head"},
}


@pytest.mark.parametrize("said", BAD)
def test_what_is_not_offered_is_refused_in_one_line(said):
    with pytest.raises(InputError) as refused:
        Quantization(**BAD[said])
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("method", SIMULATED)
def test_a_group_that_does_not_divide_is_refused_before_anything_changes(method):
    model = tiny_model("llama")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with pytest.raises(InputError, match=r"group_size=20 does not fit layer 0's self_attn\.q_proj"):
        quantize(Decoder.of(model), Quantization(method, 4, 20), _calibration())
    assert all(torch.equal(before[name], each) for name, each in model.state_dict().items())


def test_without_bitsandbytes_one_line_says_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes", None)
    with pytest.raises(InputError, match="pip install bitsandbytes"):
        quantize(Decoder.of(tiny_model("llama")), Quantization("nf4"))


@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_calibration_text_is_asked_for(method):
    with pytest.raises(InputError, match="needs calibration text"):
        quantize(Decoder.of(tiny_model("llama")), Quantization(method, 4, 16))


def test_a_grid_with_the_least_weight_as_its_least_level_has_no_error_on_its_own_levels():
    """As a release in GGUF's Q4_1: scale and least weight of each group, numbers from 0 to 15."""
    generator = torch.Generator().manual_seed(0)
    whole = torch.randint(0, 16, (6, 4, 32), generator=generator).double()
    whole[..., 0], whole[..., 1] = 0, 15
    scale = torch.rand(6, 4, 1, generator=generator, dtype=torch.float64) + 0.1
    low = torch.randn(6, 4, 1, generator=generator, dtype=torch.float64)
    weight = (whole * scale + low).reshape(6, 128)
    own = round_to_nearest(weight, Levels(4, 32, whole_zero=False))
    other = round_to_nearest(weight, Levels(4, 32))
    assert torch.allclose(own, weight, atol=1e-12)
    assert (other - weight).norm() > 0.01 * weight.norm()
