"""The course: what a check says of an untouched, a right and a wrong answer, and the notebooks."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from conftest import tiny_model
from course_answers import WRONG
from nbformat.v4 import new_code_cell
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from course import experiments, notebook, source, take
from course.verdict import Verdict, check
from helpers.__main__ import main
from helpers.errors import InputError

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from pages import lesson  # noqa: E402

PAGES = {path.stem: source.read(path) for path in source.paths()}
CHAPTERS = {n: page for n, page in PAGES.items() if (ROOT / f"notebooks/{n}.md").exists()}
# Labs have tests of their own.
EXERCISES = {
    one.id: one for page in PAGES.values() for one in page.exercises if page.name[:3] != "lab"
}


@pytest.fixture
def no_model(monkeypatch):
    """Tables stand in, as where the model does not load."""
    monkeypatch.setattr(experiments, "model_here", lambda: None)


def judged(exercise, answer):
    """The verdict on an answer, given as code, after right answers to all exercises before."""
    page, names = PAGES[exercise.page], {}
    before = [block for one in page.exercises[: exercise.number - 1] for block in one.solution]
    given = [*page.setup, *before, *exercise.start, source.Block(answer, code=True)]
    for block in given:
        if block.code:
            exec(block.text, names)
    (called,) = (block.text for block in exercise.check if block.code)
    return eval(called, names)


def code(blocks):
    return "\n".join(block.text for block in blocks if block.code)


@pytest.mark.parametrize("name", EXERCISES)
def test_check_fails_untouched_and_passes_with_the_solution(name, no_model):
    exercise = EXERCISES[name]
    untouched, solved = judged(exercise, ""), judged(exercise, code(exercise.solution))
    assert not untouched.passed
    assert "yet" in untouched.line
    assert solved.passed, solved


@pytest.mark.parametrize("name", EXERCISES)
def test_check_refuses_two_wrong_answers_with_a_line_that_helps(name, no_model):
    assert len(WRONG[name]) >= 2
    for answer, part in WRONG[name]:
        verdict = judged(EXERCISES[name], answer)
        assert not verdict.passed, answer
        assert part in verdict.line
        assert len(verdict.line) < 250


def test_eight_chapters_have_three_exercises_each_to_predict_compute_and_change():
    assert len(CHAPTERS) >= 8
    for page in CHAPTERS.values():
        assert {"Predict", "Compute", "Change"} <= {one.kind for one in page.exercises}
        assert all(one.hints for one in page.exercises)


def test_a_check_never_raises():
    @check
    def halves(answer) -> str:
        return "" if answer(2) == 1 else "not the half"

    def silent(_):
        return None

    assert halves(lambda x: x / 2) == Verdict("halves", True, "Right.")
    assert repr(halves(lambda x: x)) == "✗ not the half"
    assert "ZeroDivisionError" in halves(lambda x: x / 0).line
    assert halves(silent).line.startswith("silent gives nothing back yet")
    assert not halves(...).passed
    assert not halves((1, ...)).passed


def test_student_gets_no_solution_and_the_teacher_gets_it_in_the_places_of_the_answers():
    for page in PAGES.values():
        student, teacher = notebook.student(page), notebook.teacher(page)
        for node in (student, teacher):
            nbformat.validate(node)
        asked, solved = ("\n".join(c.source for c in each.cells) for each in (student, teacher))
        for one in page.exercises:
            assert code(one.solution) in solved
            assert code(one.solution) not in asked
            assert code(one.start) in asked
            assert code(one.check) in asked
        assert "{dropdown}" not in asked + solved
        assert not re.search(r"\{cite", asked + solved)


def test_exercises_never_run_with_their_chapter():
    jupytext = pytest.importorskip("jupytext")
    for name in CHAPTERS:
        cells = jupytext.read(ROOT / "notebooks" / f"{name}.md").cells
        ran = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
        assert "course.checks" not in ran


def test_tables_cover_each_experiment_of_the_exercises(no_model):
    for name, one in experiments.EXPERIMENTS.items():
        rows = experiments._table(name)
        for key, values in one.grid.items():
            assert set(rows[key]) == set(values), (name, key)


@pytest.mark.slow
@pytest.mark.parametrize("name", experiments.EXPERIMENTS)
def test_tables_hold_what_the_model_gives(name):
    """The first and the last point of each grid, measured again."""
    grid = experiments.EXPERIMENTS[name].grid
    for which in (0, -1):
        asked = {key: values[which] for key, values in grid.items()}
        stored, live = experiments.stored(name, **asked), experiments.experiment(name, **asked)
        assert list(stored) == list(live)
        assert len(stored) == len(live)
        for column in live:
            if live[column].dtype.kind == "f":
                assert stored[column].fillna(0).tolist() == pytest.approx(
                    live[column].fillna(0).tolist(), rel=1e-3, abs=1e-5
                )
            else:
                assert stored[column].tolist() == live[column].tolist()


def test_a_page_or_an_experiment_that_is_not_there_is_refused_in_one_line(no_model):
    with pytest.raises(InputError, match="there are 01-introduction, 03-"):
        source.find("lab99")
    with pytest.raises(InputError, match="there are forms"):
        experiments.experiment("nothing")
    with pytest.raises(InputError, match=r"takes pruned$"):
        experiments.experiment("forms", method="wanda")
    with pytest.raises(InputError, match=r"pruned is one of dense, Drop-1M"):
        experiments.experiment("forms", pruned="Drop-20M")


def test_an_exercise_without_its_parts_is_named(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# P\n\nText.\n\n## Exercises\n\n### Half done\n\n**Predict** · easy · 5 min\n")
    with pytest.raises(InputError, match=r"^page.md, exercise 'Half done': it takes a line such"):
        source.read(page)


CELL_SECONDS, PEAK_GB = 120, 4
WATCHED = """
import time as _time

