"""Answers that the faster lm-eval model writes beside those of lm-eval's own class."""

import random
from typing import Any

import pytest
import torch
from conftest import VOCABULARY, tiny_model
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import PreTrainedTokenizerFast

from helpers.evaluation import refilled
from helpers.evaluation.asked_tasks import asked_task, quiet
from helpers.evaluation.refilled import Writing
from helpers.evaluation.shared_context import language_model
from helpers.evaluation.tasks import TASKS
from helpers.models import Decoder, LoadedModel, load
from helpers.pruning.drop import dropped
from tests.test_shared_context import DROPS, pair

LETTERS = "abcdefghijklmnopqrstuvwxyz .\n"
ROUND = 6
STOPS = ("e", "q", "th", "\n\n", ". ")


def asked(contexts: list[str], most: int = 24, until: tuple[str, ...] = STOPS) -> list[Instance]:
    """What lm-eval asks for after each context."""
    how = {"until": list(until), "do_sample": False, "max_gen_toks": most}
    return [Instance("generate_until", {}, (one, dict(how)), 0) for one in contexts]


def contexts(count: int = 13) -> list[str]:
    """Texts of 1 to 60 letters, some of them twice."""
    chance = random.Random(0)
    lengths = [chance.choice((1, 2, 7, 20, 60)) for _ in range(count)]
    found = ["".join(chance.choice(LETTERS) for _ in range(length)) for length in lengths]
    return [*found, found[0], found[-1]]


def same(ours: HFLM, stock: HFLM, requests: list[Instance]) -> list[str]:
    """The texts of both, which are equal."""
    expected = stock.generate_until(requests, disable_tqdm=True)
    assert ours.generate_until(requests, disable_tqdm=True) == expected
    return expected


@pytest.mark.parametrize("drop", DROPS)
def test_answers_are_those_of_the_stock_class(
    architecture: str, drop: str, tiny_tokenizer: Any
) -> None:
    """Of several lengths, so padded on the left there, with stops of one and of several tokens,
    more texts than seats, and windows that are shorter than the texts."""
    model = tiny_model(architecture)
    with dropped(Decoder.of(model), DROPS[drop]):  # type: ignore[arg-type]
        ours, stock = pair(model, tiny_tokenizer, batch_size=4)
        found = same(ours, stock, asked(contexts()))
        assert len(set(found)) > 3
        assert min(map(len, found)) < max(map(len, found))


@pytest.mark.parametrize("batch_size", [1, 3, 40])
def test_any_number_of_seats_and_any_limit(batch_size: int, tiny_tokenizer: Any) -> None:
    ours, stock = pair(tiny_model("llama"), tiny_tokenizer, batch_size)
    for most in (1, 2, 50):
        same(ours, stock, asked(contexts(6), most))
    same(ours, stock, asked(contexts(6), 40, until=()))
    both = asked(contexts(3), 5) + asked(contexts(5)[3:], 9, until=("o",))
    same(ours, stock, both)  # two kinds of request, in their order


