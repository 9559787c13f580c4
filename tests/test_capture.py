import copy

import pytest
import torch
from conftest import LAYERS, WIDTH, tiny_batch, tiny_model

from helpers.capture import capture
from helpers.decoding import greedy
from helpers.errors import InputError
from helpers.models import Decoder


def naive_states(model, decoder, ids, mask):
    """Every sublayer's (before, after), from Hugging Face's own hidden states and the outputs of
    attention and MLP modules, all positions."""
    updates = {}

    def record(sublayer):
        def hook(_module, _args, output):
            value = output[0] if isinstance(output, tuple) else output
            updates[sublayer.layer, sublayer.kind] = value.reshape(*ids.shape, WIDTH)

        return hook

    handles = [part.last.register_forward_hook(record(part)) for part in decoder.sublayers]
    output = model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    for handle in handles:
        handle.remove()
    found = {}
    for layer in range(LAYERS):
        x = output.hidden_states[layer]
        attention = x + updates[layer, "attention"]
        start = x if decoder.parallel else attention
        found[layer, "attention"] = (x, attention)
        found[layer, "mlp"] = (start, start + updates[layer, "mlp"])
    return found


def test_states_equal_hugging_faces_own(architecture):
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    ids, mask = tiny_batch()
    with torch.inference_mode(), capture(decoder, positions=slice(None)) as trace:
        model(input_ids=ids, attention_mask=mask)
        states = trace.states
        expected = naive_states(model, decoder, ids, mask)
    assert len(states.pairs) == 2 * LAYERS
    for pair in states.pairs:
        before, after = expected[pair.layer, pair.kind]
        torch.testing.assert_close(states.tensor[pair.pruned], before, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(states.tensor[pair.dense], after, rtol=1e-6, atol=1e-6)


def test_sequential_blocks_share_states():
    model = tiny_model("llama")
    with torch.inference_mode(), capture(Decoder.of(model)) as trace:
        model(input_ids=tiny_batch()[0])
    assert trace.states.tensor.shape == (2 * LAYERS + 1, 3, 1, WIDTH)


@pytest.mark.parametrize("use_cache", [True, False])
def test_logits_do_not_notice_capture(architecture, use_cache):
    model = tiny_model(architecture)
    decoder, other = Decoder.of(model), Decoder.of(tiny_model(architecture, seed=1))
    ids, mask = tiny_batch()
    with torch.inference_mode():
        plain = model(input_ids=ids, attention_mask=mask, use_cache=use_cache).logits
        with capture(decoder), capture(decoder, pruned=other):
            watched = model(input_ids=ids, attention_mask=mask, use_cache=use_cache).logits
    assert torch.equal(plain, watched)


@pytest.mark.parametrize("use_cache", [True, False])
def test_exact_copy_has_identical_states(architecture, use_cache):
    """The counterpart's attention keeps a cache of its own: at later steps it must not start
    from nothing. Bit for bit, left-padded, over several steps and two generations."""
    model = tiny_model(architecture)
    twin = copy.deepcopy(model)
    ids, mask = tiny_batch()
    with capture(Decoder.of(model), pruned=Decoder.of(twin)) as trace:
        for _ in range(2):
            for _step in greedy(model, ids, mask, 5, use_cache=use_cache):
                states = trace.states
                for pair in states.pairs:
                    assert torch.equal(states.tensor[pair.dense], states.tensor[pair.pruned])


def test_counterpart_follows_its_own_weights(architecture):
    """In place: x + f̃(x) with f̃ of the other model on the dense model's input, cached or not."""
    model, other = tiny_model(architecture), tiny_model(architecture, seed=1)
    found = {}
    for use_cache in (True, False):
        steps = []
        with capture(Decoder.of(model), pruned=Decoder.of(other)) as trace:
            for _step in greedy(model, *tiny_batch(), 4, use_cache=use_cache):
                steps.append(trace.states.tensor)
        found[use_cache] = torch.stack(steps)
    torch.testing.assert_close(found[True], found[False], rtol=1e-4, atol=1e-4)
    pairs = trace.states.pairs
    assert all((found[True][:, p.dense] != found[True][:, p.pruned]).any() for p in pairs)


def test_counterpart_equals_transplanting_the_sublayer():
    """Oracle: put the other model's attention into the dense one and read the state after it."""
    model, other = tiny_model("llama"), tiny_model("llama", seed=1)
    ids, mask = tiny_batch()
    with torch.inference_mode(), capture(Decoder.of(model), pruned=Decoder.of(other)) as trace:
        model(input_ids=ids, attention_mask=mask)
    transplanted = copy.deepcopy(model)
    transplanted.model.layers[2].self_attn = other.model.layers[2].self_attn
    transplanted.model.layers[2].input_layernorm = other.model.layers[2].input_layernorm
    with torch.inference_mode(), capture(Decoder.of(transplanted)) as expected:
        transplanted(input_ids=ids, attention_mask=mask)
    pair = next(p for p in trace.states.pairs if (p.layer, p.kind) == (2, "attention"))
    torch.testing.assert_close(trace.states.tensor[pair.pruned], expected.states.tensor[pair.dense])


def hook_count(model):
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()
    )


def test_hooks_come_off_after_an_exception():
    model = tiny_model("gpt_neox")
    other = Decoder.of(tiny_model("gpt_neox", seed=1))
    inside = []

    def fail():
        with capture(Decoder.of(model), pruned=other):
            inside.append(hook_count(model))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert inside[0] > 0
    assert hook_count(model) == 0


@pytest.mark.parametrize("positions", [-1, 2, slice(3, 7), torch.tensor([0, 8])])
def test_positions(positions):
    model = tiny_model("qwen2")
    ids, mask = tiny_batch()
    decoder = Decoder.of(model)
    with torch.inference_mode(), capture(decoder, positions=slice(None)) as everything:
        model(input_ids=ids, attention_mask=mask)
    with torch.inference_mode(), capture(decoder, positions=positions) as some:
        model(input_ids=ids, attention_mask=mask)
    index = [positions] if isinstance(positions, int) else positions
    assert torch.equal(some.states.tensor, everything.states.tensor[:, :, index])


def test_checkpoint_of_another_shape_is_refused():
    model, other = tiny_model("llama"), tiny_model("llama", num_hidden_layers=2)
    with (
        pytest.raises(InputError, match="layers 2, not 4"),
        capture(Decoder.of(model), pruned=Decoder.of(other)),
    ):
        pass


def test_nothing_captured_yet():
    with capture(Decoder.of(tiny_model("llama"))) as trace, pytest.raises(RuntimeError):
        trace.states  # noqa: B018
