"""Every command line that a page shows, run on a tiny model: README and book agree with what runs.

Names of models and sizes are exchanged for tiny ones, and what a page does not say is made small;
nothing else of a command is changed. What would take hours or change the system is looked at in
another way, each of which is declared. A command of a kind that is not declared fails.
"""

import json
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from conftest import tiny_model
from test_runner import SHORT, TINY
from test_tasks import ROWS

from course import source
from helpers.evaluation.tasks import TASKS
from runs import declared
from runs.parameters import RunParameters, refuse_unknown, validate

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "book").glob("*.md")),
    *sorted((ROOT / "notebooks").glob("*.md")),
]
CODE = ("{code-cell}", "{math}", "{bibliography}")  # directives that hold no prose
OTHER = ("json", "yaml")  # blocks that are no commands
PROGRAMS = {
    *("make", "python", "python3", "python3.11", "pip", "jupytext", "papermill", "jupyter-book"),
    *("apt-get", "git", "snakemake", "pytest", "bash", "when-pruning-works", "conda", "curl"),
}
SUBSTITUTES = {  # what is exchanged in a command: models, and how much
    "Qwen/Qwen2.5-0.5B-Instruct": "FOLDER",
    "Qwen/Qwen3-4B": "FOLDER",
    "smollm2-135m": "FOLDER",
    "notebooks/NAME.md": "notebooks/05-hierarchical-effects.md",
    "-p max_new_tokens 16": "-p max_new_tokens 2",
    "-p items 500": "-p items 3",
    "-p items 50": "-p items 3",
    "-p probes 40": "-p probes 1",
    "TITLE 50%": "Wanda 50%",
}
SMALL = {  # what is given where a command does not say it: as in the tests of whole chapters
    name: {key: "FOLDER" if value == TINY else value for key, value in values.items()}
    | {"model": "FOLDER", "device": "cpu"}
    for name, values in SHORT.items()
}
SMALL["g-more-models"] |= {"task_folder": "TASKS"}  # where the hub is out of reach
SMALL["04-inconsistent-effects"] |= {"task_folder": "TASKS"}
QUICK = "05-hierarchical-effects"  # as the README runs it: each time; all others are slow tests


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language and what stands in it."""

    language: str
    text: str


def cut(text: str) -> tuple[list[Block], str]:
    """The fenced blocks of a page, and its prose, also that within a note or a solution."""
    blocks: list[Block] = []
    prose: list[str] = []
    around: list[str] = []  # fences of the notes and solutions that we are in
    lines = iter(text.splitlines())
    for line in lines:
        found = re.fullmatch(r" *(`{3,}|:{3,}) *(\S*).*", line)
        if not found:
            prose.append(line)
            continue
        fence, language = found.groups()
        if not language and fence in around:
            around.remove(fence)
        elif language.startswith("{") and language not in CODE:
            around.append(fence)
        else:
            inside: list[str] = []
            while (line := next(lines)).strip() != fence:
                inside.append(line)
            blocks.append(Block(language, textwrap.dedent("\n".join(inside))))
    assert not around, f"a block does not end: {around}"
    return blocks, "\n".join(prose)


def command_lines(block: str) -> Iterator[str]:
    """The commands of a block: without remarks, and long ones on one line."""
    for line in re.sub(r"\s*\\\n\s*", " ", block).splitlines():
        if words := shlex.split(line, comments=True):
            yield line.split(" #")[0].strip() if "#" in line else line.strip()
            assert words


def spans(prose: str) -> list[str]:
    """What a page sets in the type of code, within its sentences."""
    return [" ".join(found.split()) for found in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]


def program(command: str) -> str:
    return command.split(maxsplit=1)[0].removeprefix(".venv/bin/")


def shown(page: Path) -> Iterator[str]:
    """All commands that a page shows."""
    blocks, prose = cut(page.read_text(encoding="utf-8"))
    for block in blocks:
        if block.language in ("bash", "sh", "console", ""):
            yield from command_lines(block.text)
        else:
            assert block.language in (*CODE, *OTHER, "python"), f"{page.name}: {block.language}"
    yield from (span for span in spans(prose) if program(span) in PROGRAMS)


COMMANDS = list(dict.fromkeys(command for page in PAGES for command in shown(page)))
CHAPTERS = [each for each in COMMANDS if re.search(r"-m runs run|\bpapermill\b", each)]
OTHERS = [each for each in COMMANDS if each not in CHAPTERS]


@pytest.fixture(scope="session")
def project(tmp_path_factory, tiny_tokenizer):
    """A folder that looks like the project, to run in: what is written is not written there."""
    folder = tmp_path_factory.mktemp("project")
    for path in ROOT.iterdir():
        if path.name not in {".venv", ".git", "_build", "build", "results"}:
            (folder / path.name).symlink_to(path)
    (folder / ".venv").symlink_to(sys.prefix)
    tiny = folder / "FOLDER"
    model = tiny_model("llama", num_hidden_layers=8, max_position_embeddings=512)
    model.save_pretrained(tiny)
    tiny_tokenizer.save_pretrained(tiny)
    for task in ("hellaswag", "gsm8k"):
        (folder / "TASKS" / task).mkdir(parents=True)
        file = folder / "TASKS" / task / f"{TASKS[task].scored}.jsonl"
        file.write_text("".join(json.dumps(ROWS[task]) + "\n" for _ in range(4)))
    blocks, _ = cut((ROOT / "notebooks" / "e-prompts.md").read_text(encoding="utf-8"))
    (own,) = (block.text for block in blocks if block.language == "json")
    (folder / "my-prompts.json").write_text(own)
    (folder / "my-prompts.txt").write_text("Name three colours.\nWhat is 7 times 8?\n")
    return folder


def tiny(command: str) -> str:
    """The command with models and sizes exchanged."""
    for said, meant in SUBSTITUTES.items():
        command = re.sub(rf"{re.escape(said)}(?!\d)", meant, command)
    return command


def small(command: str) -> str:
    """A tiny command of a chapter, with what it does not say made small."""
    command = tiny(command)
    given = pairs(command)
    more = [
        f"-p {name} {shlex.quote(str(value))}"
        for name, value in SMALL[notebook(command)].items()
        if name not in given
    ]
    return " ".join([command, *more])


def pairs(command: str) -> dict[str, str]:
    """The parameters that a command gives."""
    words = [*shlex.split(command), ""]
    given = {
        name: value
        for (flag, name), value in zip(pairwise(words), words[2:], strict=False)
        if flag in ("-p", "-r")
    }
    for flag, text in pairwise(words):
        if flag == "-y":
            name, _, value = text.partition(": ")
            given[name] = value
    return given


def notebook(command: str) -> str:
    """The name of the chapter that a command runs."""
    (name,) = re.findall(r"notebooks/(\S+)\.md", command)
    return str(name)


def bash(command: str, project: Path) -> subprocess.CompletedProcess[str]:
    """A command as somebody types it, in the project, with its environment active."""
    ways = f'export PATH="{sys.prefix}/bin:$PATH" PYTHONPATH="{ROOT / "src"}"; set -o pipefail'
    done = subprocess.run(
        ["bash", "-c", f"{ways}\n{command}"], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done


def is_slow(command: str) -> bool:
    """Whether it takes long, and is not what somebody tries first."""
    if command in CHAPTERS:
        return notebook(tiny(command)) != QUICK or command not in shown(ROOT / "README.md")
    return " -m pytest " in command


def marked(commands: list[str]) -> list[object]:
    return [pytest.param(each, marks=[pytest.mark.slow] * is_slow(each)) for each in commands]


@pytest.mark.parametrize("command", marked(CHAPTERS))
def test_a_chapter_runs_as_its_command_says(command, project):
    bash(small(command), project)
    (output,) = re.findall(r"\S+\.ipynb", command)
    cells = nbformat.read(project / output, 4).cells
    assert any(cell.get("execution_count") for cell in cells)
    assert not [each for cell in cells for each in cell.get("outputs", []) if "ename" in each]
    (project / output).unlink()


@pytest.mark.parametrize("command", CHAPTERS)
def test_a_command_gives_what_its_chapter_takes(command):
    """Quick, for all of them: the notebook is there, and takes each parameter and value."""
    path = ROOT / "notebooks" / f"{notebook(tiny(command))}.md"
    given = pairs(command)
    for name in given:
        refuse_unknown(name, declared.parameters(declared.read(path), path))
    validate(given)


def make(command, project):
    """A target is one of those that `make` lists, and make knows what to do for it."""
    targets = [word for word in shlex.split(command)[1:] if "=" not in word]
    listed = re.findall(r"^  (\S+)", bash("make", project).stdout, re.MULTILINE)
    assert set(targets) <= set(listed)
    assert len(targets) <= 1
    if targets:
        assert bash(command.replace("make", "make --dry-run", 1), project).stdout.strip()


def python(command, project):
    if " -m pytest " in command:
        assert "test_" in bash(f"{command} --collect-only -q", project).stdout
    elif " -c " in command:
        assert bash(command, project).stdout.strip()
    elif " -m helpers course" in command:
        page = command.partition(" course")[2].strip()
        assert (f"Wrote {page}" if page else "minutes") in bash(command, project).stdout
        (project / f"{page}.ipynb").unlink(missing_ok=not page)
    elif " -m pip install " in command:  # what it names is there
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        for name in re.findall(r"\.\[(\w+)\]", command):
            assert name in extras["optional-dependencies"]
        assert all((ROOT / name).is_file() for name in re.findall(r"-r (\S+)", command))
    elif " -m helpers " in command:
        assert "smollm2-135m" in bash(command, project).stdout
    elif re.search(r" -m (benchmarks|course)\.", command):  # takes what others made
        command = re.sub(r"( -m [\w.]+).*", r"\1", command, flags=re.DOTALL)
        assert bash(f"{command} --help", project).stdout.startswith("usage")
    else:
        assert command == ".venv/bin/python"
        assert bash(f"{command} --version", project).stdout.startswith("Python 3")


def apt_get(command, _project):
    """The same packages that are installed where everything is checked, or that tests of a cluster
    ask for."""
    asked = (ROOT / ".ci" / "run").read_text() + (ROOT / "tests/slurm/cluster.py").read_text()
    for package in command.removeprefix("apt-get install ").split():
        assert re.search(rf"\b{package}\b", asked)


def jupyter(command, _project):
    """It opens a notebook that the line before has written."""
    (name,) = re.fullmatch(r"jupyter lab (\S+)\.ipynb", command).groups()
    assert f"python -m helpers course {name}" in COMMANDS


def activate(command, project):
    """The environment's programs are then the first on the path."""
    found = bash(f"{command} && command -v papermill", project).stdout
    assert Path(found.strip()).parents[1].samefile(sys.prefix)


