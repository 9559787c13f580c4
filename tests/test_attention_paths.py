import numpy as np
import pytest
import torch
from conftest import LAYERS, tiny_batch, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st

from chapters.d_error_propagation.measure_paths import attention_paths, looked_at
from helpers import theory
from helpers.capture.attention import Call, calls, eager, look
from helpers.errors import InputError
from helpers.models import Decoder, load
from helpers.pruning.drop import dropped
from helpers.pruning.structured import find_groups
from helpers.pruning.weights import prunable
from helpers.texts.data import select_prompts, tokenize
from helpers.theory.attention_paths import (
    Attention,
    attended,
    change,
    shares,
    sizes,
    split,
    value_path_of,
)
from measurements.pruned_model import pruned_counterpart
from runs.parameters import validate

WINDOWED = {"mistral": (0, 1, 2, 3), "gemma2": (0, 2)}  # layers that see 6 tokens back


def random_attention(seed, heads=4, groups=2, looks=3, tokens=5, width=4):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(2, heads, looks, tokens, generator=generator)
    values = torch.randn(2, groups, tokens, width, generator=generator)
    return Attention(scores.softmax(-1), values)


def test_attended_equals_a_naive_loop():
    one = random_attention(0)
    out = attended(one.weights, one.values)
    for batch in range(2):
        for place in range(3):
            expected = []
            for head in range(4):
                total = torch.zeros(4, dtype=torch.float64)
                for token in range(5):
                    weight = one.weights[batch, head, place, token].double()
                    total += weight * one.values[batch, head // 2, token].double()
                expected.append(total)
            torch.testing.assert_close(out[batch, place], torch.cat(expected), rtol=0, atol=1e-15)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([(4, 4), (4, 2), (6, 1)]))
def test_terms_and_shares_add_up(seed, heads):
    dense, other = (random_attention(seed + more, *heads) for more in (0, 1))
    terms = split(dense, other)
    outputs = [attended(one.weights, one.values) for one in (dense, other)]
    torch.testing.assert_close(change(terms), outputs[1] - outputs[0], rtol=0, atol=1e-14)
    total = sum(shares(terms).values())
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-10)
    found = sizes(terms, outputs[0])
    relative = (outputs[1] - outputs[0]).norm(dim=-1) / outputs[0].norm(dim=-1)
    torch.testing.assert_close(found["change"], relative)
    assert all((found["change"] <= sum(found[name] for name in terms) + 1e-12).reshape(-1))


@pytest.mark.parametrize(("same", "path"), [("weights", "value"), ("values", "weight")])
def test_one_path_alone_takes_all(same, path):
    dense, other = random_attention(0), random_attention(1)
    parts = {"weights": other.weights, "values": other.values} | {same: getattr(dense, same)}
    terms = split(dense, Attention(**parts))
    found = shares(terms)
    assert torch.equal(found[path], torch.ones_like(found[path]))
    assert not any(terms[name].any() for name in terms if name != path)


def test_output_projection_of_what_is_attended_is_what_the_module_gives_out(architecture):
    """Σ α v, through the stock output projection, against a hook on the stock attention, run with
    its own implementation; and the weights sum to one over what each text may see."""
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    ids, mask = tiny_batch()
    given_out = {}

    def note(layer):
        def hook(_module, _args, output):
            given_out[layer] = output[0]

        return hook

    attention = [one for one in decoder.sublayers if one.kind == "attention"]
    handles = [one.body.register_forward_hook(note(one.layer)) for one in attention]
    places = {} if architecture == "opt" else {"position_ids": (mask.cumsum(-1) - 1).clamp(min=0)}
    with torch.inference_mode():
        model(input_ids=ids, attention_mask=mask, **places)
    for handle in handles:
        handle.remove()
    weights = prunable(decoder, "attention")
    with eager(decoder):
        found = calls(decoder, ids, mask)
        assert list(found) == list(range(LAYERS))
        for one in attention:
            seen = look(one, found[one.layer])
            projection = find_groups(decoder, weights[one.layer], "heads").output.linear
            out = attended(seen.weights, seen.values) @ projection.matrix.double().T
            if projection.module.bias is not None:
                out += projection.module.bias.double()
            real = mask.bool()
            torch.testing.assert_close(
                out[real], given_out[one.layer][real].double(), rtol=1e-4, atol=1e-5
            )
            reach = seen.weights[1, 0, 8] > 0  # the one text without padding, its last position
            windowed = one.layer in WINDOWED.get(architecture, ())
            assert reach.sum() == (6 if windowed else 9)
            assert not seen.weights[0, :, 4:, :4].any()  # nobody looks at padding


