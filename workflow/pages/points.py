"""The pages of a grid: a switcher under the title, and a page for a run that failed.

A chapter's first point is the chapter. The others are pages of their own beside it, reached by the
switcher only: they stand neither in the contents nor in the search.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import nbformat

from helpers.pruning.methods import METHODS
from runs import dataset, declared, outcome
from runs.profiles import Profile, Run

MODELS = ("model", "encoder", "checkpoint")  # axes whose values are names or folders of models
UNLISTED = {"orphan": True, "nosearch": True}  # what Sphinx is told of the pages beside a chapter


@dataclass(frozen=True)
class Grid:
    """The runs of a profile with what became of them: their folder, and the sizes of models."""

    profile: Profile
    folder: Path
    sizes: Mapping[str, str]

    @classmethod
    def of(cls, profile: Profile, results: Path) -> "Grid":
        """As the runs left it in ``results``."""
        folder = results / profile.name
        return cls(profile, folder, _sizes(profile, results))

    def axes(self, run: Run) -> dict[str, list[str]]:
        """The values on each axis along which the runs of its chapter differ, in their order."""
        points = [other.point for other in self.profile.of_chapter(run.chapter)]
        found = {axis: list(dict.fromkeys(point[axis] for point in points)) for axis in run.point}
        return {axis: values for axis, values in found.items() if len(values) > 1}

    def at(self, run: Run, axis: str, value: str) -> Run:
        """The run of the same chapter that differs on one axis."""
        wanted = {**run.point, axis: value}
        return next(
            one for one in self.profile.of_chapter(run.chapter) if dict(one.point) == wanted
        )

    def nearest(self, run: Run, chapter: str) -> Run:
        """The run of another chapter that a link from this one leads to: equal on most axes."""
        equal = {
            one.name: sum(run.point.get(axis) == value for axis, value in one.point.items())
            for one in self.profile.of_chapter(chapter)
        }
        return self.profile[max(equal, key=lambda name: equal[name])]

    def written(self, axis: str, value: str, among: list[str]) -> str:
        """A value as a person writes it: a share in percent, a model by its size if that tells it
        from the others, else by its name."""
        if axis in MODELS:
            for called in (self.sizes, {each: Path(each).name or "none" for each in among}):
                if len({called.get(each) for each in among} - {None}) == len(among):
                    return called[value]
            return value
        if axis == "sparsity":
            return f"{100 * float(value):g}%"
        if axis == "method":
            return METHODS[value].title if value in METHODS else value.capitalize()
        return {"": "none", "True": "yes", "False": "no"}.get(value, value.replace(",", ", "))

    def done(self, run: Run) -> bool:
        """Whether there is an executed notebook to show: else the page says what happened."""
        executed = self.folder / f"{run.name}.ipynb"
        return executed.is_file() and not outcome.failed(executed)


def switched(grid: Grid, run: Run, source: str) -> str:
    """The first cell of the run's page: its title, with the line below that says where the paper
    asks it; the switcher and what sets the run apart, where its chapter has several; the rest."""
    if not grid.axes(run):
        return source
    title, rest = heading(source)
    return f"{title}\n\n{switcher(grid, run)}\n{rest}"


def heading(source: str) -> tuple[str, str]:
    """A page's title with its subtitle, a paragraph in italics; and what comes after."""
    title, _, rest = source.partition("\n\n")
    if rest.startswith("*") and not rest.startswith("**"):
        subtitle, _, rest = rest.partition("\n\n")
        title = f"{title}\n\n{subtitle}"
    return title, rest.lstrip()


