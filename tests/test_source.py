import ast
import os
import re
import shutil
from pathlib import Path

import pytest

from helpers.errors import InputError
from helpers.lazy import homes
from runs import source, store

ROOT = Path(__file__).parents[1]
OFFERED = homes(source.DOOR / "__init__.pyi")
# The course stands on the library alone, and no measurement reaches it.
HOUSE = ("helpers", "course", *source.PACKAGES[1:])


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


SAME = {  # what may change without a number changing
    "comment": "# a remark\n{}",
    "docstring": '"""What it is."""\n{}',
    "future": "from __future__ import annotations\n{}",
    "layout": "{}\n\n\n",
    "offered": '{}__all__ = ["value"]\n',
    "types only": "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import torch\n{}",
}
ONE = """
from functools import cache, singledispatch
from itertools import count

import pyarrow.compute as pc

from elsewhere import offered


def value(x, *rest, named=1):
    if x < 0:
        raise ValueError("below")
    half: float = x / 2
    assert half == half
    return half


class Thing:
    name: str
    size: int = 3

    def double(self, twice: float):
        both: int = 2
        return both * twice


@cache
def remembered(x: int):
    if x in pc.cast(A, t):
        raise StopIteration("ended")
    return next(count(0, 2)), "aaaa".count("a", 1)


@singledispatch
def dispatched(x: int):
    return x


@dispatched.register
def _(x: str):
    return x
"""
SAME_AS_ONE = {
    "annotations": ("(x, *rest, named=1)", "(x: float, *rest: int, named: int = 1) -> float"),
    "docstring inside": ("named=1):\n", 'named=1):\n    """Half of x."""\n'),
    "error text": ('"below"', 'f"{x} lies below 0"'),
    "message": ("half == half", 'half == half, "no number"'),
    "without annotation": ("half: float = x", "half = x"),
    "type in a method": ("twice: float", "twice: int"),
    "type of a variable in a method": ("both: int", "both: float"),
    "type under a known decorator": ("remembered(x: int)", "remembered(x: float)"),
    "import for a type": (
        "import offered\n\n\ndef value(x,",
        "import offered, Type\n\n\ndef value(x: Type,",
    ),
}
OTHER_THAN_ONE = {
    "constant": ("x / 2", "x / 3"),
    "default": ("named=1", "named=2"),
    "kind of error": ("ValueError", "KeyError"),
    "condition": ("x < 0", "x <= 0"),
    "order of fields": ("    name: str\n    size: int = 3\n", "    size: int = 3\n    name: str\n"),
    "name of a field": ("name: str", "title: str"),
    "type of a field": ("name: str", "name: bytes"),
    "type of a field with a default": ("size: int = 3", "size: ClassVar[int] = 3"),
    "a field no more": ("size: int = 3", "size = 3"),
    "type that a decorator reads": ("dispatched(x: int)", "dispatched(x: float)"),
    "type that a registration reads": ("_(x: str)", "_(x: bytes)"),
    "what an exception holds": ('"ended"', '"over"'),
    "another function's count": ("count(0, 2)", "count(0, 5)"),
    "a method's count": ('count("a", 1)', 'count("a", 2)'),
    "a conversion": ("pc.cast(A, t)", "pc.cast(B, t)"),
    "what others take from here": ("import offered", "import others"),
}


@pytest.mark.parametrize("change", SAME)
def test_what_means_the_same_has_one_digest(package, change):
    bottom = package / "inner" / "bottom.py"
    before = source.digest([bottom])
    bottom.write_text(SAME[change].format("value = 1\n"))
    assert source.digest([bottom]) == before


@pytest.mark.parametrize("change", [*SAME_AS_ONE, *OTHER_THAN_ONE])
def test_digest_follows_the_meaning_of_code(package, change):
    module = package / "other.py"
    module.write_text(ONE)
    before = source.digest([module])
    old, new = (SAME_AS_ONE | OTHER_THAN_ONE)[change]
    assert old in ONE
    module.write_text(ONE.replace(old, new))
    assert (source.digest([module]) == before) == (change in SAME_AS_ONE)


def test_descriptions_of_columns_and_parameters_do_not_count(package):
    module = package / "other.py"

    def digest(column, parameter):
        module.write_text(
            "from runs.columns import Column\nfrom runs import parameters\n"
            f"A = Column({column})\nB = parameters.parameter({parameter})\n"
        )
        return source.digest([module])

    before = digest('"a", TEXT, "a letter", ("x",)', '1, "how many", "1 to 4", ge=1')
    assert digest('"a", TEXT, "a word", ("x",)', '1, "how often", "1 or 4", ge=1') == before
    assert digest('"b", TEXT, "a letter", ("x",)', '1, "how many", "1 to 4", ge=1') != before
    assert digest('"a", TEXT, "a letter", ("x",)', '2, "how many", "1 to 4", ge=1') != before


def test_docstrings_count_where_they_are_read(package):
    module = package / "other.py"

    def digest(words):
        module.write_text(f'"""{words}"""\nprint(__doc__)\n')
        return source.digest([module])

    assert digest("Some words.") != digest("Other words.")


