"""Which runs are asked for? A profile: chapters, what they share, and axes that make a grid."""

import hashlib
import itertools
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from helpers.errors import InputError
from runs import declared, values
from runs.parameters import PATHS, RunParameters, refuse_unknown, validate

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "workflow" / "profiles"
NOTEBOOKS = ROOT / "notebooks"
HEAD = {"about": str, "where": str, "minutes": float, "memory_gb": float, "cores": int}
PARTS = (*HEAD, "shared", "axes", "chapters", "also")
NAME = re.compile(r"\w[\w-]*")
TAKEN = ("html", "measurements")  # folders of _build and results that hold something else
MOST = 10_000  # runs: more is a slip
LONGEST = 150  # characters of a run's name, which names its files


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

    @cached_property
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
    cores: int  # that each run takes; 0: as many as the machine has for it
    runs: tuple[Run, ...]  # chapter by chapter, in each the first point first

    @cached_property
    def _named(self) -> dict[str, Run]:
        return {run.name: run for run in self.runs}

    @cached_property
    def _chapters(self) -> dict[str, tuple[Run, ...]]:
        by_chapter = itertools.groupby(self.runs, key=lambda run: run.chapter)
        return {chapter: tuple(runs) for chapter, runs in by_chapter}

    def of_chapter(self, chapter: str) -> tuple[Run, ...]:
        """The runs of one chapter; none if the profile does not have it."""
        return self._chapters.get(chapter, ())

    def beside(self, run: Run, chapter: str) -> Run | None:
        """The first run of ``chapter`` at the point of ``run``: equal in all that either has an
        axis for and both take."""
        if not (others := self.of_chapter(chapter)):
            return None
        axes = (run.point.keys() | others[0].point.keys()) & run.taken & others[0].taken
        return self._at(chapter, tuple(sorted(axes))).get(_values(run, axes))

    def _at(self, chapter: str, axes: tuple[str, ...]) -> dict[tuple[Any, ...], Run]:
        """The runs of a chapter by their values on some axes, of equal ones the first."""
        found = self._found.get((chapter, axes))
        if found is None:
            backwards = reversed(self.of_chapter(chapter))
            found = {_values(run, axes): run for run in backwards}
            self._found[chapter, axes] = found
        return found

    @cached_property
    def _found(self) -> dict[tuple[str, tuple[str, ...]], dict[tuple[Any, ...], Run]]:
        return {}

    def __getitem__(self, name: str) -> Run:
        return self._named[name]


def _values(run: Run, axes: Iterable[str]) -> tuple[Any, ...]:
    return tuple(getattr(run.parameters, axis) for axis in sorted(axes))


