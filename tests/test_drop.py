"""Dropped sublayers against two references: hooks that zero a sublayer's output in the stock
model, and the same without a cache, where no cache entry can mislead the model."""

from collections import Counter
from contextlib import contextmanager
from importlib import import_module

import pytest
import torch
from conftest import ARCHITECTURES, LAYERS, VOCABULARY, tiny_batch, tiny_model

from helpers.capture import capture
from helpers.decoding import greedy
from helpers.errors import InputError
from helpers.models import LAYOUTS, Decoder
from helpers.pruning.drop import checked, drop, dropped, dropped_in

drop_module = import_module("helpers.pruning.drop")  # not the function of that name

EACH = [(layer, kind) for layer in range(LAYERS) for kind in ("attention", "mlp")]
SEVERAL = [
    [place for place in EACH if place[1] == "attention"],
    [place for place in EACH if place[1] == "mlp"],
    [(0, "attention"), (0, "mlp"), (1, "attention")],
    [(1, "attention"), (2, "mlp"), (3, "attention")],
    EACH,
]
SETS = [[place] for place in EACH] + SEVERAL


@contextmanager
def without_contributions(decoder, places):
    """The stock model whose hooks put zeros where the named sublayers' outputs were."""

    def zeros(_module, _args, output):
        if isinstance(output, tuple):
            return torch.zeros_like(output[0]), *output[1:]
        return torch.zeros_like(output)

    handles = [
        part.last.register_forward_hook(zeros)
        for part in decoder.sublayers
        if (part.layer, part.kind) in places
    ]
    assert len(handles) == len(places)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def generate(model, use_cache, steps=8, **options):
    ids, mask = tiny_batch()
    if options.get("do_sample"):
        torch.manual_seed(7)
    options = {"do_sample": False} | options
    return model.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=steps,
        min_new_tokens=steps,
        use_cache=use_cache,
        **options,
    )


def logits_in_two_parts(model):
    """Logits of the batch read in one go and, with a cache, in two parts: 6 tokens, then 3."""
    ids, mask = tiny_batch()
    whole = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    first = model(input_ids=ids[:, :6], attention_mask=mask[:, :6], use_cache=True)
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    second = model(
        input_ids=ids[:, 6:],
        attention_mask=mask,
        position_ids=places[:, 6:],
        past_key_values=first.past_key_values,
    )
    return whole, torch.cat([first.logits, second.logits], dim=1), first.past_key_values


@torch.inference_mode()
def test_logits_equal_those_with_the_contributions_removed(architecture):
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    stock = logits_in_two_parts(model)[0]
    for places in SETS:
        with without_contributions(decoder, places):
            whole, parts, _ = logits_in_two_parts(model)
        with dropped(decoder, places):
            ours, ours_in_parts, _ = logits_in_two_parts(model)
        assert (whole - ours).abs().max() <= 1e-5, places
        assert (parts - ours_in_parts).abs().max() <= 1e-5, places
        assert (stock - ours).abs().max() > 1e-2, places


def test_text_is_that_of_the_model_with_the_contributions_removed(architecture):
    """Greedy, batched and padded on the left. All eight single drops write different texts, so
    the weights are such that every sublayer matters."""
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    texts = set()
    for places in SETS:
        with without_contributions(decoder, places):
            expected = generate(model, use_cache=False)
        with dropped(decoder, places):
            assert torch.equal(generate(model, use_cache=True), expected), places
            assert torch.equal(generate(model, use_cache=False), expected), places
        texts.add(tuple(expected.flatten().tolist()))
    assert len(texts) >= len(EACH) + 3


def placeholders(architecture):
    """Attentions whose cache entry tells the model how much it has read."""
    return {0, 1} if architecture == "gemma2" else {0}


def test_without_the_placeholder_the_text_is_wrong(architecture, monkeypatch):
    """The naive way, shown to fail where it must: so the test above would catch it."""
    monkeypatch.setattr(drop_module, "tells_length", lambda cache, layer: False)
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    wrong = set()
    for layer in range(LAYERS):
        with dropped(decoder, [(layer, "attention")]):
            if not torch.equal(generate(model, use_cache=True), generate(model, use_cache=False)):
                wrong.add(layer)
    assert wrong == placeholders(architecture)