def test_relative_imports_are_refused_in_one_line(package):
    (package / "top.py").write_text("\nfrom .inner import bottom\n")
    said = r"^helpers/top.py, line 2: from .inner import bottom: write the module's whole name.*$"
    with pytest.raises(InputError, match=said):
        source.files_behind("helpers.top")


def test_a_notebook_counts_by_the_letter_and_its_code_by_what_it_means(package, tmp_path):
    notebook, lock = tmp_path / "n.md", tmp_path / "lock.txt"
    notebook.write_text("# Title\n\n```{code-cell}\nfrom helpers import top\n```\n")
    lock.write_text("a==1\n")

    def changed(path, text):
        before = source.notebook_digest(notebook, lock)
        path.write_text(text)
        return source.notebook_digest(notebook, lock) != before

    assert not changed(package / "inner" / "bottom.py", "value = 1  # one\n")
    assert not changed(package / "other.py", "value = 3\n")
    assert changed(package / "inner" / "bottom.py", "value = 2\n")
    assert changed(notebook, notebook.read_text().replace("Title", "Another"))
    assert changed(lock, "a==2\n")


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
    (package / "asks.py").write_text("import helpers\n")
    assert "inner/bottom.py" in names(source.files_behind("helpers.asks"), package)


def test_where_a_lazily_given_name_lives_counts(package):
    """Also where all modules in question are reached anyway."""
    (package / "asks.py").write_text("from helpers import value, top, other\n")
    stub = package / "__init__.pyi"

    def behind(text, when):
        stub.write_text(text)
        os.utime(stub, (when, when))
        files = source.files_behind("helpers.asks")
        return names(files, package), source.digest(files)

    first = behind("from helpers.inner.bottom import value as value\n", 1)
    assert behind("# a remark\nfrom helpers.inner.bottom import value as value\n", 2) == first
    second = behind("from helpers.other import value as value\n", 3)
    assert second[0] == first[0]
    assert second[1] != first[1]


def test_real_chapter_reaches_its_helpers_and_no_figures_in_its_measurement():
    chapter = source.files_behind_notebook(ROOT / "notebooks" / "05-hierarchical-effects.md")
    reached = names(chapter, source.SOURCES)
    wanted = {"spaces.py", "capture/states.py", "texts/prompts.json"}
    assert {f"helpers/{name}" for name in wanted} | {"reporting/figures/lines.py"} <= set(reached)
    measured = names(source.files_behind("measurements.layer_profile"), source.SOURCES)
    assert "helpers/spaces.py" in measured
    assert not any(name.startswith("reporting/") for name in measured)


@pytest.fixture
def copied(monkeypatch, tmp_path):
    """A copy of the whole real code, to change, and a function that gives the source digests of
    all measurements."""
    modules = {name: one.function.__module__ for name, one in store.every_measurement().items()}
    shutil.copytree(source.SOURCES, tmp_path / "src", ignore=shutil.ignore_patterns("*.pyc"))
    monkeypatch.setattr(source, "SOURCES", tmp_path / "src")

    def digests():
        return {
            name: source.digest(source.files_behind(module)) for name, module in modules.items()
        }

    return tmp_path / "src", digests


def test_a_typo_in_a_docstring_changes_no_identity_and_a_constant_those_that_reach_it(copied):
    """Of the real measurements, with the module that compares states."""
    sources, digests = copied
    spaces = sources / "helpers" / "spaces.py"
    before, text = digests(), spaces.read_text()
    mended = text.replace('"""', '"""Mended. ', 1).replace(": Tensor,", ': "Tensor",')
    assert mended.count("Mended") == 1
    assert mended.count('"Tensor"') > 5
    spaces.write_text(mended + "\n# a remark\n")
    assert digests() == before
    with (sources / "measurements" / "deviations.py").open("a") as file:
        file.write('\n# nothing but words\n"""More."""\n')
    assert digests() == before
    assert "\nNEGLIGIBLE = -80.0" in text
    spaces.write_text(text.replace("\nNEGLIGIBLE = -80.0", "\nNEGLIGIBLE = -81.0"))
    after = digests()
    moved = {name for name in before if before[name] != after[name]}
    assert {"layer_profile", "generation", "propagation", "dimension", "temperatures"} <= moved
    assert (
        not {"example_state", "task_items", "masks", "ranking", "probe_items", "prompt_lengths"}
        & moved
    )


@pytest.mark.parametrize("path", sorted(source.SOURCES.rglob("*.py")), ids=lambda path: path.stem)
def test_imports_point_one_way(path):
    """The house: a folder imports only from those before it, a chapter from no other chapter."""
    own, *inside = path.relative_to(source.SOURCES).parts
    for name in source.imports(ast.parse(path.read_text())):
        folder, *rest = name.split(".")
        assert HOUSE.index(folder) <= HOUSE.index(own), name
        if own == folder == "chapters":
            assert rest[:1] == inside[:1], name
        assert folder != "helpers" or (rest != ["*"] and rest[0] not in OFFERED), (
            f"{name} is a door"
        )
    if own != "course":
        assert not re.search(r"^\s*(from|import) course\b", path.read_text(), re.MULTILINE)