def known() -> list[str]:
    """Names of the profiles that come with the book."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read(name: str) -> Profile:
    """The profile of that name, or of a YAML file of one's own, checked as a whole.

    A path in it that has a ``/`` or a ``.`` may be written as seen from the file. Raises
    :class:`InputError` for a profile that is not there, a name that is taken, an unknown key, an
    empty axis, a chapter that the book does not have, a parameter that its chapter does not take,
    or a value that is not allowed.
    """
    path = Path(name).expanduser() if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    path = path.absolute()
    if not path.is_file():
        raise InputError(
            f"unknown profile {name!r}: known are {', '.join(known())}, or a file PATH.yaml"
        )
    if not NAME.fullmatch(path.stem):
        raise InputError(f"profile {path.name}: its name may have letters, digits, - and _ only")
    if path.stem in TAKEN or (path.stem in known() and path.resolve().parent != FOLDER.resolve()):
        raise InputError(
            f"profile {path.name}: the name {path.stem} is taken, and its site would replace "
            "another: give the file another name"
        )
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
    for key in shared.keys() & axes.keys():
        raise InputError(f"{key} stands both in shared and as an axis: keep one")
    others = [_other(name, path, chapters) for name in _names(found.get("also"))]
    runs: list[Run] = []
    for chapter, own in chapters.items():
        points = _runs(path, chapter, _mapping(own, chapter), shared, axes)
        beside = [run for other in others for run in other.of_chapter(chapter)]
        runs += _of_models(path.stem, [*points, *beside]) if beside else points
        if len(runs) > MOST:
            raise InputError(f"it has more than {MOST:,} runs: shorten an axis, or make two of it")
    head = {key: _head(key, found, kind) for key, kind in HEAD.items()}
    return Profile(path.stem, path, runs=tuple(runs), **head)


def _runs(
    path: Path,
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
    if "profile" in {*shared, *axes, *fixed, *own_axes}:
        raise InputError("profile is no parameter to give: it is the name of the file")
    for key in fixed.keys() & own_axes.keys():
        raise InputError(f"{chapter} has {key} both as a value and as an axis: keep one")
    said = fixed.keys() | own_axes.keys()
    common = {key: value for key, value in shared.items() if key in taken and key not in said}
    grid = {key: value for key, value in axes.items() if key in taken and key not in said}
    grid |= own_axes
    points = [_listed(key, value) for key, value in grid.items()]
    if math.prod(map(len, points)) > MOST:
        raise InputError(f"{chapter} has more than {MOST:,} points: shorten an axis")
    found: list[Run] = []
    names: set[str] = set()
    seen: set[RunParameters] = set()
    for values_ in itertools.product(*points):
        point = dict(zip(grid, values_, strict=True))
        given = {
            key: _as_seen_from_the_project(key, value, path.parent)
            for key, value in (common | fixed | point).items()
        }
        shown = {key: _text(value) for key, value in point.items()}
        name = _name(chapter, shown, found[0].point if found else shown, names)
        names.add(name)
        run = Run(name, chapter, {"profile": path.stem} | given, shown, first=not found)
        if run.parameters in seen:  # which raises InputError for what is not allowed
            where = ", ".join(f"{key} {text}" for key, text in shown.items())
            raise InputError(f"{chapter} has the point {where} twice, written in two ways")
        seen.add(run.parameters)
        found.append(run)
    return found


def _other(name: str, path: Path, chapters: Collection[str]) -> Profile:
    """A profile whose runs are to stand beside those of ``path``, with the parameters it gives."""
    other = read(name)
    if "also" in values.from_file(other.path, kind="profile"):
        raise InputError(f"also: {name} has others beside it itself: name each of them here")
    for run in other.runs:
        refuse_unknown(run.chapter, chapters, f"chapter, which {name} has")
    return other


def _of_models(profile: str, runs: list[Run]) -> list[Run]:
    """Runs of one chapter that come from several profiles, as points that differ in the model."""
    first, found = runs[0], list[Run]()
    for run in runs:
        model = run.parameters.model
        if run.point.keys() - {"model"}:
            axis = next(iter(run.point.keys() - {"model"}))
            raise InputError(f"also: runs of {run.chapter} may differ in the model, not in {axis}")
        if any(model == other.point["model"] for other in found):
            raise InputError(f"also: {run.chapter} has two runs of model {model}")
        point = {"model": model}
        name = _name(run.chapter, point, found[0].point if found else point, set())
        given = {**run.values, "profile": profile}
        found.append(replace(run, name=name, values=given, point=point, first=run is first))
    return found


def _as_seen_from_the_project(key: str, value: Any, folder: Path) -> Any:
    """Paths that lie beside the profile, as runs see them, which work in the project's folder."""
    if key not in PATHS:
        return value
    if isinstance(value, list):
        return [_as_seen_from_the_project(key, each, folder) for each in value]
    if not isinstance(value, str) or value.lstrip()[:1] in ("[", "{"):
        return value
    return ",".join(_beside(part, folder) for part in value.split(","))


def _beside(name: str, folder: Path) -> str:
    path = Path(name.strip())
    if path.is_absolute() or not re.search(r"[/.]", name) or not (folder / path).exists():
        return name
    found, root = (folder / path).resolve(), ROOT.resolve()
    return str(found.relative_to(root) if found.is_relative_to(root) else found)


def _name(chapter: str, point: Mapping[str, str], first: Mapping[str, str], taken: set[str]) -> str:
    """The chapter's name, and for all points but the first where they differ from it."""
    parts = [f"{key}-{_slug(value)}" for key, value in point.items() if value != first[key]]
    name = "--".join([chapter, *parts])
    if name in taken or len(name) > LONGEST:
        digest = hashlib.sha256(repr(sorted(point.items())).encode()).hexdigest()
        name = f"{name[:LONGEST]}-{digest[:8]}"
    return name


def _slug(value: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", Path(value).name).strip("-").lower() or "none"


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


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


def _names(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InputError("also must be a list of profiles, such as [second-model]")
    return value


def _head(key: str, found: Mapping[str, Any], kind: type) -> Any:
    value = found.get(key)
    if value is None:
        return "" if kind is str else 0
    if kind is str:
        if not isinstance(value, str):
            raise InputError(f"{key} must be a text of one line")
        return value
    try:
        number = values.typed(value, kind)
    except ValueError:
        number = -1
    if number < 0:
        raise InputError(f"{key} must be a number from 0, not {value!r}")
    return number


def _taken_somewhere(given: Mapping[str, Any], chapters: list[str]) -> None:
    """What all share must mean something to one of them at least."""
    taken = {name for chapter in chapters for name in _declared(chapter)}
    for key in given:
        refuse_unknown(key, taken, "parameter of these chapters")


@cache
def _declared(chapter: str) -> dict[str, Any]:
    refuse_unknown(chapter, [path.stem for path in NOTEBOOKS.glob("*.md")], "chapter")
    notebook = NOTEBOOKS / f"{chapter}.md"
    return declared.parameters(declared.read(notebook), notebook)
