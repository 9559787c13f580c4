"""The exercises of a page, read from its Markdown: one source for reader, student and teacher.

An exercise is a ``###`` section under ``## Exercises``: one line ``**Kind** · level · N minutes``,
the task, and folds (``{dropdown}``) named *Hint 1*, *Hint 2*, …, *Start*, *Check* and *Solution*.
Python blocks in the last three are code cells of the notebooks; none runs with the chapter. A fold
*Set-up* before the first exercise holds what all of them need.
"""

import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from helpers.errors import InputError

CHECKOUT = Path(__file__).parents[2]
INSTALLED = Path(sysconfig.get_path("data")) / "share" / "when-pruning-works"
FOLDERS = ("notebooks", "book")
KINDS = ("Predict", "Compute", "Change", "Mend")
LEVELS = ("easy", "medium", "hard")
ABOUT = re.compile(rf"^\*\*({'|'.join(KINDS)})\*\* · ({'|'.join(LEVELS)}) · (\d+) minutes$", re.M)
FOLD = re.compile(r"^(`{3,})\{dropdown\} ([^\n]+)\n(.*?)^\1$\n?", re.M | re.S)
PYTHON = re.compile(r"^(`{3,})python\n(.*?)^\1$\n?", re.M | re.S)
HEADER = re.compile(r"\A---\n.*?\n---\n", re.S)
CODE_CELL = re.compile(r"^(`{3,})\{code-cell\}.*?^\1$\n?", re.M | re.S)
NEEDED = ("Start", "Check", "Solution")


@dataclass(frozen=True)
class Block:
    """A piece of a page: ``text`` in Markdown, or the text of a ``code`` cell."""

    text: str
    code: bool = False


@dataclass(frozen=True)
class Exercise:
    """One exercise: ``start`` is what the student fills in, ``check`` says whether it is right."""

    page: str
    number: int
    title: str
    kind: str
    level: str
    minutes: int
    task: str
    hints: tuple[str, ...]
    start: tuple[Block, ...]
    check: tuple[Block, ...]
    solution: tuple[Block, ...]

    @property
    def id(self) -> str:
        """Its name in notebooks and grades: the page and its number there, from 1."""
        return f"{self.page}-{self.number}"


@dataclass(frozen=True)
class Page:
    """A page with exercises: what its notebook begins with (``lead``), what all ``exercises`` need
    (``setup``), and these."""

    name: str
    title: str
    lead: tuple[Block, ...]
    setup: tuple[Block, ...]
    exercises: tuple[Exercise, ...]


def blocks(text: str) -> tuple[Block, ...]:
    """Markdown cut at its Python blocks; what is empty is left out."""
    found, at = [], 0
    for block in PYTHON.finditer(text):
        found += [Block(text[at : block.start()].strip()), Block(block[2].strip(), code=True)]
        at = block.end()
    return tuple(one for one in (*found, Block(text[at:].strip())) if one.text)


def parts(text: str) -> tuple[str, str]:
    """What stands before a page's exercises, and their section, which may be empty."""
    before, _, rest = text.partition("\n## Exercises\n")
    return before, re.split(r"^## ", rest, maxsplit=1, flags=re.M)[0]


def read(path: Path) -> Page:
    """The page at ``path``; :class:`InputError` names an exercise whose form is not kept."""
    text = HEADER.sub("", path.read_text(encoding="utf-8"))
    before, asked = parts(text)
    chapter = bool(CODE_CELL.search(before))
    title = re.search(r"^# (.+)$", before, re.M)
    if chapter:  # its text stands in the book; its exercises need the question alone
        question = re.search(r"^\*\*The question\.\*\*.*?(?=\n\n)", before, re.M | re.S)
        before = "\n\n".join(one[0] for one in (title, question) if one)
    needed, *sections = re.split(r"^### ", asked, flags=re.M)
    setup = tuple(block for fold in FOLD.finditer(needed) for block in blocks(fold[3]))
    exercises = tuple(
        _exercise(path, number, section) for number, section in enumerate(sections, 1)
    )
    name = title[1] if title else path.stem
    return Page(path.stem, name, blocks(before), setup, exercises)


def _exercise(path: Path, number: int, section: str) -> Exercise:
    title, _, rest = section.partition("\n")
    about = ABOUT.search(rest)
    folds = {fold[2].strip(): fold[3] for fold in FOLD.finditer(rest)}
    if not about or any(name not in folds for name in NEEDED):
        raise InputError(
            f"{path.name}, exercise {title!r}: it takes a line such as **Compute** · easy · "
            f"5 minutes, and the folds {', '.join(NEEDED)}"
        )
    kind, level, minutes = about.groups()
    start, check, solution = (blocks(folds[name]) for name in NEEDED)
    hints = tuple(text.strip() for name, text in folds.items() if name.startswith("Hint"))
    task = FOLD.sub("", rest.replace(about[0], "", 1)).strip()
    who = (path.stem, number, title.strip(), kind, level, int(minutes))
    return Exercise(*who, task, hints, start, check, solution)


def paths() -> Iterator[Path]:
    """All pages with exercises of this form, where this project lies: a checkout, or installed."""
    root = CHECKOUT if (CHECKOUT / FOLDERS[0]).is_dir() else INSTALLED
    for folder in FOLDERS:
        for path in sorted((root / folder).glob("*.md")):
            if ABOUT.search(parts(path.read_text(encoding="utf-8"))[1]):
                yield path


def find(name: str) -> Page:
    """The page called ``name``; :class:`InputError` lists those that there are."""
    known = {path.stem: path for path in paths()}
    if name not in known:
        raise InputError(f"there is no exercise page {name!r}: there are {', '.join(known)}")
    return read(known[name])
