"""Which parameters does a notebook take, and what are they unless given?"""

import ast
from collections.abc import Collection
from pathlib import Path
from typing import Any

import jupytext

from helpers.errors import InputError
from runs import source


def read(notebook: Path) -> Any:
    """The notebook (MyST Markdown or .ipynb); :class:`InputError` if it is none."""
    if not notebook.is_file():
        raise InputError(f"notebook {notebook} is not there: look in notebooks/")
    try:
        return jupytext.read(notebook)
    except Exception as error:
        raise InputError(f"{notebook} cannot be read as a notebook: {error}") from None


def parameters(node: Any, notebook: Path, given: Collection[str] = ()) -> dict[str, Any]:
    """Names and defaults that the cell tagged ``parameters`` assigns, a type beside the name or
    not. A default that is no plain value is None where the parameter is ``given``, else
    :class:`InputError`: it cannot be checked before the run."""
    cells = [cell for cell in node.cells if "parameters" in cell.metadata.get("tags", [])]
    if not cells:
        raise InputError(f"notebook {notebook} has no cell tagged parameters")
    found: dict[str, Any] = {}
    for line in source.parsed(cells[0].source, notebook).body:
        if isinstance(line, ast.Expr | ast.Import | ast.ImportFrom):
            continue
        targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", line)]
        for name in map(ast.unparse, targets):
            try:
                if not isinstance(line, ast.Assign | ast.AnnAssign):
                    raise ValueError
                found[name] = ast.literal_eval(line.value)  # type: ignore[arg-type]
            except (ValueError, TypeError):
                if name not in given:
                    raise InputError(
                        f"the default of a parameter must be a plain value, which {notebook.name} "
                        f"does not have in {ast.unparse(line)!r}: write one, or give {name}"
                    ) from None
                found[name] = None
    return found
