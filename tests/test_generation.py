"""Two models that write side by side: exact copies, partings, and Hugging Face as the oracle."""

import copy

import numpy as np
import pytest
import torch
from conftest import VOCABULARY, tiny_batch, tiny_model
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from helpers.decoding import Reader, Sampler, likeliest, lockstep, log_likelihoods, two_likeliest
from helpers.models.architecture import Decoder
from helpers.pruning import Recipe, prune
from helpers.pruning.drop import drop
from measurements.decisions import decisions
from measurements.generation import Pairing
from measurements.token_table import pieces

STEPS = 10


def pruned_from(model, how):
    """A pruned copy of a tiny model: some sublayers dropped, or half of the weights."""
    decoder = Decoder.of(copy.deepcopy(model))
    if how == "weights":
        prune(decoder, Recipe("magnitude", 0.4), reversible=False, progress=False)
        return decoder
    return drop(decoder, ((0, "attention"), (2, "mlp")) if how == "first" else ((1, "attention"),))


def paired(model, pruned, ids, mask, **options):
    pairing = Pairing(Decoder.of(model), pruned, ids, mask, **options)
    pairing.run(STEPS, 1.0)
    return pairing


def column(pairing, decoding, space, metric):
    """Text and step → one number."""
    place = next(
        number
        for number, (where, name, quantity) in enumerate(pairing.kinds)
        if where.space == space and name == metric and not where.centred and quantity == "measured"
    )
    rows = zip(pairing.rows[decoding], pairing.values[decoding], strict=True)
    return {where: numbers[place] for where, numbers in rows}


@pytest.mark.parametrize("how", ["dropped", "first", "weights"])
def test_texts_equal_generate_token_for_token(architecture, how):
    """Dense and pruned, 3 texts padded on the left and each alone."""
    model = tiny_model(architecture)
    pruned = pruned_from(model, how)
    ids, mask = tiny_batch()
    pairing = paired(model, pruned, ids, mask)
    for written, oracle in zip(pairing.written, (model, pruned.model), strict=True):
        expected = oracle.generate(
            ids, attention_mask=mask, max_new_tokens=STEPS, do_sample=False, eos_token_id=None
        )[:, ids.shape[1] :]
        assert written == expected.tolist()
    alone = paired(model, pruned, ids[1:2], mask[1:2])
    assert [texts[0] for texts in alone.written] == [texts[1] for texts in pairing.written]


def test_twelve_texts_at_once_equal_generate():
    model = tiny_model("llama")
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(3, VOCABULARY, (12, 11), generator=generator)
    mask = torch.ones_like(ids)
    for row in range(12):
        mask[row, : row % 6] = 0
    pruned = pruned_from(model, "dropped")
    pairing = paired(model, pruned, ids, mask)
    for written, oracle in zip(pairing.written, (model, pruned.model), strict=True):
        expected = oracle.generate(
            ids, attention_mask=mask, max_new_tokens=STEPS, do_sample=False, eos_token_id=None
        )
        assert written == expected[:, ids.shape[1] :].tolist()


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("rows", [slice(None), slice(1, 2)])
def test_exact_copy_deviates_nowhere(architecture, use_cache, rows):
    model = tiny_model(architecture)
    ids, mask = (tensor[rows] for tensor in tiny_batch())
    pairing = paired(model, Decoder.of(copy.deepcopy(model)), ids, mask, use_cache=use_cache)
    assert pairing.written[0] == pairing.written[1]
    for decoding in ("free", "forced"):
        assert len(pairing.rows[decoding]) == len(ids) * STEPS
        for space in ("embedding", "logit", "probability"):
            assert set(column(pairing, decoding, space, "angular").values()) == {0.0}
        for metric, value in (("kl", 0.0), ("agreement", 1.0), ("rank", 1.0)):
            assert set(column(pairing, decoding, "probability", metric).values()) == {value}


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("how", ["dropped", "weights"])
def test_texts_part_at_the_first_forced_mismatch(architecture, how, sampled):
    """Always: up to there both models have read the same tokens."""
    model = tiny_model(architecture)
    ids, mask = tiny_batch()
    choose = Sampler([(3, "a"), (3, "b"), (4, "a")], 1.0) if sampled else likeliest
    pairing = paired(model, pruned_from(model, how), ids, mask, choose=choose)
    same = column(pairing, "forced", "probability", "choice")
    partings = 0
    for row, (ours, theirs) in enumerate(zip(*pairing.written, strict=True)):
        differ = [
            step for step, pair in enumerate(zip(ours, theirs, strict=True)) if len({*pair}) > 1
        ]
        missed = [step for step in range(STEPS) if not same[row, step]]
        assert (differ or [None])[0] == (missed or [None])[0]
        partings += bool(differ)
    assert partings


