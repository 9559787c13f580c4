"""The paired probes: the same question as a choice and as a text, everything else alike.

Each question is asked in five forms (``FORMS``). The model reads the question alone, never its
options: with the answer's ``prefix`` after it, or ``plain``, with nothing.

``choice``
    right if of the four options the right one is likeliest as what comes next. An option's
    likelihood is the sum of its tokens' log-likelihoods, all of them and not their mean: the
    chance that the model writes this option, which is what generation draws on, so that nothing
    but the rivals is different. A mean per token would favour options of many tokens, whose later
    ones follow from the first.
``generation``
    right if the answer in what the model writes, the likeliest token each time, holds an accepted
    one: after a prefix its first span, without one its first sentence, as
    :mod:`helpers.evaluation.spans` has them.
``letter``
    the options are listed with letters, and one of the letters is the likeliest.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from helpers.evaluation import LONGEST_ANSWER
from helpers.evaluation.asking import Said, Way, ask, worded
from helpers.evaluation.spans import first_sentence, first_span, holds
from helpers.models.architecture import Decoder
from helpers.texts.probes import LETTER_PREFIX, LETTERS, Probe, multiple_choice

FORMS = (
    "choice, prefix",
    "choice, plain",
    "generation, prefix",
    "generation, plain",
    "letter",
)
SPAN_TOKENS, SENTENCE_TOKENS = 12, 24  # an answer that is longer is judged by its beginning


def asked_as(probe: Probe, form: str) -> dict[str, str]:
    """The wording of a probe in a form: ``question`` and answer ``prefix``."""
    if form == "letter":
        return {"question": multiple_choice(probe), "prefix": LETTER_PREFIX}
    prefix = probe.prefix if form.endswith("prefix") else ""
    return {"question": probe.question, "prefix": prefix}


def probe_rows(
    decoder: Decoder,
    tokenizer: Any,
    chosen: Sequence[Probe],
    chat_template: bool,
    at_once: int = 48,
    forms: Sequence[str] = FORMS,
) -> pd.DataFrame:
    """What a model answers to the probes, in each of ``forms``: rows of table ``items`` without
    the columns that say which model and run it was, form after form.

    With ``chat_template`` a question is a user's turn and the answer, prefix included, the
    model's; else they follow each other as plain text. ``at_once`` questions are read together.
    Raises :class:`helpers.errors.InputError` for a template that there is not, and for questions
    that are longer than the model reads.
    """
    names = dict.fromkeys(map(_way_of, forms))
    written = {_way_of(form) for form in forms if form.startswith("generation")}
    questions = [
        {name: _way(tokenizer, probe, name, chat_template, name in written) for name in names}
        for probe in chosen
    ]
    said = ask(decoder, tokenizer, questions, at_once)
    rows = [
        _row(probe, form, answers[_way_of(form)])
        for form in forms
        for probe, answers in zip(chosen, said, strict=True)
    ]
    return pd.DataFrame(rows)


def several_named(rows: pd.DataFrame, chosen: Sequence[Probe]) -> dict[str, int]:
    """How many written answers that count as right name a wrong option too, by form. Such an
    answer may mean the right one or only repeat the question."""
    wrong = {
        probe.id: [option for option in probe.options if option not in probe.accepted]
        for probe in chosen
    }
    counted = {form: 0 for form in dict.fromkeys(rows["form"]) if form.startswith("generation")}
    right = rows[rows["value"].eq(1) & rows["form"].isin(counted)]
    for form, item, answer in zip(right["form"], right["item"], right["answer"], strict=True):
        counted[form] += holds(answer, wrong[item])
    return counted


def _way_of(form: str) -> str:
    """Which way to ask serves a form: choice and generation share theirs."""
    return form.rpartition(", ")[2]


def _way(tokenizer: Any, probe: Probe, name: str, chat_template: bool, written: bool) -> Way:
    options = LETTERS if name == "letter" else probe.options
    put = asked_as(probe, name)
    start, wholes = worded(tokenizer, put["question"], put["prefix"], options, chat_template)
    if not written:
        return Way(start, tuple(wholes))
    if put["prefix"]:
        return Way(start, tuple(wholes), first_span, SPAN_TOKENS)
    return Way(start, tuple(wholes), first_sentence, SENTENCE_TOKENS)


def _row(probe: Probe, form: str, said: Said) -> dict[str, Any]:
    if form.startswith("generation"):
        answer, chance = said.answer, 0.0
        right = holds(answer, probe.accepted)
    else:
        options = LETTERS if form == "letter" else probe.options
        answer, chance = options[said.place], 1 / len(options)
        right = said.place == probe.place
    return {
        "task": "probes",
        "kind": "probe",
        "form": form,
        "metric": "accuracy",
        "item": probe.id,
        "family": probe.family,
        "answer": answer[:LONGEST_ANSWER],
        "chance": chance,
        "value": float(right),
    }
