"""Files, tokenizers and values as strangers have them: the right value, or one line; never another
number."""

import copy
import gzip
import json
import re
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from conftest import tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_eval.api.instance import Instance
from papermill.cli import _resolve_type

from helpers import calibration, generate, hidden_states, score
from helpers.decoding import end_tokens, greedy
from helpers.errors import InputError
from helpers.evaluation import task_files, tasks
from helpers.evaluation.encoders import decoder_encoder, open_encoder, vectors
from helpers.evaluation.probing import probe_rows
from helpers.evaluation.search_sets import read_folder
from helpers.evaluation.shared_context import language_model
from helpers.evaluation.tasks import TASKS
from helpers.models import Decoder, LoadedModel
from helpers.texts import files
from helpers.texts.data import select_prompts, tokenize, wrapped
from helpers.texts.passages import check_source, read_file
from helpers.texts.probes import probes
from runs import values
from runs.parameters import validate

TEXTS = ["Was ist grün?\u2028Und blau?", "A second one.", "[1] is no list"]
LINE_ENDS = {"unix": b"\n", "windows": b"\r\n", "mac": b"\r"}
PACKED = {"plain": lambda content: content, "gzip": gzip.compress}
FORMS = {
    "a list": lambda rows: json.dumps(rows, ensure_ascii=False),
    "an indented list": lambda rows: json.dumps(rows, indent=1),
    "lines": lambda rows: "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n",
}
NAMES = ["c4-train.00000-of-01024.json", "own.jsonl", "own.json.gz", "own.txt", "own"]


def write(path, text, end="unix", packed="plain", mark=b""):
    content = mark + text.encode().replace(b"\n", LINE_ENDS[end])
    path.write_bytes(PACKED[packed](content))
    return path


def line_of(call, *given):
    """The one line that a call refuses with."""
    with pytest.raises(InputError) as caught:
        call(*given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "mark"])
@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("end", LINE_ENDS)
@pytest.mark.parametrize("form", FORMS)
def test_json_is_the_same_rows_however_it_is_written(form, end, packed, mark, tmp_path):
    rows = [{"text": text} for text in TEXTS]
    for name in NAMES:
        path = write(tmp_path / name, FORMS[form](rows), end, packed, mark)
        assert read_file(path) == TEXTS
        check_source(str(path))
        asked = [{"prompt": text} for text in TEXTS]
        write(path, FORMS[form](asked), end, packed, mark)
        assert [prompt.text for prompt in select_prompts(str(path))] == TEXTS
    questions = [{"question": text, "answer": "#### 1"} for text in TEXTS]
    path = write(tmp_path / "test.jsonl", FORMS[form](questions), end, packed, mark)
    assert [row for row, _ in task_files.rows("gsm8k", [path])] == questions


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "mark"])
@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("end", LINE_ENDS)
def test_plain_text_and_tables_are_the_same_however_they_are_written(end, packed, mark, tmp_path):
    path = write(tmp_path / "own.txt", "\n\n".join(TEXTS) + "\n", end, packed, mark)
    assert read_file(path) == [*TEXTS[:2], f"{TEXTS[2]}\n"]
    assert [prompt.text for prompt in select_prompts(str(path))] == TEXTS
    given = write(tmp_path / "given.yaml", "seed: 3\nprompts:\n- one\n", end, packed, mark)
    assert validate(values.from_file(given)).seed == 3
    (tmp_path / "qrels").mkdir()
    for name in ("corpus", "queries"):
        rows = [{"_id": number, "text": text} for number, text in enumerate(TEXTS)]
        write(tmp_path / f"{name}.jsonl", FORMS["lines"](rows), end, packed, mark)
    judged = "query-id\tcorpus-id\tscore\n0\t1\t2\n1\t0\t1\n"
    write(tmp_path / "qrels" / "test.tsv", judged, end, packed, mark)
    assert read_folder(tmp_path)[2] == {"0": {"1": 2}, "1": {"0": 1}}


def utf16(content):
    return content.decode().encode("utf-16-le")