def looping(model: torch.nn.Module, weight: float) -> torch.nn.Module:
    """The model, with a head that prefers the token after the last one, the more so the greater
    the ``weight`` of embeddings beside what sublayers add: it counts round, and leaves at times."""
    with torch.no_grad():
        head, embedding = model.get_output_embeddings(), model.get_input_embeddings()  # type: ignore[operator]
        embedding.weight.copy_(weight * torch.randn_like(embedding.weight))
        tokens = torch.arange(VOCABULARY)
        turned = embedding.weight[tokens // ROUND * ROUND + (tokens + ROUND - 1) % ROUND]
        head.weight.copy_(turned)
    return model


def test_loops_are_read_in_strides_and_left_when_the_model_leaves_them(
    tiny_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that loops writes the same with far fewer passes than tokens."""
    passes: list[int] = []
    read = refilled.Seats.read

    def counted(self: Any, decoder: Any, seats: Any, starts: Any, more: Any) -> Any:
        passes.append(max(map(len, more)))
        return read(self, decoder, seats, starts, more)

    monkeypatch.setattr(refilled.Seats, "read", counted)
    model = looping(tiny_model("llama", tie_word_embeddings=False), 6.0)
    ours, stock = pair(model, tiny_tokenizer, batch_size=2)
    found = same(ours, stock, asked(contexts(3), 150, until=("~",)))
    assert max(map(len, found)) > 100
    assert len(passes) < 2 / 3 * len(found) * 150 / 2  # token by token, two texts at a time
    assert max(passes[5:]) >= 16


def test_what_was_cut_off_is_told(tiny_tokenizer: Any) -> None:
    ours, stock = pair(tiny_model("llama"), tiny_tokenizer)
    counts = []
    for most in (2, 30):
        requests = asked(contexts(), most)
        found = dict(
            zip((one.args[0] for one in requests), same(ours, stock, requests), strict=True)
        )
        longer = stock.generate_until(asked(list(found), most + 20), disable_tqdm=True)
        grew = {one for one, more in zip(found, longer, strict=True) if len(more) > len(found[one])}
        assert grew <= ours.cut_off  # type: ignore[attr-defined]
        assert all(not any(stop in found[one] for stop in STOPS) for one in ours.cut_off)  # type: ignore[attr-defined]
        counts.append(len(ours.cut_off))  # type: ignore[attr-defined]
    assert counts[0] > counts[1] > 0


def test_left_to_the_stock_class(tiny_tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampling, a penalty on what was said before, and contexts without tokens."""
    model = tiny_model("llama")
    ours, stock = pair(model, tiny_tokenizer)
    monkeypatch.setattr(refilled.RefilledLM, "_group", None)
    sampled = asked(contexts(3))
    for one in sampled:
        one.args[1].update(do_sample=True, temperature=0.7)
    torch.manual_seed(0)
    expected = stock.generate_until(sampled, disable_tqdm=True)
    torch.manual_seed(0)
    assert ours.generate_until(sampled, disable_tqdm=True) == expected
    model.generation_config.repetition_penalty = 1.3  # type: ignore[union-attr]
    same(ours, stock, asked(contexts(3)))


def test_long_contexts_are_cut_as_the_stock_class_does(tiny_tokenizer: Any) -> None:
    ours, stock = pair(tiny_model("llama", max_position_embeddings=48), tiny_tokenizer)
    same(ours, stock, asked(["a" * 70, "b", "house " * 9], 20))


def test_guesses_go_on_as_the_text_did_before() -> None:
    text = Writing(0, [9, 1, 2, 3, 4, 5])
    assert text.guess(3) == []
    assert not text.write([1, 2, 3], 10, frozenset({7}))
    assert text.guess(8) == [4, 5, 1, 2, 3, 4, 5, 1]
    assert text.write([4, 7, 5], 10, frozenset({7}))
    assert text.written == [1, 2, 3, 4, 7]
    assert Writing(0, [1]).write([2, 3, 4], 2, frozenset())


def test_trust_follows_what_was_right() -> None:
    good, bad = Writing(0, [1]), Writing(1, [1])
    assert good.expected(1) == 0.5
    assert good.expected(0) == 0
    for _ in range(8):
        good.learn(8, 8)
        bad.learn(0, 1)
    assert good.expected(32) > 20
    assert bad.expected(32) < 0.3
    for _ in range(40):
        bad.learn(0, 0)
    assert bad.expected(1) == pytest.approx(0.5, abs=0.01)  # it is tried again


@pytest.fixture(scope="module")
def embedded() -> LoadedModel:
    return load("smollm2-135m", device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["asdiv", "humaneval"])
@pytest.mark.parametrize("count", [0, 8])
def test_tasks_on_the_embedded_model(name: str, count: int, embedded: LoadedModel) -> None:
    """Dense, and with eight attention sublayers dropped; answers of up to 96 tokens."""
    task = asked_task(TASKS[name], 8, 0, seed=0)
    if name == "humaneval":
        task.set_config("generation_kwargs", {"max_gen_toks": 96}, update=True)
    with quiet():
        task.build_all_requests()
    places = [(layer, "attention") for layer in range(20, 20 + count)]
    with dropped(embedded.decoder, places):  # type: ignore[arg-type]
        ours, stock = (language_model(embedded, 4, stock=stock) for stock in (False, True))
        same(ours, stock, task.instances)


def test_another_tokenizer_end(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    """A model whose own end token is another than the tokenizer's ends at either."""
    model = tiny_model("llama", eos_token_id=20)
    ours, stock = pair(model, tiny_tokenizer, batch_size=1)
    same(ours, stock, asked(contexts(8), 60, until=("zz",)))
