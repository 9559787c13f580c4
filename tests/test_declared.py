"""Every parameter that a chapter declares changes something, and what is promised exists."""

import ast
import inspect
import pkgutil
import re
import textwrap
from functools import cache
from pathlib import Path

import jupytext
import pytest
from encoder_folders import save_encoder

from runs import declared as notebooks_declared
from runs import parameters, source, store
from runs.__main__ import main
from runs.parameters import RunParameters

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.md"))
PAGES = [ROOT / "README.md", *NOTEBOOKS, *sorted((ROOT / "book").rglob("*.md"))]
FIELDS = set(RunParameters.model_fields)


def declared(notebook):
    """Names and defaults in the parameters cell."""
    return notebooks_declared.parameters(jupytext.read(notebook), notebook)


def cells(notebook):
    """Syntax trees of all code cells but that of the parameters."""
    for cell in jupytext.read(notebook).cells:
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", []):
            yield source.parsed(cell.source, notebook)


def read_of(tree, *names):
    """Parameters that some code reads of objects that are called so."""
    reads = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return FIELDS & {
        node.attr
        for node in reads
        if getattr(node.value, "id", getattr(node.value, "attr", "")) in names
    }


@cache
def behind(file):
    """Parameters that one module reads to measure something; the store reads some for all."""
    if file.suffix != ".py" or file.name in ("store.py", "parameters.py"):
        return set()
    return read_of(ast.parse(file.read_text(encoding="utf-8")), "parameters", "chosen", "one")


def of_measurement(stored):
    """Parameters that a measurement uses and that its code, all that it reaches, reads."""
    files = source.files_behind(stored.function.__module__)
    return set(stored.uses) & set().union(*map(behind, files))


def of_calls(tree):
    """Parameters that functions of the project read which are called with the whole run."""
    homes = {
        one.asname or one.name: f"{line.module}.{one.name}"
        for line in ast.walk(tree)
        if isinstance(line, ast.ImportFrom)
        for one in line.names
    }
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        first, _, rest = ast.unparse(call.func).partition(".")
        if first in homes and any(getattr(each, "id", "") == "run" for each in call.args):
            found = pkgutil.resolve_name(f"{homes[first]}.{rest}".rstrip("."))
            if inspect.isfunction(found):
                text = textwrap.dedent(inspect.getsource(found))
                yield from read_of(ast.parse(text), *inspect.signature(found).parameters)


def measurements_of(notebook):
    """The measurements that a notebook takes: those that it imports, and those that a module that
    it imports, or takes something from, holds or takes."""
    for name in {name for tree in cells(notebook) for name in source.imports(tree)}:
        held = pkgutil.resolve_name(name.removesuffix(".*"))
        if isinstance(held, store.Stored):
            yield held
        elif name.startswith(("measurements", "reporting", "chapters")):
            inside = vars(inspect.getmodule(held) or object).values()
            yield from (one for one in inside if isinstance(one, store.Stored))


def unread(notebook):
    """Parameters that a notebook declares and nothing reads."""
    whole = ast.Module([line for tree in cells(notebook) for line in tree.body], [])
    found = [of_measurement(one) for one in measurements_of(notebook)]
    read = read_of(whole, "run").union(of_calls(whole), parameters.ALWAYS, *found)
    return set(declared(notebook)) - read


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_declared_parameter_is_read(notebook):
    assert unread(notebook) == set()


def test_a_parameter_that_nothing_reads_is_found(tmp_path):
    text = (ROOT / "notebooks" / "e-prompts.md").read_text(encoding="utf-8")
    path = tmp_path / "e-prompts.md"
    path.write_text(text.replace('profile = "custom"', 'shots = 3\nprofile = "custom"'))
    assert unread(path) == {"shots"}
    path.write_text(text.replace("prompt_lengths.uses", '"model"'))
    assert unread(path) == set()


@pytest.mark.parametrize("name", store.every_measurement())
def test_what_a_measurement_uses_its_code_reads(name):
    stored = store.every_measurement()[name]
    assert set(stored.uses) == of_measurement(stored)


def accepting(notebook, values):
    """Run the line of a notebook that reads the parameters, after its imports."""
    space = dict(values)
    for tree in cells(notebook):
        for line in tree.body:
            reads = "parameters.read(" in ast.unparse(line)
            if reads or isinstance(line, ast.Import | ast.ImportFrom):
                if reads:  # as the kernel has it, where the parameters are the first globals
                    imports = {key: space.pop(key) for key in [*space] if key not in values}
                    call = {"globals": lambda: values}
                    exec(ast.unparse(line), imports | call, space)
                    return space["run"]
                exec(ast.unparse(line), space)
    return None


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_declared_parameter_is_accepted(notebook):
    given = declared(notebook)
    run = accepting(notebook, given)
    assert {name: getattr(run, name) for name in given} == given