DAMAGE = {  # what is done to good JSON lines, and the line that is then named
    "cut off": (lambda lines: [*lines[:-1], lines[-1][:-4]], 3),
    "no comma": (lambda lines: [lines[0], '{"text" "x"}', lines[2]], 2),
    "a lone word": (lambda lines: ["", "oops", *lines], 2),
    "single quotes": (lambda lines: [lines[0], "{'text': 'x'}", lines[2]], 2),
    "two on a line": (lambda lines: [lines[0] + lines[1], lines[2]], 1),
    "a trailing comma": (lambda lines: [lines[0], lines[1] + ",", lines[2]], 2),
    "no text": (lambda lines: [*lines, '{"texts": "x"}'], 4),
    "a number for a text": (lambda lines: ['{"text": 3}', *lines], 1),
    "nothing for a text": (lambda lines: [lines[0], '{"text": null}'], 2),
    "too deep": (lambda lines: [lines[0], '{"text": ' + "[" * 100_000], 2),
    "a huge number": (lambda lines: [lines[0], '{"text": ' + "9" * 5000 + "}"], 2),
}


@pytest.mark.parametrize("end", LINE_ENDS)
@pytest.mark.parametrize("damage", DAMAGE)
def test_the_damaged_line_is_named(damage, end, tmp_path):
    harm, line = DAMAGE[damage]
    text = "\n".join(harm([json.dumps({"text": text}) for text in TEXTS]))
    for name in ("own.jsonl", "own.json"):
        said = line_of(read_file, write(tmp_path / name, text, end))
        assert name in said
        assert re.search(rf"line {line}\b", said), said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"good\ncaf\xe9", "line 2 holds byte 0xe9"),
        (b"good\r\rcaf\xe9", "line 3 holds byte 0xe9"),
        (utf16(b"plain"), "line 1 holds byte 0x00"),
        ("plain".encode("utf-16"), "line 1 holds byte 0xff"),
        (b"PK\x03\x04\x00", "line 1 holds byte 0x00"),
        (gzip.compress(b"some text" * 99, mtime=0)[:-9], "cannot be read"),
        (gzip.compress(b"some text" * 99, mtime=0)[:30], "cannot be read"),
        (gzip.compress(b"x", mtime=0) + b"rest", "cannot be read"),
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n \n", "is empty"),
    ],
)
def test_what_is_no_text_is_one_line_everywhere(content, said, tmp_path):
    path = tmp_path / "own.txt"
    path.write_bytes(content)
    for call in (check_source, select_prompts):
        found = line_of(call, str(path))
        assert "own.txt" in found
        assert said in found


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 60), st.sampled_from(["own.jsonl", "own.txt"]))
def test_any_bytes_are_rows_or_one_line(tmp_path_factory, noise, at, name):
    good = b'{"text": "first"}\n{"text": "second"}\n'
    path = tmp_path_factory.mktemp("noise") / name
    path.write_bytes(good[:at] + noise + good[at:])
    with suppress(InputError):
        assert all(isinstance(text, str) for text in read_file(path))


