"""How long are the prompts for a model's tokenizer, and what does its chat template add?"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from helpers.decoding import refuse_too_long
from helpers.models.load import model_facts, outline
from helpers.texts.data import Prompt, select_prompts, wrapped
from runs.columns import CATEGORY, COUNT, PROMPT, STRING, TEXT, Column
from runs.parameters import RunParameters
from runs.store import Measured, measurement

USES = ("model", "revision", "prompts")
PARTS = ("before", "prompt", "after")
TABLE = (
    PROMPT,
    CATEGORY,
    Column(
        "form",
        TEXT,
        "plain: the text alone; template: wrapped in the model's chat template",
        ("plain", "template"),
    ),
    Column("text", STRING, "what the tokenizer is given"),
    Column("tokens", COUNT, "its length in tokens, those that the tokenizer adds included"),
)


@measurement(*USES, tables={"prompts": TABLE})
def prompt_lengths(parameters: RunParameters) -> Measured:
    """Tokens of each chosen prompt, alone and in the chat template, where there is one.

    No weights are read. Table ``prompts``. The facts hold how many tokens the model can read,
    the last token of the first prompt in each form, and that prompt in its template, token by
    token in three ``parts``.
    """
    loaded = outline(parameters.model, parameters.revision)
    tokenizer = loaded.tokenizer
    prompts = select_prompts(parameters.prompts)
    texts = {"plain": [prompt.text for prompt in prompts]}
    if tokenizer.chat_template:
        texts["template"] = wrapped(prompts, tokenizer)
    ids = {
        form: tokenizer(given, add_special_tokens=form == "plain")["input_ids"]
        for form, given in texts.items()
    }
    lengths = {form: [len(each) for each in rows] for form, rows in ids.items()}
    refuse_too_long(loaded.model, max(map(max, lengths.values())))
    facts = {
        "model": model_facts(loaded),
        "context": getattr(loaded.model.config, "max_position_embeddings", None),
        "last": {form: tokenizer.decode(rows[0][-1:]) for form, rows in ids.items()},
        "example": prompts[0].id,
        "parts": template_parts(tokenizer, texts["template"][0], prompts[0].text)
        if "template" in texts
        else {},
    }
    return Measured({"prompts": _table(prompts, texts, lengths)}, facts)


def template_parts(tokenizer: Any, whole: str, prompt: str) -> dict[str, list[str]]:
    """The tokens of ``whole`` as text, those before the ``prompt`` in it, those of the prompt and
    those after. A token across a border belongs to the part in which it begins.

    All are ``before`` where the template does not hold the prompt as it is, or the tokenizer
    cannot tell where its tokens lie.
    """
    if not tokenizer.is_fast:
        ids = tokenizer(whole, add_special_tokens=False)["input_ids"]
        return dict(zip(PARTS, ([tokenizer.decode([token]) for token in ids], [], []), strict=True))
    given = tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
    begin = whole.find(prompt.strip())
    borders = (len(whole), len(whole)) if begin < 0 else (begin, begin + len(prompt.strip()))
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    for token, (start, _) in zip(given["input_ids"], given["offset_mapping"], strict=True):
        part = PARTS[sum(start >= border for border in borders)]
        parts[part].append(tokenizer.decode([token]))
    return parts


def _table(
    prompts: Sequence[Prompt],
    texts: dict[str, list[str]],
    lengths: dict[str, list[int]],
) -> pa.Table:
    rows = [
        {
            "prompt": prompt.id,
            "category": prompt.category,
            "form": form,
            "text": text,
            "tokens": tokens,
        }
        for form in texts
        for prompt, text, tokens in zip(prompts, texts[form], lengths[form], strict=True)
    ]
    return pa.Table.from_pylist(rows)
