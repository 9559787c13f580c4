"""Build the site: stage pages and executed notebooks, run Jupyter Book, check every page.

Sources are staged in a folder of their own, so that a notebook's executed copy can stand where
its Markdown source stands in the contents. The finished site replaces the old one in one step,
and only if every page of the contents is there and has text.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from runs import profiles

ROOT = Path(__file__).resolve().parent.parent
MATHJAX_PARTS = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions")
SHORTEST_PAGE = 200  # characters of text in the article


class SiteError(Exception):
    """The site could not be built; the message is the one line that the user reads."""


def site_sources(root: Path) -> list[str]:
    """Files, relative to the root, that the site is made of besides executed notebooks."""
    pages = [path for path in sorted((root / "book").rglob("*")) if path.is_file()]
    settings = [root / "_config.yml", root / "_toc.yml", root / "workflow" / "site_builder.py"]
    described = [path for path in (root / "src").rglob("*.py") if "Column(" in path.read_text()]
    return [str(path.relative_to(root)) for path in (*settings, *sorted(described), *pages)]


def contents(toc: Any) -> list[str]:
    """Every document that the table of contents names, without suffix."""
    if isinstance(toc, list):
        return [name for item in toc for name in contents(item)]
    if isinstance(toc, dict):
        own = [toc[key] for key in ("root", "file") if key in toc]
        nested = [value for value in toc.values() if isinstance(value, list)]
        return own + contents(nested)
    return []


def site_folder(profile: str) -> Path:
    """Where the finished site of a profile stands."""
    build = ROOT / "_build"
    return build / "html" if profile == "default" else build / profile / "html"


def build(profile: str) -> list[str]:
    """Build the site of ``profile`` from its executed notebooks; the pages it has."""
    print(f"Building the site of profile {profile} …", flush=True)
    work = ROOT / "_build" / f".{profile}"
    shutil.rmtree(work, ignore_errors=True)
    stage(work / "source", profile)
    log = ROOT / "_build" / f"{profile}-site.log"
    program = Path(sys.executable).with_name("jupyter-book")  # has no python -m form
    command = [str(program), "build", str(work / "source")]
    command += ["--path-output", str(work), "-W", "--keep-going", "-n"]
    with log.open("w") as file:
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT).returncode
    if code:
        faults = [line for line in log.read_text().splitlines() if "WARN" in line or "ERR" in line]
        raise SiteError(f"Jupyter Book failed: {(faults or ['no message'])[0]} (see {log})")
    built = work / "_build" / "html"
    pages = contents(yaml.safe_load((ROOT / "_toc.yml").read_text()))
    check_pages(built, pages)
    (built / "index.html").write_text(front_door(pages[0]), encoding="utf-8")
    replace(built, site_folder(profile))
    shutil.rmtree(work)
    return pages


def stage(source: Path, profile: str) -> None:
    """Everything that Jupyter Book reads, in one folder."""
    source.mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "book", source / "book")
    (source / "notebooks").mkdir()
    for notebook in (ROOT / "results" / profile).glob("*.ipynb"):
        stage_notebook(notebook, source / "notebooks" / notebook.name)
    (source / "book" / "data-dictionary.md").write_text(data_dictionary(), encoding="utf-8")
    static = source / "book" / "_static"
    shutil.copy(str(resources.files("plotly") / "package_data" / "plotly.min.js"), static)
    mathjax = Path(str(resources.files("mathjax"))) / "static" / "mathjax" / "es5"
    for part in MATHJAX_PARTS:
        target = static / "mathjax" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (mathjax / part).is_dir() else shutil.copy
        copy(mathjax / part, target)


def stage_notebook(executed: Path, target: Path) -> None:
    """A copy of an executed notebook as the site shows it: text first, code folded, links to
    other chapters by the name that their executed copies have, and no standard error, since
    warnings name files of this machine."""
    import nbformat

    node = nbformat.read(executed, as_version=4)
    for cell in node.cells:
        if cell.cell_type == "code":
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
            cell["outputs"] = [each for each in cell.outputs if each.get("name") != "stderr"]
            for output in cell.outputs:
                data = output.get("data", {})
                if "text/markdown" in data:
                    data["text/markdown"] = to_executed(data["text/markdown"])
        else:
            cell["source"] = to_executed(cell["source"])
    nbformat.write(node, target)


def to_executed(text: str) -> str:
    """``[text](NAME.md)`` as ``[text](NAME.ipynb)``."""
    return re.sub(r"\]\(([\w-]+)\.md\)", r"](\1.ipynb)", text)


def data_dictionary() -> str:
    """The page that explains every column of every table, from the descriptions themselves."""
    from runs.columns import CONSTANTS
    from runs.store import every_measurement

    writers: dict[str, list[str]] = {}
    columns: dict[str, dict[str, Any]] = {}
    for name, stored in every_measurement().items():
        for table, described in stored.tables.items():
            writers.setdefault(table, []).append(f"`{name}`")
            columns.setdefault(table, {}).update({each.name: each for each in described})
    lines = [
        "# Data dictionary",
        "",
        "Every measurement is a folder of Parquet tables and a manifest. This page comes from the "
        "descriptions that each table is checked against when it is written.",
        "",
        "## Constants of a run",
        "",
        "What is the same in all rows stands once, in the manifest under `constants` (`run` beside "
        "it), and `Measurement.labelled` gives the tables with it. A table that compares several "
        "methods or seeds has them as columns of its own.",
        *_columns(CONSTANTS),
    ]
    for table, names in sorted(writers.items()):
        lines += ["", f"## `{table}`", "", f"Written by {', '.join(names)}."]
        lines += _columns(columns[table].values())
    return "\n".join(lines) + "\n"


def _columns(columns: Iterable[Any]) -> list[str]:
    lines = ["", "| column | type | meaning |", "|---|---|---|"]
    for column in columns:
        kind = str(column.type)
        kind = "text" if kind.startswith("dictionary") or kind == "string" else kind
        missing = "; may be missing" if column.nullable else ""
        values = ", ".join(f"`{value}`" for value in column.allowed)
        allowed = f" One of {values}." if column.allowed else ""
        lines.append(f"| `{column.name}` | {kind}{missing} | {column.meaning}.{allowed} |")
    return lines


def front_door(page: str) -> str:
    """The page at the site's root, which leads on to ``page``.

    Jupyter Book's own names no icon, so a browser asks for one that is not there.
    """
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>When Pruning Works</title>
<link rel="icon" href="_static/favicon.svg">
<meta http-equiv="refresh" content="0; url={page}.html">
<p><a href="{page}.html">When Pruning Works</a></p>
</html>
"""