FOUR = {"question": "Q", "choices": ["a", "b", "c", "d"], "answer": 1}
KEYED = {"text": ["a", "b"], "label": ["A", "B"]}
LISTED = {"question": "Q", "options": "A. a\nB. b\nC. c", "answer": "B. b"}
GOOD = {  # a row of each layout with options or answers, and the fields that may not be blank
    "mmlu": (FOUR, ("question", "choices")),
    "openbookqa": (
        {"question_stem": "Q", "choices": KEYED, "answerKey": "A"},
        ("question_stem", "choices.text", "choices.label"),
    ),
    "commonsense_qa": (LISTED, ("options",)),
    "arc_easy": (
        {"question": "Q", "choices": KEYED, "answerKey": "A"},
        ("question", "choices.text", "choices.label"),
    ),
    "arc_challenge": (
        {"question": {"stem": "Q", "choices": [{"text": "a", "label": "A"}]}, "answerKey": "A"},
        ("question.stem",),
    ),
    "piqa": ({"goal": "G", "sol1": "x", "sol2": "y", "label": 1}, ("goal", "sol1", "sol2")),
    "social_iqa": (
        {"context": "C", "question": "Q", "label": "3"}
        | {"answerA": "x", "answerB": "y", "answerC": "z"},
        ("answerA", "answerB", "answerC"),
    ),
    "hellaswag": (
        {"ctx_a": "A", "ctx_b": "", "activity_label": "L", "endings": list("abcd"), "label": "2"},
        ("ctx_a", "endings"),
    ),
    "winogrande": (
        {"sentence": "The _ fell.", "option1": "x", "option2": "y", "answer": "1"},
        ("option1", "option2"),
    ),
    "rte": ({"sentence1": "a", "sentence2": "b", "label": 0}, ("sentence1", "sentence2")),
    "boolq": ({"passage": "P", "question": "Q", "label": 1}, ("passage", "question")),
    "nq_open": ({"question": "Q", "answer": ["x", "y"]}, ("question", "answer")),
    "asdiv": ({"body": "B", "question": "Q", "answer": "9 (apples)"}, ("answer",)),
    "narrativeqa": ({"passage": "P", "question": "Q", "answer": ["x"]}, ("passage", "answer")),
}
BLANK = [(task, field) for task, (_, fields) in GOOD.items() for field in fields]


def blanked(value, blank):
    """A text made blank, or the last text of a list; of options in one text the last one."""
    if isinstance(value, list):
        return [*value[:-1], blank]
    return value[:-1] + blank if value.startswith("A. ") else blank


@pytest.mark.parametrize("blank", ["", " \t", "\u00a0"], ids=["empty", "blank", "no-break space"])
@pytest.mark.parametrize("before", [0, 2], ids=["first", "third"])
@pytest.mark.parametrize(("task", "field"), BLANK)
def test_a_blank_option_is_refused_by_file_and_row(task, field, before, blank, tmp_path):
    good, _ = GOOD[task]
    outer, _, inner = field.partition(".")
    bad = blanked(good[outer][inner] if inner else good[outer], blank)
    rows = [good] * before + [good | {outer: {**good[outer], inner: bad} if inner else bad}]
    (tmp_path / task).mkdir()
    write(tmp_path / task / "test.jsonl", FORMS["lines"](rows))
    said = line_of(tasks.documents, TASKS[task], str(tmp_path))
    assert said.startswith(f"line {before + 1} of test.jsonl is no question of {task}: ")
    assert "is blank" in said
    write(tmp_path / task / "test.jsonl", FORMS["lines"]([good]))
    assert len(tasks.documents(TASKS[task], str(tmp_path))) == 1


def test_rows_say_where_they_stand(tmp_path):
    path = write(tmp_path / "a.json", '["x",\n"y"]')
    assert [where for _, where in files.rows(path)] == ["item 1 of a.json", "item 2 of a.json"]


CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA2 = (
    "{% for message in messages %}{% if message['role'] == 'user' %}[INST] {{ message['content'] }}"
    " [/INST]{% else %} {{ message['content'] }} {{ eos_token }}{% endif %}{% endfor %}"
)
TURN_ENDS = {  # a chat template, and the token with which it ends a turn
    "chatml": (CHATML, "<|im_end|>"),
    "llama 2": (LLAMA2, "</s>"),
    "plain": ("{% for message in messages %}{{ message['content'] }}\n{% endfor %}", None),
    "words": ("{% for message in messages %}{{ message['content'] }} End.{% endfor %}", None),
    "no answers": (
        "{% if messages|length > 1 %}{{ raise_exception('one turn') }}{% endif %}"
        "{{ messages[0]['content'] }}",
        None,
    ),
}


def with_template(tokenizer, template, **special):
    """A copy of the tokenizer with the tokens of ChatML, another template and other special
    tokens."""
    found = copy.deepcopy(tokenizer)
    found.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    found.chat_template = template
    for name, token in special.items():
        setattr(found, name, token)
    return found


