"""Which text? Prompts of the paper or one's own, wrapped and tokenized as a model expects them."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from torch import Tensor

from helpers.errors import InputError
from helpers.texts.files import Numbered, file_called, rows

OWN = "Own prompts"
KEYS = ("prompt", "id", "category")
FORMS = 'a JSON list such as ["first prompt", "second prompt"], or a file of text or JSON'
ENTRY = 'each takes a text, or {"prompt": "…"} with id and category if you like'

Entry = dict[str, str]
DATE = "01 Jan 2026"  # some templates name today's date: a run must not depend on the day


@dataclass(frozen=True)
class Prompt:
    """One prompt: its id, such as ``Math1``, its category, and its text.

    ``answer`` is the right answer and ``working`` how to find it, both empty where there is no
    single right answer, and for prompts of one's own.
    """

    id: str
    category: str
    text: str
    answer: str = ""
    working: str = ""


@cache
def appendix_e() -> tuple[Prompt, ...]:
    """The twelve prompts of Appendix E of arXiv 2603.24652, in their order."""
    return tuple(
        _prompt(item, category)
        for category, items in _embedded()["categories"].items()
        for item in items
    )


@cache
def table_2() -> Prompt:
    """The question of the paper's Table 2, id ``Table2``: none of the twelve."""
    (item,) = _embedded()["beside"]
    return _prompt(item, item["category"])


def select_prompts(chosen: str) -> tuple[Prompt, ...]:
    """The prompts that the parameter ``prompts`` asks for, each once.

    ``chosen`` is ids separated by commas, among them ``all`` for the twelve of Appendix E; or
    prompts of one's own, as :func:`read_own` takes them. Raises
    :class:`InputError` for an id that is not there, and for a list or file that is no good.
    """
    if is_own(chosen):
        return tuple(_own(chosen))
    known = _known()
    allowed = f"known are {', '.join(known)}, {FORMS}"
    names = [part.strip() for part in chosen.split(",") if part.strip()]
    for name in names:
        if name not in known:
            raise InputError(f"unknown prompt {name!r}: {allowed}")
    if not names:
        raise InputError(f"prompts={chosen!r} names no prompt: {allowed}")
    return tuple(dict.fromkeys(prompt for name in names for prompt in known[name]))


@cache
def _known() -> dict[str, tuple[Prompt, ...]]:
    """What each id stands for."""
    one = {prompt.id: (prompt,) for prompt in (*appendix_e(), table_2())}
    return {"all": appendix_e()} | one


def identity(chosen: str) -> str:
    """What pins the prompts: ids as they are given, and a hash of prompts of one's own.

    Whether those come from a list or from a file, and how either is laid out, changes nothing.
    Raises :class:`InputError` as :func:`select_prompts` does.
    """
    prompts = select_prompts(chosen)
    if not is_own(chosen):
        return chosen
    content = json.dumps([(prompt.id, prompt.category, prompt.text) for prompt in prompts])
    return f"{len(prompts)} own, sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def wrapped(prompts: tuple[Prompt, ...], tokenizer: Any) -> list[str]:
    """Each prompt as one turn of the tokenizer's chat template, ready for an answer.

    Raises :class:`InputError` if the tokenizer has none.
    """
    if not tokenizer.chat_template:
        raise InputError(
            "the tokenizer has no chat template: use chat_template=false, or an instruct model"
        )
    return [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt.text}],
            tokenize=False,
            add_generation_prompt=True,
            date_string=DATE,
        )
        for prompt in prompts
    ]


def tokenize(
    prompts: tuple[Prompt, ...], tokenizer: Any, chat_template: bool, device: Any
) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, each (B, T), padded on the left.

    Raises :class:`InputError` if a chat template is wanted and the tokenizer has none.
    """
    plain = [prompt.text for prompt in prompts]
    batch = tokenizer(
        wrapped(prompts, tokenizer) if chat_template else plain,
        return_tensors="pt",
        padding=True,
        padding_side="left",
        add_special_tokens=not chat_template,
    )
    return batch["input_ids"].to(device), batch["attention_mask"].to(device)


def is_own(chosen: str) -> bool:
    """Whether the parameter ``prompts`` holds a list or names a file, rather than ids."""
    text = chosen.strip()
    if text[:1] in ("[", "{"):
        return True
    ids = all(part.strip() in _known() for part in text.split(","))
    return not ids and (bool(Path(text).suffix) or file_called(text) is not None)


def read_own(chosen: str) -> list[Entry]:
    """The entries of a JSON list, or of the file that ``chosen`` names, in their order: each with
    ``id``, ``category`` and ``prompt``.

    A file of JSON holds a list as well, or one prompt on each line; one of plain text one prompt
    on each line, where blank lines do not count. What has no id is Own1, Own2 and so on. Raises
    :class:`InputError`, with one line that says what is wrong, where, and what would be right.
    """
    text = chosen.strip()
    if text[:1] in ("[", "{"):
        name = "the list of prompts"
        listed = enumerate(_from_json(text, name), 1)
        return _checked([(item, f"prompt {number} of {name}") for number, item in listed], name)
    path = file_called(text)
    if path is None:
        raise InputError(f"prompts file {_short(text, 200)} is not there: give {FORMS}")
    found = rows(path, lambda content: (line.strip() for line in content.split("\n")))
    return _checked(list(found), f"prompts file {_short(path.name, 200)}")


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


def _checked(items: list[Numbered], name: str) -> list[Entry]:
    if not items:
        raise InputError(f"{name} is empty: give at least one prompt")
    entries: list[Entry] = []
    unnamed = 0
    for item, where in items:
        entry = _entry(item, where)
        unnamed += "id" not in entry
        entries.append({"id": f"Own{unnamed}", "category": OWN} | entry)
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


def _own(chosen: str) -> Iterator[Prompt]:
    known = {prompt.id: prompt for prompt in (*appendix_e(), table_2())}
    for entry in read_own(chosen):
        name, text = entry["id"], entry["prompt"]
        if name in known and known[name].text != text:
            raise InputError(f"prompt id {name} belongs to a prompt of the paper: choose another")
        yield known.get(name) or Prompt(name, entry["category"], text)


def _prompt(item: dict[str, str], category: str) -> Prompt:
    answer, working = item.get("answer", ""), item.get("working", "")
    return Prompt(item["id"], category, item["prompt"], answer, working)


@cache
def _embedded() -> dict[str, Any]:
    text = resources.files("helpers.texts").joinpath("prompts.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