CHECKED = {
    **{"jupyter": jupyter, "make": make, "python": python, "apt-get": apt_get},
    "source": activate,
}


@pytest.mark.parametrize("command", marked(OTHERS))
def test_a_command_does_what_its_page_says(command, project):
    assert program(command) in CHECKED, "declare how such a command is checked"
    CHECKED[program(command)](command, project)


EXERCISES = set(source.paths())


def besides_exercises(page: Path) -> str:
    """A page without what its notebook of exercises runs, see test_course: of a page of prose
    nothing is left."""
    text = page.read_text(encoding="utf-8")
    if page not in EXERCISES:
        return text
    return text.replace(source.parts(text)[1], "") if page.parent.name == "notebooks" else ""


SNIPPETS = {
    f"{page.name}-{number}": (page, block.text)
    for page in PAGES
    for number, block in enumerate(cut(besides_exercises(page))[0])
    if block.language == "python"
}
ALONE = [
    name
    for name, (page, text) in SNIPPETS.items()
    if page.parent.name != "notebooks"
    and page.name != "contest.md"  # its blocks follow each other
    and "results/tables" not in text  # see test_dataset
]

IN_CHAPTERS = sorted(name for name in SNIPPETS if SNIPPETS[name][0].parent.name == "notebooks")


@pytest.mark.parametrize("name", ALONE)
def test_python_runs_as_shown(name, project):
    (project / "snippet.py").write_text(tiny(SNIPPETS[name][1]))
    assert bash("python snippet.py", project).stdout.strip()