@pytest.mark.parametrize("eos", ["</s>", None])
@pytest.mark.parametrize("declared", [None, 5, [5, 7], [2]])
@pytest.mark.parametrize("kind", TURN_ENDS)
def test_text_ends_at_every_end_that_anybody_declares(kind, declared, eos, tiny_tokenizer):
    template, end = TURN_ENDS[kind]
    tokenizer = with_template(tiny_tokenizer, template, eos_token=eos)
    model = tiny_model("llama")
    model.generation_config.eos_token_id = declared
    expected = {declared} if isinstance(declared, int) else set(declared or ())
    expected |= {tokenizer.eos_token_id} - {None}
    if end and (end != "</s>" or eos):
        expected.add(tokenizer.convert_tokens_to_ids(end))
    assert set(end_tokens(model, tokenizer)) == expected


def test_no_end_token_writes_to_the_limit(tiny_tokenizer):
    tokenizer = with_template(tiny_tokenizer, None, eos_token=None, pad_token=None)
    model = tiny_model("llama")
    model.generation_config.eos_token_id = None
    assert end_tokens(model, tokenizer) == ()
    ids, mask = tokenize(select_prompts("MC2,Gen4"), tokenizer, False, "cpu")
    steps = list(greedy(model, ids[:, -30:], mask[:, -30:], 5, end_tokens(model, tokenizer)))
    assert len(steps) == 5


@pytest.mark.parametrize("pad", [None, "<pad>", "</s>", "[PAD]"])
def test_any_padding_or_none_is_the_same_measurement(pad, tiny_tokenizer):
    """Also a pad token that has no embedding, as many converted checkpoints declare."""
    tokenizer = with_template(tiny_tokenizer, tiny_tokenizer.chat_template, pad_token=pad)
    prompts = select_prompts("MC2,Gen4")
    ids, mask = tokenize(prompts, tokenizer, True, "cpu", len(tiny_tokenizer))
    for prompt, row, keep in zip(prompts, ids, mask, strict=True):
        (alone,), (whole,) = tokenize((prompt,), tokenizer, True, "cpu")
        assert whole.all()
        assert row[keep.bool()].tolist() == alone.tolist()
    assert ids[mask == 0].eq(0).all()
    assert mask[:, -1].all()


def test_a_token_beyond_the_embedding_is_named_with_its_prompt(tiny_tokenizer):
    tokenizer = with_template(tiny_tokenizer, CHATML)
    known = len(tiny_tokenizer)
    said = line_of(tokenize, select_prompts("MC2"), tokenizer, True, "cpu", known)
    assert "prompt MC2 holds the token '<|im_end|>'" in said
    assert f"number {known + 1}" in said
    own = select_prompts('["plain", "<|im_start|>"]')
    said = line_of(tokenize, own, tokenizer, False, "cpu", known)
    assert "prompt Own2 holds the token '<|im_start|>'" in said
    assert tokenize(own, tokenizer, False, "cpu", known + 1)[0].max() == known


def loaded_with(tokenizer, **changes):
    """A model that knows the tokens of the tiny tokenizer, with another tokenizer."""
    model = tiny_model("llama", vocab_size=259, max_position_embeddings=1024, **changes)
    return LoadedModel("tiny", model, tokenizer, Decoder.of(model), "")


