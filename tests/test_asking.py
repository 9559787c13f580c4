"""Questions up to where their answers part, and reading them, against plain passes."""

import copy

import pytest
import torch
from conftest import VOCABULARY, tiny_batch, tiny_model

from helpers.errors import InputError
from helpers.evaluation.asking import Asked, asked, last_states
from helpers.models.architecture import Decoder


def text_of(tokenizer, tokens):
    return tokenizer.decode(list(tokens))


@pytest.mark.parametrize("prefix", ["", "It is"])
@pytest.mark.parametrize("template", [True, False])
def test_context_ends_where_the_answer_begins(tiny_tokenizer, prefix, template):
    found = asked(tiny_tokenizer, "Which?", prefix, ["red", "blue"], template)
    said = text_of(tiny_tokenizer, found.context)
    start = "<s>Which?</s>" + prefix if template else " ".join(filter(None, ["Which?", prefix]))
    glue = "" if template and not prefix else " "
    assert said == start + glue
    assert [text_of(tiny_tokenizer, [token]) for token in found.tokens] == ["r", "b"]
    assert found.distinct(2)


def test_what_answers_share_is_read(tiny_tokenizer):
    found = asked(tiny_tokenizer, "Which?", "It is", ["tea", "tin", "tap"], False)
    assert text_of(tiny_tokenizer, found.context) == "Which? It is t"
    assert [text_of(tiny_tokenizer, [token]) for token in found.tokens] == ["e", "i", "a"]


def test_answers_that_no_token_tells_apart(tiny_tokenizer):
    ends = asked(tiny_tokenizer, "Which?", "a", ["pup", "puppy"], False)
    assert ends.tokens[0] is None
    assert not ends.distinct(2)
    alike = asked(tiny_tokenizer, "Which?", "a", ["tea", "toe", "two"], False)
    assert not asked(tiny_tokenizer, "Which?", "a", ["tea", "tie", "tip"], False).distinct(3)
    assert alike.distinct(3)


def test_only_options_decide_where_answers_part(tiny_tokenizer):
    found = asked(tiny_tokenizer, "Which?", "It is", ["tea", "tin", "red"], False, options=2)
    assert text_of(tiny_tokenizer, found.context) == "Which? It is t"
    assert found.tokens[2] is None
    assert found.distinct(2)


def test_no_chat_template_is_one_line(tiny_tokenizer):
    bare = copy.deepcopy(tiny_tokenizer)
    bare.chat_template = None
    with pytest.raises(InputError, match="no chat template"):
        asked(bare, "Which?", "", ["a", "b"], True)


def test_states_are_those_of_each_text_alone(architecture):
    """Shared beginnings, cached and padded, against one plain pass for each text."""
    model = tiny_model(architecture)
    generator = torch.Generator().manual_seed(2)

    def text(length):
        return tuple(torch.randint(3, VOCABULARY, (length,), generator=generator).tolist())

    questions = [
        [start + text(ending) for ending in endings]
        for start, endings in ((text(9), (1, 3)), (text(4), (5, 2)), (text(12), (2, 2)))
    ]
    decoder = Decoder.of(model)
    states = last_states(decoder, questions)
    assert states.shape[:2] == (3, 2)
    read = decoder.head.logits(states.flatten(0, 1)).unflatten(0, (3, 2))
    for question, found in zip(questions, read, strict=True):
        for whole, logits in zip(question, found, strict=True):
            with torch.inference_mode():
                expected = model(torch.tensor([whole])).logits[0, -1].float()
            torch.testing.assert_close(logits, expected, rtol=1e-4, atol=2e-5)


def test_endings_that_share_all_but_nothing_more():
    """One ending may be the beginning of another, and a question may have one ending alone."""
    model = tiny_model("llama")
    decoder = Decoder.of(model)
    whole = (5, 6, 7, 8, 9)
    both = last_states(decoder, [[whole[:3], whole]])[0]
    single = torch.cat([last_states(decoder, [[text]])[0] for text in (whole[:3], whole)])
    torch.testing.assert_close(both, single, rtol=1e-4, atol=1e-5)


def test_order_of_questions_does_not_matter():
    decoder = Decoder.of(tiny_model("llama"))
    questions = [[tuple(range(3, 3 + length))] for length in (4, 30, 9)]
    forward = last_states(decoder, questions)
    torch.testing.assert_close(forward.flip(0), last_states(decoder, questions[::-1]))


def test_distinct_counts_the_first_answers_only():
    assert Asked((1,), (2, 3, 3)).distinct(2)
    assert not Asked((1,), (2, 3, 3)).distinct(3)


@pytest.mark.parametrize("architecture", ["llama", "mistral", "gemma2", "gpt2"])
def test_states_at_ends_are_those_of_whole_passes(architecture):
    """Shared beginnings, padding and windows change nothing."""
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    ids = tiny_batch()[0].tolist()
    stem = tuple(ids[1])
    questions = [
        [(*stem, *row[:cut], 7), (*stem, *row[:cut], 9, 11)]
        for row, cut in zip(ids * 10, range(1, 31), strict=True)
    ]
    found = last_states(decoder, questions)
    assert found.shape[:2] == (30, 2)
    for question, states in zip(questions, found, strict=True):
        for text, state in zip(question, states, strict=True):
            with torch.inference_mode():
                logits = model(torch.tensor([text])).logits[0, -1]
            torch.testing.assert_close(
                decoder.head.logits(state[None])[0], logits, atol=2e-4, rtol=2e-4
            )


def test_one_question_is_read_too():
    model = tiny_model("llama")
    decoder = Decoder.of(model)
    state = last_states(decoder, [[(5, 6, 7)]])[0, 0]
    logits = model(torch.tensor([(5, 6, 7)])).logits[0, -1]
    torch.testing.assert_close(decoder.head.logits(state[None])[0], logits, atol=2e-4, rtol=2e-4)
