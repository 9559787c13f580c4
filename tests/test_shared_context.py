"""Scores of the faster lm-eval model beside those of lm-eval's own class."""

import random
from typing import Any

import pytest
import torch
from conftest import VOCABULARY, tiny_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from helpers.evaluation import shared_context, text_tree
from helpers.evaluation.asked_tasks import asked_task, quiet
from helpers.evaluation.shared_context import SharedContextLM, language_model
from helpers.evaluation.tasks import TASKS
from helpers.evaluation.text_tree import Row
from helpers.models import Decoder, LoadedModel, load
from helpers.pruning.drop import dropped

TOLERANCE = 1e-4  # nats
WINDOWED = tiny_model("gemma2")


def loaded(model: torch.nn.Module, tokenizer: Any) -> LoadedModel:
    """A model in memory as :func:`helpers.models.load` gives it."""
    return LoadedModel("tiny", model, tokenizer, Decoder.of(model), "")


def pair(model: torch.nn.Module, tokenizer: Any, batch_size: int = 8) -> tuple[HFLM, HFLM]:
    """Ours and lm-eval's own."""
    both = loaded(model, tokenizer)
    stock = language_model(both, batch_size, stock=True)
    assert type(stock) is HFLM
    return language_model(both, batch_size), stock


def same(found: list[Any], expected: list[Any]) -> None:
    """Scores equal to rounding, and what greedy decoding would write equal."""
    assert len(found) == len(expected)
    for (score, greedy), (their_score, their_greedy) in zip(found, expected, strict=True):
        assert score == pytest.approx(their_score, abs=TOLERANCE, rel=1e-6)
        assert greedy is their_greedy


def requests(model: Any = None) -> list[tuple[None, list[int], list[int]]]:
    """Tokens of 7 questions: common beginnings, duplicates, one-token and long answers, answers
    that begin alike, and some that greedy decoding writes."""
    chance = random.Random(0)

    def tokens(count: int) -> list[int]:
        return [chance.randrange(3, VOCABULARY) for _ in range(count)]

    shots = tokens(40)
    found = []
    for number in range(7):
        context = (shots if number % 3 else []) + tokens(chance.choice((1, 3, 9, 40)))
        begun = tokens(2)
        answers = [tokens(1), tokens(1), tokens(5), begun + tokens(1), begun + tokens(12), begun]
        if model is not None:
            ids = torch.tensor([context])
            for _ in range(3):
                ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], dim=1)
            greedy = ids[0, len(context) :].tolist()
            answers += [greedy, greedy[:1], [*greedy[:2], *tokens(1)]]
        found += [(None, context, answer) for answer in answers]
    return [*found, *found[:7]]