UNKNOWN = "<|im_start|>"  # whose token stands first beyond the embedding
READING = {  # who reads a text, and how the text is called there
    "calibration": (
        lambda one, text, tmp_path: calibration(one, str(write(tmp_path / "c.txt", text)), 1, 8),
        "calibration text ",
    ),
    "a choice": (
        lambda one, text, tmp_path: scored(one, "piqa", {"goal": text, "sol1": "a"}, tmp_path),
        "task text that ends in ",
    ),
    "an option": (
        lambda one, text, tmp_path: scored(one, "piqa", {"goal": "G", "sol1": text}, tmp_path),
        "task text that ends in ",
    ),
    "a question to write on": (
        lambda one, text, tmp_path: scored(one, "nq_open", {"question": text}, tmp_path),
        "task text that ends in ",
    ),
    "a document": (
        lambda one, text, _: vectors(decoder_encoder(one, "mean"), ["plain", text], query=False),
        "text ",
    ),
    "a query": (
        lambda one, text, _: vectors(decoder_encoder(one, "last"), [text], query=True),
        "text ",
    ),
    "what stands before a query": (
        lambda one, text, _: vectors(decoder_encoder(one, "last"), ["x"], query=True, before=text),
        "text ",
    ),
    "a hidden state": (lambda one, text, _: hidden_states(one, ["plain", text]), "prompt "),
    "a text to write on": (lambda one, text, _: generate(one, [text], chat=False), "prompt "),
}


def scored(one, name, row, tmp_path):
    """The score of one question of a task."""
    row = {"sol2": "b", "label": 0} | row if name == "piqa" else row | {"answer": ["x"]}
    (tmp_path / name).mkdir()
    write(tmp_path / name / "test.jsonl", json.dumps(row))
    return score(one, name, folder=str(tmp_path))


@pytest.mark.parametrize("place", ["{} and more", "before {} after", "{}"])
@pytest.mark.parametrize("kind", READING)
def test_a_token_beyond_the_embedding_is_named_wherever_it_is_read(
    kind, place, tiny_tokenizer, tmp_path
):
    read, called = READING[kind]
    tokenizer = with_template(tiny_tokenizer, None)
    text = place.format(UNKNOWN) + (" and much more" if kind == "calibration" else "")
    said = line_of(read, loaded_with(tokenizer), text, tmp_path)
    assert said.startswith(called)
    assert f"holds the token '{UNKNOWN}', number 259, and the model knows those below 259" in said
    (tmp_path / "known").mkdir()
    assert read(loaded_with(tokenizer), text.replace(UNKNOWN, "it"), tmp_path / "known") is not None


def test_a_token_beyond_the_embedding_of_an_encoder_is_named(tmp_path):
    from encoder_folders import save_encoder
    from sentence_transformers import SentenceTransformer

    folder = save_encoder(tmp_path)
    model = SentenceTransformer(str(folder), device="cpu")
    model.tokenizer.add_tokens(["ßß"])
    model.save(str(tmp_path / "grown"))
    encoder = open_encoder(str(tmp_path / "grown"), device="cpu")
    assert len(vectors(encoder, ["a text", "b"], query=False)) == 2
    said = line_of(vectors, encoder, ["a text", "with ßß in it"], False)
    assert said.startswith("text \"with ßß in it\" holds the token 'ßß', number ")
    assert "holds the token 'ßß'" in line_of(vectors, encoder, ["a"], True, "ßß: ")


def test_a_probe_in_a_template_of_unknown_tokens_is_named(tiny_tokenizer):
    one, chosen = loaded_with(with_template(tiny_tokenizer, CHATML)), probes("capitals", 1)
    said = line_of(probe_rows, one.decoder, one.tokenizer, chosen, True)
    assert said.startswith(f'question "user\\n{chosen[0].question}')
    assert "holds the token '<|im_end|>', number 260" in said


@pytest.mark.parametrize("read", [generate, hidden_states, score])
def test_the_library_names_its_own_switch_of_the_template(read, tiny_tokenizer):
    given = "piqa" if read is score else ["hello"]
    said = line_of(
        partial(read, loaded_with(with_template(tiny_tokenizer, None)), given, chat=True)
    )
    assert said == "the tokenizer has no chat template: use chat=false, or an instruct model"


@pytest.mark.parametrize("tokens", [1025, 4096])
def test_too_long_a_text_names_the_parameter_that_was_given(tokens, tiny_tokenizer):
    one = loaded_with(tiny_tokenizer)
    call = partial(generate, one, ["hello"], chat=False, tokens=tokens)
    said = line_of(call)
    assert said.startswith(f"prompt and tokens make {tokens + 5} tokens, the model reads 1024: ")
    assert "lower tokens, or shorten" in said


