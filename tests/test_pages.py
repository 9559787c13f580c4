"""The pages of a grid: its switcher, its runs that failed, what is listed and what is not."""

import json
import sys
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from pages import contents, points, staging, status  # noqa: E402
from runs import outcome, profiles  # noqa: E402

PROFILE = """
about: A grid for tests
axes:
  sparsity: [0.25, 0.5]
  model: [smollm2-135m, org/other]
shared: {method: wanda}
chapters:
  05-hierarchical-effects:
  06-representation-analysis:
  ladder: {model: smollm2-135m, axes: {probes: [3]}}
"""
FIRST = "05-hierarchical-effects"
OTHER = f"{FIRST}--sparsity-0-5--model-other"
FAILED = f"{FIRST}--model-other"
TEXT = "See [Section 6](06-representation-analysis.md) and [Probes](probes.md#floor)."
LINK = '<a href="../_sources/notebooks/05-hierarchical-effects.ipynb">notebook</a>'


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """A grid whose runs are done, but for one that failed and one that was never started."""
    folder = tmp_path_factory.mktemp("grid")
    path = folder / "small.yaml"
    path.write_text(PROFILE)
    profile = profiles.read(str(path))
    results = folder / "results"
    (results / "small").mkdir(parents=True)
    for run in profile.runs[:-1]:
        output = results / "small" / f"{run.name}.ipynb"
        if run.name == FAILED:
            outcome.mark_failed(output, FIRST, "no space <left>", attempts=2, seconds=3.21, code=1)
            continue
        html = nbformat.v4.new_output("display_data", {"text/html": LINK})
        out = f"{TEXT} [Out](https://example.org/a.md)"
        printed = nbformat.v4.new_output("display_data", {"text/markdown": out})
        cells = [
            nbformat.v4.new_markdown_cell(f"# Title\n\n{TEXT}"),
            nbformat.v4.new_code_cell("print()", outputs=[html, printed]),
        ]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), output)
        model = run.values.get("model", "smollm2-135m")
        listed = [{"name": "walk", "run": model.replace("/", "-")}]
        manifest = {"measurements": listed, "parameters": {}, "versions": {"torch": "2.13.0"}}
        output.with_suffix(".json").write_text(json.dumps(manifest))
        kept = results / "measurements" / "walk" / listed[0]["run"]
        kept.mkdir(parents=True, exist_ok=True)
        size = {"smollm2-135m": "135M", "org/other": "494M"}[model]
        known = {"constants": {"model": model}, "facts": {"model": {"size": size}}}
        (kept / "manifest.json").write_text(json.dumps(known))
    return points.Grid.of(profile, results)


def page(grid, name):
    """The first cell of a run's page, its HTML parsed, with the page's metadata."""
    node = staging.staged(grid, grid.profile[name])
    return BeautifulSoup(node.cells[0].source, "html.parser"), node


def test_switcher_links_every_value_of_every_axis(grid):
    found, _ = page(grid, OTHER)
    axes = {
        axis.span.text: [(link.text, link["href"], link.get("aria-current")) for link in axis("a")]
        for axis in found.select(".point-axis")
    }
    here = f"{OTHER}.html", "true"
    assert axes == {
        "Sparsity": [("25% failed", f"{FAILED}.html", None), ("50%", *here)],
        "Model": [("135M", f"{FIRST}--sparsity-0-5.html", None), ("494M", *here)],
    }


def test_a_page_that_is_one_of_many_says_what_sets_it_apart(grid):
    first, _ = page(grid, FIRST)
    assert first.select_one(".point-note").text == (
        "Run 1 of 4 of this chapter; they differ in: sparsity, model."
    )
    other, _ = page(grid, OTHER)
    note = other.select_one(".point-note")
    assert note.text == (
        "Run 4 of 4 of this chapter; against the first: "
        "sparsity 50% (there 25%), model 494M (there 135M)."
    )
    assert note.a["href"] == f"{FIRST}.html"


def test_only_the_first_point_is_listed_and_searched(grid):
    _, first = page(grid, FIRST)
    _, other = page(grid, OTHER)
    assert not {"orphan", "nosearch"} & set(first.metadata)
    assert other.metadata["orphan"] is other.metadata["nosearch"] is True
    assert other.metadata["point"] == "50%, 494M"


def test_a_chapter_with_one_point_stays_as_it_is(grid):
    (run,) = grid.profile.of_chapter("ladder")
    assert points.switched(grid, run, "# Title\n\nText") == "# Title\n\nText"


