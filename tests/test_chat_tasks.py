"""Tasks in the model's chat template: lm-eval's own run, and prompts by hand, as the oracle."""

import copy
import json
from pathlib import Path

import pytest
import torch
from conftest import tiny_model

from helpers.errors import InputError
from helpers.evaluation import harness
from helpers.evaluation.shared_context import language_model
from helpers.evaluation.tasks import TASKS, documents, first
from helpers.models import Decoder, LoadedModel
from measurements.scores import task_items
from runs.parameters import validate

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHATML
)
TODAY = "{{ strftime_now('%d %B %Y') }}\n" + CHATML
TURN, ANSWER = "<|im_start|>{}\n{}<|im_end|>\n", "<|im_start|>assistant\n"
GOALS = [{"goal": f"G{n}", "sol1": "aa", "sol2": "b" * n, "label": n % 2} for n in range(1, 6)]


def model_with(tokenizer, template):
    """A random model whose tokenizer has ChatML's tokens and a chat template."""
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = template
    model = tiny_model("llama", max_position_embeddings=2048)
    return LoadedModel("tiny", model, tokenizer, Decoder.of(model), "")


@pytest.fixture(scope="module")
def chatting(tiny_tokenizer):
    return model_with(tiny_tokenizer, CHATML)


def in_folder(tmp_path, name, **splits):
    """A folder of one task with a file for each split."""
    (tmp_path / name).mkdir(parents=True)
    for split, rows in splits.items():
        (tmp_path / name / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(tmp_path)


@pytest.mark.parametrize("name", ["openbookqa", "arc_easy", "arc_challenge"])
def test_every_answer_is_what_lm_eval_gives_with_its_own_switch(name, chatting, tmp_path):
    """Its loader, its stock model and its way to apply the template, from a file."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    task, book = TASKS[name], TASKS["openbookqa"]
    rows = [{"question": doc["question_stem"]} | doc for doc in first(documents(book), 12, 0, book)]
    folder = in_folder(tmp_path, name, test=rows)
    base = Path(lm_eval.__file__).parent / "tasks" / name.partition("_")[0]
    manager = TaskManager(include_path=str(base), include_defaults=False)
    file = {"test": str(tmp_path / name / "test.jsonl")}
    own = {
        "task": name,
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": file, "cache_dir": str(tmp_path / "cache")},
        "training_split": None,
        "validation_split": None,
    }
    answers = []
    for chat in (True, False):
        reported = lm_eval.simple_evaluate(
            language_model(chatting, 4, stock=True),
            tasks=[{"group": "g", "task": [own]}],
            task_manager=manager,
            bootstrap_iters=0,
            apply_chat_template=chat,
            log_samples=True,
        )
        theirs = {one["doc"]["question"]: one["acc_norm"] for one in reported["samples"][name]}
        ours = harness.answer(language_model(chatting, 4), task, 0, 0, 0, folder, chat)
        pairs = zip(documents(task, folder), rows, strict=True)
        asked = {doc["id"]: row["question"] for doc, row in pairs}
        values = dict(zip(ours["item"].map(asked), ours["value"], strict=True))
        assert values == theirs
        assert ours["value"].mean() == pytest.approx(reported["results"][name]["acc_norm,none"])
        answers.append(ours["answer"].tolist())
    assert answers[0] != answers[1]


def test_worked_examples_are_turns_of_their_own(chatting, tmp_path):
    folder = in_folder(tmp_path, "piqa", validation=GOALS[:1], train=GOALS[1:2])
    shown = harness.example_prompt(TASKS["piqa"], 1, 0, folder, language_model(chatting))
    asks = "Question: {}\nAnswer:"
    turns = ("user", asks.format("G2")), ("assistant", "aa"), ("user", asks.format("G1"))
    assert shown == "".join(TURN.format(*turn) for turn in turns) + ANSWER
    plain = harness.example_prompt(TASKS["piqa"], 1, 0, folder)
    assert plain == "Question: G2\nAnswer: aa\n\nQuestion: G1\nAnswer:"


@pytest.mark.parametrize("stock", [False, True])
def test_options_follow_without_a_blank_as_a_naive_loop_scores_them(stock, chatting, tmp_path):
    folder = in_folder(tmp_path, "piqa", validation=GOALS)
    asked = language_model(chatting, 2, stock)
    found = harness.answer(asked, TASKS["piqa"], 0, 0, 0, folder, True).set_index("item")
    tokenizer, model = chatting.tokenizer, chatting.model

    def likelihood(context, text):
        ids, total = tokenizer(context)["input_ids"], 0.0
        for token in tokenizer(text)["input_ids"]:
            total += float(model(torch.tensor([ids])).logits[0, -1].double().log_softmax(-1)[token])
            ids.append(token)
        return total / len(text)

    for doc in documents(TASKS["piqa"], folder):
        context = TURN.format("user", f"Question: {doc['goal']}\nAnswer:") + ANSWER
        scores = [likelihood(context, doc[name]) for name in ("sol1", "sol2")]
        best = scores.index(max(scores))
        assert found.loc[doc["id"], "answer"] == doc[f"sol{best + 1}"]
        assert found.loc[doc["id"], "value"] == float(best == doc["label"])


def test_what_is_written_is_what_the_stock_class_writes(chatting, tmp_path):
    rows = [{"question": f"Who {'very ' * n}?", "answer": ["x"]} for n in range(4)]
    folder = in_folder(tmp_path, "nq_open", validation=rows)
    ours, theirs, plain = (
        harness.answer(language_model(chatting, 2, stock), TASKS["nq_open"], 0, 0, 0, folder, chat)
        for stock, chat in ((False, True), (True, True), (False, False))
    )
    assert ours["answer"].tolist() == theirs["answer"].tolist() != plain["answer"].tolist()


@pytest.mark.parametrize(
    ("template", "begin"),
    [(CHATML, "<|im_start|>system\nThe following are"), (NO_SYSTEM, "<|im_start|>user\n")],
)
def test_a_description_is_a_system_turn_where_the_template_takes_one(
    template, begin, tiny_tokenizer, tmp_path
):
    """Elsewhere it is left out, as lm-eval leaves it out."""
    row = {"question": "Q", "subject": "law", "choices": list("wxyz"), "answer": 2}
    folder = in_folder(tmp_path, "mmlu", test=[row])
    one = model_with(tiny_tokenizer, template)
    ours, theirs = (
        harness.example_prompt(TASKS["mmlu"], 0, 0, folder, language_model(one, stock=stock))
        for stock in (False, True)
    )
    assert ours == theirs
    assert ours.startswith(begin)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (None, "the tokenizer has no chat template: use task_chat_template=false"),
        ("{{ raise_exception('not so') }}", "cannot be applied (not so): use task_chat_template=f"),
        ("{{ messages[9].x.y }}", "the chat template cannot be applied ("),
        ("{% if %}", "the chat template cannot be applied ("),
    ],
)
@pytest.mark.parametrize("name", ["piqa", "nq_open", "mmlu"])
def test_a_template_that_is_missing_or_fails_is_one_line(template, said, name, tiny_tokenizer):
    model = language_model(model_with(tiny_tokenizer, template))
    with pytest.raises(InputError) as caught:
        harness.answer(model, TASKS[name], 2, 0, 0, chat_template=True)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_measurement_asks_as_its_parameter_says(tiny_tokenizer, tmp_path):
    one = model_with(tiny_tokenizer, TODAY)
    one.model.save_pretrained(tmp_path / "model")
    one.tokenizer.save_pretrained(tmp_path / "model")
    values = {"model": str(tmp_path / "model"), "device": "cpu", "tasks": "piqa,asdiv", "items": 3}
    values |= {"dropped": 0, "results": str(tmp_path / "results")}
    plain, chat = (
        task_items(validate(values | {"task_chat_template": switch})) for switch in (False, True)
    )
    for name, shown in chat.manifest["facts"]["example"].items():
        asked = plain.manifest["facts"]["example"][name]
        assert shown == "01 January 2026\n" + TURN.format("user", asked) + ANSWER
    answers = [each.table("items")["answer"].tolist() for each in (plain, chat)]
    assert answers[0] != answers[1]
    assert task_items(validate(values)).run == plain.run != chat.run
