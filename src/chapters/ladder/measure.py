"""Among how many candidates is a model's answer still the likeliest? (Section 4)"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from chapters.ladder.candidates import Candidates, rungs
from helpers.decoding import Tokens
from helpers.errors import InputError
from helpers.evaluation.asking import asked, last_states
from helpers.models.load import model_facts
from helpers.texts.probes import Probe, probes
from measurements import pruned_model
from measurements.asked_dense import asked_dense
from measurements.pruned_model import pruned_counterpart
from runs.columns import COUNT, FAMILY, FORM, ITEM, NUMBER, TEXT, Column
from runs.parameters import RunParameters
from runs.store import Measured, measurement

USES = (
    *("model", "revision", "dtype", "chat_template", "seed", "probes"),
    *pruned_model.USES,
)
FORMS = ("generation, prefix", "generation, plain")
TABLE = (
    ITEM,
    FAMILY,
    FORM,
    Column(
        "candidates",
        TEXT,
        "which tokens stand beside the right one: random; matched, next to it in the dense "
        "model's rank, one above and one below by turns; kind, answers of the same family, drawn "
        "at random; vocabulary, all tokens",
        ("random", "matched", "kind", "vocabulary"),
    ),
    Column("size", COUNT, "number of candidates, the right one among them"),
    Column("rank", COUNT, "place of the right one among all tokens, by logit, from 1"),
    Column("value", NUMBER, "share of draws in which the right one has the largest logit"),
)

Row = dict[str, Any]


@measurement(*USES, tables={"ladder": TABLE})
def ladder(parameters: RunParameters) -> Measured:
    """Compare the first token of each probe's answer with ever more candidates, in the output of
    one model; the dense one where nothing is removed.

    Questions are asked alone, without options, with the answer prefix and without. Every answer
    that the probes' file has for the family is a candidate ``kind``, however many questions are
    asked. A question whose answer does not begin with a token of its own is left out.

    Table ``ladder``, see :func:`chapters.ladder.candidates.rungs`. Facts: ``counts`` and
    ``left_out`` (ids) of questions by form, and ``instead``: by form and question, which token
    is likeliest of all where no right one is, and whether it begins an answer of the same kind.
    """
    torch.manual_seed(parameters.seed)
    dense = asked_dense(parameters, Question.of)
    decoder, words = pruned_counterpart(parameters, dense.loaded)
    states = dense.states
    if not parameters.dense:
        states = last_states(decoder, dense.contexts, "Asking the pruned model")
    rows: list[Row] = []
    instead: dict[str, Row] = {form: {} for form in FORMS}
    for question, old, new in dense.beside(decoder, states, "Counting rivals"):
        rows += question.rows(old, new)
        for form, token, kind in question.instead(new):
            text = dense.loaded.tokenizer.decode([token])
            instead[form][question.probe.id] = {"token": text, "kind": kind}
    if not rows:
        raise InputError("this tokenizer tells the answer of no probe apart by one token")
    facts = {
        "model": model_facts(dense.loaded),
        "pruned": words,
        "counts": {form: sum(form in one.forms for one in dense.questions) for form in FORMS},
        "left_out": {
            form: [one.probe.id for one in dense.questions if form not in one.forms]
            for form in FORMS
        },
        "instead": instead,
    }
    return Measured({"ladder": pd.DataFrame(rows)}, facts)


@dataclass(frozen=True)
class Question:
    """A probe as it is read in each form, and the candidates of those forms in which its answer
    is told apart."""

    probe: Probe
    contexts: list[Tokens]
    forms: dict[str, Candidates]

    @classmethod
    def of(
        cls, probe: Probe, tokenizer: Any, chat_template: bool, _chosen: tuple[Probe, ...]
    ) -> "Question":
        """Wrong are all answers that any probe of the family accepts, asked or not, and this one
        does not."""
        family = probes(probe.family)
        wrong = dict.fromkeys(
            word for one in family for word in one.accepted if not probe.accepts(word)
        )
        answers, right = [*probe.accepted, *wrong], len(probe.accepted)
        contexts, forms = [], {}
        for form, prefix in zip(FORMS, (probe.prefix, ""), strict=True):
            found = asked(tokenizer, probe.question, prefix, answers, chat_template)
            contexts.append(found.context)
            if tokens := Candidates.of(found.tokens[:right], found.tokens[right:]):
                forms[form] = tokens
        return cls(probe, contexts, forms)

    def rows(self, dense: Tensor, logits: Tensor) -> Iterator[Row]:
        """Every number of this question, from logits (2, V) of the dense model and of the one
        that is measured."""
        for form, old, new in zip(FORMS, dense, logits, strict=True):
            if form in self.forms:
                labels = {"item": self.probe.id, "family": self.probe.family, "form": form}
                found, rank = rungs(new, old, self.forms[form])
                for candidates, size, value in found:
                    yield labels | {
                        "candidates": candidates,
                        "size": size,
                        "rank": rank,
                        "value": value,
                    }

    def instead(self, logits: Tensor) -> Iterator[tuple[str, int, bool]]:
        """The likeliest token of logits (2, V) in each form where it begins no right answer, and
        whether it begins one of the same kind."""
        for form, best in zip(FORMS, logits.argmax(-1).tolist(), strict=True):
            tokens = self.forms.get(form)
            if tokens and best not in (*tokens.right, *tokens.unclear):
                yield form, best, best in tokens.family
