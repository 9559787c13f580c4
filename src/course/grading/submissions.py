"""What students hand in: a folder with a notebook for each id, read as data."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.errors import InputError

LARGEST = 20 << 20  # bytes
ID = re.compile(r"[\w][\w.@+-]{0,99}")


@dataclass(frozen=True)
class Submission:
    """A notebook handed in under the ``student``'s id: of which ``page`` it is, its ``code`` cells
    without checks and without given cells that only show something, those among them that are
    ``answers``, and the version of Python that wrote it."""

    student: str
    page: str
    code: tuple[str, ...]
    answers: tuple[str, ...]
    python: str


def found(folder: Path) -> Iterator[tuple[str, Path]]:
    """The id and the notebook of each student: ``ID.ipynb``, or the one notebook of a folder
    ``ID``. What else lies there is left alone."""
    if not folder.is_dir():
        raise InputError(
            f"there is no folder {folder}: give one that holds ID.ipynb of each student"
        )
    for path in sorted(folder.iterdir()):
        inner = sorted(path.glob("*.ipynb")) if path.is_dir() and not path.is_symlink() else []
        if path.suffix == ".ipynb":
            yield path.stem, path
        elif len(inner) == 1:
            yield path.name, inner[0]
        elif inner:
            yield path.name, path


def read(student: str, path: Path) -> Submission:
    """The notebook at ``path``; :class:`InputError` if it is none that can be run."""
    if not ID.fullmatch(student):
        raise InputError("the id is none: letters, digits and . _ - @ + make one")
    if path.is_symlink() or not path.is_file():
        raise InputError("there is no one notebook: hand in one file")
    if path.stat().st_size > LARGEST:
        raise InputError(f"the file has more than {LARGEST >> 20} MiB: clear its outputs")
    try:
        told = json.loads(path.read_bytes())
        about, cells = told.get("metadata", {}), told["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        roles = [(_role(cell), "".join(cell["source"])) for cell in code]
        page = str(about.get("course", {}).get("page", ""))
        python = str(about.get("language_info", {}).get("version", ""))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise InputError("the file is no notebook of Jupyter (nbformat 4)") from error
    if not any(text.strip() for _, text in roles):
        raise InputError("the notebook is empty: it has no code")
    run = tuple(text for role, text in roles if role != "check" and not _shows(role, text))
    return Submission(
        student, page, run, tuple(text for role, text in roles if role == "answer"), python
    )


def python_note(code: tuple[str, ...], wrote: str, here: str) -> str:
    """A line if cells are no Python that runs ``here``, naming the version that ``wrote`` them."""
    bad = [str(number) for number, text in enumerate(code, 1) if parsed(text) is None]
    if not bad:
        return ""
    other = f"; the notebook was written with Python {wrote[:20]}" if wrote else ""
    return f"no Python {here} in cell {', '.join(bad)}{other}"


def parsed(text: str) -> ast.Module | None:
    """A cell without the lines that only a notebook knows; None if it is no Python."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith(("%", "!")))
    try:
        return ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _shows(role: str, text: str) -> bool:
    """Whether a given cell leaves nothing behind that others could need."""
    tree = parsed(text)
    loops = (ast.Expr, ast.For, ast.With)
    return role == "lead" and tree is not None and all(isinstance(x, loops) for x in tree.body)


def _role(cell: dict[str, Any]) -> str:
    return str(cell.get("metadata", {}).get("course", {}).get("role", ""))
