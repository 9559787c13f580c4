"""Dropped sublayers whose effect runs on to the output, against whole float64 passes in which a
hook takes the sublayer's contribution away."""

import numpy as np
import pytest
import torch
from conftest import ARCHITECTURES, LAYERS, VOCABULARY, tiny_batch, tiny_model
from test_drop import EACH, without_contributions

from chapters.propagation.measure import METRICS, both_interventions, propagation
from helpers.capture.resume import last_state, resumed, states_between, without_each
from helpers.decoding import continued, greedy
from helpers.models import Decoder
from helpers.pruning.drop import dropped, dropped_in
from helpers.spaces import Comparison, Space
from runs.parameters import validate


def final_state(model, ids, without=None):
    """The state before the final norm of one unpadded text (T, d), by hooks alone."""
    decoder, seen = Decoder.of(model), []
    handle = decoder.final_norm.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with without_contributions(decoder, [without] if without else []):
        model(input_ids=ids[None], use_cache=False)
    handle.remove()
    return seen[0].reshape(len(ids), -1)


def rows_of(ids, mask):
    """Each sequence by itself, without its padding."""
    return [row[keep.bool()] for row, keep in zip(ids, mask, strict=True)]


@pytest.mark.parametrize("padded", [False, True])
@torch.inference_mode()
def test_equals_whole_passes_with_the_contribution_taken_away(architecture, padded):
    """One text in float64, to rounding: resuming leaves nothing out. And a padded batch in
    float32, whose texts must not see their padding (in float64 the stock Gemma 2 gives NaN for
    padded rows)."""
    model = tiny_model(architecture).to(torch.float32 if padded else torch.float64)
    decoder = Decoder.of(model)
    ids, mask = tiny_batch()
    if not padded:
        ids, mask = ids[1:2], mask[1:2]
        assert mask.all()
    tolerance = {"rtol": 2e-4, "atol": 2e-4} if padded else {"rtol": 1e-10, "atol": 1e-10}
    between = states_between(decoder, ids, mask)
    found = dict(without_each(decoder, ids, mask, between))
    assert list(found) == EACH
    for row, text in enumerate(rows_of(ids, mask)):
        kept = row, slice(-len(text), None)
        dense = final_state(model, text)
        torch.testing.assert_close(between[-1][kept], dense, **tolerance)
        for place in EACH:
            expected = final_state(model, text, place)
            assert not torch.allclose(expected, dense, rtol=1e-2, atol=1e-2)
            torch.testing.assert_close(found[place][kept], expected, **tolerance)


@torch.inference_mode()
def test_resumed_pass_is_the_whole_pass_bit_for_bit(architecture):
    """In float32 too, on the same batch: starting in the middle changes no number."""
    decoder = Decoder.of(tiny_model(architecture))
    ids, mask = tiny_batch()
    kept = mask.bool()
    between = states_between(decoder, ids, mask)
    for place, state in without_each(decoder, ids, mask, between):
        with dropped(decoder, [place]) as rest:
            assert torch.equal(state[kept], last_state(rest, ids, mask)[kept])


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name != "gpt_neox"])
def test_last_sublayer_is_the_same_in_place_and_at_the_output(architecture):
    """Nothing runs after the last MLP of a sequential model. (In a parallel one the attention
    beside it still reaches the output.)"""
    decoder = Decoder.of(tiny_model(architecture))
    ids, mask = tiny_batch()
    held = both_interventions(decoder, ids, mask, 3)
    in_place, propagated = held["in_place"], held["propagated"]
    assert in_place.tensor.shape[1:] == propagated.tensor.shape[1:]
    comparison = Comparison(decoder.head, decoder.final_norm, 1.0)
    for row in range(len(ids)):
        here = comparison.compare(in_place, row, 2)
        there = comparison.compare(propagated, row, 2)
        for space, metrics in here.items():
            for name in set(METRICS) & set(metrics):
                last = metrics[name][-1], there[space][name][-1]
                torch.testing.assert_close(*last, rtol=1e-4, atol=1e-6)
                assert not torch.allclose(metrics[name][0], there[space][name][0], rtol=1e-3)


def test_model_is_whole_after_each_sublayer_and_after_an_error():
    model = tiny_model("llama")
    decoder = Decoder.of(model)
    ids, mask = tiny_batch()
    before = model(input_ids=ids, attention_mask=mask).logits
    between = states_between(decoder, ids, mask)
    for _ in without_each(decoder, ids, mask, between):
        assert not dropped_in(decoder)
        assert torch.equal(model(input_ids=ids, attention_mask=mask).logits, before)
    with pytest.raises(ZeroDivisionError), resumed(decoder, 2, between[2]):
        raise ZeroDivisionError
    assert torch.equal(model(input_ids=ids, attention_mask=mask).logits, before)


def test_resumed_keeps_a_forward_that_was_set_by_others():
    """A model spread over devices has forwards of its own on each layer."""
    model = tiny_model("llama")
    decoder = Decoder.of(model)
    own = decoder.layers[0].forward
    decoder.layers[0].forward = own
    with resumed(decoder, 2, torch.zeros(1)):
        assert decoder.layers[0].forward is not own
        assert "forward" in vars(decoder.layers[1])
    assert decoder.layers[0].forward is own
    assert "forward" not in vars(decoder.layers[1])


