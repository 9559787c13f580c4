"""What code does a module or a notebook depend on, and what does that code mean?

Read from the sources, running nothing. Sources that differ only in comments, docstrings, types of
functions and variables, error texts or descriptions of columns and parameters mean the same: one
digest. What may be read while a program runs counts: the types of a class's fields, those of a
function under a decorator that is not known to ignore them, docstrings where ``__doc__`` is read.
"""

import ast
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from helpers.errors import InputError
from helpers.lazy import homes

SOURCES = Path(__file__).parents[1]
# Each imports only from those before it.
PACKAGES = ("helpers", "runs", "measurements", "reporting", "chapters")
DOOR = SOURCES / "helpers"  # offers its names to strangers and notebooks; no module takes any
DATA_FILES = ("*.json", "*.csv")
CODE_CELL = re.compile(r"^```\{code-cell\}.*?\n(.*?)^```", re.MULTILINE | re.DOTALL)
CELL_OPTIONS = re.compile(r"\A(---\n.*?\n---\n|(:[^\n]*\n)+)", re.DOTALL)
DESCRIBED = {  # arguments that only readers read
    "runs.columns.Column": slice(2, 3),
    "runs.parameters.parameter": slice(1, 3),
    "runs.parameters.count": slice(1, 2),
}
TOLD = {"helpers.errors.InputError", "ValueError", "RuntimeError", "TypeError"}  # hold only words
PLAIN = {  # decorators that read no types
    *("property", "staticmethod", "classmethod", "functools.cached_property"),
    *("functools.cache", "functools.lru_cache", "contextlib.contextmanager"),
    *("torch.inference_mode", "torch.no_grad", "runs.store.measurement"),
}


def files_behind(*modules: str) -> list[Path]:
    """Every file of this project that the named modules (``helpers.…``) reach by imports, and
    the data files that lie beside them, sorted."""
    return _reached(modules)


def files_behind_notebook(notebook: Path) -> list[Path]:
    """Every file of this project that a notebook's code cells reach."""
    return _reached(name for cell in _code(notebook) for name in imports(parsed(cell, notebook)))


def _code(notebook: Path) -> list[str]:
    """What stands in a notebook's code cells: MyST Markdown, or any format that jupytext reads."""
    if notebook.suffix == ".md" and (
        cells := CODE_CELL.findall(notebook.read_text(encoding="utf-8"))
    ):
        return [CELL_OPTIONS.sub("", cell) for cell in cells]
    import jupytext

    return [cell.source for cell in jupytext.read(notebook).cells if cell.cell_type == "code"]


def parsed(cell: str, notebook: Path) -> ast.Module:
    """The syntax tree of a code cell, which may have magics; :class:`InputError` if none."""
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        return ast.parse(TransformerManager().transform_cell(cell))
    except SyntaxError as error:
        line = (error.text or "").strip()
        raise InputError(
            f"a cell of {notebook.name} is no Python ({error.msg}): {line!r}"
        ) from None


