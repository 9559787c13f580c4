"""Parameters from what a user gave: names and values, or the variables of a notebook."""

import difflib
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from helpers.errors import InputError
from runs.parameters.run import RunParameters

NOTEBOOK_NAMES = {"In", "Out", "get_ipython", "exit", "quit", "open"}
ALWAYS = ("profile", "results", "device")


def validate(values: Mapping[str, Any]) -> RunParameters:
    """Parameters from names and values; :class:`InputError` names the first that is wrong."""
    for name in values:
        refuse_unknown(name, RunParameters.model_fields)
    try:
        return RunParameters(**values)
    except ValidationError as error:
        raise InputError(_one_line(error)) from None


def read(namespace: Mapping[str, Any], *uses: str) -> RunParameters:
    """Parameters of a notebook, from its global variables right after the parameters cell.

    ``uses`` names those that the chapter's measurement reads; others are unknown to it, all but
    those that any run takes. papermill only warns about a name that the notebook does not have.
    Here every public variable must be a parameter, so a misspelt one stops the run before
    anything heavy.
    """
    values = {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_")
        and name not in NOTEBOOK_NAMES
        and not isinstance(value, ModuleType | type)
        and not callable(value)
    }
    for name in values:
        refuse_unknown(name, {*uses, *ALWAYS} if uses else RunParameters.model_fields)
    return validate(values)


def refuse_unknown(name: str, known: Iterable[str]) -> None:
    """Raise :class:`InputError` if ``name`` is not known, with the nearest name that is."""
    known = sorted(known)
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise InputError(f"unknown parameter {name!r}: {hint}known are {', '.join(known)}")


def _one_line(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    if not first["loc"]:
        return first["msg"].removeprefix("Value error, ")
    name = str(first["loc"][0])
    extra = RunParameters.model_fields[name].json_schema_extra
    allowed = extra["allowed"] if isinstance(extra, dict) else ""
    return f"parameter {name}={first['input']!r} is not allowed: it takes {allowed}"
