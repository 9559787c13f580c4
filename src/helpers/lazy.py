"""Names that a package offers, each imported when it is first asked for."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazily(names: dict[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """A package's ``__getattr__`` for the ``names`` of each module: importing the package costs
    nothing, and asking it for a name imports that name's module."""
    modules = {name: module for module, found in names.items() for name in found}

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"there is no name {name!r}: there are {', '.join(modules)}")
        return getattr(import_module(modules[name]), name)

    return find