def digest(files: Iterable[Path]) -> str:
    """Hexadecimal SHA-256 over names and meanings; the same wherever the package lies.

    Of Python files counts the syntax tree without what has no effect on results, and where the
    names live that a package gives lazily; of all others the content.
    """
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(str(path.relative_to(SOURCES)).encode())
        if path.suffix == ".py":
            offered = _offered(path) if path.parent != DOOR else {}
            total.update(f"{_read(path).digest} {sorted(offered.items())}".encode())
        else:
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def notebook_digest(notebook: Path, *others: Path) -> str:
    """Hexadecimal SHA-256 over all that an executed notebook depends on: every letter of the
    notebook and of the ``others``, and the meaning of the code that it reaches."""
    total = hashlib.sha256(digest(files_behind_notebook(notebook)).encode())
    for path in (notebook, *others):
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def imports(tree: ast.AST, file: str = "notebook") -> list[str]:
    """Names of this project that a syntax tree imports: modules, and what is taken out of them. A
    package whose names are taken by attribute ends in ``.*``.

    Raises :class:`InputError` naming the ``file`` and line of a relative import.
    """
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [f"{alias.name}.*" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                line = f"{file}, line {node.lineno}: {ast.unparse(node)}"
                raise InputError(f"{line}: write the module's whole name, such as helpers.spaces")
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
    return _understood(path.relative_to(SOURCES), path.read_text(encoding="utf-8"))


@cache
def _understood(file: Path, text: str) -> _Source:
    tree = ast.parse(text)
    before = _names(tree)
    origins = _origins(tree, ".".join(file.with_suffix("").parts))
    meaning = _Meaning(origins, docstrings="__doc__" in text).visit(tree)
    found = tuple(imports(meaning, str(file)))
    if file.name != "__init__.py":  # whose names are what others take from it
        meaning = _Used(before - _names(meaning)).visit(meaning)
    return _Source(found, hashlib.sha256(ast.dump(meaning).encode()).hexdigest())


def _offered(path: Path) -> dict[str, str]:
    """Module of each name that a package imports when it is asked for; see :mod:`helpers.lazy`."""
    stub = path.with_suffix(".pyi")
    return _homes_at(stub, stub.stat().st_mtime_ns) if stub.is_file() else {}


@cache
def _homes_at(stub: Path, _modified: int) -> dict[str, str]:
    return homes(stub)


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _origins(tree: ast.AST, module: str) -> dict[str, str]:
    """Whole name, such as ``functools.cache``, of what each name in a module stands for that is
    imported or defined there; empty where a name stands for several things."""
    found: dict[str, set[str]] = defaultdict(set)
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                for one in node.names:
                    first = one.name.split(".")[0]
                    found[one.asname or first].add(one.name if one.asname else first)
            case ast.ImportFrom():
                for one in node.names:
                    found[one.asname or one.name].add(f"{node.module}.{one.name}")
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found[node.name].add(f"{module}.{node.name}")
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                found[name].add("")
    return {name: min(each) if len(each) == 1 else "" for name, each in found.items()}


class _Used(ast.NodeTransformer):
    """Take out imports of names that stood only in what was taken out before: annotations."""

    def __init__(self, gone: set[str]) -> None:
        self.gone = gone

    def visit(self, node: ast.AST) -> ast.AST | None:
        if not isinstance(node, ast.Import | ast.ImportFrom):
            return self.generic_visit(node)
        node.names = [
            one for one in node.names if (one.asname or one.name.split(".")[0]) not in self.gone
        ]
        return node if node.names else None


class _Meaning(ast.NodeTransformer):
    """Take out of a syntax tree what has no effect on what is computed."""

    def __init__(self, origins: Mapping[str, str], *, docstrings: bool) -> None:
        self.origins, self.docstrings = origins, docstrings
        self.fields = False  # whether annotated names are fields of a class

    def _whole(self, node: ast.AST) -> str:
        """Whole name of what is called; it starts with a point where nobody can say."""
        if isinstance(node, ast.Attribute):
            return f"{self._whole(node.value)}.{node.attr}"
        name = str(getattr(node, "id", ""))
        return self.origins.get(name, name)

    def _inside(self, node: ast.AST, *, fields: bool) -> ast.AST:
        outside, self.fields = self.fields, fields
        self.generic_visit(node)
        self.fields = outside
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text and not self.docstrings else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.AST]:
        if self._whole(node.test) == "typing.TYPE_CHECKING":
            kept = [self.visit(each) for each in node.orelse]
            return [each for each in kept if each]
        return self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if node.module == "__future__" else node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._inside(node, fields=True)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        above = {self._whole(getattr(each, "func", each)) for each in node.decorator_list}
        if above <= PLAIN:
            node.returns = None
            for each in ast.walk(node.args):
                if isinstance(each, ast.arg):
                    each.annotation = None
        return self._inside(node, fields=False)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """A variable without its type; a field with it."""
        if self.fields:
            return self.generic_visit(node)
        if node.value is None:
            node.annotation = ast.Constant(None)
            return node
        return self.generic_visit(ast.Assign([node.target], node.value))

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        names = {getattr(target, "id", "") for target in node.targets}
        return None if "__all__" in names else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call) and self._whole(node.exc.func) in TOLD:
            node.exc.args, node.exc.keywords = [], []
        return self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        said = DESCRIBED.get(self._whole(node.func))
        if said and not any(isinstance(one, ast.Starred) for one in node.args):
            del node.args[said]
        return self.generic_visit(node)