def test_sampled_text_is_the_same_with_and_without_cache(architecture):
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    options = {"do_sample": True, "temperature": 1.5, "top_k": 20}
    for places in [[(layer, "attention")] for layer in range(LAYERS)] + SEVERAL[2:]:
        with without_contributions(decoder, places):
            expected = generate(model, use_cache=False, **options)
        with dropped(decoder, places):
            assert torch.equal(generate(model, use_cache=True, **options), expected), places


@pytest.mark.parametrize("architecture", ["llama", "mistral", "gemma2", "gpt2"])
@pytest.mark.parametrize(
    ("one_prompt", "options"),
    [
        (False, {"num_beams": 3}),
        (False, {"cache_implementation": "static", "disable_compile": True}),
        (True, {"prompt_lookup_num_tokens": 3}),
    ],
    ids=["beams", "static cache", "assisted"],
)
def test_other_ways_to_generate(architecture, one_prompt, options):
    """Beams reorder the cache, a static one is allocated ahead, assisted decoding crops it."""
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    ids, mask = tiny_batch()
    if one_prompt:
        ids, mask = ids[1:2].repeat(1, 3), mask[1:2].repeat(1, 3)
    inputs = {"input_ids": ids, "attention_mask": mask, "max_new_tokens": 8, "do_sample": False}
    beams = {"num_beams": options.get("num_beams", 1)}
    for places in [[(0, "attention")], [(2, "attention")], SEVERAL[0]]:
        with dropped(decoder, places):
            expected = model.generate(**inputs, **beams, use_cache=False)
            assert torch.equal(model.generate(**inputs, **options), expected), places


def test_our_own_decoding_with_and_without_cache():
    model = tiny_model("llama")
    ids, mask = tiny_batch()
    with dropped(Decoder.of(model), [(0, "attention"), (1, "mlp")]):
        runs = [list(greedy(model, ids, mask, 6, (), use_cache=cached)) for cached in (True, False)]
    for ours, other in zip(*runs, strict=True):
        assert torch.equal(ours.tokens, other.tokens)


@torch.inference_mode()
def test_nothing_of_a_dropped_sublayer_runs(architecture):
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    layout = LAYOUTS[model.config.model_type]
    calls = Counter()
    for layer, kind in EACH:
        for name in getattr(layout, kind):
            for module in getattr(decoder.layers[layer], name).modules():
                module.register_forward_hook(
                    lambda *_, place=(layer, kind): calls.update({place: 1})
                )
    for places in SETS:
        calls.clear()
        with dropped(decoder, places) as remaining:
            generate(model, use_cache=True, steps=3)
            assert set(dropped_in(remaining)) == set(places)
        assert set(calls) == set(EACH) - set(places)


@torch.inference_mode()
def test_a_dropped_attention_caches_one_number_per_token_or_none(architecture):
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    for layer in range(LAYERS):
        with dropped(decoder, [(layer, "attention")]):
            cache = logits_in_two_parts(model)[2]
        for number, entry in enumerate(cache.layers):
            if number != layer:
                assert entry.keys.shape[1] * entry.keys.shape[-1] >= 16
            elif layer in placeholders(architecture) or entry.is_sliding:
                assert entry.keys.shape[:2] == entry.values.shape[:2] == (3, 1)
                assert entry.keys.shape[-1] == entry.values.shape[-1] == 1
                assert not entry.keys.any()
            else:
                assert not entry.is_initialized
                assert entry.keys is None


@torch.inference_mode()
@pytest.mark.parametrize("fails", [False, True])
def test_the_stock_model_comes_back(architecture, fails):
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    modules = list(model.named_modules())
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    before, size = logits_in_two_parts(model)[1], decoder.parameter_count
    try:
        with dropped(decoder, EACH) as remaining:
            assert remaining.parameter_count < size
            if fails:
                raise KeyError("stop")
    except KeyError:
        assert fails
    assert list(model.named_modules()) == modules
    assert list(model.state_dict()) == list(weights)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert torch.equal(logits_in_two_parts(model)[1], before)


def test_a_failure_while_dropping_restores_what_was_out(monkeypatch):
    model = tiny_model("llama")
    modules = list(model.named_modules())
    monkeypatch.setattr(drop_module, "NoAttention", None)
    with pytest.raises(TypeError), dropped(Decoder.of(model), [(0, "mlp"), (1, "attention")]):
        pass
    assert list(model.named_modules()) == modules


