"""From a folder of submissions to grades: each notebook is run, asked, and judged."""

import platform
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from course.grading import confined, submissions
from course.grading.labs import LABS, Lab, Number, Test
from course.grading.submissions import Submission
from helpers.errors import InputError, cause
from helpers.evaluation import sandbox


@dataclass(frozen=True)
class Mark:
    """What an item brought: ``points`` out of ``most``, and why not all of them."""

    item: str
    points: float
    most: float
    why: str = ""


@dataclass(frozen=True)
class Grade:
    """What a student's notebook brought, and notes for the teacher."""

    student: str
    lab: str
    marks: tuple[Mark, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def points(self) -> float:
        """The sum."""
        return sum(mark.points for mark in self.marks)

    @property
    def most(self) -> float:
        """What a right notebook brings."""
        return sum(mark.most for mark in self.marks)


def graded(
    folder: Path,
    secret: str,
    lab: str = "",
    at_once: int = 2,
    cell_seconds: int = confined.CELL_SECONDS,
) -> list[Grade]:
    """A grade for each submission in ``folder``, ``at_once`` notebooks at a time.

    ``secret`` decides the hidden inputs; ``lab`` says which lab it is, where notebooks are not to
    be believed. :class:`InputError` for a folder without notebooks, an unknown lab, or no sandbox.
    """
    if lab and lab not in LABS:
        raise InputError(f"unknown lab {lab!r}: there are {', '.join(LABS)}")
    sandbox.require()
    handed_in = list(submissions.found(folder))
    if not handed_in:
        raise InputError(f"{folder} holds no notebook: hand in ID.ipynb")
    read = [_read(student, path, lab) for student, path in handed_in]
    ready = [one for one in read if isinstance(one, Submission)]
    with ThreadPoolExecutor(at_once) as pool:
        ran = dict(zip(ready, pool.map(partial(_run, secret, cell_seconds), ready), strict=True))
    return [_grade(one, *ran[one], ready) if isinstance(one, Submission) else one for one in read]


def _read(student: str, path: Path, lab: str) -> Submission | Grade:
    """What is to be run, or the grade of what cannot be."""
    try:
        found = submissions.read(student, path)
        if (lab or found.page) not in LABS:
            raise InputError(f"the notebook is of no lab: say which, {', '.join(LABS)}")
        return replace(found, page=lab or found.page)
    except InputError as error:
        return Grade(student, lab, _nothing(LABS[lab]) if lab else (), (str(error),))


def _run(
    secret: str, cell_seconds: int, submission: Submission
) -> tuple[dict[str, Any], confined.Answers, float]:
    """The hidden inputs, what came back, and the seconds it took."""
    begin, lab = time.monotonic(), LABS[submission.page]
    questions = {
        test.name: test.draw(Random(f"{secret}/{test.name}/{submission.student}"))
        for test in lab.tests
    }
    names = ["student", *(number.name for number in lab.numbers)]
    told = confined.run(list(submission.code), names, questions, lab.ask, cell_seconds)
    return questions, told, time.monotonic() - begin


def _grade(
    submission: Submission,
    questions: dict[str, Any],
    told: confined.Answers,
    seconds: float,
    everybody: list[Submission],
) -> Grade:
    lab, student, notes = LABS[submission.page], submission.student, []
    others = [one for one in everybody if one.student != student and one.page == submission.page]
    says = told.values.get("student")
    if isinstance(says, str) and says.strip().casefold() != student.casefold():
        notes.append(f"the notebook says that it is of {says[:40]!r}")
    if same := [one.student for one in others if one.answers == submission.answers != ()]:
        notes.append(f"the same answers, letter by letter, as {', '.join(same)}")
    marks = []
    for number in lab.numbers:
        value = told.values.get(number.name)
        marks.append(_number(number, student, value))
        theirs = [one.student for one in others if number.share(one.student, value) == 1]
        if theirs and not marks[-1].points:
            notes.append(f"{number.name} is right for {', '.join(theirs)}")
    marks += [_test(test, questions[test.name], told) for test in lab.tests]
    version = platform.python_version()
    if said := submissions.python_note(submission.code, submission.python, version):
        notes.append(said)
    if not told.ended:
        notes.append("it did not come to its end: a limit stopped it, or it ended itself")
    return Grade(student, submission.page, tuple(marks), (*notes, *told.errors), seconds)


def _number(number: Number, student: str, value: Any) -> Mark:
    share = number.share(student, value)
    why = "" if share == 1 else "near" if share else "not given" if value is None else "off"
    return Mark(number.name, share * number.points, number.points, why)


def _test(test: Test, question: Any, answers: confined.Answers) -> Mark:
    if test.name not in answers.replies:
        return Mark(test.name, 0, test.points, answers.failed.get(test.name, "no answer"))
    try:
        why = test.judge(question, answers.replies[test.name])
    except Exception as error:  # whatever came back, it is not what was asked for
        why = f"what came back has not the form asked for ({cause(error)[:80]})"
    return Mark(test.name, 0 if why else test.points, test.points, why)


def _nothing(lab: Lab) -> tuple[Mark, ...]:
    items: list[Number | Test] = [*lab.numbers, *lab.tests]
    return tuple(Mark(one.name, 0, one.points, "no answer") for one in items)
