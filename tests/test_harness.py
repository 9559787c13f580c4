"""Scores of questions: on a model whose likelihoods are known by hand, and beside naive loops."""

import json
import math
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from helpers.errors import InputError
from helpers.evaluation import harness
from helpers.evaluation.asked_tasks import asked_task, normalised, overlap, same_answer
from helpers.evaluation.shared_context import language_model
from helpers.evaluation.tasks import TASKS, documents, first
from helpers.models import load
from measurements import pruned_model
from measurements.pruned_model import evaluated_model
from measurements.scores import task_items
from runs.parameters import validate
from tests.conftest import tiny_model

VOCABULARY = 300
HEAVY = 1000.0
CHAIN = {":": " ", " ": "4", "4": "2", "2": "\n", "\n": "</s>"}  # what is likeliest after what
LETTERS = {"a": 8.0, "b": 2.0}  # how likely letters are otherwise; all else weighs 1


def weight(before: str, after: str) -> float:
    """How much a letter weighs after another; the likelihood is this over the sum of all."""
    return HEAVY if CHAIN.get(before) == after else LETTERS.get(after, 1.0)


def log_likelihood(before: str, text: str) -> float:
    """Of a text of one-byte letters after one letter, by hand: a sum over its letters."""
    found = 0.0
    for one, after in zip(before + text, text, strict=False):
        total = VOCABULARY + sum(LETTERS.values()) - len(LETTERS)
        if one in CHAIN:
            total += HEAVY - weight("", CHAIN[one])
        found += math.log(weight(one, after) / total)
    return found


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory, tiny_tokenizer):
    """A folder with a Llama that is a table of bigrams: its sublayers add nothing, states are
    one-hot, and the head holds log-likelihoods."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=VOCABULARY,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        rms_norm_eps=0.0,
        tie_word_embeddings=False,
        max_position_embeddings=2048,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).eval()
    letters = tiny_tokenizer.convert_ids_to_tokens(list(range(len(tiny_tokenizer))))
    plain = [
        token if token.startswith("<") else tiny_tokenizer.convert_tokens_to_string([token])
        for token in letters
    ]
    plain += [f"<{number}>" for number in range(len(plain), VOCABULARY)]
    table = torch.tensor(
        [[weight(before, after) for after in plain] for before in plain], dtype=torch.float64
    )
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(VOCABULARY))
        model.model.norm.weight.fill_(1.0)
        head = (table / table.sum(-1, keepdim=True)).log().T / math.sqrt(VOCABULARY)
        model.lm_head.weight.copy_(head.float())
    folder = tmp_path_factory.mktemp("by-hand")
    model.save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["ours", "stock"])
def asked_model(request, by_hand):
    return language_model(load(str(by_hand), device="cpu"), 2, stock=request.param == "stock")


def ordered(rows, name, tmp_path):
    """A task of three questions in a folder, and what it gives by question in their order."""
    folder = tmp_path / "tasks" / name
    folder.mkdir(parents=True)
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return TASKS[name], str(tmp_path / "tasks")


def answered(model, name, rows, tmp_path, shots=0):
    task, folder = ordered(rows, name, tmp_path)
    found = harness.answer(model, task, 0, shots, 0, folder)
    assert list(found.columns) == list(harness.COLUMNS)
    assert set(found["task"]) == {name}
    assert set(found["metric"]) == {task.metric}
    assert set(found["form"]) == {f"{shots}-shot"}
    return found.sort_values("item", ignore_index=True)


def test_the_table_of_bigrams_is_what_it_says(asked_model):
    for text in (" aa", " ab", " 42", " yes"):
        (found,) = asked_model.loglikelihood([_request("Answer:", text)])
        assert found[0] == pytest.approx(log_likelihood(":", text), abs=1e-4)


def _request(context, continuation):
    from lm_eval.api.instance import Instance

    return Instance("loglikelihood", {}, (context, continuation), 0)


def test_normalised_multiple_choice_by_hand(asked_model, tmp_path):
    """Of three: two a's beat a and b; a longer option wins by letter; and a wrong one wins."""
    rows = [
        {"goal": "G", "sol1": "aa", "sol2": "ab", "label": 0},
        {"goal": "G", "sol1": "b", "sol2": "aaa", "label": 1},
        {"goal": "G", "sol1": "ba", "sol2": "bb", "label": 1},
    ]
    found = answered(asked_model, "piqa", rows, tmp_path)
    assert found["answer"].tolist() == ["aa", "aaa", "ba"]
    assert found["value"].tolist() == [1.0, 1.0, 0.0]
    assert found["chance"].tolist() == [0.5] * 3
    # without dividing by length the second would go the other way
    assert log_likelihood(":", " b") > log_likelihood(":", " aaa")