@torch.inference_mode()
def test_contexts_nest_and_permanent_drops_agree():
    model = tiny_model("gemma2")
    decoder = Decoder.of(model)
    with dropped(decoder, EACH[:3]):
        expected = logits_in_two_parts(model)[1]
    with dropped(decoder, EACH[:2]) as fewer:
        with dropped(fewer, EACH[2:3]):
            assert torch.equal(logits_in_two_parts(model)[1], expected)
        assert dropped_in(decoder) == tuple(EACH[:2])
    remaining = drop(decoder, EACH[:3])
    assert torch.equal(logits_in_two_parts(model)[1], expected)
    gone = sum(
        parameter.numel()
        for part in decoder.sublayers[:3]
        for module in (part.norm, part.body, *part.rest)
        for parameter in module.parameters()
    )
    whole = Decoder.of(tiny_model("gemma2")).parameter_count
    assert remaining.parameter_count == whole - gone


@torch.inference_mode()
def test_the_view_of_what_is_left_can_be_captured(architecture):
    model = tiny_model(architecture)
    ids, _ = tiny_batch()
    places = [(1, "attention"), (2, "mlp")]
    with dropped(Decoder.of(model), places) as remaining, capture(remaining) as trace:
        model(input_ids=ids)
        states = trace.states
    for pair in states.pairs:
        same = torch.equal(states.tensor[pair.dense], states.tensor[pair.pruned])
        assert same == ((pair.layer, pair.kind) in places)


@torch.inference_mode()
def test_states_that_are_not_finite_do_not_pass_through_a_dropped_sublayer():
    model = tiny_model("opt")
    decoder = Decoder.of(model)
    with dropped(decoder, [(1, "mlp")]):
        expected = logits_in_two_parts(model)[0]
    decoder.sublayers[3].norm.weight.fill_(torch.nan)
    with dropped(decoder, [(1, "mlp")]):
        assert torch.equal(logits_in_two_parts(model)[0], expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_zeros_take_the_models_dtype(dtype):
    model = tiny_model("llama").to(dtype)
    with dropped(Decoder.of(model), EACH[:3]):
        assert model(input_ids=tiny_batch()[0]).logits.dtype == dtype


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ([(4, "mlp")], "there is no layer 4 to drop: the model has layers 0 to 3"),
        ([(-1, "attention")], "there is no layer -1 to drop: the model has layers 0 to 3"),
        ([(0, "norm")], "unknown sublayer 'norm': a layer has an attention and an mlp"),
        ([(2, "mlp")] * 2, "layer 2 mlp is named twice: name each sublayer once"),
    ],
)
def test_bad_input_is_one_line(places, message):
    model = tiny_model("llama")
    modules = list(model.named_modules())
    with pytest.raises(InputError) as caught, dropped(Decoder.of(model), places):
        pass
    assert str(caught.value) == message
    with pytest.raises(InputError):
        drop(Decoder.of(model), places)
    assert list(model.named_modules()) == modules


def test_a_sublayer_that_is_gone_cannot_be_dropped_again():
    decoder = Decoder.of(tiny_model("llama"))
    with (
        dropped(decoder, [(1, "mlp")]) as remaining,
        pytest.raises(InputError, match="layer 1 mlp is dropped already"),
        dropped(remaining, [(1, "mlp")]),
    ):
        pass


def test_checked_keeps_the_order():
    assert checked([(3, "mlp"), (0, "attention")], 4) == ((3, "mlp"), (0, "attention"))


@pytest.mark.gpu
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_on_an_accelerator(architecture):
    model = tiny_model(architecture).cuda()
    decoder = Decoder.of(model)
    ids, mask = (tensor.cuda() for tensor in tiny_batch())
    inputs = {"input_ids": ids, "attention_mask": mask, "max_new_tokens": 6, "do_sample": False}
    for places in SETS:
        with without_contributions(decoder, places):
            expected = model.generate(**inputs, use_cache=False)
        with dropped(decoder, places):
            assert torch.equal(model.generate(**inputs), expected), places
    assert expected.max() < VOCABULARY