def test_free_and_forced_are_the_same_until_the_parting_and_then_not():
    model = tiny_model("llama")
    pairing = paired(model, pruned_from(model, "weights"), *tiny_batch())
    free, forced = (column(pairing, name, "probability", "kl") for name in ("free", "forced"))
    same = column(pairing, "forced", "probability", "choice")
    for row in range(3):
        parting = next(step for step in range(STEPS) if not same[row, step])
        for step in range(parting + 1):
            assert free[row, step] == forced[row, step]
        assert any(free[row, step] != forced[row, step] for step in range(parting + 1, STEPS))


def test_numbers_equal_plain_ones_on_full_passes():
    """Oracle: whole texts read at once by the stock model, plain formulas in float64."""
    model = tiny_model("qwen2")
    pruned = pruned_from(model, "dropped")
    ids, mask = tiny_batch()
    pairing = paired(model, pruned, ids, mask)
    with torch.inference_mode():
        for row in range(3):
            prompt = ids[row][mask[row].bool()]
            read = {}
            for name, network, text in (
                ("dense", model, pairing.written[0][row]),
                ("forced", pruned.model, pairing.written[0][row]),
                ("free", pruned.model, pairing.written[1][row]),
            ):
                whole = torch.cat([prompt, torch.tensor(text)])[None]
                read[name] = network(input_ids=whole).logits[0, len(prompt) - 1 : -1].double()
            log_p = read["dense"].log_softmax(-1)
            for decoding in ("free", "forced"):
                log_q = read[decoding].log_softmax(-1)
                kl = (log_p.exp() * (log_p - log_q)).sum(-1)
                found = column(pairing, decoding, "probability", "kl")
                entropy = column(pairing, decoding, "probability", "entropy_pruned")
                place = column(pairing, decoding, "probability", "rank")
                for step in range(STEPS):
                    assert found[row, step] == pytest.approx(float(kl[step]), rel=1e-3, abs=1e-8)
                    plain = -(log_q[step].exp() * log_q[step]).sum()
                    assert entropy[row, step] == pytest.approx(float(plain), rel=1e-4)
                    choice = int(read["dense"][step].argmax())
                    order = read[decoding][step].argsort(descending=True).tolist()
                    assert place[row, step] == 1 + order.index(choice)


def test_stops_at_the_end_of_each_text():
    """Free is compared while both texts run, forced while the dense one does."""
    model = tiny_model("llama")
    pruned = pruned_from(model, "weights")
    ids, mask = tiny_batch()
    whole = paired(model, pruned, ids, mask)
    end = whole.written[0][0][3]
    pairing = paired(model, pruned, ids, mask, ends=(end,))
    for row in range(3):
        lengths = []
        for texts, before in zip(pairing.written, whole.written, strict=True):
            wanted = before[row].index(end) + 1 if end in before[row] else STEPS
            assert texts[row] == before[row][:wanted]
            lengths.append(wanted)
        steps = {
            name: [step for text, step in pairing.rows[name] if text == row]
            for name in ("free", "forced")
        }
        assert sorted(steps["free"]) == list(range(min(lengths)))
        assert sorted(steps["forced"]) == list(range(lengths[0]))


def test_likelihoods_equal_the_stock_model():
    model = tiny_model("gpt_neox")
    ids, mask = tiny_batch()
    written = [[5, 9, 11], [], [7]]
    found = log_likelihoods(Decoder.of(model), ids, mask, written)
    for row, tokens in enumerate(written):
        prompt = ids[row][mask[row].bool()]
        text = torch.cat([prompt, torch.tensor(tokens, dtype=torch.long)])[None]
        log_p = model(input_ids=text).logits[0].double().log_softmax(-1)
        plain = [float(log_p[len(prompt) - 1 + n, token]) for n, token in enumerate(tokens)]
        assert found[row].tolist() == pytest.approx(plain, abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 3.0))
@example(209_881, 0.3046875)  # one token is expected a fifth of a time, and came
def test_drawn_tokens_follow_the_softmax(seed, temperature):
    """Frequencies over many prompts against softmax(z/T), by a chi-squared bound; tokens that are
    expected fewer than five times count together, with the likeliest."""
    rows = [(seed, f"prompt {number}") for number in range(4000)]
    z = torch.tensor([1.0, 0.0, -1.0, 2.0, 0.5])
    drawn = Sampler(rows, temperature)(0, z.expand(len(rows), -1))
    expected = len(rows) * (z / temperature).softmax(-1).numpy()
    counts = np.bincount(drawn.numpy(), minlength=5)
    cells = np.where(expected < 5, expected.argmax(), np.arange(5))
    expected, counts = (np.bincount(cells, each, minlength=5) for each in (expected, counts))
    statistic = np.nansum((counts - expected) ** 2 / np.where(expected > 0, expected, np.nan))
    assert statistic < 35  # at most 4 degrees of freedom: exceeded once in two million