def switcher(grid: Grid, run: Run) -> str:
    """Links to the other points of the chapter, axis by axis, as HTML; and what sets this apart."""
    lines = ['<nav class="point-switcher" aria-label="Runs of this chapter">']
    for axis, values in grid.axes(run).items():
        lines.append(f'<div class="point-axis"><span>{escape(named(axis).capitalize())}</span><ul>')
        for value in values:
            other = grid.at(run, axis, value)
            current = ' aria-current="true"' if other is run else ""
            failed = "" if grid.done(other) else ' <span class="point-failed">failed</span>'
            text = escape(grid.written(axis, value, values))
            lines.append(
                f'<li><a href="{other.name}.html" title="{escape(value)}"{current}>{text}{failed}'
                "</a></li>"
            )
        lines.append("</ul></div>")
    lines.append("</nav>\n")
    lines.append(f'<p class="point-note">{_apart(grid, run)}</p>\n')
    return "\n".join(lines)


def _apart(grid: Grid, run: Run) -> str:
    runs = grid.profile.of_chapter(run.chapter)
    place = f"Run {runs.index(run) + 1} of {len(runs)} of this chapter"
    if run.first:
        return (
            f"{place}; they differ in: {', '.join(escape(named(axis)) for axis in grid.axes(run))}."
        )
    differs = [
        f"{escape(named(axis))} <strong>{escape(grid.written(axis, run.point[axis], values))}"
        f"</strong> (there {escape(grid.written(axis, runs[0].point[axis], values))})"
        for axis, values in grid.axes(run).items()
        if run.point[axis] != runs[0].point[axis]
    ]
    first = f'<a href="{runs[0].name}.html">first</a>'
    return f"{place}; against the {first}: {', '.join(differs)}."


def named(parameter: str) -> str:
    """A parameter in words."""
    return parameter.replace("_", " ")


def in_words(grid: Grid, run: Run) -> str:
    """``494M, 75%``: where the run lies, for the title of its window."""
    return ", ".join(
        grid.written(axis, run.point[axis], values) for axis, values in grid.axes(run).items()
    )


def failed_page(grid: Grid, run: Run) -> Any:
    """The page of a run that has no executed notebook: a notebook that says what happened, and what
    the run was asked for."""
    cells = declared.read(run.notebook).cells
    title, _ = heading(next(one.source for one in cells if one.source.startswith("# ")))
    values = {name: run.point.get(name) or _plain(value) for name, value in run.values.items()}
    asked = "\n".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in sorted(values.items())
    )
    text = f"""{title}

<div class="run-failed" role="note">
{_what_happened(outcome.failed(grid.folder / f"{run.name}.ipynb"))}
</div>

## What it was asked for

All other parameters are those of the notebook.

<div class="book-table" tabindex="0"><table>
<thead><tr><th scope="col">parameter</th><th scope="col">value</th></tr></thead>
<tbody>
{asked}
</tbody></table></div>

The same `make book` tries again; what is done is not repeated.
"""
    cell = nbformat.v4.new_markdown_cell(switched(grid, run, text))
    return nbformat.v4.new_notebook(cells=[cell])


def _what_happened(failed: Mapping[str, Any] | None) -> str:
    if not failed:
        return (
            "<p><strong>This run has not been done.</strong> It has left no result and no error: "
            "it was stopped, or not started.</p>"
        )
    said = {name: escape(str(value)) for name, value in failed.items()}
    return (
        f"<p><strong>This run failed.</strong> {said['error']}</p>\n"
        f"<p>It ended {said['finished']}, after {said['seconds']} s and with exit code "
        f"{said['exit']}, at attempt {said['attempts']}. Its log: <code>{said['log']}</code></p>"
    )


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _sizes(profile: Profile, results: Path) -> dict[str, str]:
    """Size in words of every model that the runs measured, by what the profile calls it."""
    known: dict[str, str] = {}
    manifests = [read_json(results / profile.name / f"{run.name}.json") for run in profile.runs]
    for one in dataset.asked_for(results, manifests):
        model = one.manifest["facts"].get("model")
        if isinstance(model, dict) and "size" in model:
            known[str(one.manifest["constants"].get("model"))] = str(model["size"])
    called = {
        str(run.values.get(axis, run.point[axis])): run.point[axis]
        for run in profile.runs
        for axis in MODELS
        if axis in run.point
    }
    return {called.get(name, name): size for name, size in known.items()}


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing if it is not there, or is not whole."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
