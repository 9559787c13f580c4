"""The three terms of Appendix D: they add up, they vanish where they must, and a naive oracle."""

import copy

import pandas as pd
import pytest
import torch
from conftest import tiny_batch, tiny_model
from test_generation import pruned_from

from chapters.d_error_propagation.measure_terms import ORDERS, TERMS, Pieces
from helpers.decoding import Guest, Reader
from helpers.errors import InputError
from helpers.models.architecture import Decoder

STEPS = 8


def taken_apart(model, pruned, ids, mask, ends=()):
    rows = Pieces(Decoder.of(model), pruned, ids, mask, ends).run(STEPS, 1.0)
    return pd.DataFrame(rows)


@pytest.mark.parametrize("how", ["dropped", "first", "weights"])
def test_terms_add_up_to_the_difference_of_two_other_passes(architecture, how):
    """At every step and in both orders, to 1e-5 of the state; and every share to 1."""
    model = tiny_model(architecture)
    found = taken_apart(model, pruned_from(model, how), *tiny_batch())
    residual = found[found["metric"] == "residual"]
    assert len(residual) == 3 * STEPS * len(ORDERS)
    assert residual["value"].max() < 1e-5
    keys = ["row", "step", "order", "space", "centred"]
    shares = found[found["metric"] == "share"].groupby(keys)["value"].agg(["sum", "size"])
    assert (shares["size"] == 3).all()
    assert ((shares["sum"] - 1).abs() < 1e-9).all()


def test_gains_add_up_to_the_whole_deviation():
    model = tiny_model("llama")
    found = taken_apart(model, pruned_from(model, "weights"), *tiny_batch())
    gains = found[found["metric"].isin(["angular", "kl"])]
    keys = ["row", "step", "order", "space", "centred", "metric"]
    wide = gains.set_index([*keys, "term"])["value"].unstack("term")
    assert wide[["parameters", "history", "tokens"]].sum(axis=1).to_numpy() == pytest.approx(
        wide["whole"].to_numpy(), abs=1e-12
    )
    whole = wide["whole"].unstack("order")
    assert whole["parameters_first"].equals(whole["tokens_first"])
    assert (whole > 0).all().all()


def test_no_term_where_both_models_are_the_same(architecture):
    model = tiny_model(architecture)
    found = taken_apart(model, Decoder.of(copy.deepcopy(model)), *tiny_batch())
    assert not found["parted"].any()
    kept = found[found["metric"] != "residual"]
    assert (kept["value"] == 0).all()


def test_another_text_adds_nothing_before_the_texts_part():
    model = tiny_model("llama")
    found = taken_apart(model, pruned_from(model, "dropped"), *tiny_batch())
    tokens = found[found["term"].eq("tokens") & found["metric"].eq("relative")]
    before, after = (tokens[tokens["parted"] == parted]["value"] for parted in (False, True))
    assert len(before)
    assert len(after)
    assert before.max() < 1e-5 < after.min()
    first = found[found["step"] == 0]
    assert not first["parted"].any()


def test_comparison_stops_at_the_first_end():
    model = tiny_model("llama")
    ids, mask = tiny_batch()
    found = taken_apart(model, pruned_from(model, "dropped"), ids, mask, tuple(range(300)))
    assert set(found["step"]) == {0}


@pytest.mark.parametrize("how", ["dropped", "first", "weights"])
@pytest.mark.parametrize("dense_is_host", [True, False])
def test_guest_reads_on_the_history_of_its_host(architecture, how, dense_is_host):
    """Oracle: the guest reads the whole text at once, and at every layer the residual stream of
    all positions but the last is exchanged for the host's."""
    dense = tiny_model(architecture)
    pruned = pruned_from(dense, how)
    host, guest = (Decoder.of(dense), pruned) if dense_is_host else (pruned, Decoder.of(dense))
    ids, mask = tiny_batch()
    reader = Reader(host, mask)
    visitor = Guest(guest, reader)
    reader.read(ids[:, :-2])
    for end in (-1, None):  # two tokens, one after the other: the history grows and is not changed
        token = ids[:, -2:end] if end else ids[:, -1:]
        place = ids.shape[1] - 2 if end else ids.shape[1] - 1
        seen = visitor.read(token).logits
        again = visitor.read(token).logits
        assert torch.equal(seen, again)
        expected = on_exchanged_history(host, guest, ids[:, : place + 1], mask[:, : place + 1])
        assert torch.allclose(seen, expected, atol=2e-4)
        reader.read(token)


def on_exchanged_history(host, guest, ids, mask):
    """Logits (B, V) at the last place of the guest, over the host's states everywhere else."""
    held = {}
    handles = []
    for number, layer in enumerate(host.layers):

        def keep(module, args, keywords, number=number):
            held[number] = args[0] if args else keywords["hidden_states"]

        handles.append(layer.register_forward_pre_hook(keep, with_kwargs=True))
    with torch.inference_mode():
        places = (mask.cumsum(-1) - 1).clamp(min=0)
        host.model(input_ids=ids, attention_mask=mask, position_ids=places, use_cache=False)
    for number, layer in enumerate(guest.layers):

        def exchange(module, args, keywords, number=number):
            own = args[0] if args else keywords["hidden_states"]
            mixed = torch.cat([held[number][:, :-1], own[:, -1:]], dim=1)
            if args:
                return (mixed, *args[1:]), keywords
            return args, keywords | {"hidden_states": mixed}

        handles.append(layer.register_forward_pre_hook(exchange, with_kwargs=True))
    try:
        with torch.inference_mode():
            for handle in handles[: len(host.layers)]:
                handle.remove()
            output = guest.model(
                input_ids=ids, attention_mask=mask, position_ids=places, use_cache=False
            )
            return output.logits[:, -1]
    finally:
        for handle in handles:
            handle.remove()


def test_guest_is_another_network_and_comes_before_its_host_begins():
    decoder, other = (Decoder.of(tiny_model("llama")) for _ in range(2))
    ids, mask = tiny_batch()
    reader = Reader(decoder, mask)
    with pytest.raises(ValueError, match="one network"):
        Guest(decoder, reader)
    reader.read(ids)
    with pytest.raises(ValueError, match="has begun"):
        Guest(other, reader)


def test_hooks_come_off():
    host, guest = (Decoder.of(tiny_model("llama")) for _ in range(2))
    ids, mask = tiny_batch()
    reader = Reader(host, mask)
    Guest(guest, reader)
    reader.read(ids)
    assert not any(module._forward_pre_hooks for module in host.model.modules())


def test_prompt_of_one_token_is_refused():
    model = tiny_model("llama")
    with pytest.raises(InputError, match="a prompt of one token has no history"):
        taken_apart(model, pruned_from(model, "dropped"), *(t[:, -1:] for t in tiny_batch()))


def test_orders_name_each_term_once():
    assert all(sorted(terms) == ["history", "parameters", "tokens"] for terms in TERMS.values())
    assert {names[0] for names in ORDERS.values()} == {"dense"}
    assert {names[-1] for names in ORDERS.values()} == {"free"}
