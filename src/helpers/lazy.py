"""Names that a package offers, each imported when it is first asked for.

The stub beside the package's ``__init__.py`` says where each name lives, for type checkers, for
whoever follows imports, and for the package itself.
"""

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def homes(stub: Path) -> dict[str, str]:
    """The module of each name that a stub imports."""
    imports = ast.parse(stub.read_text(encoding="utf-8")).body
    return {
        alias.name: str(node.module)
        for node in imports
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def lazily(init: str) -> tuple[Callable[[str], Any], list[str]]:
    """``__getattr__`` and ``__all__`` of a package whose file is ``init``: importing it costs
    nothing, and asking it for a name imports that name's module."""
    modules = homes(Path(init).with_suffix(".pyi"))

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"there is no name {name!r}: there are {', '.join(modules)}")
        return getattr(import_module(modules[name]), name)

    return find, list(modules)
