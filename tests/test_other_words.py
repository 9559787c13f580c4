"""An unpruned model against itself after its second choice: Hugging Face writes the oracle."""

import torch
from conftest import tiny_batch, tiny_model

from chapters.multi_scale_effects.measure import compared
from helpers.models.architecture import Decoder
from helpers.spaces import Comparison

STEPS = 6


def outputs(model, prompt, tokens):
    """Logits (len(tokens), V) of a text without padding: before each token, given all earlier."""
    read = torch.cat([prompt, torch.tensor(tokens[:-1], dtype=torch.long)])
    return model(read[None]).logits[0, len(prompt) - 1 :]


def test_kl_equals_that_of_texts_that_generate_writes(architecture):
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    ids, mask = tiny_batch()
    comparison = Comparison(decoder.head, decoder.final_norm, 1.0)
    rows, kinds, values = compared(decoder, comparison, ids, mask, STEPS)
    assert sorted(rows) == [(row, step) for row in range(3) for step in range(STEPS)]
    place = [(space.space, *rest) for space, *rest in kinds].index(
        ("probability", "kl", "measured")
    )
    found = {where: float(numbers[place]) for where, numbers in zip(rows, values, strict=True)}
    for row in range(3):
        prompt = ids[row][mask[row].bool()]
        first = model(prompt[None]).logits[0, -1].topk(2).indices.tolist()
        texts = []
        for token in first:
            begun = torch.cat([prompt, torch.tensor([token])])
            written = model.generate(
                begun[None], max_new_tokens=STEPS - 1, do_sample=False, eos_token_id=None
            )
            texts.append(written[0, len(prompt) :].tolist())
        p, q = (outputs(model, prompt, text).double().log_softmax(-1) for text in texts)
        expected = (p.exp() * (p - q)).sum(-1)
        ours = torch.tensor([found[row, step] for step in range(STEPS)])
        torch.testing.assert_close(ours.double(), expected, rtol=1e-3, atol=1e-6)
        assert found[row, 0] == 0


def test_a_text_counts_until_either_of_both_has_ended():
    model = tiny_model("llama")
    decoder = Decoder.of(model)
    ids, mask = tiny_batch()
    comparison = Comparison(decoder.head, decoder.final_norm, 1.0)
    second = int(model(ids[1:2]).logits[0, -1].topk(2).indices[1])
    rows, _, _ = compared(decoder, comparison, ids[1:2], mask[1:2], STEPS, ends=(second,))
    assert rows == [(0, 0)]
