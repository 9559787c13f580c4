"""What code does a module or a notebook depend on, and what does that code mean?

Read from the sources, running nothing. Sources that differ only in comments, docstrings,
annotations, error texts or descriptions of columns and parameters mean the same: one digest.
"""

import ast
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from helpers.lazy import homes

SOURCES = Path(__file__).parents[1]
# Each imports only from those before it.
PACKAGES = ("helpers", "runs", "measurements", "reporting", "chapters")
DATA_FILES = ("*.json", "*.csv")
CODE_CELL = re.compile(r"^```\{code-cell\}.*?\n(.*?)^```", re.MULTILINE | re.DOTALL)
CELL_OPTIONS = re.compile(r"\A(---\n.*?\n---\n|(:[^\n]*\n)+)", re.DOTALL)
DESCRIBED = {  # arguments that only readers read
    "Column": slice(2, 3),
    "parameter": slice(1, 3),
    "count": slice(1, 2),
}


def files_behind(*modules: str) -> list[Path]:
    """Every file of this project that the named modules (``helpers.…``) reach by imports, and
    the data files that lie beside them, sorted."""
    return _reached(modules)


def files_behind_notebook(notebook: Path) -> list[Path]:
    """Every file of this project that a MyST Markdown notebook's code cells reach."""
    found: list[str] = []
    for cell in CODE_CELL.findall(notebook.read_text(encoding="utf-8")):
        source = CELL_OPTIONS.sub("", cell)
        plain = "\n".join(line for line in source.splitlines() if line[:1] not in {"%", "!"})
        found += imports(ast.parse(plain))
    return _reached(found)


def digest(files: Iterable[Path]) -> str:
    """Hexadecimal SHA-256 over names and meanings; the same wherever the package lies.

    Of Python files counts the syntax tree without what has no effect on results, of all others the
    content.
    """
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(str(path.relative_to(SOURCES)).encode())
        own = _read(path).digest if path.suffix == ".py" else hashlib.sha256(path.read_bytes())
        total.update(own.encode() if isinstance(own, str) else own.digest())
    return total.hexdigest()


def notebook_digest(notebook: Path, *others: Path) -> str:
    """Hexadecimal SHA-256 over all that an executed notebook depends on: every letter of the
    notebook and of the ``others``, and the meaning of the code that it reaches."""
    total = hashlib.sha256(digest(files_behind_notebook(notebook)).encode())
    for path in (notebook, *others):
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def imports(tree: ast.AST) -> list[str]:
    """Names of this project that a syntax tree imports: modules, and what is taken out of them. A
    package whose names are taken by attribute ends in ``.*``."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [f"{alias.name}.*" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in names if name.split(".")[0] in PACKAGES]


@dataclass(frozen=True)
class _Source:
    """What a file imports, and the digest of what it means."""

    imports: tuple[str, ...]
    digest: str


def _reached(names: Iterable[str]) -> list[Path]:
    found: set[Path] = set()
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        parent, _, last = name.rpartition(".")
        module = parent if last == "*" else name
        if path := _file_of(module):
            found.add(path)
            waiting += _read(path).imports
            waiting += [f"{home}.{one}" for one, home in _offered(path).items()]
        elif home := _file_of(parent):  # what is taken out of a module, such as a function
            offered = _offered(home)
            waiting += [f"{offered[last]}.{last}"] if last in offered else []
        while module := module.rpartition(".")[0]:  # packages are run on the way to their modules
            above = _file_of(module)
            if above and above not in found:
                found.add(above)
                waiting += _read(above).imports
    folders = {path.parent for path in found}
    data = [file for folder in folders for kind in DATA_FILES for file in folder.glob(kind)]
    return sorted({*found, *data})


def _file_of(name: str) -> Path | None:
    path = f"{SOURCES}/{name.replace('.', '/')}"
    candidates = Path(f"{path}/__init__.py"), Path(f"{path}.py")
    return next((each for each in candidates if each.is_file()), None)


def _read(path: Path) -> _Source:
    return _read_at(path, path.stat().st_mtime_ns)


@cache
def _read_at(path: Path, _modified: int) -> _Source:
    """A file; read again where it has changed."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    meaning = _Meaning().visit(tree)
    found = tuple(imports(meaning))
    if path.name != "__init__.py":  # whose names are what others take from it
        meaning = _Used(meaning).visit(meaning)
    return _Source(found, hashlib.sha256(ast.dump(meaning).encode()).hexdigest())


def _offered(path: Path) -> dict[str, str]:
    """Module of each name that a package imports when it is asked for; see :mod:`helpers.lazy`."""
    stub = path.with_suffix(".pyi")
    return _homes_at(stub, stub.stat().st_mtime_ns) if stub.is_file() else {}


@cache
def _homes_at(stub: Path, _modified: int) -> dict[str, str]:
    return homes(stub)


def _for_types(node: ast.If) -> bool:
    test = node.test
    return getattr(test, "id", getattr(test, "attr", "")) == "TYPE_CHECKING"


def _called(call: ast.Call) -> str:
    return str(getattr(call.func, "id", getattr(call.func, "attr", "")))


class _Used(ast.NodeTransformer):
    """Take out what is imported for annotations alone."""

    def __init__(self, tree: ast.AST) -> None:
        self.names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}

    def visit(self, node: ast.AST) -> ast.AST | None:
        if not isinstance(node, ast.Import | ast.ImportFrom):
            return self.generic_visit(node)
        node.names = [
            one for one in node.names if (one.asname or one.name.split(".")[0]) in self.names
        ]
        return node if node.names else None


class _Meaning(ast.NodeTransformer):
    """Take out of a syntax tree what has no effect on what is computed."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.AST]:
        if _for_types(node):
            kept = [self.visit(each) for each in node.orelse]
            return [each for each in kept if each]
        return self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if node.module == "__future__" else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """The name without its type; a field keeps its place among those of its class."""
        if node.value is None:
            return ast.Expr(node.target)
        return self.generic_visit(ast.Assign([node.target], node.value))

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        names = {getattr(target, "id", "") for target in node.targets}
        return None if "__all__" in names else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            node.exc.args, node.exc.keywords = [], []
        return self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = _called(node)
        if name == "cast" and len(node.args) == 2:
            return self.visit(node.args[1])
        if name in DESCRIBED:
            del node.args[DESCRIBED[name]]
        return self.generic_visit(node)
