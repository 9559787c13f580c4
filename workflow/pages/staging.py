"""Everything that Jupyter Book reads, in one folder.

An executed notebook stands there where its Markdown source stands in the contents. Chapters that
a profile does not have are left out of the contents, and links to them become plain text.
"""

import re
import shutil
from collections.abc import Callable, Collection
from importlib import resources
from pathlib import Path
from typing import Any

import nbformat
import yaml

from pages import (
    all_results,
    citation,
    conclusion,
    elsewhere,
    head,
    ledger,
    ledger_page,
    lesson,
    points,
    start,
    status,
    words,
)
from pages.contents import contents, without
from pages.dictionary import data_dictionary
from runs.profiles import ROOT, Run

MATHJAX_PARTS = (  # without the menu, which is as heavy as the rest
    *("startup.js", "core.js", "input/tex.js", "input/tex/extensions"),
    *("output/chtml.js", "output/chtml/fonts", "a11y/assistive-mml.js"),
)
CHAPTER_LINK = re.compile(r"\[([^\]\[]*)\]\(([\w-]+)\.md(#[\w-]*)?\)")


def stage(source: Path, grid: points.Grid) -> list[str]:
    """Fill the folder ``source`` with all that Jupyter Book reads; the pages that it will make."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    kept = {f"notebooks/{run.chapter}" for run in grid.profile.runs}
    absent = {name for name in contents(toc) if name.startswith("notebooks/")} - kept
    toc = without(toc, absent)
    source.mkdir(parents=True)
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    chapters = [Path(name).name for name in contents(toc) if name.startswith("notebooks/")]
    address = elsewhere.repository()
    told = yaml.safe_dump(elsewhere.with_buttons(config, address), sort_keys=False)
    (source / "_config.yml").write_text(told, encoding="utf-8")
    (source / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    shutil.copytree(ROOT / "book", source / "book")
    found = ledger.findings(grid)
    front = source / "book" / "index.md"
    words = front.read_text(encoding="utf-8")
    front.write_text(start.page(grid, words, found), encoding="utf-8")
    for page in (source / "book").glob("*.md"):
        text = lesson.with_pictures(page.read_text(encoding="utf-8"))
        page.write_text(_without_links(text, absent), encoding="utf-8")
    (source / "notebooks").mkdir()
    for run in grid.profile.runs:
        nbformat.write(staged(grid, run), source / "notebooks" / f"{run.name}.ipynb")
    static = source / "book" / "_static"
    made = {
        "ledger": ledger_page.page(found),
        "all-results": all_results.write(grid, static / "all-results"),
        "status": status.page(grid),
        "09-conclusion": conclusion.page(ledger.collect(found)),
        "data-dictionary": data_dictionary(),
        "cite-and-download": citation.page(grid, chapters, address),
    }
    for name, text in made.items():
        told = _without_links(text, absent)
        (source / "book" / f"{name}.md").write_text(told, encoding="utf-8")
    _stage_scripts(static)
    (static / "notebooks").mkdir()
    for run in (each for each in grid.profile.runs if each.first):
        shutil.copy(run.notebook, static / "notebooks" / f"{run.chapter}.md")
    return [
        *contents(toc),
        *(f"notebooks/{run.name}" for run in grid.profile.runs if not run.first),
    ]


def _stage_scripts(static: Path) -> None:
    """Plotly and MathJax, out of the packages that hold them: the site asks no other host."""
    shutil.copy(str(resources.files("plotly") / "package_data" / "plotly.min.js"), static)
    mathjax = Path(str(resources.files("mathjax"))) / "static" / "mathjax" / "es5"
    for part in MATHJAX_PARTS:
        target = static / "mathjax" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (mathjax / part).is_dir() else shutil.copy
        copy(mathjax / part, target)


def staged(grid: points.Grid, run: Run) -> Any:
    """The notebook of a run as the site shows it; of a run that failed, one that says so."""
    if grid.done(run):
        node = nbformat.read(grid.folder / f"{run.name}.ipynb", as_version=4)
        head.add_facts(node, grid, run)
        node.cells[0].source = points.switched(grid, run, node.cells[0].source)
    else:
        node = points.failed_page(grid, run)
    if not run.first:
        node.metadata |= points.UNLISTED | {"point": points.in_words(grid, run)}
    node.metadata["edition"] = citation.edition(grid)
    source = "_sources/notebooks/{}.ipynb".format
    link, explain = _linker(grid, run), words.explaining()
    for data in shown(node, lambda text: explain(link(text))):
        if "text/html" in data:
            data["text/html"] = data["text/html"].replace(source(run.chapter), source(run.name))
    return node


def shown(node: Any, linked: Callable[[str], str]) -> list[Any]:
    """Make an executed notebook one to read: code hidden but where it is taught, links as they are
    ``linked`` here, and no standard error, since warnings name files of this machine. What its
    cells show."""
    every = []
    for cell in node.cells:
        if cell.cell_type != "code":
            cell["source"] = linked(cell["source"])
            continue
        tags = cell.metadata.get("tags", [])
        cell.metadata["tags"] = tags if "show-input" in tags else [*tags, "hide-input"]
        cell["outputs"] = [each for each in cell.outputs if each.get("name") != "stderr"]
        for data in (output["data"] for output in cell.outputs if "data" in output):
            if "text/markdown" in data:
                data["text/markdown"] = linked(data["text/markdown"])
            every.append(data)
    return every


def _linker(grid: points.Grid, run: Run) -> Callable[[str], str]:
    """Links to other chapters by the name that their executed copies have, each to the point that
    is nearest to the run's; plain text for a chapter that the profile does not have."""

    def link(found: re.Match[str]) -> str:
        text, chapter, heading = found.groups(default="")
        if not grid.profile.of_chapter(chapter):
            return text
        return f"[{text}]({grid.nearest(run, chapter).name}.ipynb{heading})"

    return lambda text: CHAPTER_LINK.sub(link, text)


def _without_links(page: str, absent: Collection[str]) -> str:
    """A page of prose without links to documents that are absent; their cards and texts stay.
    Links to chapters lead to their executed copies."""
    for name in absent:
        page = re.sub(rf"^:link: \.\./{name}\n:link-type: doc\n", "", page, flags=re.MULTILINE)
        page = re.sub(rf"\[([^\]\[]*)\]\(\.\./{name}\.\w+(#[\w-]*)?\)", r"\1", page)
    return re.sub(r"\]\(\.\./notebooks/([\w-]+)\.md", r"](../notebooks/\1.ipynb", page)