def test_multiple_choice_by_hand(asked_model, tmp_path):
    """The plain metric takes the likeliest text, so the shortest here."""
    rows = [
        {"context": "C", "question": "Q", "answerA": one, "answerB": two, "answerC": three}
        | {"label": label}
        for one, two, three, label in (
            ("aa", "ab", "b", "3"),
            ("aaa", "b", "c", "1"),
            ("cc", "ca", "bb", "2"),
        )
    ]
    found = answered(asked_model, "social_iqa", rows, tmp_path)
    assert found["answer"].tolist() == ["b", "b", "ca"]
    assert found["value"].tolist() == [1.0, 0.0, 1.0]
    assert found["chance"].tolist() == pytest.approx([1 / 3] * 3)


def test_letters_by_hand(asked_model, tmp_path):
    """MMLU asks for a letter; all four are as likely here, and the first is taken."""
    rows = [
        {"question": "Q", "choices": list("wxyz"), "answer": answer, "subject": "s_t"}
        for answer in (0, 1, 0)
    ]
    found = answered(asked_model, "mmlu", rows, tmp_path)
    assert found["answer"].tolist() == ["A", "A", "A"]
    assert found["value"].tolist() == [1.0, 0.0, 1.0]
    assert set(found["chance"]) == {0.25}
    assert set(found["family"]) == {"s t"}


def test_yes_and_no_by_hand(asked_model, tmp_path):
    """The shorter word is likelier; chance is the share of the commoner right answer."""
    rows = [{"passage": "P", "question": "q", "label": label} for label in (0, 1, 1)]
    found = answered(asked_model, "boolq", rows, tmp_path)
    assert found["answer"].tolist() == ["no", "no", "no"]
    assert found["value"].tolist() == [1.0, 0.0, 0.0]
    assert found["chance"].tolist() == pytest.approx([2 / 3] * 3)


def test_options_within_a_sentence_by_hand(asked_model, tmp_path):
    """Winogrande asks how a sentence goes on after each option: best after one that ends in a
    colon, since a blank is likeliest there."""
    rows = [
        {"sentence": "so _ a", "option1": "x:", "option2": "xy", "answer": answer}
        for answer in ("1", "2", "1")
    ]
    found = answered(asked_model, "winogrande", rows, tmp_path)
    assert found["answer"].tolist() == ["so x:"] * 3
    assert found["value"].tolist() == [1.0, 0.0, 1.0]
    assert found["chance"].tolist() == pytest.approx([2 / 3] * 3)


@pytest.mark.parametrize(
    ("name", "rows", "values"),
    [
        (
            "gsm8k",
            [{"question": "Q", "answer": f"So.\n#### {right}"} for right in ("42", "7", "42")],
            [1.0, 0.0, 1.0],
        ),
        (
            "nq_open",
            [{"question": "q", "answer": right} for right in (["The 42"], ["forty"], ["7", "42"])],
            [1.0, 0.0, 1.0],
        ),
        (
            "asdiv",
            [
                {"body": "B", "question": "Q", "answer": right}
                for right in ("42 apples", "4 apples", "Yes")
            ],
            [1.0, 0.0, 0.0],
        ),
        (
            "narrativeqa",
            [
                {"passage": "P", "question": "Q", "answer": right}
                for right in (["42 years"], ["no", "a 42."], ["seven"])
            ],
            [2 / 3, 1.0, 0.0],  # one word of one and two: 2 × 1 / (1 + 2)
        ),
    ],
)
def test_written_answers_by_hand(name, rows, values, asked_model, tmp_path):
    """After a colon this model writes 42 and ends."""
    found = answered(asked_model, name, rows, tmp_path)
    assert found["answer"].tolist() == ["42"] * 3
    assert found["value"].tolist() == pytest.approx(values)
    assert set(found["chance"]) == {0.0}
    assert set(found["kind"]) == {"generation"}


@pytest.fixture(scope="module")
def random_model(tmp_path_factory, tiny_tokenizer):
    folder = tmp_path_factory.mktemp("random-llama")
    tiny_model("llama", max_position_embeddings=4096).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return load(str(folder), device="cpu")


def naive(loaded, context, text):
    """Log-likelihood of a text after a context: one token after the other, in float64."""
    before, after = (loaded.tokenizer(part)["input_ids"] for part in (context, text))
    ids, found = list(before), 0.0
    for token in after:
        logits = loaded.model(torch.tensor([ids])).logits[0, -1].double()
        found += float(logits.log_softmax(-1)[token])
        ids.append(token)
    return found


