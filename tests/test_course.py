"""The course: what a check says of an untouched, a right and a wrong answer, and the notebooks."""

import re
from pathlib import Path

import nbformat
import pytest
from course_answers import WRONG

from course import experiments, notebook, source
from course.verdict import Verdict, check
from helpers.errors import InputError

ROOT = Path(__file__).parents[1]
PAGES = {path.stem: source.read(path) for path in source.paths()}
CHAPTERS = {name: page for name, page in PAGES.items() if (ROOT / f"notebooks/{name}.md").exists()}
EXERCISES = {one.id: one for page in CHAPTERS.values() for one in page.exercises}


@pytest.fixture
def no_model(monkeypatch):
    """Tables stand in, as where the model does not load."""
    monkeypatch.setattr(experiments, "model_here", lambda: None)


def judged(exercise, answer):
    """The verdict on an answer, given as code, after right answers to all exercises before."""
    page, names = PAGES[exercise.page], {}
    before = [block for one in page.exercises[: exercise.number - 1] for block in one.solution]
    given = [*page.lead, *before, *exercise.start, source.Block(answer, code=True)]
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
        assert "course" not in ran


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