def test_the_switcher_stands_below_title_and_subtitle(grid):
    switched = points.switched(grid, grid.profile[FIRST], "# Title\n\n*Section 5*\n\n**Text** it")
    assert switched.startswith("# Title\n\n*Section 5*\n\n<nav ")
    assert switched.endswith("\n**Text** it")


def test_links_lead_to_the_nearest_point_and_to_no_chapter_that_is_absent(grid):
    _, node = page(grid, OTHER)
    nearest = "06-representation-analysis--sparsity-0-5--model-other.ipynb"
    assert f"See [Section 6]({nearest}) and Probes." in node.cells[0].source
    assert f"_sources/notebooks/{OTHER}.ipynb" in node.cells[1].outputs[0].data["text/html"]


def test_notebooks_are_shown_text_first(grid):
    """Links are followed in what cells print too; code is folded, and links to elsewhere stay."""
    _, node = page(grid, FIRST)
    code = node.cells[1]
    assert "hide-input" in code.metadata.tags
    linked = "See [Section 6](06-representation-analysis.ipynb) and Probes."
    assert code.outputs[1].data["text/markdown"] == f"{linked} [Out](https://example.org/a.md)"


def test_a_failed_run_is_a_page_that_says_so(grid):
    found, node = page(grid, FAILED)
    said = found.select_one(".run-failed").text
    for part in ("This run failed.", "no space <left>", "3.2 s", "exit code 1", "attempt 2"):
        assert part in said
    assert f"logs/{FAILED}.log" in said
    asked = {row.th.text: row.td.text for row in found.select("tbody tr")}
    assert asked == {
        "method": "wanda",
        "model": "org/other",
        "profile": "small",
        "sparsity": "0.25",
    }
    assert node.cells[0].source.startswith("# Which space shows it?\n\n*Section 5 of the paper: ")
    assert found.select_one(".point-switcher [aria-current]")


def test_a_run_that_was_not_done_has_a_page_too(grid):
    found, node = page(grid, "ladder")
    assert "This run has not been done." in found.select_one(".run-failed").text
    assert node.cells[0].source.startswith("# ")


def test_status_page_has_every_run_with_its_state(grid):
    found = BeautifulSoup(status.page(grid), "html.parser")
    rows = {row.th.text: row.select_one(".run-state").text for row in found.select("tbody tr[id]")}
    assert list(rows) == [run.name for run in grid.profile.runs]
    assert rows[FAILED] == "failed"
    assert rows["ladder"] == "missing"
    assert "no space <left>" in found.text


def test_contents_lose_what_a_profile_does_not_have():
    toc = {
        "root": "book/index",
        "parts": [
            {
                "caption": "A",
                "chapters": [{"file": "a"}, {"file": "b", "sections": [{"file": "c"}]}],
            },
            {"caption": "B", "chapters": [{"file": "d"}]},
        ],
    }
    kept = contents.without(toc, {"a", "c", "d"})
    assert contents.contents(kept) == ["book/index", "b"]
    assert [part["caption"] for part in kept["parts"]] == ["A"]


@pytest.mark.parametrize(
    ("axis", "value", "words"),
    [
        ("sparsity", "0.125", "12.5%"),
        ("method", "sparsegpt", "SparseGPT"),
        ("model", "org/Some-7B", "Some-7B"),  # no run has told its size
        ("checkpoint", "", "none"),
        ("chat_template", "False", "no"),
        ("pruned", "Drop-1A,Wanda 50%", "Drop-1A, Wanda 50%"),
        ("temperature", "0.7", "0.7"),
    ],
)
def test_values_are_written_as_a_person_writes_them(grid, axis, value, words):
    assert grid.written(axis, value, [value]) == words


@pytest.mark.parametrize(
    ("among", "words"),
    [
        (["smollm2-135m", "org/other"], ["135M", "494M"]),  # told by their sizes
        (["smollm2-135m", "org/new"], ["smollm2-135m", "new"]),  # a size is not known
        (["one/same", "two/same"], ["one/same", "two/same"]),  # nor would names tell them apart
    ],
)
def test_models_are_written_so_that_they_can_be_told_apart(grid, among, words):
    assert [grid.written("model", each, among) for each in among] == words


def test_a_profile_with_another_beside_it_has_a_grid(tmp_path):
    """There the model is a place on an axis, and a value only where it is not the usual one."""
    grid = points.Grid.of(profiles.read("default"), tmp_path)
    one, other = grid.profile.of_chapter("ladder")
    assert grid.axes(one) == {"model": [one.point["model"], other.point["model"]]}
