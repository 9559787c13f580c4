import ast
import re
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pybtex.database import parse_string

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from pages import citation, elsewhere  # noqa: E402
from pages.points import Grid  # noqa: E402
from runs import profiles  # noqa: E402

ADDRESS = "https://github.com/somebody/when-pruning-works"
RUNTIME = Path(__file__).parent / "colab" / "runtime-2026.01.txt"
BUILDING = {"jupyter-book", "playwright", "pypdf", "snakemake"}  # the site, not a chapter
RUNNING = {"ipykernel"}  # the kernel that runs the cell: Colab's own


def pinned(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if "==" in line]
    pairs = (line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def test_colab_has_or_gets_all_that_the_book_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    has, gets = pinned(RUNTIME), pinned(ROOT / "requirements" / "colab.txt")
    there = has | gets
    needed = [*project["dependencies"], *project["optional-dependencies"]["book"]]
    found = [one for one in map(Requirement, needed) if one.name not in BUILDING]
    assert len(found) > 20
    for one in found:
        name = canonicalize_name(one.name)
        assert name in there, name
        assert name in RUNNING or one.specifier.contains(there[name]), (name, there[name])
    assert gets.items() <= pinned(ROOT / "requirements" / "lock.txt").items()
    assert "torch" not in gets


@pytest.mark.parametrize(
    "source", sorted((ROOT / "notebooks").glob("*.md")), ids=lambda one: one.stem
)
def test_every_notebook_stands_alone_elsewhere(source):
    node = elsewhere.portable(source, ADDRESS, "abc123")
    nbformat.validate(node)
    first = next(cell for cell in node.cells if cell.cell_type == "code")
    ast.parse(first.source)
    assert f'"{ADDRESS}", "abc123"' in first.source
    assert "Colab" not in source.read_text()
    text = "\n".join(cell.source for cell in node.cells if cell.cell_type == "markdown")
    assert not re.findall(r"\{[a-z-]+\}`|^ *:::|^ *```+\{", text, re.MULTILINE)
    for name in re.findall(r"\]\(([\w-]+)\.ipynb", text):
        assert (ROOT / "notebooks" / f"{name}.md").is_file(), name
    assert not re.findall(r"\]\([\w-]+\.md", text)
    tags = [tag for cell in node.cells for tag in cell.metadata.get("tags", [])]
    assert tags.count("parameters") == 1


def test_the_branch_holds_every_chapter_and_what_binder_installs(tmp_path):
    count = elsewhere.write_branch(tmp_path / "branch", ADDRESS, "abc123")
    names = {path.stem for path in (tmp_path / "branch" / "notebooks").glob("*.ipynb")}
    assert names == {path.stem for path in (ROOT / "notebooks").glob("*.md")}
    assert count == len(names)
    asked = pinned(tmp_path / "branch" / "binder" / "requirements.txt")
    assert asked == pinned(ROOT / "requirements" / "lock.txt")
    after = (tmp_path / "branch" / "binder" / "postBuild").read_text()
    for script in re.findall(r"-r (\S+)", after):
        assert (ROOT / script).is_file()


def test_buttons_only_where_the_repository_is_known(monkeypatch):
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    if "repository-code" not in (ROOT / "CITATION.cff").read_text():
        assert elsewhere.repository() == ""
    assert elsewhere.with_buttons(config, "") == config
    assert elsewhere.places("ladder", "") == {}
    monkeypatch.setenv("GITHUB_REPOSITORY", "somebody/when-pruning-works")
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    assert elsewhere.repository() == ADDRESS
    options = elsewhere.with_buttons(config, ADDRESS)["sphinx"]["config"]["html_theme_options"]
    assert (options["repository_url"], options["repository_branch"]) == (ADDRESS, elsewhere.BRANCH)
    assert "thebe" not in options["launch_buttons"]
    assert elsewhere.with_buttons(config, "https://example.org/a/b") == config
    for place, link in elsewhere.places("ladder", ADDRESS).items():
        assert "somebody/when-pruning-works" in link, place
        assert link.endswith("notebooks/ladder.ipynb")


def test_the_deploy_pushes_the_branch_that_the_buttons_lead_to():
    deploy = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text())
    steps = [step for job in deploy["jobs"].values() for step in job["steps"]]
    said = "\n".join(step.get("run", "") for step in steps)
    assert f"git push --force origin {elsewhere.BRANCH}" in said
    assert "pages.elsewhere" in said


def test_the_paper_is_cited_alike_everywhere():
    """BibTeX read by another program, against the bibliography that the chapters cite."""
    paper = citation.cited()["references"][0]
    ours = parse_string(citation.bibtex(paper, "he2026demystifying"), "bibtex")
    theirs = parse_string((ROOT / "book" / "references.bib").read_text(), "bibtex")
    one, other = (each.entries["he2026demystifying"] for each in (ours, theirs))
    assert one.persons == other.persons
    assert one.fields["title"].strip("{}") == other.fields["title"]
    for field in ("year", "eprint", "archivePrefix"):
        assert one.fields[field] == other.fields[field]


def test_the_book_is_cited_with_its_version_and_results():
    grid = Grid(profiles.read("smoke"), ROOT / "no" / "such" / "results", {})
    chapters = [run.chapter for run in grid.profile.runs]
    page = citation.page(grid, chapters, ADDRESS)
    entry = re.search(r"```bibtex\n(@software.*?)\n```", page, re.DOTALL)
    assert entry
    fields = parse_string(entry[1], "bibtex").entries["whenpruningworks"].fields
    assert fields["version"] == citation.cited()["version"]
    assert fields["url"] == ADDRESS
    assert "profile smoke" in fields["note"]
    assert "colab" in page.lower()
    assert "colab" not in citation.page(grid, chapters, "").lower()
    for chapter in chapters:
        assert f"_sources/notebooks/{chapter}.ipynb" in page
        assert f"_static/notebooks/{chapter}.md" in page