def test_implementation_comes_back_also_after_an_exception():
    decoder = Decoder.of(tiny_model("llama"))
    before = decoder.model.config._attn_implementation
    assert before != "eager"
    ids, mask = tiny_batch()
    with pytest.raises(IndexError), eager(decoder):
        calls(decoder, ids + 1000, mask)  # the vocabulary has no such tokens
    assert decoder.model.config._attn_implementation == before
    body = decoder.sublayers[0].body
    assert not body._forward_hooks
    assert not body._forward_pre_hooks


def test_dropped_attention_has_no_call():
    decoder = Decoder.of(tiny_model("llama"))
    ids, mask = tiny_batch()
    with dropped(decoder, [(0, "attention"), (2, "attention"), (1, "mlp")]) as rest, eager(rest):
        assert list(calls(rest, ids, mask)) == [1, 3]


def test_remainder_is_of_second_order_and_both_paths_of_first(architecture):
    """One sublayer reads x + ε(x̃ − x), where x̃ is what it reads with an MLP dropped upstream."""
    decoder = Decoder.of(tiny_model(architecture))
    ids, mask = tiny_batch()
    layer = 2
    sublayer = decoder.sublayers[2 * layer]
    with eager(decoder):
        dense = calls(decoder, ids, mask)[layer]
        with dropped(decoder, [(1, "mlp")]) as rest:
            moved = calls(rest, ids, mask)[layer].state - dense.state
        base = look(sublayer, dense, slice(-1, None))
        scales = torch.tensor([2.0**-power for power in range(5, 10)])
        lengths = {"value": [], "weight": [], "remainder": []}
        for scale in scales:
            call = Call(dense.state + scale * moved, dense.keywords)
            terms = split(base, look(sublayer, call, slice(-1, None)))
            for name, term in terms.items():
                lengths[name].append(term.norm())
    orders = {name: theory.order(scales, torch.stack(found)) for name, found in lengths.items()}
    assert orders["value"] == pytest.approx(1, abs=0.1)
    assert orders["weight"] == pytest.approx(1, abs=0.1)
    assert orders["remainder"] == pytest.approx(2, abs=0.1)


def test_value_path_of_one_position_is_the_rest_of_all_others():
    dense, other = random_attention(0), random_attention(1)
    places = torch.tensor([3, 1])
    alone = value_path_of(dense, other, places)
    values = other.values.clone()
    for row, place in enumerate(places):
        values[row, :, place] = dense.values[row, :, place]
    rest = split(dense, Attention(other.weights, values))["value"]
    torch.testing.assert_close(alone, split(dense, other)["value"] - rest, rtol=0, atol=1e-14)
    assert alone.any()


