"""Notebooks of the course as files: one to work on, or all of them."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from course import notebook, source
from helpers.errors import InputError

CELL_SECONDS = 900  # a cell is to take two minutes at most; a machine that is busy gets more


def listed() -> Iterator[str]:
    """One line for each page with exercises: its name, how many, and the minutes they take."""
    for path in source.paths():
        page = source.read(path)
        minutes = sum(one.minutes for one in page.exercises)
        yield f"{page.name:28} {len(page.exercises)} exercises, {minutes:3} minutes: {page.title}"


def take(name: str, folder: Path) -> Path:
    """Write the student's notebook of page ``name`` into ``folder``; the file.

    :class:`InputError` if there is no such page, or a file of that name, which may hold answers.
    """
    page, path = source.find(name), folder / f"{name}.ipynb"
    if path.exists():
        raise InputError(f"{path.name} is here already: rename it, or delete it to begin anew")
    write(notebook.student(page), path)
    return path


def write(node: Any, path: Path) -> None:
    """A notebook as a file, whole or not at all."""
    from nbformat import writes

    whole(path, f"{writes(node)}\n")


def whole(path: Path, text: str) -> None:
    """``text`` as a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def run(node: Any, folder: Path) -> float:
    """Run a notebook from start to end, as if it lay in ``folder``; the seconds it took. What its
    cells show is kept in ``node``. An exception in a cell goes on to the caller."""
    from nbclient import NotebookClient

    begin = time.perf_counter()
    NotebookClient(
        node, timeout=CELL_SECONDS, resources={"metadata": {"path": str(folder)}}
    ).execute()
    for cell in node.cells:
        if cell.cell_type == "code":  # progress bars say nothing afterwards
            cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]
    return time.perf_counter() - begin
