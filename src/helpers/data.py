"""Which text? Prompts, wrapped and tokenized as a model expects them."""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from torch import Tensor

from helpers.errors import InputError

DATE = "01 Jan 2026"  # some templates name today's date: a run must not depend on the day


@dataclass(frozen=True)
class Prompt:
    """One prompt of Appendix E: its id, such as ``Math1``, its category, and its text."""

    id: str
    category: str
    text: str


@cache
def appendix_e() -> tuple[Prompt, ...]:
    """The twelve prompts of Appendix E of arXiv 2603.24652, in their order."""
    text = resources.files("helpers").joinpath("prompts.json").read_text(encoding="utf-8")
    return tuple(
        Prompt(item["id"], category, item["prompt"])
        for category, items in json.loads(text)["categories"].items()
        for item in items
    )


def select_prompts(chosen: str) -> tuple[Prompt, ...]:
    """``all``, or ids separated by commas; :class:`InputError` names an id that is not there."""
    known = {prompt.id: prompt for prompt in appendix_e()}
    if chosen == "all":
        return tuple(known.values())
    ids = list(dict.fromkeys(part.strip() for part in chosen.split(",") if part.strip()))
    for name in ids:
        if name not in known:
            raise InputError(f"unknown prompt {name!r}: known are all, {', '.join(known)}")
    if not ids:
        raise InputError(f"prompts={chosen!r} names no prompt: known are all, {', '.join(known)}")
    return tuple(known[name] for name in ids)


def tokenize(
    prompts: tuple[Prompt, ...], tokenizer: Any, chat_template: bool, device: Any
) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, each (B, T), padded on the left.

    Raises :class:`InputError` if a chat template is wanted and the tokenizer has none.
    """
    texts = [prompt.text for prompt in prompts]
    if chat_template:
        if not tokenizer.chat_template:
            raise InputError(
                "the tokenizer has no chat template: use chat_template=false, or an instruct model"
            )
        texts = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": text}],
                tokenize=False,
                add_generation_prompt=True,
                date_string=DATE,
            )
            for text in texts
        ]
    batch = tokenizer(
        texts,
        return_tensors="pt",
        padding=True,
        padding_side="left",
        add_special_tokens=not chat_template,
    )
    return batch["input_ids"].to(device), batch["attention_mask"].to(device)