_begun, _took = [0.0], []
_hooks = get_ipython().events
_hooks.register("pre_run_cell", lambda _: _begun.append(_time.process_time()))
_hooks.register("post_run_cell", lambda _: _took.append(_time.process_time() - _begun[-1]))
"""
TOLD = """
_peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(max(_took), int(_peak.split()[1]) * 1024 / 1e9)
"""


def limits(node, folder):
    """Run a notebook: the seconds of its slowest cell on one free core, which are the same on a
    busy machine, and the most memory of its kernel in GB."""
    node.cells = [new_code_cell(WATCHED), *node.cells, new_code_cell(TOLD)]
    take.run(node, folder)
    return map(float, node.cells[-1].outputs[-1].text.split())


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform != "linux", reason="a process' peak of memory is read in /proc")
@pytest.mark.parametrize("name", PAGES)
def test_both_notebooks_run_from_start_to_end_on_the_embedded_model(name, tmp_path):
    """Untouched, every check fails and no cell does; solved, every check passes; and no cell takes
    more than two minutes, no kernel more than 4 GB, on one thread."""
    page = PAGES[name]
    for node, mark in ((notebook.student(page), "✗"), (notebook.teacher(page), "✓")):
        checks = [cell for cell in node.cells if cell.metadata.course.role == "check"]
        slowest, peak = limits(node, tmp_path)
        print(f"{name} {mark}: slowest cell {slowest:.1f} s, {peak:.2f} GB")
        said = [cell.outputs[-1].data["text/plain"] for cell in checks]
        assert len(said) == len(page.exercises)
        assert all(line.startswith(mark) for line in said), said
        assert slowest < CELL_SECONDS
        assert peak < PEAK_GB


def test_a_notebook_is_taken_into_the_current_folder_and_never_over_another(
    tmp_path, monkeypatch, capsys
):
    def run(*words):
        return main(["course", *words]), *capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    assert "ladder" in run()[1]
    assert run("ladder")[0] == 0
    written = (tmp_path / "ladder.ipynb").read_text()
    assert nbformat.reads(written, 4).cells == notebook.student(PAGES["ladder"]).cells
    for name, said in (
        ("ladder", "error: ladder.ipynb is here already"),
        ("lab99", "error: there is no exercise page 'lab99'"),
    ):
        code, out, err = run(name)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(said)
    assert (tmp_path / "ladder.ipynb").read_text() == written


def test_the_command_that_takes_a_notebook_starts_without_torch(tmp_path):
    command = [sys.executable, "-X", "importtime", "-m", "helpers", "course", "lab99"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: there is no exercise page 'lab99'")
    assert not re.search(r"\| +torch$", done.stderr, re.MULTILINE)


def closure(wanted):
    """The names of distributions that are installed with requirements, as far as they are here."""
    found, left = set(), [Requirement(one) for one in wanted]
    while left:
        one = left.pop()
        name = canonicalize_name(one.name)
        if name in found or (one.marker and not one.marker.evaluate({"extra": ""})):
            continue
        try:
            more = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        found.add(name)
        left += [Requirement(each) for each in more]
    return found


HIDING = """
import sys
from importlib.machinery import PathFinder

