"""Which files does a module or a notebook depend on? Read from its imports, running nothing."""

import ast
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from helpers.lazy import homes

SOURCES = Path(__file__).parents[1]
# Each imports only from those before it.
PACKAGES = ("helpers", "runs", "measurements", "reporting", "chapters")
DATA_FILES = ("*.json", "*.csv")
CODE_CELL = re.compile(r"^```\{code-cell\}.*?\n(.*?)^```", re.MULTILINE | re.DOTALL)
CELL_OPTIONS = re.compile(r"\A(---\n.*?\n---\n|(:[^\n]*\n)+)", re.DOTALL)


def files_behind(*modules: str) -> list[Path]:
    """Every file of this project that the named modules (``helpers.…``) reach by imports, and
    the data files that lie beside them, sorted."""
    reached: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _file_of(name)
        if path is None:
            waiting += _given_lazily(name)
        if name in reached or path is None:
            continue
        reached[name] = path
        waiting += _imports_of(path, path.stat().st_mtime_ns)
        waiting += [name.rpartition(".")[0]] if "." in name else []
    folders = {path.parent for path in reached.values()}
    data = [file for folder in folders for kind in DATA_FILES for file in folder.glob(kind)]
    return sorted({*reached.values(), *data})


def files_behind_notebook(notebook: Path) -> list[Path]:
    """Every file of this project that a MyST Markdown notebook's code cells reach."""
    found: list[str] = []
    for cell in CODE_CELL.findall(notebook.read_text(encoding="utf-8")):
        source = CELL_OPTIONS.sub("", cell)
        plain = "\n".join(line for line in source.splitlines() if line[:1] not in {"%", "!"})
        found += _imports(ast.parse(plain))
    return files_behind(*found)


def digest(files: Iterable[Path]) -> str:
    """Hexadecimal SHA-256 over names and contents; the same wherever the package lies."""
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(str(path.relative_to(SOURCES)).encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


@cache
def _imports_of(path: Path, _modified: int) -> list[str]:
    """What a file imports; read again where it has changed."""
    return _imports(ast.parse(path.read_text(encoding="utf-8")))


def _imports(tree: ast.Module) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module]
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in names if name.split(".")[0] in PACKAGES]


def _given_lazily(name: str) -> list[str]:
    """The module that a package takes ``name`` from when it is asked for it."""
    package, _, wanted = name.rpartition(".")
    stub = SOURCES.joinpath(*package.split("."), "__init__.pyi")
    return [homes(stub)[wanted]] if stub.is_file() and wanted in homes(stub) else []


def _file_of(name: str) -> Path | None:
    path = SOURCES.joinpath(*name.split("."))
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None