def test_a_prompt_without_tokens_is_named(tiny_tokenizer):
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.chat_template = "{{ '' }}"
    said = line_of(tokenize, select_prompts("MC2"), tokenizer, True, "cpu")
    assert "prompt MC2 makes no token" in said


@pytest.mark.parametrize(
    "template",
    [
        "{{ strftime_now('%d %B %Y') }}{{ messages[0]['content'] }}",
        "{{ date_string }}{{ messages[0]['content'] }}",
        "{% if strftime_now is defined %}{{ strftime_now('%Y-%m-%d') }}{% endif %}"
        "{{ messages[0]['content'] }}",
        "{% macro day() %}{{ strftime_now('%-d.%-m.%Y') }}{% endmacro %}"
        "{% for message in messages %}{{ day() }}, {{ message['content'] }}"
        "{% endfor %}",
    ],
)
def test_a_template_reads_the_same_day_on_any_day(template, tiny_tokenizer, monkeypatch):
    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2031, 5, 6, tzinfo=tz)

    tokenizer = with_template(tiny_tokenizer, template)
    today = wrapped(select_prompts("MC2"), tokenizer)
    monkeypatch.setattr("transformers.utils.chat_template_utils.datetime", Tomorrow)
    turns = [{"role": "user", "content": ""}]
    plain = tokenizer.apply_chat_template(turns, tokenize=False)
    assert ("2031" in plain) == ("strftime_now" in template)
    assert wrapped(select_prompts("MC2"), tokenizer) == today
    assert "2026" in today[0]


@pytest.mark.parametrize("template", ["{{ raise_exception('no user') }}", "{{ messages[3].x.y }}"])
def test_a_template_that_fails_is_one_line(template, tiny_tokenizer):
    tokenizer = with_template(tiny_tokenizer, template)
    said = line_of(wrapped, select_prompts("MC2"), tokenizer)
    assert said.startswith("the chat template cannot be applied (")


@pytest.mark.parametrize(
    ("declared", "special", "used"),
    [
        (None, {"eos_token": None, "pad_token": None, "bos_token": None}, None),
        (None, {"eos_token": None, "pad_token": None}, "<s>"),
        (2, {"eos_token": None, "pad_token": None}, "</s>"),
        ([2, 7], {"eos_token": "[END]", "pad_token": "[PAD]"}, "</s>"),
        (2, {"eos_token": "</s>", "pad_token": "[PAD]"}, "</s>"),
    ],
)
def test_tasks_need_no_pad_token_and_one_end(declared, special, used, tiny_tokenizer):
    """Also where those that the tokenizer names have no embedding."""
    model = tiny_model("llama", vocab_size=len(tiny_tokenizer))
    model.generation_config.eos_token_id = declared
    tokenizer = with_template(tiny_tokenizer, None, **special)
    before = len(tokenizer)
    loaded = LoadedModel("tiny", model, tokenizer, Decoder.of(model), "")
    if used is None:
        assert "names no token that ends or begins a text" in line_of(language_model, loaded)
        return
    asking = language_model(loaded, 4)
    assert asking.tokenizer.eos_token == used
    asked = [(None, [20 + n] * n, [30, 31]) for n in (1, 4)]
    scores = asking._loglikelihood_tokens(asked, disable_tqdm=True)
    usual = language_model(replace(loaded, tokenizer=tiny_tokenizer), 4)
    assert scores == usual._loglikelihood_tokens(asked, disable_tqdm=True)
    how = {"until": ["\n"], "max_gen_toks": 4}
    texts = [Instance("generate_until", {}, ("hello" * n, how), n) for n in (1, 3)]
    assert len(asking.generate_until(texts, disable_tqdm=True)) == 2
    assert (len(tokenizer), tokenizer.eos_token) == (before, special["eos_token"])