@pytest.mark.parametrize(
    ("name", "prompt", "options", "divide"),
    [
        ("piqa", "Question: {goal}\nAnswer:", ("{sol1}", "{sol2}"), True),
        (
            "social_iqa",
            "Q: {context} {question}\nA:",
            ("{answerA}", "{answerB}", "{answerC}"),
            False,
        ),
        ("boolq", "{passage}\nQuestion: {question}?\nAnswer:", ("no", "yes"), False),
    ],
)
def test_embedded_questions_as_a_naive_loop_answers_them(
    name, prompt, options, divide, random_model
):
    task, count = TASKS[name], 3
    found = harness.answer(language_model(random_model, 4), task, count, 0, 1)
    for doc, (_, row) in zip(first(documents(task), count, 1, task), found.iterrows(), strict=True):
        texts = [option.format(**doc) for option in options]
        scores = [naive(random_model, prompt.format(**doc), f" {text}") for text in texts]
        if divide:
            scores = [score / len(text) for score, text in zip(scores, texts, strict=True)]
        best = scores.index(max(scores))
        right = int(doc["label"]) - (name == "social_iqa")
        assert row["item"] == doc["id"]
        assert row["answer"] == texts[best].strip()
        assert row["value"] == float(best == right)


def test_the_mean_is_what_lm_eval_reports_on_files(random_model, tmp_path):
    """The whole way round lm-eval's own: its loader, its limits and its mean."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    task, items = TASKS["openbookqa"], 6
    rows = first(documents(task), items, 0, task)
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    base = Path(lm_eval.__file__).parent / "tasks" / "openbookqa"
    manager = TaskManager(include_path=str(base), include_defaults=False)
    own = {
        "task": "openbookqa",
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {"test": str(path)}, "cache_dir": str(tmp_path / "c")},
        "training_split": None,
        "validation_split": None,
    }
    model = language_model(random_model, 4, stock=True)
    reported = lm_eval.simple_evaluate(
        model, tasks=[{"group": "g", "task": [own]}], task_manager=manager, bootstrap_iters=0
    )["results"]["openbookqa"]
    found = harness.answer(language_model(random_model, 4), task, items, 0, 0)
    assert found["value"].mean() == pytest.approx(reported["acc_norm,none"])
    assert found["item"].tolist() == [row["id"] for row in rows]


def test_fewer_questions_are_scored_as_among_more(random_model):
    model, task = language_model(random_model, 4), TASKS["piqa"]
    few, more = (harness.answer(model, task, items, 2, 0) for items in (2, 5))
    pd.testing.assert_frame_equal(few, more.head(2))
    other = harness.answer(model, task, 5, 2, 1)
    assert other["item"].tolist() != more["item"].tolist()


def prompts(task, items, shots, seed, folder):
    """What is asked, by question."""
    asked = asked_task(task, items, shots, seed, folder)
    asked.build_all_requests()
    return {one.doc["id"]: one.args[0] for one in asked.instances if one.idx == 0}


def test_worked_examples_come_from_their_split_and_their_subject(tmp_path):
    def row(subject, number):
        text = f"{subject} {number}"
        return {"question": text, "choices": list("wxyz"), "answer": 1, "subject": subject}

    folder = tmp_path / "mmlu"
    folder.mkdir()
    for split, numbers in (("test", range(3)), ("dev", range(10, 15))):
        rows = [row(subject, number) for subject in ("law", "art") for number in numbers]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = prompts(TASKS["mmlu"], 0, 2, 0, str(tmp_path))
    assert len(found) == 6
    for text in found.values():
        subject = text.split("\n")[0].rpartition("about ")[2].removesuffix(".")
        parts = text.split("\n\n")[1:]
        asked = [part.split("\n")[0] for part in parts]
        assert asked[:2] == [f"{subject} 10", f"{subject} 11"]
        assert asked[2] in {f"{subject} {number}" for number in range(3)}
        assert [part.split("\n")[-1] for part in parts] == ["Answer: B", "Answer: B", "Answer:"]


def test_worked_examples_are_not_scored_where_there_are_enough(tmp_path):
    rows = [{"sentence1": f"S{n}.", "sentence2": f"T{n}.", "label": 0} for n in range(9)]
    task, folder = ordered(rows, "rte", tmp_path)
    found = prompts(task, 5, 3, 0, folder)
    texts = {doc["id"]: doc["sentence1"] for doc in documents(task, folder)}
    scored = {texts[name] for name in found}
    for name, text in found.items():
        shown = [line for line in text.split("\n") if line in texts.values()]
        assert shown[-1] == texts[name]
        assert len(set(shown[:-1])) == 3
        assert not set(shown[:-1]) & scored
    everything = prompts(task, 0, 8, 0, folder)
    for name, text in everything.items():
        assert text.count(texts[name]) == 1
    with pytest.raises(InputError, match="rte has too few questions for shots=9"):
        prompts(task, 0, 9, 0, folder)


WORDS = st.lists(st.sampled_from(["red", "The", "fox,", "a", "42"]), min_size=1, max_size=6)


@given(WORDS, WORDS)
def test_overlap_counts_shared_words(first_words, second_words):
    one, two = " ".join(first_words), " ".join(second_words)
    value = overlap(one, two)
    said, wanted = normalised(one).split(), normalised(two).split()
    left = list(wanted)
    for word in said:
        if word in left:
            left.remove(word)
    shared = len(wanted) - len(left)
    naive_value = 0.0
    if shared:
        precision, recall = shared / len(said), shared / len(wanted)
        naive_value = 2 * precision * recall / (precision + recall)
    assert value == pytest.approx(naive_value)
    assert overlap(two, one) == value


@pytest.mark.parametrize(
    ("written", "right", "same"),
    [
        (" 9 apples", "9 apples", True),
        ("It is 9.", "9 (apples)", True),
        ("1,200", "1200 people", True),
        ("9.0", "9", True),
        ("90", "9", False),
        ("9\n10", "10", False),
        ("3:45 pm", "3:45 p.m.", True),
        ("3:4", "3:45", False),
        ("The Rug B.", "Rug B", True),
        ("Rug A", "Rug B", False),
        ("nine", "9", False),
    ],
)
def test_first_numbers_are_compared(written, right, same):
    assert same_answer(written, right) is same


def asked_of(folder, tmp_path, **values):
    return validate(
        {
            "model": str(folder),
            "device": "cpu",
            "tasks": "rte",
            "items": 4,
            "task_folder": str(tmp_path / "tasks"),
            "results": str(tmp_path / "results"),
            "calibration_samples": 2,
            "calibration_length": 32,
            "dropped": 0,
        }
        | values
    )


ENTAILED = [{"sentence1": f"S{n}.", "sentence2": f"T{n}.", "label": n % 2} for n in range(9)]


def test_a_measurement_is_of_the_questions_not_their_place(by_hand, tmp_path):
    ordered(ENTAILED, "rte", tmp_path)
    taken = task_items(asked_of(by_hand, tmp_path))
    facts = taken.manifest["facts"]
    assert facts["model"]["name"] == str(by_hand)
    assert facts["pruned"] == "nothing removed"
    assert facts["source"] == {"rte": "files in a local folder"}
    assert facts["example"]["rte"].endswith("True or False?\nAnswer:")
    assert str(tmp_path) not in json.dumps(taken.manifest["parameters"])
    found = taken.table("items")
    assert found["item"].nunique() == 4
    assert taken.manifest["parameters"]["method"] == "drop"
    shutil.copytree(tmp_path / "tasks", tmp_path / "moved")
    moved = asked_of(by_hand, tmp_path, task_folder=str(tmp_path / "moved"))
    assert task_items(moved).run == taken.run
    path = tmp_path / "moved" / "rte" / "test.jsonl"
    path.write_text(path.read_text().replace('"label": 1', '"label": 0'))
    other = task_items(moved)
    assert other.run != taken.run
    assert other.table("items")["value"].tolist() != found["value"].tolist()


def test_questions_that_cannot_be_had_stop_before_anything(by_hand, tmp_path):
    (tmp_path / "tasks").mkdir()
    with pytest.raises(InputError, match="unknown task 'boolk': did you mean boolq"):
        task_items(asked_of(by_hand, tmp_path, tasks="boolk"))
    assert not list((tmp_path / "results").rglob("*.parquet"))


def test_no_model_is_served_what_another_one_answered(random_model, tmp_path, monkeypatch):
    """Dense, then pruned, then dense: each as a model that is asked alone."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("LM_HARNESS_CACHE_PATH", str(cache))
    folder = random_model.name
    pruned_model.LAST.key = None

    def items(**values):
        chosen = asked_of(folder, tmp_path, tasks="piqa", items=12, task_folder="", **values)
        return task_items(chosen), chosen

    (dense, _), (pruned, asked) = items(), items(method="magnitude", sparsity=0.8)
    again = items(results=str(tmp_path / "again"))[0]
    told = evaluated_model(asked)
    alone = harness.answer(language_model(told.loaded, 3, stock=True), TASKS["piqa"], 12, 0, 0)
    assert "magnitude" in pruned.manifest["facts"]["pruned"]
    assert pruned.table("items")["answer"].tolist() == alone["answer"].tolist()
    assert dense.table("items")["answer"].tolist() != alone["answer"].tolist()
    assert again.table("items")["answer"].equals(dense.table("items")["answer"])
    left = pruned.manifest["facts"]["parameters_left"]
    assert left < dense.manifest["facts"]["parameters_left"]
    assert not cache.exists() or not list(cache.iterdir())