def test_copies_of_a_prompt_are_texts_of_their_own():
    """Read once and written on twice, as if each prompt stood in the batch twice."""
    model = tiny_model("gemma2")
    pruned = pruned_from(model, "first")
    ids, mask = tiny_batch()
    rows = [(seed, name) for seed in (1, 2) for name in "abc"]
    plain = paired(model, pruned, ids.repeat(2, 1), mask.repeat(2, 1), choose=Sampler(rows, 0.7))
    once = paired(model, pruned, ids, mask, choose=Sampler(rows, 0.7), copies=2)
    assert once.written == plain.written
    assert once.rows == plain.rows
    for decoding in ("free", "forced"):
        assert np.stack(once.values[decoding]) == pytest.approx(
            np.stack(plain.values[decoding]), rel=1e-3, abs=1e-4
        )


def test_no_draw_is_infinite():
    """An exponential of exactly 0 would let a token win whatever its logit is."""
    rows = [(seed, "prompt") for seed in range(250)]
    noise = Sampler(rows, 1.0)._drawn(0, 100_000)  # float32 would hold about three zeros
    assert noise.isfinite().all()
    assert noise.max() < 30


def test_equal_logits_are_no_disagreement():
    """Among equals the lowest index is the choice, in greedy decoding and in what is measured."""
    z = torch.tensor([[1.0, 1.0, 0.0], [0.0, 2.0, 2.0]])
    first, second = two_likeliest(z)
    assert first.tolist() == likeliest(0, z).tolist() == [0, 1]
    assert second.tolist() == [1, 2]
    found = decisions(z, z)
    assert found["agreement"].tolist() == found["rank"].tolist() == [1.0, 1.0]
    assert found["margin"].tolist() == found["margin_pruned"].tolist() == [0.0, 0.0]


def test_draws_depend_on_seed_prompt_and_step_alone():
    z = torch.randn(2, 50, generator=torch.Generator().manual_seed(0))
    both = Sampler([(1, "a"), (1, "b")], 1.0)
    assert both(4, z).tolist() == Sampler([(1, "a"), (1, "b")], 1.0)(4, z).tolist()
    assert int(Sampler([(1, "b")], 1.0)(4, z[1:])[0]) == int(both(4, z)[1])
    flat = torch.zeros(2, 50)
    drawn = {
        tuple(Sampler([(seed, "a"), (seed, "b")], 1.0)(step, flat).tolist())
        for seed in range(3)
        for step in range(3)
    }
    assert len(drawn) == 9


def test_readers_stay_in_step_with_their_own_texts():
    """Two readers of one model on different texts do not disturb each other."""
    model = tiny_model("mistral")
    ids, mask = tiny_batch()
    decoder = Decoder.of(model)
    fixed = torch.full((3,), 9)
    readers = {"own": Reader(decoder, mask), "given": Reader(decoder, mask)}

    def decide(number, held):
        return {"own": likeliest(number, held["own"].logits), "given": fixed}

    for step in lockstep(readers, ids, 6, decide):
        text = torch.cat([ids, fixed[:, None].expand(3, step.number)], dim=-1)
        whole = torch.cat([mask, torch.ones(3, step.number, dtype=mask.dtype)], dim=-1)
        plain = Reader(decoder, whole).read(text)
        assert torch.allclose(step.held["given"].logits, plain.logits, atol=1e-4)


def test_pieces_of_a_text_keep_its_spaces(tiny_tokenizer):
    """Also where a tokenizer marks the beginnings of words and drops the first space."""
    sentencepiece = Tokenizer(models.WordLevel({"▁a": 0, "▁word": 1, "s": 2}, unk_token="s"))
    sentencepiece.decoder = decoders.Metaspace()
    words = PreTrainedTokenizerFast(tokenizer_object=sentencepiece)
    assert words.decode([1]) == "word"
    assert pieces(words, [0, 1, 2, 1]) == ["a", " word", "s", " word"]
    ids = tiny_tokenizer("Ünder the hat", add_special_tokens=False)["input_ids"]
    assert len(pieces(tiny_tokenizer, ids)) == len(ids)
    plain = tiny_tokenizer("under the hat", add_special_tokens=False)["input_ids"]
    assert "".join(pieces(tiny_tokenizer, plain)) == tiny_tokenizer.decode(plain)
