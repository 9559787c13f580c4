"""Prompts of one's own: a JSON list, or a file with one.

Every function gives or takes entries with the keys ``id``, ``category`` and ``prompt``.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers.errors import InputError

CATEGORY = "Own prompts"
KEYS = ("prompt", "id", "category")
FORMS = 'a JSON list such as ["first prompt", "second prompt"], or a .json or .txt file'
ENTRY = 'each takes a text, or {"prompt": "…"} with id and category if you like'

Entry = dict[str, str]


def is_own(chosen: str) -> bool:
    """Whether the parameter ``prompts`` holds a list or names a file, rather than ids."""
    return chosen.lstrip()[:1] in ("[", "{") or Path(chosen.strip()).suffix.lower() in READERS


def read_own(chosen: str) -> list[Entry]:
    """The entries of a JSON list, or of the file that ``chosen`` names, in their order.

    A ``.json`` file holds a list as well; a ``.txt`` file one prompt on each line, where blank
    lines do not count. What has no id is Own1, Own2 and so on. Raises :class:`InputError`, with
    one line that says what is wrong, where, and what would be right.
    """
    text = chosen.strip()
    if text[:1] in ("[", "{"):
        return _checked(_from_json(text, "the list of prompts"), "the list of prompts")
    path, name = Path(text), f"prompts file {_short(text, 200)}"
    try:
        content = path.expanduser().read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{name} is not there: give {FORMS}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 at byte {error.start}") from None
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} cannot be read: {getattr(error, 'strerror', error)}") from None
    name = f"prompts file {_short(path.name, 200)}"
    return _checked(READERS[path.suffix.lower()](content, name), name)


def _from_json(text: str, name: str) -> list[Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{name} is no valid JSON at line {error.lineno}, column {error.colno} ({error.msg}): "
            'write ["first prompt", "second prompt"], with double quotes'
        ) from None
    except RecursionError:
        raise InputError(f"{name} is nested too deeply: {ENTRY}") from None
    except ValueError as error:
        raise InputError(f"{name} is no valid JSON ({error})") from None
    if not isinstance(found, list):
        raise InputError(f'{name} is no list: write ["first prompt", "second prompt"]')
    return found


def _from_lines(text: str, name: str) -> list[Any]:
    return [line.strip() for line in text.split("\n") if line.strip()]


READERS: dict[str, Callable[[str, str], list[Any]]] = {".json": _from_json, ".txt": _from_lines}


def _checked(items: list[Any], name: str) -> list[Entry]:
    if not items:
        raise InputError(f"{name} is empty: give at least one prompt")
    entries: list[Entry] = []
    unnamed = 0
    for number, item in enumerate(items, 1):
        entry = _entry(item, f"prompt {number} of {name}")
        unnamed += "id" not in entry
        entries.append({"id": f"Own{unnamed}", "category": CATEGORY} | entry)
    for key, words in (("id", "the id"), ("prompt", "the text")):
        again, count = Counter(entry[key] for entry in entries).most_common(1)[0]
        if count > 1:  # of the same text two copies would count as two observations
            raise InputError(f"{count} prompts of {name} have {words} {_short(again)}: keep one")
    return entries


def _entry(item: Any, where: str) -> Entry:
    entry = {"prompt": item} if isinstance(item, str) else item
    if not isinstance(entry, dict) or "prompt" not in entry:
        raise InputError(f"{where} is {_short(item)}: {ENTRY}")
    for key, value in entry.items():
        if key not in KEYS:
            raise InputError(f"{where} has an unknown key {key!r}: known are {', '.join(KEYS)}")
        if not isinstance(value, str):
            raise InputError(f"{where} has the {key} {_short(value)}: {ENTRY}")
        if not value.strip():
            raise InputError(f"{where} has an empty {key}: {ENTRY}")
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise InputError(f"{where} has half a character in its {key}: write it as UTF-8")
    return dict(entry)


def _short(value: Any, most: int = 60) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else f"{text[:most]}…"
