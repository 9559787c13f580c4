import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

import site_builder  # noqa: E402

from pages import contents, dictionary, picture, points, staging  # noqa: E402
from runs import profiles  # noqa: E402
from runs.parameters import validate  # noqa: E402
from runs.store import every_measurement  # noqa: E402
from runs.wanted_tasks import each_task  # noqa: E402


def test_contents_are_found_at_every_depth():
    toc = {
        "root": "a",
        "parts": [{"caption": "P", "chapters": [{"file": "b", "sections": [{"file": "c"}]}]}],
    }
    assert contents.contents(toc) == ["a", "b", "c"]


MADE = {
    f"book/{name}"
    for name in (
        *("09-conclusion", "all-results", "cite-and-download", "data-dictionary"),
        *("ledger", "status"),
    )
}


def test_every_page_of_the_contents_has_a_source():
    for name in contents.contents(yaml.safe_load((ROOT / "_toc.yml").read_text())):
        assert name in MADE or (ROOT / f"{name}.md").is_file(), name


def test_missing_and_empty_pages_fail(tmp_path):
    with pytest.raises(contents.SiteError, match=r"no page a\.html"):
        contents.check_pages(tmp_path, ["a"])
    (tmp_path / "a.html").write_text("<article>short</article>")
    with pytest.raises(contents.SiteError, match=r"a\.html is empty"):
        contents.check_pages(tmp_path, ["a"])
    (tmp_path / "a.html").write_text(f"<article>{'long enough ' * 30}</article>")
    contents.check_pages(tmp_path, ["a"])


def test_pages_of_prose_lead_to_executed_chapters():
    text = "[a](../notebooks/ladder.md#why) [b](../notebooks/gone.md) [c](plan.md)"
    linked = staging._without_links(text, {"notebooks/gone"})
    assert linked == "[a](../notebooks/ladder.ipynb#why) b [c](plan.md)"


def test_site_is_replaced_whole(tmp_path):
    old, new = tmp_path / "html", tmp_path / "new"
    for folder, text in ((old, "old"), (new, "new")):
        folder.mkdir()
        (folder / "index.html").write_text(text)
    (old / "gone.html").touch()
    site_builder.replace(new, old)
    assert [path.name for path in tmp_path.iterdir()] == ["html"]
    assert [path.name for path in old.iterdir()] == ["index.html"]
    assert (old / "index.html").read_text() == "new"


@pytest.mark.parametrize(
    ("old", "new", "icon"),
    [
        ("index", "book/index.html", "_static/favicon.svg"),
        (
            "notebooks/02-pruning-by-hand",
            "../notebooks/pruning-by-hand.html",
            "../_static/favicon.svg",
        ),
    ],
)
def test_old_addresses_lead_on_and_name_their_icon(old, new, icon):
    leads = {"index": "book/index", **site_builder.moved(["notebooks/pruning-by-hand"])}
    page = BeautifulSoup(site_builder.leading_on(old, leads[old]), "html.parser")
    assert page.find("a")["href"] == new
    assert page.find("meta", {"http-equiv": "refresh"})["content"].endswith(f"url={new}")
    assert page.find("link", rel="icon")["href"] == icon
    assert (ROOT / "book" / "_static" / "favicon.svg").is_file()


def test_the_points_of_a_chapter_that_moved_lead_on_too():
    pages = ["notebooks/pruning-by-hand--seed-1", "notebooks/ladder"]
    assert site_builder.moved(pages) == {
        "notebooks/02-pruning-by-hand--seed-1": "notebooks/pruning-by-hand--seed-1"
    }


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.md")))
def test_every_chapter_has_a_question_and_says_where_it_stands_in_the_paper(notebook):
    text = notebook.read_text().split("---\n", 2)[2].lstrip()
    title, rest = points.heading(text)
    question, _, subtitle = title.partition("\n\n")
    assert question.startswith("# ")
    assert question.endswith("?")
    name = notebook.stem
    if re.match(r"\d\d-", name):
        part = f"Section {int(name[:2])} of the paper: "
    elif re.match(r"[a-i]-", name):
        part = f"Appendix {name[0].upper()} of the paper: "
    else:
        part = "Beyond the paper: "
    assert subtitle.startswith(f"*{part}")
    assert subtitle.endswith("*")
    assert rest.startswith("**The question.**")


def test_data_dictionary_explains_every_column():
    page = dictionary.data_dictionary()
    described = [pair for one in every_measurement().values() for pair in one.tables.items()]
    assert len(described) > 20
    for table, columns in described:
        _, _, section = page.partition(f"\n## `{table}`\n")
        section = section.partition("\n## ")[0]
        for column in columns:
            assert f"| `{column.name}` |" in section
            assert column.meaning in section