MEASURED = {
    "prompts": "MC2,Math1,Gen4",
    "sweep_steps": 4,
    "calibration_samples": 2,
    "calibration_length": 64,
    "layer": 2,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def measured(tiny_folder, tmp_path_factory):
    """The measurement under Wanda, and with one MLP and one attention dropped."""
    results = tmp_path_factory.mktemp("results")
    given = MEASURED | {"model": str(tiny_folder), "results": str(results)}
    changes = {
        "wanda": {"method": "wanda"},
        "mlp": {"target": "mlp", "dropped": 2},
        "attention": {"target": "attention", "dropped": 1},
    }
    return {name: attention_paths(validate(given | one)) for name, one in changes.items()}


def wide(measurement, **equal):
    keys = ["layer", "prompt", "step", "cause", "scale", "term", "metric"]
    table = measurement.table("paths", **equal)
    return table.set_index(keys)["value"].unstack(["term", "metric"])


def test_measured_shares_add_up_and_causes_too(measured):
    found = wide(measured["wanda"]).reset_index()
    seen = found[("change", "size")] > 1e-5
    total = sum(found[(term, "share")] for term in ("value", "weight", "remainder"))
    np.testing.assert_allclose(total[seen], 1, atol=1e-9)
    parts = found[found["cause"].isin(["inputs", "parameters"]) & found["scale"].eq(1)]
    parts = parts[parts["layer"] > 0].groupby(["layer", "prompt", "step"], observed=True)
    np.testing.assert_allclose(parts[[("change", "part")]].sum(), 1, atol=1e-9)
    first = found[found["layer"].eq(0) & found["cause"].eq("inputs")]
    assert (first[("change", "size")] == 0).all()  # nothing lies upstream of layer 0
    assert first[("value", "share")].isna().all()


def test_dropping_leaves_the_parameters_of_what_stays(measured):
    for name in ("mlp", "attention"):
        found = wide(measured[name]).reset_index()
        own = found[found["cause"] == "parameters"]
        assert (own[("change", "size")] == 0).all()
        both, inputs = (
            found[found["cause"].eq(cause) & found["scale"].eq(1)] for cause in ("both", "inputs")
        )
        np.testing.assert_array_equal(both[("change", "size")], inputs[("change", "size")])
    facts = measured["attention"].manifest["facts"]
    assert len(facts["layers"]) == LAYERS - 1
    assert set(measured["attention"].table("paths")["layer"]) == set(facts["layers"])


def test_measured_change_is_that_of_two_stock_runs(measured, tiny_folder):
    """The change of one attention's output under Wanda, from what enters the stock output
    projection of a dense and of a pruned model that read the same text."""
    parameters = validate(MEASURED | {"model": str(tiny_folder), "method": "wanda"})
    dense = load(str(tiny_folder), device="cpu")
    pruned, _ = pruned_counterpart(parameters, dense)
    prompt = select_prompts("Math1")
    ids, mask = tokenize(prompt, dense.tokenizer, True, "cpu")
    entered = []
    handles = [
        decoder.layers[2].self_attn.o_proj.register_forward_pre_hook(
            lambda _module, args: entered.append(args[0][0, -1].double())
        )
        for decoder in (dense.decoder, pruned)
    ]
    with torch.inference_mode():
        for decoder in (dense.decoder, pruned):
            decoder.model(input_ids=ids, attention_mask=mask)
    for handle in handles:
        handle.remove()
    relative = (entered[1] - entered[0]).norm() / entered[0].norm()
    found = wide(measured["wanda"]).loc[2].loc[("Math1", 0, "both", 1.0)]
    assert found[("change", "size")] == pytest.approx(float(relative), rel=1e-3)


def test_steps_double():
    assert [looked_at(steps) for steps in (1, 2, 5, 9)] == [
        [0],
        [0, 1],
        [0, 1, 2, 4],
        [0, 1, 2, 4, 8],
    ]


def test_model_without_any_attention_left_is_refused(tiny_folder, tmp_path):
    values = {"dropped": 4, "prompts": "MC2", "sweep_steps": 2, "device": "cpu"}
    small = {"calibration_samples": 2, "calibration_length": 32, "results": str(tmp_path)}
    with pytest.raises(InputError, match="no attention is left"):
        attention_paths(validate(values | small | {"model": str(tiny_folder)}))
