"""Which text? Prompts of the paper or one's own, wrapped and tokenized as a model expects them."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.errors import InputError, first_line
from helpers.texts.files import Numbered, file_called, rows

if TYPE_CHECKING:
    from torch import Tensor

OWN = "Own prompts"
KEYS = ("prompt", "id", "category")
FORMS = 'a JSON list such as ["first prompt", "second prompt"], or a file of text or JSON'
ENTRY = 'each takes a text, or {"prompt": "…"} with id and category if you like'

Entry = dict[str, str]
DAY = datetime(2026, 1, 1, tzinfo=UTC)  # templates name today: no run may depend on its day


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
    chosen = as_text(chosen)
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


def as_text(chosen: str | Sequence[Any]) -> str:
    """The parameter ``prompts`` as text, also if it is a list: the ids of a list of nothing else,
    such as ``[MC1, Math1]``; JSON of any other. :class:`ValueError` if it holds no texts."""
    names: list[Any]
    if isinstance(chosen, str):
        inside = re.fullmatch(r"\s*\[([^][{}]*)\]\s*", chosen)
        names = [name.strip().strip("\"'") for name in inside[1].split(",")] if inside else []
    else:
        names = list(chosen)
    if names and all(isinstance(name, str) and name.strip() in _known() for name in names):
        return ",".join(name.strip() for name in names)
    try:
        return chosen if isinstance(chosen, str) else json.dumps(names, ensure_ascii=False)
    except TypeError:
        raise ValueError("holds what is no text") from None


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
    prompts, chosen = select_prompts(chosen), as_text(chosen)
    if not is_own(chosen):
        return chosen
    content = json.dumps([(prompt.id, prompt.category, prompt.text) for prompt in prompts])
    return f"{len(prompts)} own, sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def wrapped(
    prompts: tuple[Prompt, ...], tokenizer: Any, switch: str = "chat_template"
) -> list[str]:
    """Each prompt as one turn of the tokenizer's chat template, ready for an answer.

    Raises :class:`InputError` if the tokenizer has none, or it cannot be applied.
    """
    return [
        conversation(tokenizer, [{"role": "user", "content": prompt.text}], switch)
        for prompt in prompts
    ]


def conversation(
    tokenizer: Any, turns: list[Entry], switch: str, add_generation_prompt: bool = True
) -> str:
    """Turns, each with a ``role`` and ``content``, in the tokenizer's chat template: ready for an
    answer, or without ``add_generation_prompt`` for the last turn to go on.

    Raises :class:`InputError` if the tokenizer has no template, or it cannot be applied; it names
    the parameter that is the ``switch``.
    """
    if not tokenizer.chat_template:
        raise InputError(
            f"the tokenizer has no chat template: use {switch}=false, or an instruct model"
        )
    try:
        return _conversation(tokenizer, turns, add_generation_prompt, not add_generation_prompt)
    except Exception as error:  # a template is a program, and says in its own words what it lacks
        raise InputError(
            f"the chat template cannot be applied ({first_line(error)}): use {switch}=false"
        ) from error


def turn_end(tokenizer: Any) -> int | None:
    """The token with which the chat template ends what a model says; None if it ends with none."""
    if not tokenizer.chat_template:
        return None
    said = ("user", "Question"), ("assistant", "Answer")
    turns = [{"role": role, "content": content} for role, content in said]
    try:
        after = _conversation(tokenizer, turns, add_generation_prompt=False).rpartition("Answer")[2]
    except Exception:  # a template that takes no answers says nothing about their end
        return None
    for token in tokenizer(after, add_special_tokens=False)["input_ids"]:
        if token in tokenizer.added_tokens_decoder:
            return int(token)
        if tokenizer.decode([token]).strip():
            return None
    return None


def _conversation(
    tokenizer: Any, turns: list[Entry], add_generation_prompt: bool, goes_on: bool = False
) -> str:
    """Turns as the chat template writes them, always on the same day."""
    return str(
        tokenizer.apply_chat_template(
            turns,
            chat_template=_on_the_day(tokenizer.get_chat_template()),
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=goes_on,
            date_string=f"{DAY:%d %b %Y}",
        )
    )


def _on_the_day(template: str) -> str:
    """A template that asks for today's date, told that today is :data:`DAY`: by a macro, since the
    function that it asks cannot be replaced."""
    if "strftime_now" not in template:
        return template
    said = {code: DAY.strftime(f"%{code}") for code in "aAbBcdfGHIjmMpSuUVwWxXyYzZ"}
    said |= {f"-{code}": said[code].lstrip("0") or "0" for code in "dHIjmMSUWy"}
    asked = "".join(f"|replace('%{code}', {text!r})" for code, text in said.items())
    return f"{{% macro strftime_now(format) %}}{{{{ format{asked} }}}}{{% endmacro %}}{template}"


def tokenize(
    prompts: tuple[Prompt, ...],
    tokenizer: Any,
    chat_template: bool,
    device: Any,
    vocabulary: int | None = None,
    switch: str = "chat_template",
) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, each (B, T) int64, padded on the left with a masked 0.

    Raises :class:`InputError` if a chat template is wanted (by the parameter ``switch``) and the
    tokenizer has none, for a prompt without any token, and for a token that the model's
    ``vocabulary`` does not hold.
    """
    import torch

    plain = [prompt.text for prompt in prompts]
    texts = wrapped(prompts, tokenizer, switch) if chat_template else plain
    rows = tokenizer(texts, add_special_tokens=not chat_template)["input_ids"]
    for prompt, row in zip(prompts, rows, strict=True):
        name = prompt.id or quoted(prompt.text)
        if not row:
            raise InputError(f"prompt {name} makes no token: write another")
        if vocabulary is not None:
            refuse_unknown_tokens(f"prompt {name}", row, tokenizer, vocabulary)
    longest = max(map(len, rows))
    ids = [[0] * (longest - len(row)) + list(row) for row in rows]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def refuse_unknown_tokens(what: str, ids: Iterable[int], tokenizer: Any, known: int) -> None:
    """:class:`InputError`, with ``what`` the text is, if it holds a token from ``known`` on, of
    which a model has no embedding."""
    token = max(ids, default=0)
    if token >= known:
        raise InputError(
            f"{what} holds the token {tokenizer.convert_ids_to_tokens(token)!r}, number {token}, "
            f"and the model knows those below {known}: its tokenizer belongs to another model"
        )


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
        raise InputError(f"prompts file {quoted(text, 200)} is not there: give {FORMS}")
    found = rows(path, lambda content: (line.strip() for line in content.split("\n")))
    return _checked(list(found), f"prompts file {quoted(path.name, 200)}")


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
        named = _known().get(item.strip(), ()) if isinstance(item, str) else ()
        entries += [{"id": one.id, "category": one.category, "prompt": one.text} for one in named]
        if named:
            continue
        entry = _entry(item, where)
        unnamed += "id" not in entry
        entries.append({"id": f"Own{unnamed}", "category": OWN} | entry)
    for key, words in (("id", "the id"), ("prompt", "the text")):
        again, count = Counter(entry[key] for entry in entries).most_common(1)[0]
        if count > 1:  # of the same text two copies would count as two observations
            raise InputError(f"{count} prompts of {name} have {words} {quoted(again)}: keep one")
    return entries


def _entry(item: Any, where: str) -> Entry:
    entry = {"prompt": item} if isinstance(item, str) else item
    if not isinstance(entry, dict) or "prompt" not in entry:
        raise InputError(f"{where} is {quoted(item)}: {ENTRY}")
    for key, value in entry.items():
        if key not in KEYS:
            raise InputError(f"{where} has an unknown key {key!r}: known are {', '.join(KEYS)}")
        if not isinstance(value, str):
            raise InputError(f"{where} has the {key} {quoted(value)}: {ENTRY}")
        if not value.strip():
            raise InputError(f"{where} has an empty {key}: {ENTRY}")
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise InputError(f"{where} has half a character in its {key}: write it as UTF-8")
    return dict(entry)


def quoted(value: Any, most: int = 60) -> str:
    """A value as JSON has it, in one line, cut after ``most`` signs."""
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