def test_the_picture_of_the_readme_is_what_the_results_give():
    """`make picture` would change nothing."""
    assert picture.PICTURE.read_text(encoding="utf-8") == picture.picture()
    assert str(picture.PICTURE.relative_to(ROOT)) in (ROOT / "README.md").read_text()


def test_readme_is_no_source_of_the_site():
    assert "README.md" not in site_builder.sources(ROOT)
    assert "book/index.md" in site_builder.sources(ROOT)


SHARING = (  # chapters that read the same measurements
    ("01-introduction", "04-inconsistent-effects", "g-more-models", "probes"),
    ("07-multi-scale-effects", "d-error-propagation", "decisions"),
)
OWN = {"pruned", "tasks", "method", "dropped", "sparsity", "repeats", "sweep_steps"}


@pytest.mark.parametrize("profile", sorted({*profiles.known()} - {"paper"}))  # which names models
@pytest.mark.parametrize("chapters", SHARING)
def test_chapters_that_share_measurements_ask_for_the_same(profile, chapters):
    """Else each takes its own, in silence and in twice the time."""
    runs = {run.name: run for run in profiles.read(profile).runs}
    values = {}
    for name in (each for each in chapters if each in runs):
        asked = runs[name].parameters
        found = {key: getattr(asked, key) for key in runs[name].taken}
        found["dtype"] = asked.score_dtype or asked.dtype
        values[name] = {key: value for key, value in found.items() if key not in OWN}
        if "tasks" in found:
            asked = validate({"tasks": found["tasks"], "items": found["items"], "run_code": True})
            numbers = {task: one.items for task, one in each_task(asked).items()}
            values[name] |= {f"questions of {task}": items for task, items in numbers.items()}
    for key in set().union(*values.values()) - {"score_dtype"}:
        asked = {name: each[key] for name, each in values.items() if key in each}
        assert len(set(asked.values())) == 1, (key, asked)


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.md")))
def test_no_number_of_a_result_is_typed_into_a_chapter(notebook):
    """Prose outside code, up to the exercises, has no decimal numbers but those of sections and
    of versions."""
    text = notebook.read_text().split("---\n", 2)[2]
    prose = re.sub(r"^```\{code-cell\}.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    numbered = r"\b(Section |PyTorch |compute capability |v)\d+(\.\d+)+\b"
    claims = re.sub(numbered, "", prose.partition("## Exercises")[0])
    assert not re.findall(r"\d+\.\d+", claims)


def test_site_is_made_of_files_that_are_there():
    sources = site_builder.sources(ROOT)
    assert all((ROOT / name).is_file() for name in sources)
    assert {"src/runs/columns.py", "src/measurements/deviations.py"} <= set(sources)


PYTHON = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
FINE = "# A page\n\n" + "Enough text to be a page. " * 10
FAULTS = {  # what stands on a page of the contents, and what the build says of it
    "a warning": (
        nbformat.v4.new_markdown_cell("[no](nowhere.md)"),
        "Jupyter Book failed: .*nowhere",
    ),
    "an error": (
        nbformat.v4.new_code_cell(
            "1 / 0",
            outputs=[
                nbformat.v4.new_output(
                    "error",
                    ename="ZeroDivisionError",
                    evalue="x",
                    traceback=["ZeroDivisionError: x"],
                )
            ],
        ),
        r"page other\.html shows an error: ZeroDivisionError: x",
    ),
    "nothing": (nbformat.v4.new_markdown_cell("# A page"), r"page other\.html is empty"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_site_with_a_fault_is_not_built(fault, tmp_path, monkeypatch):
    """Jupyter Book itself, on two pages; the site that was there stays."""
    cell, message = FAULTS[fault]

    def stage(source, _grid):
        source.mkdir(parents=True)
        shutil.copytree(ROOT / "book", source / "book", ignore=shutil.ignore_patterns("*.md"))
        shutil.copy(ROOT / "_config.yml", source)
        (source / "_toc.yml").write_text(
            "format: jb-book\nroot: start\nchapters: [{file: other}]\n"
        )
        (source / "start.md").write_text(FINE)
        title = [] if fault == "nothing" else [nbformat.v4.new_markdown_cell(FINE)]
        page = nbformat.v4.new_notebook(cells=[*title, cell], metadata=PYTHON)
        nbformat.write(page, source / "other.ipynb")
        return ["start", "other"]

    monkeypatch.setattr(site_builder, "ROOT", tmp_path)
    monkeypatch.setattr(staging, "stage", stage)
    old = tmp_path / "_build" / "smoke" / "html"
    old.mkdir(parents=True)
    (old / "index.html").write_text("as it was")
    with pytest.raises(contents.SiteError, match=message):
        site_builder.build(profiles.read("smoke"), tmp_path / "results")
    assert (old / "index.html").read_text() == "as it was"
