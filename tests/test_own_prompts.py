"""Prompts of one's own: what a list or a file may hold, and that anything else is one line."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from chapters.e_prompts.measure import prompt_lengths
from helpers.errors import InputError
from helpers.texts import data
from helpers.texts.data import select_prompts
from measurements.example_state import example_state
from measurements.layer_profile import layer_profile
from runs.__main__ import main
from runs.parameters import validate

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
CHAPTER = NOTEBOOKS / "e-prompts.md"

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
BAD = {
    "[]": "the list of prompts is empty",
    '["a", ""]': "prompt 2 of the list of prompts has an empty prompt",
    '["a", " \\n"]': "prompt 2 of the list of prompts has an empty prompt",
    "[1, 2]": "prompt 1 of the list of prompts is 1: each takes a text, or",
    '["a", ["b"]]': 'prompt 2 of the list of prompts is ["b"]',
    '[{"id": "x"}]': 'prompt 1 of the list of prompts is {"id": "x"}',
    '[{"prompt": 3}]': "prompt 1 of the list of prompts has the prompt 3",
    '[{"prompt": "a", "id": ""}]': "prompt 1 of the list of prompts has an empty id",
    '[{"prompt": "a", "Id": "x"}]': "unknown key 'Id': known are prompt, id, category",
    '[{"prompt": "a", "id": "x"}, {"prompt": "b", "id": "x"}]': "2 prompts of the list of prompts "
    'have the id "x"',
    '["a", {"prompt": "b", "id": "Own1"}]': 'have the id "Own1"',
    '["a", "b", "a"]': '2 prompts of the list of prompts have the text "a"',
    '[{"prompt": "a", "id": "MC1"}]': "prompt id MC1 belongs to a prompt of the paper",
    '["\\ud800"]': "half a character",
    "[a, b]": "the list of prompts is no valid JSON at line 1, column 2",
    '["a"': "the list of prompts is no valid JSON at line 1",
    '{"prompt": "a"}': "the list of prompts is no list",
    "[" * 100_000: "nested too deeply",
    "Colours": "unknown prompt 'Colours': known are all, MC1",
    "missing.json": 'prompts file "missing.json" is not there',
    "missing/prompts.txt": 'prompts file "missing/prompts.txt" is not there',
    "a" * 5000 + ".txt": "is not there",
    "~nobody-has-this-name/a.txt": "is not there",
    "two\nlines.txt": 'prompts file "two\\nlines.txt" is not there',
    " ": "names no prompt: known are all, MC1",
}
BAD_FILES = {
    "object.json": (
        b'{"prompts": ["a"]}',
        'line 1 of object.json is {"prompts": ["a"]}: each takes',
    ),
    "text.json": (b"3", "line 1 of text.json is 3: each takes a text"),
    "broken.json": (b'["a",\n"b",\n oops]', "broken.json is damaged at line 3: Expecting value"),
    "numbers.json": (b"[1, 2]", "item 1 of numbers.json is 1"),
    "none.json": (b"[]", 'prompts file "none.json" is empty'),
    "none.txt": (b"\n  \n", 'prompts file "none.txt" is empty'),
    "twice.txt": (b"a\nb\na\n", '2 prompts of prompts file "twice.txt" have the text "a"'),
    "latin.txt": (b"caf\xe9", "latin.txt cannot be read as UTF-8: line 1 holds byte 0xe9"),
}


def run(chapter, folder, **values):
    """Our command on a chapter, everything under ``folder``; its exit code."""
    values = {"results": folder / "results", "device": "cpu"} | values
    given = [text for name, value in values.items() for text in ("-p", name, str(value))]
    return main(["run", str(chapter), str(folder / "out" / "chapter.ipynb"), *given])


def last_line(capsys):
    return capsys.readouterr().err.strip().splitlines()[-1]


def only_line(capsys):
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


@given(st.lists(texts, min_size=1, unique=True))
def test_a_list_of_texts_comes_back(chosen):
    prompts = select_prompts(json.dumps(chosen))
    assert [prompt.text for prompt in prompts] == chosen
    assert [prompt.id for prompt in prompts] == [f"Own{n + 1}" for n in range(len(chosen))]
    assert {prompt.category for prompt in prompts} == {"Own prompts"}


def test_ids_and_categories_are_kept_and_the_rest_is_counted():
    given = ["a", {"prompt": "b", "id": "B"}, {"prompt": "c", "category": "Third"}]
    found = [(p.id, p.category, p.text) for p in select_prompts(json.dumps(given))]
    assert found == [
        ("Own1", "Own prompts", "a"),
        ("B", "Own prompts", "b"),
        ("Own2", "Third", "c"),
    ]


def test_a_list_a_json_file_and_a_text_file_are_the_same_prompts(tmp_path):
    chosen = ["Name three colours.", "Was ist grün?", "[1] is no list"]
    (tmp_path / "own.json").write_text(json.dumps(chosen, indent=4), encoding="utf-8-sig")
    (tmp_path / "own.TXT").write_bytes("\r\n\n  ".join(["", *chosen, ""]).encode())
    ways = [json.dumps(chosen), str(tmp_path / "own.json"), f" {tmp_path / 'own.TXT'} "]
    assert len({select_prompts(way) for way in ways}) == 1
    assert len({data.identity(way) for way in ways}) == 1
    assert select_prompts(ways[2])[1].text == "Was ist grün?"


def test_a_prompt_of_the_paper_stays_itself_in_a_list():
    mc1 = data.appendix_e()[0]
    assert select_prompts(json.dumps([{"id": "MC1", "prompt": mc1.text}])) == (mc1,)


@pytest.mark.parametrize("chosen", BAD, ids=lambda text: text[:20])
def test_bad_lists_and_names_are_one_line(chosen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        select_prompts(chosen)
    assert BAD[chosen] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_one_line(name, tmp_path):
    content, message = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        select_prompts(str(tmp_path / name))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("chosen", [5, ["a", object()], {"a"}, ""])
def test_what_is_neither_text_nor_list_is_refused_as_a_parameter(chosen):
    with pytest.raises(InputError, match=r"parameter prompts=.* is not allowed: it takes all, ids"):
        validate({"prompts": chosen})


def test_a_real_list_is_a_parameter_too():
    assert validate({"prompts": ["é", {"prompt": "b"}]}).prompts == '["é", {"prompt": "b"}]'
    assert validate({"prompts": ("a",)}).prompts == '["a"]'


def test_identity_follows_the_content_of_a_file(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("a\nb\n")
    first = data.identity(str(path))
    path.write_text("a\nc\n")
    assert data.identity(str(path)) != first
    assert data.identity('["a", "c"]') == data.identity(str(path))
    named = [{"id": "A", "prompt": "a"}, "c"]
    assert data.identity(json.dumps(named)) != data.identity(str(path))
    assert str(tmp_path) not in first


@pytest.mark.parametrize("chosen", ["all", "MC2, Gen4", "all,Table2"])
def test_identity_of_ids_is_their_text(chosen):
    assert data.identity(chosen) == chosen


def test_measurement_is_taken_again_for_another_content(tiny_folder, tmp_path):
    path = tmp_path / "own.txt"
    values = {"model": str(tiny_folder), "results": str(tmp_path / "r"), "prompts": str(path)}
    found = []
    for text in ("one\n", "three\n", "one\n\n"):
        path.write_text(text)
        found.append(prompt_lengths(validate(values)))
    assert found[0].run == found[2].run != found[1].run
    assert [int(each.table("prompts")["tokens"].iloc[0]) for each in found] == [3, 5, 3]


@pytest.mark.parametrize("chosen", ["[]", "[1]", '["a", ""]', "missing.json", "[a]", '["a", "a"]'])
def test_command_stops_before_a_kernel_starts(chosen, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(NOTEBOOKS / "05-hierarchical-effects.md", tmp_path, prompts=chosen) == 2
    assert BAD.get(chosen, "") in only_line(capsys)
    assert not list(tmp_path.rglob("*"))


def test_bad_file_stops_the_command(tmp_path, capsys):
    (tmp_path / "own.json").write_text('["a",\nb]')
    assert run(CHAPTER, tmp_path, prompts=tmp_path / "own.json") == 2
    assert "own.json is damaged at line 2" in only_line(capsys)
    assert [path.name for path in tmp_path.rglob("*")] == ["own.json"]


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (prompt_lengths, "the longest prompt makes 602 tokens, the model reads 512: shorten it"),
        (example_state, "the longest prompt makes 602 tokens, the model reads 512: shorten it"),
        (
            layer_profile,
            "prompt and max_new_tokens make 604 tokens, the model reads 512: lower max_new_tokens, "
            "or shorten the longest prompt",
        ),
    ],
    ids=lambda value: getattr(value, "function", None) and value.function.__name__,
)
def test_prompt_longer_than_the_context_is_one_line(measure, message, tiny_folder, tmp_path):
    values = {"model": str(tiny_folder), "device": "cpu", "results": str(tmp_path / "results")}
    values |= {"prompts": ["x" * 600, "short"], "max_new_tokens": 2}
    with pytest.raises(InputError) as caught:
        measure(validate(values))
    assert str(caught.value) == message
    assert not list(tmp_path.rglob("*.json"))


def test_bad_list_stops_a_measurement_before_it_looks_at_the_model(tmp_path):
    """As in plain papermill, where no command has checked anything before."""
    values = {"model": "no such model", "results": str(tmp_path), "prompts": ["a", 2]}
    with pytest.raises(InputError, match="prompt 2 of the list of prompts is 2"):
        prompt_lengths(validate(values))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def bare_folder(tiny_folder, tmp_path):
    """The tiny model with a tokenizer that has no chat template."""
    folder = tmp_path / "bare"
    shutil.copytree(tiny_folder, folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert AutoTokenizer.from_pretrained(folder).chat_template is None
    return folder


def test_no_chat_template_is_one_line_from_the_command(bare_folder, tmp_path, capsys):
    chapter = NOTEBOOKS / "05-hierarchical-effects.md"
    values = {"model": bare_folder, "prompts": '["a"]', "max_new_tokens": 2}
    assert run(chapter, tmp_path, **values) == 2
    assert last_line(capsys) == (
        "error: the tokenizer has no chat template: use chat_template=false, or an instruct model"
    )
    assert not list(tmp_path.rglob("manifest.json"))


def test_chapter_takes_a_yaml_list_and_a_model_without_chat_template(bare_folder, tmp_path):
    given = tmp_path / "given.yaml"
    given.write_text("prompts:\n- one text\n- prompt: another\n  category: Second\n")
    out = tmp_path / "out.ipynb"
    command = ["run", str(CHAPTER), str(out), "--parameters-file", str(given)]
    for name, value in {"model": bare_folder, "results": tmp_path / "results"}.items():
        command += ["-p", name, str(value)]
    assert main(command) == 0
    text = out.read_text()
    assert "2 prompts of [one's own](e-prompts.md)" in text
    assert "1 Own prompts, 2 Second" in text
    assert "the chat template adds 0 tokens" in text
    assert not re.search(r"\bnan\b", text)


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """The commands that the chapter prints, in a folder with the files that they name."""
    page = CHAPTER.read_text()
    blocks = re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    example = re.search(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[1]
    (tmp_path / "my-prompts.json").write_text(example)
    (tmp_path / "my-prompts.txt").write_text("one\n\ntwo\n")
    (tmp_path / "notebooks").symlink_to(NOTEBOOKS)
    monkeypatch.chdir(tmp_path)
    return [line for block in blocks for line in block.splitlines()]


def test_commands_of_the_chapter_name_good_prompts(commands):
    found = []
    for command in commands:
        *_, option, value = shlex.split(command)
        given = yaml.safe_load(value)["prompts"] if option == "-y" else value
        found.append(len(select_prompts(validate({"prompts": given}).prompts)))
    assert found == [2, 2, 2, 3]


def test_papermill_command_of_the_chapter_runs(commands, tiny_folder, tmp_path):
    (command,) = [line for line in commands if " -y " in line]
    programs = Path(sys.executable).parent
    line = re.sub(r"\b(jupytext|papermill)(?= )", rf"{programs}/\1", command)
    line += f" -p model {tiny_folder} -p results {tmp_path / 'results'}"
    subprocess.run(line, shell=True, check=True, capture_output=True)
    assert "Name three colours." in (tmp_path / "out.ipynb").read_text()
