import pytest
import torch
from conftest import tiny_batch, tiny_model

from helpers.decoding import end_tokens, greedy


def texts(model, ids, mask, steps, ends, use_cache):
    written = [[] for _ in ids]
    for step in greedy(model, ids, mask, steps, ends, use_cache):
        for row, token in zip(step.rows.tolist(), step.tokens.tolist(), strict=True):
            written[row].append(token)
    return written


@pytest.mark.parametrize("use_cache", [True, False])
def test_equals_generate_token_for_token(architecture, use_cache):
    model = tiny_model(architecture)
    ids, mask = tiny_batch()
    plain = texts(model, ids, mask, 12, (), True)
    ends = (plain[0][3],)  # a token that the first text holds, so that one sequence ends early
    expected = model.generate(
        ids, attention_mask=mask, max_new_tokens=12, do_sample=False, eos_token_id=list(ends)
    )[:, ids.shape[1] :].tolist()
    written = texts(model, ids, mask, 12, ends, use_cache)
    assert written[0][-1] == ends[0]
    for ours, theirs in zip(written, expected, strict=True):
        assert ours == theirs[: len(ours)]
        assert len(ours) == 12 or ours[-1] in ends


def test_batched_equals_single():
    model = tiny_model("gpt2")
    ids, mask = tiny_batch()
    batched = texts(model, ids, mask, 8, (), True)
    for row in range(len(ids)):
        kept = mask[row].bool()
        alone = texts(model, ids[row : row + 1, kept], mask[row : row + 1, kept], 8, (), True)
        assert alone[0] == batched[row]


def test_stops_when_all_have_ended():
    model = tiny_model("llama")
    ids, mask = tiny_batch()
    every_token = tuple(range(model.config.vocab_size))
    assert [step.number for step in greedy(model, ids, mask, 9, every_token)] == [0]


def test_end_tokens_of_model_and_tokenizer(tiny_tokenizer):
    model = tiny_model("llama")
    assert end_tokens(model, tiny_tokenizer) == (2,)
    model.generation_config.eos_token_id = [5, 7]
    assert end_tokens(model, tiny_tokenizer) == (5, 7, 2)
    model.generation_config.eos_token_id = None
    assert end_tokens(model, tiny_tokenizer) == (tiny_tokenizer.eos_token_id,)
    assert torch.tensor(end_tokens(model, tiny_tokenizer)).ndim == 1
