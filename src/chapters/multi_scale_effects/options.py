"""Which option does a pruned model choose, and where do options stand among all tokens?
(Section 7.2, Figure 8)"""

from itertools import product
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from helpers import theory
from helpers.decoding import refuse_too_long
from helpers.errors import InputError
from helpers.evaluation.asking import Asked, asked, last_states
from helpers.models.load import load, model_facts
from helpers.texts.data import Prompt, appendix_e
from helpers.texts.probes import CHOOSE, LETTER_PREFIX, LETTERS
from measurements import pruned_model
from measurements.pruned_model import pruned_counterpart
from runs.columns import FLAG, NUMBER, PROMPT, STRING, TEXT, TOKEN, Column
from runs.parameters import RunParameters
from runs.store import Measured, measurement

USES = ("model", "revision", "dtype", "seed", *pruned_model.USES)
TOP = 6
TABLE = (
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


@measurement(*USES, tables={"choices": TABLE})
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
    refuse_too_long(dense.model, max(len(text) for both in contexts for text in both), writes=False)
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
