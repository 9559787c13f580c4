"""What Section 7 measures and no other chapter does: a model against itself once it has written
another word, with nothing pruned; and how pruning moves the options of a question (Figure 8).

What pruning does after two texts have parted can only be judged beside the former.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from helpers import theory
from helpers.decoding import (
    Held,
    Reader,
    Together,
    likeliest,
    lockstep,
    refuse_too_long,
    two_likeliest,
)
from helpers.errors import InputError
from helpers.evaluation.asking import Asked, asked, last_states, refuse_unknown_question
from helpers.models.architecture import Decoder
from helpers.models.load import load, model_facts
from helpers.spaces import Comparison
from helpers.texts.data import Prompt, appendix_e
from helpers.texts.probes import CHOOSE, LETTER_PREFIX, LETTERS
from measurements import pruned_model
from measurements.deviations import DEVIATIONS, OUTPUT, Kind, deviation_table
from measurements.generation import compare_outputs
from measurements.prompted import prompted
from measurements.pruned_model import pruned_counterpart
from runs.columns import FLAG, NUMBER, PROMPT, STRING, TEXT, TOKEN, Column
from runs.parameters import WRITING, RunParameters
from runs.settings import dense as unpruned
from runs.store import Measured, measurement

Row = tuple[int, int]  # text and step
TOP = 6  # likeliest tokens of either model that are kept
CHOICES = (
    PROMPT,
    Column("template", FLAG, "whether the question stands in the model's chat template"),
    Column("prefix", FLAG, "whether the answer begins with a prefix that is given"),
    Column("output", TEXT, "whose output it is", ("dense", "pruned")),
    Column(
        "role",
        TEXT,
        "option: the letter of an option; top: one of the likeliest tokens of either model",
        ("option", "top"),
    ),
    TOKEN,
    Column("text", STRING, "letter of the option, or text of the token"),
    Column("value", NUMBER, "log-likelihood of the token in nats, at T = 1"),
)


@measurement(*WRITING, "max_new_tokens", "temperature", tables={"deviations": DEVIATIONS})
def other_words(parameters: RunParameters) -> Measured:
    """Compare the dense model's greedy text with the one it writes after its second choice.

    The first token of that other text is the runner-up; from there on it is greedy too. No weight
    is touched. Table ``deviations`` of the model's output, as of ``generation`` and free-running,
    with amount 0, at each step until a text ends.
    """
    begin = prompted(parameters, parameters.max_new_tokens)
    decoder, prompts = begin.decoder, begin.prompts
    comparison = Comparison(decoder.head, decoder.final_norm, parameters.temperature)
    given = begin.input_ids, begin.attention_mask
    rows, kinds, values = compared(
        decoder, comparison, *given, parameters.max_new_tokens, begin.ends
    )
    table = deviation_table(
        parameters, prompts, OUTPUT, rows, kinds, values[:, None], intervention="propagated"
    )
    facts = {"model": model_facts(begin.dense), "prompts": len(prompts)}
    return Measured({"deviations": table}, facts, unpruned(parameters).removed)


def compared(
    decoder: Decoder,
    comparison: Comparison,
    input_ids: Tensor,
    attention_mask: Tensor,
    steps: int,
    ends: tuple[int, ...] = (),
) -> tuple[list[Row], list[Kind], np.ndarray]:
    """Text and step of each comparison, what its numbers are, and the numbers (C, M) float64.

    Prompts (B, T) are padded on the left; up to ``steps`` tokens are written after each.
    """
    readers = {name: Reader(decoder, attention_mask) for name in ("dense", "other")}
    running = torch.ones(len(input_ids), dtype=torch.bool, device=decoder.device)
    over = torch.tensor(ends, dtype=torch.long, device=decoder.device)
    rows: list[Row] = []
    blocks: list[Tensor] = []
    kinds: list[Kind] = []
    together = lockstep(readers, input_ids, steps, _decide)
    for step in tqdm(together, total=steps, desc="Writing other words, step", mininterval=2.0):
        chosen = running.nonzero()[:, 0]
        found = compare_outputs(comparison, *_pair(step, chosen))
        kinds = list(found)
        blocks.append(torch.stack(list(found.values()), dim=-1).cpu())
        rows += [(row, step.number) for row in chosen.tolist()]
        for tokens in step.tokens.values():
            running &= ~torch.isin(tokens.to(running.device), over)
        if not running.any():
            break
    return rows, kinds, torch.cat(blocks).numpy()


def _decide(number: int, held: Mapping[str, Held]) -> dict[str, Tensor]:
    """Greedy, but for the runner-up as the first token of the other text."""
    found = {name: likeliest(number, one.logits) for name, one in held.items()}
    if number == 0:
        found["other"] = two_likeliest(held["other"].logits)[1]
    return found


def _pair(step: Together, rows: Tensor) -> tuple[Held, Held]:
    return step.held["dense"].rows(rows), step.held["other"].rows(rows)


@measurement(
    *("model", "revision", "dtype", "seed"), *pruned_model.USES, tables={"choices": CHOICES}
)
def options(parameters: RunParameters) -> Measured:
    """Ask a dense and a pruned model the multiple-choice questions of Appendix E, by letter.

    Each is asked in the chat template, where there is one, and as plain text, with an answer
    prefix and without. Read are only the outputs after the last token of the question.

    Table ``choices``: log-likelihoods, dense and pruned, of the four letters, and of the ``TOP``
    likeliest tokens of either model.
    """
    torch.manual_seed(parameters.seed)
    dense = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    prompts = multiple_choice_prompts()
    templates = (True, False) if dense.tokenizer.chat_template else (False,)
    questions = list(product(prompts, templates))
    forms = [
        [
            asked(dense.tokenizer, prompt.text, prefix, LETTERS, template)
            for prefix in ("", LETTER_PREFIX)
        ]
        for prompt, template in questions
    ]
    contexts = [[form.context for form in both] for both in forms]
    refuse_too_long(dense.model, max(len(text) for both in contexts for text in both))
    for texts in contexts:
        refuse_unknown_question(texts, dense.tokenizer, dense.decoder)
    pruned, words = pruned_counterpart(parameters, dense)
    states = [
        last_states(decoder, contexts, f"Asking the {name} model")
        for name, decoder in (("dense", dense.decoder), ("pruned", pruned))
    ]
    rows: list[dict[str, Any]] = []
    for place, (prompt, template) in enumerate(questions):
        outputs = [
            theory.log_p(decoder.head.logits(held[place]).double()).cpu()
            for decoder, held in zip((dense.decoder, pruned), states, strict=True)
        ]
        for prefix, form in enumerate(forms[place]):
            labels = {"prompt": prompt.id, "template": template, "prefix": bool(prefix)}
            both = outputs[0][prefix], outputs[1][prefix]
            rows += [labels | row for row in _rows(form, both, dense.tokenizer)]
    facts = {"model": model_facts(dense), "pruned": words, "prompts": len(prompts), "top": TOP}
    return Measured({"choices": pd.DataFrame(rows)}, facts)


def multiple_choice_prompts() -> tuple[Prompt, ...]:
    """The prompts of Appendix E that list options; their ``answer`` is the right letter."""
    return tuple(prompt for prompt in appendix_e() if CHOOSE in prompt.text)


def _rows(form: Asked, outputs: tuple[Tensor, Tensor], tokenizer: Any) -> list[dict[str, Any]]:
    """Options and likeliest tokens, from log p (V,) of the dense and the pruned model."""
    if not form.distinct(len(LETTERS)):
        raise InputError(
            "this tokenizer does not tell the letters of options apart by one token: "
            "choose another model"
        )
    likeliest = [token for log_p in outputs for token in log_p.topk(TOP).indices.tolist()]
    named = [("option", token, letter) for token, letter in zip(form.tokens, LETTERS, strict=True)]
    named += [("top", token, str(tokenizer.decode([token]))) for token in dict.fromkeys(likeliest)]
    return [
        {"output": name, "role": role, "token": token, "text": text, "value": float(log_p[token])}
        for name, log_p in zip(("dense", "pruned"), outputs, strict=True)
        for role, token, text in named
    ]