@pytest.fixture
def small_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few tokens in a row that a handful of questions has trunks and many rows."""
    for name, value in {"ROW": 24, "TRUNK": 8, "CROWN": 40}.items():
        monkeypatch.setattr(text_tree, name, value)


DROPS = {
    "dense": (),
    "first attention": ((0, "attention"),),
    "second attention": ((1, "attention"),),
    "blocks": ((0, "attention"), (0, "mlp"), (2, "attention"), (2, "mlp"), (3, "mlp")),
}


@pytest.mark.parametrize("drop", DROPS)
def test_scores_are_those_of_the_stock_class(
    architecture: str, drop: str, tiny_tokenizer: Any, small_rows: None
) -> None:
    model = tiny_model(architecture)
    with dropped(Decoder.of(model), DROPS[drop]):  # type: ignore[arg-type]
        ours, stock = pair(model, tiny_tokenizer)
        asked = requests(model)
        expected = stock._loglikelihood_tokens(asked, disable_tqdm=True)
        same(ours._loglikelihood_tokens(asked, disable_tqdm=True), expected)
        assert sum(greedy for _, greedy in expected) >= 2 * 7


def test_windows_that_texts_fit_in(tiny_tokenizer: Any, small_rows: None) -> None:
    for architecture in ("mistral", "gemma2"):
        model = tiny_model(architecture, sliding_window=50)
        ours, stock = pair(model, tiny_tokenizer)
        asked = requests()
        expected = stock._loglikelihood_tokens(asked, disable_tqdm=True)
        same(ours._loglikelihood_tokens(asked, disable_tqdm=True), expected)


def test_usual_row_sizes_and_any_order(tiny_tokenizer: Any) -> None:
    ours, stock = pair(tiny_model("llama"), tiny_tokenizer)
    asked = requests()
    found = ours._loglikelihood_tokens(asked, disable_tqdm=True)
    same(found, stock._loglikelihood_tokens(asked, disable_tqdm=True))
    turned = ours._loglikelihood_tokens(asked[::-1], disable_tqdm=True)
    assert turned[::-1] == found  # bit for bit


def test_long_texts_are_cut_as_the_stock_class_does(tiny_tokenizer: Any, small_rows: None) -> None:
    ours, stock = pair(tiny_model("llama", max_position_embeddings=32), tiny_tokenizer)
    assert ours.max_length == 32
    asked = [request for request in requests() if len(request[2]) <= 32]
    asked += [(None, list(range(5, 40)), list(range(50, 50 + count))) for count in (1, 31, 32)]
    assert max(len(context) + len(answer) for _, context, answer in asked) > 80
    expected = stock._loglikelihood_tokens(asked, disable_tqdm=True)
    same(ours._loglikelihood_tokens(asked, disable_tqdm=True), expected)


def test_each_answer_is_scored_at_its_own_places(tiny_tokenizer: Any) -> None:
    model = tiny_model("llama")
    ours = language_model(loaded(model, tiny_tokenizer))
    asked = [(None, [5, 6, 7, 8], [9]), (None, [5, 6], [7, 8, 9]), (None, [5], [6, 7, 8, 9])]
    alone = model(torch.tensor([[5, 6, 7, 8]])).logits[0].double().log_softmax(-1)
    steps = [float(alone[place, token]) for place, token in enumerate((6, 7, 8, 9))]
    found = ours._loglikelihood_tokens(asked, disable_tqdm=True)
    assert [score for score, _ in found] == pytest.approx(
        [steps[3], sum(steps[1:]), sum(steps)], abs=TOLERANCE
    )


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    pairs=st.lists(
        st.tuples(
            st.lists(st.integers(3, 5), min_size=1, max_size=14),
            st.lists(st.integers(3, 5), min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=20,
    ),
    batch_size=st.integers(1, 5),
)
def test_any_token_lists(pairs: list, batch_size: int, tiny_tokenizer: Any) -> None:
    both = loaded(WINDOWED, tiny_tokenizer)
    alone = HFLM(both.model, tokenizer=tiny_tokenizer, batch_size=8, logits_cache=False)
    asked = [(None, context, answer) for context, answer in pairs]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"ROW": 8, "TRUNK": 2, "CROWN": 10}.items():
            patch.setattr(text_tree, name, value)
        found = language_model(both, batch_size)._loglikelihood_tokens(asked, disable_tqdm=True)
    same(found, alone._loglikelihood_tokens(asked, disable_tqdm=True))


def test_requests_in_words_empty_contexts_and_rolling_texts(tiny_tokenizer: Any) -> None:
    ours, stock = pair(tiny_model("qwen2"), tiny_tokenizer)
    words = [("", "a"), ("", "a house"), ("The sky is", " blue"), ("The sky is ", "low"), ("", "b")]
    asked = [Instance("loglikelihood", {}, arguments, 0) for arguments in words]
    expected = stock.loglikelihood(asked, disable_tqdm=True)
    same(ours.loglikelihood(asked, disable_tqdm=True), expected)
    rolling = [Instance("loglikelihood_rolling", {}, (text * 40,), 0) for text in ("a house ", "b")]
    expected = stock.loglikelihood_rolling(rolling, disable_tqdm=True)
    found = ours.loglikelihood_rolling(rolling, disable_tqdm=True)
    assert found == pytest.approx(expected, abs=1e-3)


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    budget=st.integers(1, 400),
    start=st.integers(0, 30),
)
def test_passes_keep_their_size(lengths: list[int], budget: int, start: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"ENOUGH": 60, "MASK": 4000}.items():
            patch.setattr(shared_context, name, value)
        rows = [Row(start, tokens=[0] * length) for length in lengths]
        passes = list(shared_context._passes(rows, budget))
    assert sorted(len(row) for one in passes for row in one) == sorted(lengths)
    for one in passes:
        longest, shortest = (kind(map(len, one)) for kind in (max, min))
        cells = len(one) * (start + longest)
        assert len(one) == 1 or (cells <= budget and cells * longest <= 4000)
        if shortest < 0.9 * longest:  # padding only where few tokens are read at once
            assert sum(len(row) >= 0.9 * longest for row in one) * longest < 60


def test_nothing_asked_and_what_cannot_be_scored(tiny_tokenizer: Any) -> None:
    ours = language_model(loaded(tiny_model("llama"), tiny_tokenizer))
    assert ours._loglikelihood_tokens([], disable_tqdm=True) == []
    for context, answer in (([], [5]), ([5], [])):
        with pytest.raises(ValueError, match="after at least one token"):
            ours._loglikelihood_tokens([(None, context, answer)])
    with pytest.raises(ValueError, match="the model reads 256"):
        ours._loglikelihood_tokens([(None, [5], [6] * 257)])


def test_a_model_that_cannot_share_is_left_to_the_stock_class(tiny_tokenizer: Any) -> None:
    model = tiny_model("llama")
    model.config.rope_parameters["rope_type"] = "dynamic"  # type: ignore[union-attr]
    ours, stock = pair(model, tiny_tokenizer)
    asked = requests()[:20]
    found = ours._loglikelihood_tokens(asked, disable_tqdm=True)
    assert found == stock._loglikelihood_tokens(asked, disable_tqdm=True)


def test_bfloat16_scores_in_float32(tiny_tokenizer: Any) -> None:
    model = tiny_model("llama").to(torch.bfloat16)
    ours = language_model(loaded(model, tiny_tokenizer))
    context, answer = [5, 6, 7], [8, 9]
    ((found, _),) = ours._loglikelihood_tokens([(None, context, answer)], disable_tqdm=True)
    states = model.base_model(torch.tensor([context + answer[:1]])).last_hidden_state[0, 2:]
    z = (states.float() @ model.get_output_embeddings().weight.float().T).log_softmax(-1)  # type: ignore[operator]
    assert found == pytest.approx(float(z[0, 8] + z[1, 9]), abs=TOLERANCE)


def test_pruning_in_place_is_seen(tiny_tokenizer: Any) -> None:
    model = tiny_model("llama")
    ours = language_model(loaded(model, tiny_tokenizer))
    asked = requests()[:6]
    before = ours._loglikelihood_tokens(asked, disable_tqdm=True)
    with dropped(Decoder.of(model), [(1, "mlp")]):
        assert ours._loglikelihood_tokens(asked, disable_tqdm=True) != before
    assert ours._loglikelihood_tokens(asked, disable_tqdm=True) == before
    assert isinstance(ours, SharedContextLM)


def choices(found: list[tuple[float, bool]], asked: list[Instance]) -> dict[int, list[int]]:
    """The best option of each question, by its score and by that for each letter."""
    options: dict[int, list[tuple[float, float]]] = {}
    for (score, _), one in zip(found, asked, strict=True):
        options.setdefault(one.doc_id, []).append((score, score / len(one.args[1])))
    return {
        question: [
            max(range(len(rows)), key=[row[kind] for row in rows].__getitem__) for kind in (0, 1)
        ]
        for question, rows in options.items()
    }


@pytest.fixture(scope="module")
def embedded_pair() -> tuple[HFLM, HFLM]:
    """Ours and lm-eval's own of the embedded model."""
    embedded = load("smollm2-135m", device="cpu")
    return language_model(embedded, 16), language_model(embedded, 16, stock=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shots"),
    [
        ("boolq", 0),
        ("mmlu", 0),
        ("openbookqa", 0),
        ("piqa", 0),
        ("social_iqa", 0),
        ("commonsense_qa", 3),
    ],
)
def test_tasks_on_the_embedded_model(
    name: str, shots: int, embedded_pair: tuple[HFLM, HFLM]
) -> None:
    ours, stock = embedded_pair
    task = asked_task(TASKS[name], 20, shots, seed=0)
    with quiet():
        task.build_all_requests()
    expected = stock.loglikelihood(task.instances, disable_tqdm=True)
    found = ours.loglikelihood(task.instances, disable_tqdm=True)
    assert [score for score, _ in found] == pytest.approx(
        [score for score, _ in expected], abs=TOLERANCE, rel=0
    )
    assert [greedy for _, greedy in found] == [greedy for _, greedy in expected]
    chosen = choices(found, task.instances)
    assert chosen == choices(expected, task.instances)
    assert len(chosen) == 20