def check_pages(site: Path, pages: list[str]) -> None:
    """Raise :class:`SiteError` if a page of the contents is missing or has no text."""
    from bs4 import BeautifulSoup

    for name in pages:
        page = site / f"{name}.html"
        if not page.is_file():
            raise SiteError(f"the site has no page {name}.html, which _toc.yml names")
        article = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").find("article")
        if article is None or len(article.get_text().strip()) < SHORTEST_PAGE:
            raise SiteError(f"page {name}.html is empty")


def replace(new: Path, old: Path) -> None:
    """Put the new site where the old one stands; a reader never meets half a site."""
    old.parent.mkdir(parents=True, exist_ok=True)
    aside = old.with_name(f".{old.name}-{os.getpid()}")
    if old.exists():
        old.replace(aside)
    new.replace(old)
    shutil.rmtree(aside, ignore_errors=True)


def main() -> int:
    """Command line: build one profile's site and write a stamp when it stands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", required=True, help="its name, or its file")
    parser.add_argument("--stamp", type=Path, required=True)
    given = parser.parse_args()
    begin = time.perf_counter()
    try:
        profile = profiles.read(given.profile).name
        pages = build(profile)
    except SiteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    seconds = round(time.perf_counter() - begin, 1)
    given.stamp.write_text(json.dumps({"pages": pages, "seconds": seconds}))
    print(f"Built {len(pages)} pages in {seconds} s: {site_folder(profile)}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