WRITTEN = {  # a value as it is written, and what its parameter takes it for; None: one line
    "revision": {"7538741": "7538741", "0123456": "0123456", "1e5": "1e5", "true": "true"}
    | {"2026-01-01": "2026-01-01", "1:30": "1:30", "no": "no", ".5": ".5", "0x1f": "0x1f"},
    "profile": {"2026": "2026", "007": "007", "a b": None},
    "pattern": {"2:4": "2:4", "4:8": "4:8", "4:2": None},
    "dropped": {"8": 8, "0": 0, "+8": 8, "010": None, "1:30": None, "0x10": None, "1_000": None}
    | {"8.0": None, "1e2": None, "true": None, "eight": None, "٣": None, "9" * 5000: None},
    "temperature": {"1": 1.0, "0.5": 0.5, ".5": 0.5, "2.": 2.0, "1e-3": 0.001, "1e3": 1000.0}
    | {"0.50": 0.5, "01.5": None, "1,5": None, "1:30": None, "nan": None, ".inf": None}
    | {"inf": None, "1e999": None, "1_0.5": None, "true": None, "٣": None},
    "sparsity": {"0": 0.0, "0.3": 0.3, "30%": None, "00.3": None, "1": None},
    "seed": {"0": 0, "12": 12, "-1": None, "012": None, "12.0": None},
    "chat_template": {"true": True, "false": False, "True": True, "no": False, "maybe": None},
    "instruction": {"5": "5", "Find it": "Find it", "query: ": "query: "},
    "document_prefix": {"passage: ": "passage: ", "2:4": "2:4", "true": "true"},
    "task_chat_template": {"true": True, "false": False, "perhaps": None, "1.5": None},
    "pooling": {"own": "own", "mean": "mean", "last": "last", "max": None, "": None},
    "tasks": {"boolq,piqa:20": "boolq,piqa:20", "[boolq, piqa:20]": "boolq,piqa:20"},
    "pruned": {
        "Drop-1A,Wanda 50%": "Drop-1A,Wanda 50%",
        "[Drop-1A, Wanda 50%]": "Drop-1A,Wanda 50%",
    }
    | {'["Drop-1A", "Wanda 50%"]': "Drop-1A,Wanda 50%", "[Drop-1A": None, "[[Drop-1A]]": None}
    | {"[{a: 1}]": None, '["Drop-1A,Drop-2A"]': None, '[""]': None},
    "collections": {"[fiqa, boolq-passages]": "fiqa,boolq-passages", "fiqa": "fiqa"},
    "prompts": {"[MC1, Math1]": "MC1,Math1", '["MC1", "Math1"]': "MC1,Math1"}
    | {"MC1,Math1": "MC1,Math1", "[all]": "all", '["a", "b"]': '["a", "b"]'},
}
CASES = [(name, text, value) for name, cases in WRITTEN.items() for text, value in cases.items()]


def taken(given):
    """What a run takes for its one parameter; None if it is refused."""
    (name,) = given
    with suppress(InputError):
        return getattr(validate(given), name)
    assert line_of(validate, given).startswith(f"parameter {name}=")
    return None


@pytest.mark.parametrize(("name", "text", "value"), CASES)
def test_a_value_is_the_same_however_it_is_given(name, text, value, tmp_path):
    """Through papermill, which reads values by their looks, it is the same or refused: a number
    that it has made of 0123456 cannot be told from 123456."""
    found = taken({name: text})
    assert (found, type(found)) == (value, type(value))
    for suffix, content in {
        "yaml": f"{name}: {text}\n",
        "yml": f"{name}: {json.dumps(text)}\n",
        "json": json.dumps({name: text}, indent="\t"),
    }.items():
        with suppress(InputError):  # [Drop-1A is no YAML
            given = values.from_file(write(tmp_path / f"given.{suffix}", content))
            assert taken(given) == value
    looks = _resolve_type(text)  # how papermill's -p reads it: 010 as Python's int has it, 10
    if value is not None or isinstance(looks, str):
        assert taken({name: looks}) in (value, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("revision", value) for value in (7538741, 1e5, True, None, ["main"])],
        *[("dropped", value) for value in (True, 8.5, None, [8], "")],
        *[("temperature", value) for value in (True, None, [1.0], "")],
        *[("pruned", value) for value in (["Drop-1A", 5], [None], [["Drop-1A"]], [], 5)],
        *[("tasks", value) for value in ([{"boolq": 20}], [""], {"boolq": 20})],
        ("prompts", [object()]),
        ("results", 5),
    ],
)
def test_values_of_another_type_are_one_line(name, value):
    said = line_of(validate, {name: value})
    assert said.startswith(f"parameter {name}=")
    if name == "revision" and isinstance(value, int | float):
        assert "as text (in quotes in a YAML file, by -r for papermill)" in said


