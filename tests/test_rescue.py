"""A pruned model that is helped now and then: greedy texts as the oracle, and plain passes."""

import copy

import pytest
import torch
from conftest import tiny_batch, tiny_model

from chapters.decisions.measure import Helped, helped_at
from helpers.decoding import Reader
from helpers.models.architecture import Decoder
from helpers.pruning.drop import drop
from measurements.generation import Pairing

STEPS = 9


def pair(architecture="llama"):
    model = tiny_model(architecture)
    return Decoder.of(model), drop(Decoder.of(copy.deepcopy(model)), ((1, "attention"), (2, "mlp")))


def written(dense, pruned, **options):
    """Texts by writer and k."""
    helped = Helped(dense, pruned, *tiny_batch(), **options)
    return {
        (writer, each): writing
        for (writer, each), writing in zip(
            [*helped.kinds, ("forced", 0)], helped.run(STEPS), strict=True
        )
    }


def test_always_helped_is_the_dense_text_and_never_helped_the_pruned_one(architecture):
    dense, pruned = pair(architecture)
    pairing = Pairing(dense, pruned, *tiny_batch())
    pairing.run(STEPS, 1.0)
    assert pairing.written[0] != pairing.written[1]
    found = written(dense, pruned, every=(1, STEPS + 1), control=STEPS + 1)
    assert found["dense", 1].written == pairing.written[0]
    assert found["pruned", 1].written == pairing.written[0]
    for alone in (("pruned", 0), ("pruned", STEPS + 1), ("control", STEPS + 1)):
        assert found[alone].written == pairing.written[1]
    kept = {key: (one.writer, one.every) for key, one in found.items()}
    assert kept["dense", 1] == ("dense", 0)  # as every table of tokens has it
    assert all(key == value for key, value in kept.items() if key[0] != "dense")


@pytest.mark.parametrize("every", [2, 3])
def test_each_token_equals_a_plain_pass_over_the_text_before_it(every):
    """Oracle: the stock models read whole texts anew at every step."""
    dense, pruned = pair("qwen2")
    found = written(dense, pruned, every=(every,), control=every)
    ids, mask = tiny_batch()
    changed = 0
    for writer in ("pruned", "control", "forced"):
        one = found[writer, 0 if writer == "forced" else every]
        for row, (text, values) in enumerate(zip(one.written, one.likelihoods, strict=True)):
            prompt = ids[row][mask[row].bool()].tolist()
            history = found["dense", 1].written[row] if writer == "forced" else text
            assert len(text) == len(values) == STEPS
            for step, token in enumerate(text):
                read = torch.tensor([prompt + history[:step]])
                z, own = (
                    decoder.model(input_ids=read).logits[0, -1] for decoder in (dense, pruned)
                )
                order = own.argsort(descending=True).tolist()
                wanted = order[0]
                if writer != "forced" and helped_at(step, every):
                    wanted = order[1] if writer == "control" else int(z.argmax())
                    changed += wanted != order[0]
                assert token == wanted
                likely = float(z.double().log_softmax(-1)[token])
                assert float(values[step]) == pytest.approx(likely, abs=1e-4)
    assert changed > STEPS


def test_stops_at_the_end_of_each_text():
    dense, pruned = pair()
    whole = written(dense, pruned)
    end = whole["pruned", 2].written[0][3]
    ended = written(dense, pruned, ends=(end,))
    for key, one in ended.items():
        ending = whole["dense", 1] if key[0] == "forced" else whole[key]
        for text, values, before, ended_by in zip(
            one.written, one.likelihoods, whole[key].written, ending.written, strict=True
        ):
            length = ended_by.index(end) + 1 if end in ended_by else STEPS
            assert text == before[:length]
            assert len(values) == length


@pytest.mark.parametrize("use_cache", [True, False])
def test_copies_of_texts_read_on_as_each_text_alone(architecture, use_cache):
    """With attention layers dropped, whose caches are placeholders; copies read unlike tokens."""
    pruned = drop(Decoder.of(tiny_model(architecture)), ((0, "attention"), (2, "attention")))
    ids, mask = tiny_batch()
    reader = Reader(pruned, mask, use_cache)
    reader.read(ids)
    reader.copy_texts(2)
    more = torch.tensor([[5, 6], [7, 8], [9, 10], [11, 12], [13, 14], [15, 16]])
    reader.read(more[:, :1])
    together = reader.read(more[:, 1:]).logits
    for row in range(6):
        kept = mask[row % 3].bool()
        text = torch.cat([ids[row % 3][kept], more[row]])[None]
        alone = Reader(pruned, torch.ones_like(text)).read(text).logits[0]
        assert torch.allclose(together[row], alone, atol=1e-4)


def test_help_comes_at_multiples():
    assert [step for step in range(9) if helped_at(step, 3)] == [2, 5, 8]
    assert all(helped_at(step, 1) for step in range(9))
    assert not any(helped_at(step, 0) for step in range(9))
