"""*Cite and download*: how to cite book and paper, from CITATION.cff, and all files of the book."""

from collections.abc import Sequence
from html import escape
from typing import Any

import yaml

from pages import elsewhere
from pages.points import Grid, read_json
from runs.profiles import NOTEBOOKS, ROOT

PDF = "when-pruning-works.pdf"  # where `make pdf` writes it; the page then shows a link to it

KINDS = {"article": "misc", "software": "software"}  # a paper on arXiv has no journal
REFUSED = str.maketrans({"{": "", "}": ""})


def cited() -> dict[str, Any]:
    """What CITATION.cff holds."""
    return dict(yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8")))


def bibtex(entry: dict[str, Any], key: str, **more: str) -> str:
    """One entry of CITATION.cff as BibTeX, with fields of one's own after it."""
    fields = {"title": f"{{{entry['title'].translate(REFUSED)}}}", "author": _authors(entry)}
    fields |= {name: str(entry[name]) for name in ("year", "version", "url") if name in entry}
    for one in entry.get("identifiers", ()):
        if one["value"].startswith("arXiv:"):
            fields |= {"eprint": one["value"].removeprefix("arXiv:"), "archivePrefix": "arXiv"}
    lines = [f"  {name} = {{{text}}}" for name, text in (fields | more).items() if text]
    return f"@{KINDS[entry['type']]}{{{key},\n" + ",\n".join(lines) + "\n}"


def _authors(entry: dict[str, Any]) -> str:
    """People as ``Family, Given``, a group in braces, so that its words are no names."""
    return " and ".join(
        f"{one['family-names']}, {one['given-names']}"
        if "family-names" in one
        else f"{{{one['name']}}}"
        for one in entry["authors"]
    )


def edition(grid: Grid) -> str:
    """Which results a copy of the book shows: profile, runs and the code that made them."""
    made = [read_json(grid.folder / f"{run.name}.json") for run in grid.profile.runs]
    commits = sorted({str(one["commit"]) for one in made if "commit" in one})
    until = max((str(one["finished"])[:10] for one in made if "finished" in one), default="")
    code = f", code at {', '.join(commits)}" if commits else ""
    return f"profile {grid.profile.name}, runs until {until or 'none is done'}{code}"


def page(grid: Grid, chapters: Sequence[str], address: str) -> str:
    """The page, in Markdown. ``chapters`` in the order of the contents; ``address`` is the
    repository's, empty if nobody knows it."""
    book, made = cited(), edition(grid)
    year = max((word for word in made.split() if word[:2] == "20"), default="")[:4]
    paper = book["references"][0]
    own = bibtex(book, "whenpruningworks", year=year, note=made, url=address)
    rows = "\n".join(_row(chapter, address) for chapter in chapters)
    heads = ["chapter", "with its results", "source", *(("open",) if address else ())]
    return f"""# Cite and download

This copy of the book: {made}.

## Cite

The book:

```bibtex
{own}
```

The paper that it measures:

```bibtex
{bibtex(paper, "he2026demystifying")}
```

A single number is cited by its run, which stands under each figure and at the head of each file of
plotted data.

## Download

<p class="book-pdf" hidden><a href="../{PDF}" download>The whole book as one PDF</a>, for paper and
for readers without scripts.</p>

Each chapter is one notebook: with its results as this site shows it, for Jupyter, and its source,
MyST Markdown without any results, which the workflow, papermill and jupytext run.

<div class="book-table" tabindex="0"><table>
<thead><tr>{"".join(f"<th scope='col'>{head}</th>" for head in heads)}</tr></thead>
<tbody>
{rows}
</tbody></table></div>
{_opened(address)}"""


def _row(chapter: str, address: str) -> str:
    text = (NOTEBOOKS / f"{chapter}.md").read_text(encoding="utf-8")
    title = next(line for line in text.splitlines() if line.startswith("# "))[2:]
    name = escape(chapter)
    files = (f"../_sources/notebooks/{name}.ipynb", f"../_static/notebooks/{name}.md")
    cells = [f'<a href="{file}" download>{file.rpartition(".")[2]}</a>' for file in files]
    if places := elsewhere.places(chapter, address):
        cells.append(", ".join(f'<a href="{link}">{place}</a>' for place, link in places.items()))
    row = "".join(f"<td>{cell}</td>" for cell in cells)
    return (
        f'<tr><th scope="row"><a href="../notebooks/{name}.html">{escape(title)}</a></th>{row}</tr>'
    )


def _opened(address: str) -> str:
    if not address:
        return ""
    return f"""
## Run it in the browser

On Colab and Binder the first cell of a notebook fetches the book and installs what is not there, at
fixed versions. Nothing is needed on your machine; what a run takes there depends on what they lend.
The code is at [{address.removeprefix("https://")}]({address}).
"""
