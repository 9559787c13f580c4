"""The student's notebook of a page, with places to fill in, and the teacher's, with solutions."""

import re
from collections.abc import Iterator
from typing import Any

from course.source import FOLD, Block, Exercise, Page

LINK = re.compile(r"(?<!!)\[([^\]\[]*)\]\((?!https?:|#)[^)\s]+\.(?:md|ipynb|html)(?:#[^)]*)?\)")
CITATION = re.compile(r"\s*\{cite(?::\w+)?\}`[^`]+`")
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
HOW = "Run the cells from top to bottom. Fill in the places marked `...`; the cell below checks."


def student(page: Page) -> Any:
    """The notebook, as nbformat has it, of a page without its solutions. Each cell says in its
    metadata which ``exercise`` it is of and what ``role`` it has there: lead, task, answer, check,
    and in the teacher's notebook solution."""
    return _notebook(page, solved=False)


def teacher(page: Page) -> Any:
    """As :func:`student`, with the solutions in the places of the answers, and explained."""
    return _notebook(page, solved=True)


def _notebook(page: Page, solved: bool) -> Any:
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    cells = []
    for number, (block, role, exercise) in enumerate(_cells(page, solved)):
        new = new_code_cell if block.code else new_markdown_cell
        cell = new(block.text if block.code else plain(block.text), id=f"{page.name[:40]}-{number}")
        cell.metadata["tags"] = [role]
        cell.metadata["course"] = {"exercise": exercise, "role": role}
        cells.append(cell)
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL, "course": {"page": page.name}})


def _cells(page: Page, solved: bool) -> Iterator[tuple[Block, str, str]]:
    """Every cell: what it holds, its role, and the id of its exercise."""
    minutes = sum(one.minutes for one in page.exercises)
    how = Block(f"*Exercises: {len(page.exercises)}, {minutes} minutes.* {HOW}")
    for block in (*page.lead, how, *page.setup):
        yield block, "lead", ""
    for one in page.exercises:
        yield Block(_task(one)), "task", one.id
        if solved:
            for block in one.solution:
                yield block, "answer" if block.code else "solution", one.id
        else:
            for block in one.start:
                yield block, "answer" if block.code else "task", one.id
        for block in one.check:
            yield block, "check" if block.code else "task", one.id


def _task(one: Exercise) -> str:
    hints = "".join(_fold(f"Hint {number}", text) for number, text in enumerate(one.hints, 1))
    about = f"**{one.kind}** · {one.level} · {one.minutes} minutes"
    return f"## {one.number}. {one.title}\n\n{about}\n\n{one.task}\n{hints}"


def _fold(title: str, text: str) -> str:
    return f"\n<details><summary>{title}</summary>\n\n{text}\n\n</details>\n"


def plain(text: str) -> str:
    """The book's Markdown as any notebook shows it: folds as HTML, links between pages and
    citations as text."""
    folded = FOLD.sub(lambda fold: _fold(fold[2], fold[3].strip()), text)
    return CITATION.sub("", LINK.sub(r"\1", folded))