def test_layers_below_do_not_run():
    decoder = Decoder.of(tiny_model("llama"))
    ids, mask = tiny_batch()
    between = states_between(decoder, ids, mask)
    ran = []
    for part in decoder.sublayers:
        part.body.register_forward_hook(lambda *_, place=(part.layer, part.kind): ran.append(place))
    with torch.inference_mode(), resumed(decoder, 2, between[2]):
        last_state(decoder, ids, mask)
    assert ran == [place for place in EACH if place[0] >= 2]


def test_continued_rows_end_together():
    ids, mask = tiny_batch()
    longer, kept = continued(ids, mask, [[7, 8, 9], [], [11]])
    texts = rows_of(longer, kept)
    assert [text.tolist() for text in texts] == [
        row.tolist() + written
        for row, written in zip(rows_of(ids, mask), [[7, 8, 9], [], [11]], strict=True)
    ]
    assert longer.shape == kept.shape == (3, max(map(len, texts)))
    assert all(row.tolist() == sorted(row.tolist()) for row in kept)
    for row in range(3):
        assert kept[row].sum() == len(texts[row])


@torch.inference_mode()
def test_forced_pass_reads_the_states_of_decoding(architecture):
    """One pass over the text that was written step by step gives the logits of each step."""
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    ids, mask = tiny_batch()
    tokens = [[], [], []]
    for step in greedy(model, ids, mask, 4):
        for row, token in enumerate(step.tokens.tolist()):
            tokens[row].append(token)
    state = last_state(decoder, *continued(ids, mask, [row[:-1] for row in tokens]))[:, -4:]
    logits = decoder.head.logits(decoder.final_norm(state).reshape(12, -1))
    assert logits.argmax(-1).reshape(3, 4).tolist() == tokens


def test_measured_numbers_equal_naive_ones(tiny_folder, tmp_path):
    """One row of the table, from the text to the number, by float64 formulas on whole passes."""
    from helpers.models.load import load
    from helpers.texts.data import select_prompts, tokenize

    given = {"model": str(tiny_folder), "device": "cpu", "prompts": "MC2,Gen4", "temperature": 2.0}
    measured = propagation(validate(given | {"max_new_tokens": 3, "results": str(tmp_path)}))
    table = measured.table("deviations", intervention="propagated", lens="normed")
    assert set(table["decoding"]) == {"forced"}
    loaded = load(str(tiny_folder), device="cpu")
    model = loaded.model.double()
    ids, _ = tokenize(select_prompts("Gen4"), loaded.tokenizer, True, "cpu")
    text = ids[0]
    for step in range(2):
        dense = final_state(model, text)[-1]
        for place in EACH:
            other = final_state(model, text, place)[-1]
            vectors = [model.model.norm(state) for state in (dense, other)]
            logits = [model.lm_head(vector) for vector in vectors]
            p, q = (torch.softmax(z / 2.0, -1) for z in logits)
            rows = table[
                (table["prompt"] == "Gen4")
                & (table["step"] == step)
                & (table["layer"] == place[0])
                & (table["sublayer"] == place[1])
                & ~table["centred"]
            ].set_index(["space", "metric"])["value"]
            cosine = torch.nn.functional.cosine_similarity
            expected = {
                ("embedding", "cosine"): cosine(*vectors, dim=0),
                ("logit", "cosine"): cosine(*logits, dim=0),
                ("probability", "cosine"): cosine(p, q, dim=0),
                ("probability", "kl"): (p * (p.log() - q.log())).sum(),
                ("probability", "agreement"): float(logits[0].argmax() == logits[1].argmax()),
            }
            for key, value in expected.items():
                assert np.isclose(rows[key], float(value), rtol=1e-3, atol=1e-6), (place, key)
        text = torch.cat([text, model(input_ids=text[None]).logits[:, -1].argmax(-1)])


def test_tables_hold_every_sublayer_twice(tiny_folder, tmp_path):
    given = {"model": str(tiny_folder), "device": "cpu", "prompts": "MC2,Math1"}
    measured = propagation(validate(given | {"max_new_tokens": 2, "results": str(tmp_path)}))
    rows = measured.table("deviations", metric="agreement")
    counts = rows.groupby(["intervention", "prompt", "step"], observed=True).size()
    assert set(counts) == {2 * LAYERS}
    assert set(rows["value"]) <= {0.0, 1.0}
    chains = measured.manifest["facts"]["chains"]
    assert len(counts) == 2 * chains
    assert {Space(*key) for key in rows[["space", "lens"]].itertuples(index=False, name=None)} == {
        Space("probability", "normed")
    }


def test_head_is_not_part_of_the_pass():
    """Logits of a vocabulary at every position would not fit for a large model."""
    model = tiny_model("llama")
    ids, mask = tiny_batch()
    model.lm_head.register_forward_hook(lambda *_: pytest.fail("the head ran"))
    assert last_state(Decoder.of(model), ids, mask).shape[-1] != VOCABULARY
