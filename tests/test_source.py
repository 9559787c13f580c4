import ast
from pathlib import Path

import pytest

from runs import source

ROOT = Path(__file__).parents[1]


@pytest.fixture
def package(monkeypatch, tmp_path):
    """A package of four modules: top imports middle, middle imports bottom, other stands alone."""
    folder = tmp_path / "helpers"
    (folder / "inner").mkdir(parents=True)
    files = {
        "__init__.py": "",
        "top.py": "from helpers import middle\n",
        "middle.py": "def late():\n    from helpers.inner.bottom import value\n",
        "inner/__init__.py": "",
        "inner/bottom.py": "value = 1\n",
        "inner/table.csv": "a\n1\n",
        "other.py": "import helpers.top\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(source, "SOURCES", tmp_path)
    return folder


def names(files, folder):
    return [str(path.relative_to(folder)) for path in files]


def test_imports_are_followed_also_inside_functions(package):
    assert names(source.files_behind("helpers.top"), package) == [
        "__init__.py",
        "inner/__init__.py",
        "inner/bottom.py",
        "inner/table.csv",
        "middle.py",
        "top.py",
    ]


def test_digest_changes_with_a_reached_file_only(package):
    def digest():
        return source.digest(source.files_behind("helpers.top"))

    before = digest()
    (package / "other.py").write_text("changed = True\n")
    assert digest() == before
    (package / "inner" / "bottom.py").write_text("value = 2\n")
    changed = digest()
    assert changed != before
    (package / "inner" / "table.csv").write_text("a\n2\n")
    assert digest() != changed


def test_notebook_cells_are_read(package, tmp_path):
    notebook = tmp_path / "n.md"
    notebook.write_text(
        "# Title\n\nfrom helpers import top in prose does not count\n\n"
        "```{code-cell}\n:tags: [a]\n\n%matplotlib inline\nfrom helpers.inner import bottom\n```\n"
    )
    assert names(source.files_behind_notebook(notebook), package) == [
        "__init__.py",
        "inner/__init__.py",
        "inner/bottom.py",
        "inner/table.csv",
    ]


def test_names_that_a_package_gives_lazily_are_followed(package):
    (package / "__init__.pyi").write_text("from helpers.inner.bottom import value as value\n")
    (package / "asks.py").write_text("from helpers import value\n")
    reached = names(source.files_behind("helpers.asks"), package)
    assert "inner/bottom.py" in reached
    assert "top.py" not in reached


def test_real_chapter_reaches_its_helpers_and_no_figures_in_its_measurement():
    chapter = source.files_behind_notebook(ROOT / "notebooks" / "05-hierarchical-effects.md")
    reached = names(chapter, source.SOURCES)
    wanted = {"spaces.py", "capture/states.py", "texts/prompts.json"}
    assert {f"helpers/{name}" for name in wanted} | {"reporting/figures/layers.py"} <= set(reached)
    measured = names(source.files_behind("measurements.layer_profile"), source.SOURCES)
    assert "helpers/spaces.py" in measured
    assert not any(name.startswith("reporting/") for name in measured)


@pytest.mark.parametrize("path", sorted(source.SOURCES.rglob("*.py")), ids=lambda path: path.stem)
def test_imports_point_one_way(path):
    """The house: a folder imports only from those before it, a chapter from no other chapter."""
    own, *inside = path.relative_to(source.SOURCES).parts
    for name in source._imports(ast.parse(path.read_text())):
        folder, *rest = name.split(".")
        assert source.PACKAGES.index(folder) <= source.PACKAGES.index(own), name
        if own == folder == "chapters":
            assert rest[:1] == inside[:1], name
