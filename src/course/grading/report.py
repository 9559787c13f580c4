"""Grades as files: a table for the teacher, a page for each student."""

import csv
import io
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

from course.grading.grade import Grade
from course.take import whole

STYLE = (
    "body{font:16px sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}"
    "td,th{padding:.3rem .8rem;text-align:left}"
)


def table(grades: Iterable[Grade]) -> str:
    """One row of CSV for each student: points, what each item brought, seconds and notes."""
    rows = list(grades)
    items = list(dict.fromkeys(f"{one.lab}: {mark.item}" for one in rows for mark in one.marks))
    text = io.StringIO()
    writer = csv.DictWriter(
        text, ["id", "lab", "points", "of", *items, "seconds", "notes"], lineterminator="\n"
    )
    writer.writeheader()
    for one in rows:
        row: dict[str, object] = {f"{one.lab}: {mark.item}": mark.points for mark in one.marks}
        row |= {"id": one.student, "lab": one.lab, "points": one.points, "of": one.most}
        writer.writerow(row | {"seconds": f"{one.seconds:.0f}", "notes": "; ".join(one.notes)})
    return text.getvalue()


def page(grade: Grade) -> str:
    """What a student may see of their grade, as a page of HTML that holds no script."""
    return "\n".join(_page(grade)) + "\n"


def write(grades: list[Grade], folder: Path) -> None:
    """``grades.csv`` and ``ID.html`` of each student, in ``folder``."""
    for grade in grades:
        whole(folder / f"{_safe(grade.student)}.html", page(grade))
    whole(folder / "grades.csv", table(grades))


def _page(grade: Grade) -> Iterator[str]:
    title = escape(f"{grade.lab or 'A lab'}: {grade.student}")
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    yield f"<style>{STYLE}</style><h1>{title}</h1>"
    yield f"<p><b>{grade.points:g} of {grade.most:g} points</b></p>"
    if grade.marks:
        yield "<table><tr><th>Item</th><th>Points</th><th>Why not all</th></tr>"
        for mark in grade.marks:
            cells = mark.item, f"{mark.points:g} of {mark.most:g}", mark.why
            yield f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        yield "</table>"
    if grade.notes:
        yield "<h2>Notes</h2><ul>"
        yield from (f"<li>{escape(note)}</li>" for note in grade.notes)
        yield "</ul>"
    yield "</html>"


def _safe(student: str) -> str:
    """An id as the name of a file."""
    return "".join(letter if letter.isalnum() or letter in "._-@+" else "_" for letter in student)
