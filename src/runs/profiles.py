"""Which runs are asked for? A profile: chapters, what they share, and axes that make a grid."""

import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from helpers.errors import InputError
from runs import declared, values
from runs.parameters import RunParameters, refuse_unknown, validate

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "workflow" / "profiles"
NOTEBOOKS = ROOT / "notebooks"
HEAD = {"about": str, "where": str, "minutes": float, "memory_gb": float}
PARTS = (*HEAD, "shared", "axes", "chapters")
NAME = re.compile(r"[\w-]+")


@dataclass(frozen=True)
class Run:
    """One point of the grid: a chapter's notebook with these parameters."""

    name: str  # of its files and its page; that of the chapter for the first point
    chapter: str  # stem of its notebook
    values: Mapping[str, Any]  # what is given; all else is the notebook's default
    point: Mapping[str, str]  # the value on each axis of its chapter, as it is written
    first: bool  # whether it is the chapter's page in the contents

    @property
    def notebook(self) -> Path:
        """The notebook that it executes."""
        return NOTEBOOKS / f"{self.chapter}.md"

    @property
    def taken(self) -> frozenset[str]:
        """Names of the parameters that its notebook takes."""
        return frozenset(_declared(self.chapter))

    @property
    def parameters(self) -> RunParameters:
        """All parameters of the run, validated."""
        return validate(_declared(self.chapter) | dict(self.values))


@dataclass(frozen=True)
class Profile:
    """A named grid of runs, with what it does, where it runs, and what it takes."""

    name: str
    path: Path
    about: str
    where: str
    minutes: float
    memory_gb: float
    runs: tuple[Run, ...]  # chapter by chapter, in each the first point first

    def of_chapter(self, chapter: str) -> tuple[Run, ...]:
        """The runs of one chapter."""
        return tuple(run for run in self.runs if run.chapter == chapter)

    def __getitem__(self, name: str) -> Run:
        return next(run for run in self.runs if run.name == name)


def known() -> list[str]:
    """Names of the profiles that come with the book."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read(name: str) -> Profile:
    """The profile of that name, or of a YAML file of one's own, checked as a whole.

    Raises :class:`InputError` for a profile that is not there, an unknown key, an empty axis, a
    chapter that the book does not have, a parameter that its chapter does not take, or a value
    that is not allowed.
    """
    path = Path(name).expanduser() if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise InputError(
            f"unknown profile {name!r}: known are {', '.join(known())}, or a file PATH.yaml"
        )
    if not NAME.fullmatch(path.stem):
        raise InputError(f"profile {path.name}: its name may have letters, digits, - and _ only")
    try:
        return _checked(path, values.from_file(path, kind="profile"))
    except InputError as error:
        said = str(error)
        raise InputError(said if path.name in said else f"profile {path.name}: {said}") from None


def _checked(path: Path, found: Mapping[str, Any]) -> Profile:
    for key in found:
        refuse_unknown(key, PARTS, "key")
    chapters = _mapping(found.get("chapters"), "chapters")
    if not chapters:
        raise InputError("it names no chapters")
    shared, axes = (_mapping(found.get(part), part) for part in ("shared", "axes"))
    _taken_somewhere({**shared, **axes}, list(chapters))
    runs = [
        run
        for chapter, own in chapters.items()
        for run in _runs(path.stem, chapter, _mapping(own, chapter), shared, axes)
    ]
    head = {key: _head(key, found, kind) for key, kind in HEAD.items()}
    return Profile(path.stem, path, runs=tuple(runs), **head)  # type: ignore[arg-type]


def _runs(
    profile: str,
    chapter: str,
    own: Mapping[str, Any],
    shared: Mapping[str, Any],
    axes: Mapping[str, Any],
) -> list[Run]:
    """The points of one chapter: what it says itself goes before what all share."""
    taken = _declared(chapter)
    fixed = {key: value for key, value in own.items() if key != "axes"}
    own_axes = _mapping(own.get("axes"), f"axes of {chapter}")
    for key in (*fixed, *own_axes):
        if key not in taken:
            refuse_unknown(key, taken, f"parameter of {chapter}")
    for key in fixed.keys() & own_axes.keys():
        raise InputError(f"{chapter} has {key} both as a value and as an axis: keep one")
    said = fixed.keys() | own_axes.keys()
    common = {key: value for key, value in shared.items() if key in taken and key not in said}
    grid = {key: value for key, value in axes.items() if key in taken and key not in said}
    grid |= own_axes
    points = [_listed(key, value) for key, value in grid.items()]
    found: list[Run] = []
    for values_ in itertools.product(*points):
        point = dict(zip(grid, values_, strict=True))
        given = {"profile": profile} | common | fixed | point
        shown = {key: _text(value) for key, value in point.items()}
        name = _name(chapter, shown, found)
        run = Run(name, chapter, given, shown, first=not found)
        _ = run.parameters  # raises InputError for what is not allowed
        found.append(run)
    return found


def _name(chapter: str, point: Mapping[str, str], before: list[Run]) -> str:
    """The chapter's name, and for all points but the first where they differ from it."""
    if not before:
        return chapter
    parts = [
        f"{key}-{_slug(value)}" for key, value in point.items() if value != before[0].point[key]
    ]
    name = "--".join([chapter, *parts])
    if any(run.name == name for run in before):
        digest = hashlib.sha256(repr(sorted(point.items())).encode()).hexdigest()
        name = f"{name}-{digest[:6]}"
    return name


def _slug(value: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", Path(value).name).strip("-").lower()


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list | tuple) else str(value)


def _listed(key: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise InputError(f"axis {key} must be a list of values, such as [a, b], and not empty")
    texts = [_text(each) for each in value]
    again = next((text for text in texts if texts.count(text) > 1), None)
    if again is not None:
        raise InputError(f"axis {key} has {again} twice")
    return value


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f"{what} must hold names and values, one per line")
    return value


def _head(key: str, found: Mapping[str, Any], kind: type) -> Any:
    value = found.get(key, "" if kind is str else 0)
    try:
        return value if kind is str else values.typed(value, kind)
    except ValueError:
        raise InputError(f"{key} must be a number, not {value!r}") from None


def _taken_somewhere(given: Mapping[str, Any], chapters: list[str]) -> None:
    """What all share must mean something to one of them at least."""
    taken = {name for chapter in chapters for name in _declared(chapter)}
    for key in given:
        refuse_unknown(key, taken, "parameter of these chapters")


@cache
def _declared(chapter: str) -> dict[str, Any]:
    notebook = NOTEBOOKS / f"{chapter}.md"
    if not notebook.is_file():
        refuse_unknown(chapter, [path.stem for path in NOTEBOOKS.glob("*.md")], "chapter")
    return declared.parameters(declared.read(notebook), notebook)
