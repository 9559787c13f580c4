"""What does a written value mean? The declared type of its parameter says so, not its looks."""

import json
import re
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import yaml

from helpers.errors import InputError
from helpers.texts.files import text_of

WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]*)")
DECIMAL = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
KEPT = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")


class _Texts(yaml.SafeLoader):
    """YAML whose plain values are texts, or nothing: ``0123`` is no number, ``no`` not false."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        again = [str(key) for key in keys if keys.count(key) > 1]
        if again:
            said = f"{again[0]} is given twice"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark)
        return super().construct_mapping(node, deep)


_Texts.yaml_implicit_resolvers = {
    letter: [(tag, form) for tag, form in found if tag in KEPT]
    for letter, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def from_file(path: Path, kind: str = "parameters file") -> dict[str, object]:
    """Names and values of a YAML or JSON file, all of them texts, lists or mappings of texts;
    :class:`InputError` if it holds something else."""
    name, text = f"{kind} {path.name}", text_of(path)
    try:
        found = _from_yaml(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" at line {mark.line + 1}" if mark else ""
        raise InputError(f"{name} is damaged{line}: {error.problem}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"{name} is damaged: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise InputError(f"{name} must hold names and values, one per line")
    return found


def typed(value: Any, kind: Any) -> Any:
    """A value as its declared type reads it: text as a decimal number where that is an ``int`` or
    ``float``. :class:`ValueError` for what is no such number."""
    if kind not in (int, float):
        return value
    if isinstance(value, str):
        if not (WHOLE if kind is int else DECIMAL).fullmatch(value.strip()):
            raise ValueError("is no decimal number")
        return kind(value)
    if isinstance(value, bool) or not isinstance(value, Integral if kind is int else Real):
        raise ValueError("is no such number")
    return value


def listed(value: Any) -> Any:
    """A list of names as the text that separates them by commas, also where the list is written
    as ``[a, b]``. :class:`ValueError` for a list of something else."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = _from_yaml(value)
        except (yaml.YAMLError, RecursionError):
            raise ValueError("is no list") from None
    if not isinstance(value, list | tuple):
        return value
    if not all(isinstance(name, str) and name.strip() and "," not in name for name in value):
        raise ValueError("is no list of names")
    return ",".join(value)


def at_home(value: Any) -> Any:
    """Paths, separated by commas, with ``~`` as the home folder that it stands for; what is JSON
    stays as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] in ("[", "{"):
        return value
    return ",".join(_at_home(part) for part in value.split(","))


def _at_home(name: str) -> str:
    try:
        return str(Path(name.strip()).expanduser()) if name.strip().startswith("~") else name
    except RuntimeError:  # of somebody who has none: whoever looks for the file says so
        return name


def _from_yaml(text: str) -> Any:
    try:  # JSON is YAML but for tabs and characters in two halves
        return json.loads(text, parse_int=str, parse_float=str, object_pairs_hook=_once)
    except json.JSONDecodeError:
        return yaml.load(text, _Texts)  # a safe loader


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        again = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{again} is given twice")
    return found
