"""Which text? Prompts, wrapped and tokenized as a model expects them."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from torch import Tensor

from helpers.errors import InputError
from helpers.texts import own_prompts

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
    prompts of one's own, as :func:`helpers.texts.own_prompts.read_own` takes them. Raises
    :class:`InputError` for an id that is not there, and for a list or file that is no good.
    """
    if own_prompts.is_own(chosen):
        return tuple(_own(chosen))
    known: dict[str, tuple[Prompt, ...]] = {"all": appendix_e()}
    known |= {prompt.id: (prompt,) for prompt in (*appendix_e(), table_2())}
    allowed = f"known are {', '.join(known)}, {own_prompts.FORMS}"
    names = [part.strip() for part in chosen.split(",") if part.strip()]
    for name in names:
        if name not in known:
            raise InputError(f"unknown prompt {name!r}: {allowed}")
    if not names:
        raise InputError(f"prompts={chosen!r} names no prompt: {allowed}")
    return tuple(dict.fromkeys(prompt for name in names for prompt in known[name]))


def identity(chosen: str) -> str:
    """What pins the prompts: ids as they are given, and a hash of prompts of one's own.

    Whether those come from a list or from a file, and how either is laid out, changes nothing.
    Raises :class:`InputError` as :func:`select_prompts` does.
    """
    prompts = select_prompts(chosen)
    if not own_prompts.is_own(chosen):
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


def _own(chosen: str) -> Iterator[Prompt]:
    known = {prompt.id: prompt for prompt in (*appendix_e(), table_2())}
    for entry in own_prompts.read_own(chosen):
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