def promised(text):
    """Parameters that a page names: after ``-p``, or as code."""
    options = re.findall(r"-[pr] ([a-z_]+)", text)
    return {*options, *(FIELDS & set(re.findall(r"`(?:-p )?([a-z_]+)\b[^`\n]*`", text)))}


def test_every_parameter_that_the_page_on_runs_names_exists():
    text = (ROOT / "book" / "run-it.md").read_text(encoding="utf-8")
    names = promised(text)
    assert {"pooling", "instruction", "document_prefix", "task_chat_template"} <= names
    known = {name for notebook in NOTEBOOKS for name in declared(notebook)}
    assert names - known == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_command_names_parameters_of_its_chapter(page):
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if chapter := re.search(r"notebooks/([\w-]+)\.md", line):
            options = re.findall(r"-[pr] ([a-z_]+)", line[chapter.end() :])
            assert set(options) <= set(declared(ROOT / "notebooks" / f"{chapter[1]}.md"))


REFUSED = {  # of the chapter on scores: values, and what is said of them
    "pooling": dict.fromkeys(("max", "", "Mean", "cls"), "it takes own, mean, last"),
    "task_chat_template": dict.fromkeys(("perhaps", "2", "", "chatml"), "it takes true or false"),
    "shots": dict.fromkeys(("-1", "65", "1.5", "few"), "it takes 0 to 64"),
    "items": dict.fromkeys(("-1", "1e3", "all"), "it takes 0 to 1000000"),
    "tasks": {
        "arc": "unknown task 'arc': known are embedded, boolq",
        "ARC-Easy": "unknown task 'ARC-Easy': did you mean arc_easy?",
        "arc_challenge:": "no number of questions after its colon",
        ",": "names no task",
    },
    "collections": {
        "ArguAnna": "did you mean ArguAna?",
        "quora": "unknown retrieval set 'quora'",
        "/a/fiqa": "unknown retrieval set '/a/fiqa'",
        "": "is not allowed",
    },
    "encoder": {"minilmm": "unknown model 'minilmm'", "": "is not allowed"},
    "task_folder": {"/nowhere/at/all": "is no folder"},
    "document_prefixes": {"passage: ": "did you mean document_prefix?"},
    "instructions": {"query: ": "did you mean instruction?"},
    "apply_chat_template": {"true": "unknown parameter 'apply_chat_template'"},
    "pattern": {"2:4": "unknown parameter 'pattern'"},
}
WRONG = [(name, value, said) for name, each in REFUSED.items() for value, said in each.items()]


@pytest.mark.parametrize(("name", "value", "said"), WRONG)
def test_a_wrong_value_of_a_score_is_one_line_and_exit_2(name, value, said, tmp_path, capsys):
    notebook, output = ROOT / "notebooks" / "04-inconsistent-effects.md", tmp_path / "out.ipynb"
    given = ["-p", "results", str(tmp_path / "results"), "-p", name, value]
    assert main(["run", str(notebook), str(output), *given]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
    assert not output.exists()


SEARCH = {"collections": "fiqa", "items": 12}
ASKED = {  # a measurement, how it is asked, and what is asked in another way
    "task_items": {"tasks": "piqa", "items": 6},
    "probe_items": {"probes": 1},
    "retrieval_items": SEARCH,
}
CHANGES = [
    *[("task_items", change) for change in ({"items": 8}, {"shots": 1}, {"seed": 1})],
    *[("task_items", change) for change in ({"tasks": "asdiv"}, {"task_chat_template": True})],
    *[("probe_items", change) for change in ({"chat_template": False}, {"probes": 2})],
    *[("retrieval_items", change) for change in ({"pooling": "last"}, {"instruction": "find: "})],
    *[("retrieval_items", change) for change in ({"document_prefix": "text: "}, {"items": 14})],
    *[("retrieval_items", change) for change in ({"seed": 1}, {"collections": "boolq-passages"})],
]


@pytest.mark.parametrize(("name", "change"), CHANGES, ids=str)
def test_a_scoring_parameter_changes_what_is_asked(name, change, tiny_folder, encoder, tmp_path):
    """Other questions, or other answers to the same ones."""
    model = encoder if name == "retrieval_items" else tiny_folder
    base = ASKED[name] | {"model": str(model), "device": "cpu", "dropped": 0}
    take, results = store.every_measurement()[name], str(tmp_path)
    before, after = (
        take(parameters.validate(base | each | {"results": results})).table("items")
        for each in ({}, change)
    )
    columns = ["item", "answer", "value"]
    assert before[columns].to_dict("list") != after[columns].to_dict("list")
    asked_alike = not {"items", "seed", "tasks", "collections", "probes"} & change.keys()
    assert asked_alike == (before["item"].tolist() == after["item"].tolist())


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return save_encoder(tmp_path_factory.mktemp("encoder"))