@pytest.mark.parametrize("given", [["MC1", "Math1"], ("MC1", "Math1"), '["MC1","Math1"]'])
def test_a_list_of_ids_is_the_books_prompts(given):
    assert validate({"prompts": given}).prompts == "MC1,Math1"
    assert select_prompts(given) == select_prompts("MC1,Math1")


def test_an_id_among_own_prompts_is_the_books_prompt(tmp_path):
    mixed = select_prompts('["What is green?", "Math1"]')
    assert [(one.id, one.category) for one in mixed[:1]] == [("Own1", "Own prompts")]
    assert mixed[1:] == select_prompts("Math1")
    path = write(tmp_path / "own.txt", "What is green?\nMath1\n")
    assert select_prompts(str(path)) == mixed


def test_the_home_folder_is_found_in_every_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("model", "encoder", "prompts", "calibration", "task_folder", "results"):
        assert getattr(validate({name: "~/my/file.txt"}), name) == f"{tmp_path}/my/file.txt"
    found = validate({"method": "checkpoint", "checkpoint": "~/pruned"})
    assert found.checkpoint == f"{tmp_path}/pruned"
    assert validate({"collections": ["fiqa", "~/b"]}).collections == f"fiqa,{tmp_path}/b"
    assert validate({"prompts": '["a, ~/b", "~"]'}).prompts == '["a, ~/b", "~"]'
    assert validate({"instruction": "~"}).instruction == "~"
    monkeypatch.setenv("WHEN_PRUNING_WORKS_RESULTS", "~/kept")
    assert validate({}).results_folder() == tmp_path / "kept"
    write(tmp_path / "given.yaml", "seed: 7")
    assert values.from_file(Path("~/given.yaml")) == {"seed": "7"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("seed: 1\nseed: 2\n", "damaged at line 1: seed is given twice"),
        ('{"seed": 1, "seed": 2}', "damaged: seed is given twice"),
        ("seed: 1\n  model: x\n", "damaged at line 2"),
        ("seed: [1\n", "damaged at line 2"),
        ("seed: 1\n\tmodel: x\n", "damaged at line 2"),
        ("- seed\n- 1\n", "must hold names and values"),
        ("seed\n", "must hold names and values"),
        ("", "must hold names and values"),
        ("? [a]\n: 1\n", "damaged at line 1"),
        ("model: !!python/object:os.system x\n", "damaged at line 1"),
        ("seed: " + "[" * 5000, "damaged"),
        ("seed: \x07\n", "damaged"),
    ],
)
def test_a_damaged_parameters_file_is_one_line(content, said, tmp_path):
    found = line_of(values.from_file, write(tmp_path / "given.yaml", content))
    assert found.startswith("parameters file given.yaml ")
    assert said in found


@settings(max_examples=200, deadline=None)
@given(st.from_regex(r"[+-]?[0-9_.:xeE]{1,8}", fullmatch=True))
def test_numbers_are_decimal_or_refused(text):
    """Against Python's own reading, of what has one leading digit or none."""
    leading = text.lstrip("+-")
    plain = "_" not in text and not re.match(r"0[0-9]", leading)
    whole = taken({"seed": text})
    assert whole is None or (plain and whole == int(text))
    if plain and leading.isdigit() and not text.startswith("-"):
        assert whole == int(text)
    number = taken({"temperature": text})
    assert number is None or (plain and number == float(text))