hidden, find = set(sys.argv.pop(1).split(",")), PathFinder.find_spec
PathFinder.find_spec = classmethod(
    lambda cls, name, path=None, target=None: (
        None if name.split(".")[0] in hidden else find(name, path, target)
    )
)
import helpers
from course import __main__, experiments, notebook, source, take
from course.checks import pruning, scores, spaces, writing

model = helpers.load(sys.argv[1])
text = helpers.calibration(model, samples=1, length=32)
with helpers.dropped(model, helpers.least_important(model, "mlp", 1, text)) as thin:
    print(helpers.generate(thin, ["one two"], tokens=2, chat=False))
with helpers.pruned(model, "wanda", 0.5, text=text):
    print(helpers.compare(*(2 * [helpers.hidden_states(model, ["one two"])]), model).shape)
for path in source.paths():
    notebook.student(source.read(path))
try:
    helpers.score(model, "boolq", items=1)
except helpers.InputError as error:
    print(error)
"""


def left_out():
    """The modules that are installed here and would not be with the ``lab`` extra alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["lab"]
    installed = closure(wanted) | {"when-pruning-works"}
    homes = metadata.packages_distributions()
    hidden = {
        module
        for module, names in homes.items()
        if not installed & {canonicalize_name(name) for name in names}
    }
    assert {"mteb", "snakemake", "lm_eval", "datasets", "papermill", "plotly"} <= hidden
    assert not {"torch", "transformers", "pandas", "nbformat"} & hidden
    return hidden


def imported(everywhere):
    """Each file of the library and the course with a module that it imports: wherever that is, or
    only what it takes to import the file."""
    for folder in ("helpers", "course"):
        for path in (ROOT / "src" / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree) if everywhere else tree.body:
                if isinstance(node, ast.Import):
                    yield from ((path.name, alias.name.partition(".")[0]) for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    yield path.name, (node.module or "").partition(".")[0]


def test_only_what_runs_beside_lm_eval_needs_more_than_the_lab_extra_at_once():
    hidden = left_out()
    needs = {(path, module) for path, module in imported(everywhere=False) if module in hidden}
    assert needs == {("refilled.py", "lm_eval"), ("shared_context.py", "lm_eval")}


@pytest.mark.slow
def test_the_lab_extra_is_enough_for_the_library_and_the_course(tmp_path, tiny_tokenizer):
    """All that it would not install is hidden from the import system."""
    model = tiny_model("llama", num_hidden_layers=3, max_position_embeddings=512)
    model.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", HIDING, ",".join(sorted(left_out())), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].startswith("scores need what the extra 'lab' leaves out (")


def test_the_library_and_the_course_import_nothing_that_linux_alone_has():
    only_there = {"fcntl", "resource", "pwd", "grp", "termios", "pty"}
    assert not [one for one in imported(everywhere=True) if one[1] in only_there]


def test_the_lesson_takes_ninety_minutes_without_a_gap():
    text = (ROOT / "book" / "lesson.md").read_text()
    rows = re.findall(r"^\| (\d):(\d\d) \| (\d+) \|", text, re.MULTILINE)
    clock = 0
    for hours, minutes, length in rows:
        assert int(hours) * 60 + int(minutes) == clock
        clock += int(length)
    assert clock == 90


def test_slides_need_no_host_and_each_has_what_the_speaker_says():
    text = lesson.slides((ROOT / "book" / "lesson.md").read_text())
    page = BeautifulSoup(text, "html.parser")
    asked = [tag.get(key) for tag in page.find_all(True) for key in ("src", "href") if tag.get(key)]
    assert not [each for each in asked if re.match(r"(https?:)?//", each)]
    assert not re.search(r"@import|url\((?!#|\"?data:)", "".join(map(str, page.find_all("style"))))
    shown = page.select(".slides > section")[1:]
    assert len(shown) == text.count('<aside class="notes">') > 10
    assert all(each.select_one("aside").get_text().strip() for each in shown)
    assert not re.search(r"\{(dropdown|lesson-picture)\}", page.select_one(".slides").get_text())
    assert len(page.select("svg")) == 3
