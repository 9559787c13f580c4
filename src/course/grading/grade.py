"""From a folder of submissions to grades: each notebook is run, asked, and judged."""

import ast
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from course.grading import confined, submissions
from course.grading.labs import LABS, Lab
from course.grading.submissions import Submission
from helpers.errors import InputError, cause


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
    answers: tuple[str, ...] = field(default=(), repr=False)

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

    ``secret`` decides the hidden inputs; ``lab`` says which lab it is, where notebooks are not to be
    believed. :class:`InputError` for a folder without submissions, an unknown lab, or no sandbox.
    """
    if lab and lab not in LABS:
        raise InputError(f"unknown lab {lab!r}: there are {', '.join(LABS)}")
    handed_in = list(submissions.found(folder))
    if not handed_in:
        raise InputError(f"{folder} holds no notebook: hand in ID.ipynb")

    def one(entry: tuple[str, Path]) -> Grade:
        student, path = entry
        try:
            submission = submissions.read(student, path)
            if lab or submission.page in LABS:
                return _grade(submission, lab or submission.page, secret, cell_seconds)
            refusal = f"the notebook is of no lab: give LAB={'|'.join(LABS)}"
        except InputError as error:
            if confined.missing():
                raise
            refusal = str(error)
        return Grade(student, lab, _nothing(LABS[lab], "") if lab else (), (refusal,))

    confined.require()
    with ThreadPoolExecutor(at_once) as pool:
        return _compared(list(pool.map(one, handed_in)))


def _grade(submission: Submission, lab: str, secret: str, cell_seconds: int) -> Grade:
    begin, rules = time.monotonic(), LABS[lab]
    questions = {
        test.name: test.draw(Random(f"{secret}/{lab}/{test.name}/{submission.student}"))
        for test in rules.tests
    }
    names = ["student", *(number.name for number in rules.numbers)]
    code = list(submission.code)
    answers = confined.run(code, names, questions, rules.ask, cell_seconds)
    marks = [
        _number(number, submission.student, answers.values.get(number.name))
        for number in rules.numbers
    ]
    for test in rules.tests:
        marks.append(_test(test, questions[test.name], answers))
    notes = [*answers.errors]
    if not answers.ended:
        notes.append("it did not come to its end: stopped by a limit, or it ended itself")
    version = platform.python_version()
    if said := submissions.python_note(submission.code, submission.python, version):
        notes.insert(0, said)
    says = answers.values.get("student")
    if isinstance(says, str) and says.strip().casefold() != submission.student.casefold():
        notes.insert(0, f"the notebook says that it is {says[:40]!r}'s")
    seconds = time.monotonic() - begin
    return Grade(submission.student, lab, tuple(marks), tuple(notes), seconds, submission.answers)


def _number(number: Any, student: str, value: Any) -> Mark:
    share = number.share(student, value)
    why = "" if share == 1 else "near" if share else "not given" if value is None else "off"
    return Mark(number.name, share * number.points, number.points, why)


def _test(test: Any, question: Any, answers: confined.Answers) -> Mark:
    if test.name not in answers.replies:
        return Mark(test.name, 0, test.points, answers.failed.get(test.name, "no answer"))
    try:
        why = test.judge(question, answers.replies[test.name])
    except Exception as error:  # whatever came back, it is not what was asked for
        why = f"what came back has not the form asked for ({cause(error)[:80]})"
    return Mark(test.name, 0 if why else test.points, test.points, why)


def _nothing(lab: Lab, why: str) -> tuple[Mark, ...]:
    items = [(one.name, one.points) for one in (*lab.numbers, *lab.tests)]
    return tuple(Mark(name, 0, points, why) for name, points in items)


def _compared(grades: list[Grade]) -> list[Grade]:
    """With a note where numbers are those of another student's version, or answers of two students
    are the same letter by letter."""
    found = []
    for grade in grades:
        notes = list(grade.notes)
        same = [
            other.student
            for other in grades
            if grade.answers and other is not grade and other.answers == grade.answers
        ]
        if same:
            notes.append(f"the same answers, letter by letter, as {', '.join(same)}")
        found.append(replace(grade, notes=tuple(notes)))
    return found