@pytest.mark.slow
def test_python_of_the_contest_runs_block_after_block(project):
    blocks = [text for page, text in SNIPPETS.values() if page.name == "contest.md"]
    assert len(blocks) > 1
    (project / "snippet.py").write_text("\n".join(blocks))
    bash("python snippet.py", project)
    assert (project / "ours.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_CHAPTERS)
def test_python_of_a_chapter_runs_behind_its_cells(name, project):
    page, snippet = SNIPPETS[name]
    answer = r"^assert (.+) == \.\.\..*$"  # where the reader is to write theirs
    snippet = re.sub(answer, r"\1", tiny(snippet), flags=re.MULTILINE)
    (project / "own").mkdir(exist_ok=True)
    cell = f"\n\n```{{code-cell}}\n{snippet}\n```\n"
    (project / "own" / page.name).write_text(page.read_text(encoding="utf-8") + cell)
    command = small(f"python -m runs run notebooks/{page.name} out.ipynb")
    bash(command.replace("notebooks/", "own/", 1), project)
    assert nbformat.read(project / "out.ipynb", 4).cells[-1].source.strip() == snippet.strip()


FRAGMENTS = sorted(
    {
        span
        for page in PAGES
        for span in spans(cut(page.read_text(encoding="utf-8"))[1])
        if span.startswith("-p ")
    }
)


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_parameter_within_a_sentence_is_one(fragment):
    given = pairs(tiny(fragment))
    assert given.keys() <= RunParameters.model_fields.keys()
    validate({name: value for name, value in given.items() if value})


def test_commands_are_found():
    """Of every kind, and from pages of every kind."""
    assert {program(command) for command in COMMANDS} >= {"make", "python", "jupytext", "apt-get"}
    assert len(CHAPTERS) > 15
    assert len(ALONE) == 1
    assert len(SNIPPETS) > 2
    assert len(FRAGMENTS) > 5
    text = (
        "a `make x` and\n\n```{dropdown} S\n`python -c 1`\n```\n\n```bash\nls \\\n  -l # all\n```\n"
    )
    blocks, prose = cut(text)
    assert spans(prose) == ["make x", "python -c 1"]
    assert [*command_lines(blocks[0].text)] == ["ls -l"]
