"""Among how many candidates is a model's answer still the likeliest? (Section 4)

One output, one answer, and ever more tokens that it is compared with. Softmax keeps the order of
logits, so which candidate is likeliest is a matter of logits alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from helpers.decoding import Tokens
from helpers.errors import InputError
from helpers.evaluation.asking import asked, last_states
from helpers.evaluation.paired import log_binomial
from helpers.models.load import model_facts
from helpers.texts.probes import Probe, probes
from measurements import pruned_model
from measurements.asked_dense import asked_dense
from measurements.pruned_model import pruned_counterpart
from measurements.subsets import ranking
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
Rung = tuple[str, int, float]  # candidates, size, value


@measurement(*USES, tables={"ladder": TABLE})
def ladder(parameters: RunParameters) -> Measured:
    """Compare the first token of each probe's answer with ever more candidates, in the output of
    one model; the dense one where nothing is removed.

    Questions are asked alone, without options, with the answer prefix and without. Every answer
    that the probes' file has for the family is a candidate ``kind``, however many questions are
    asked. A question whose answer does not begin with a token of its own is left out.

    Table ``ladder``, see :func:`rungs`. Facts: ``counts`` and
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
class Candidates:
    """Tokens that may follow a question: those that begin a right answer, those that begin a
    wrong one of the same family, and those that begin both and so are no candidates."""

    right: tuple[int, ...]
    family: tuple[int, ...]
    unclear: tuple[int, ...]

    @classmethod
    def of(cls, accepted: Sequence[int | None], wrong: Sequence[int | None]) -> "Candidates | None":
        """From the first tokens of accepted answers, the answer itself first, and of wrong ones;
        None is a token that does not tell, and is left out.

        Gives None if the answer's own token does not tell it from the wrong answers.
        """
        begins, others = (
            {token for token in each if token is not None} for each in (accepted, wrong)
        )
        if accepted[0] is None or accepted[0] in others:
            return None
        return cls(
            *(tuple(sorted(each)) for each in (begins - others, others - begins, begins & others))
        )


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


def sizes(most: int) -> list[int]:
    """Numbers of candidates, the right one among them: 2, 4, 8, … up to ``most``, and that."""
    powers = [2**power for power in range(1, max(1, most).bit_length()) if 2**power < most]
    return [*powers, *([most] if most > 1 else [])]


def share_won(ahead: int, rivals: int, size: int) -> float:
    """How often a token is best of ``size`` candidates: itself, and the others drawn at random
    without replacement from ``rivals`` tokens, of which ``ahead`` are better than it.

    The hypergeometric chance to draw none of those, C(rivals − ahead, size − 1) / C(rivals,
    size − 1). Exactly 1 if none is ahead. Raises :class:`ValueError` if so many cannot be drawn.
    """
    drawn = size - 1
    if not 0 <= ahead <= rivals or not 0 <= drawn <= rivals:
        raise ValueError(f"{drawn} of {rivals} rivals, {ahead} of them ahead, cannot be drawn")
    if not ahead or not drawn:
        return 1.0
    if drawn > rivals - ahead:
        return 0.0
    return exp(log_binomial(rivals - ahead, drawn) - log_binomial(rivals, drawn))


def rungs(logits: Tensor, dense: Tensor, tokens: Candidates) -> tuple[list[Rung], int]:
    """How often the right token is best among ever more candidates, and its rank from 1.

    ``logits`` (V,) are the model's own and ``dense`` (V,) those of the dense model, which say
    which tokens are ``matched``. The right token is the best of ``tokens.right``; a rival with
    the same logit counts as better. Rows for each size:

    ``random``: share of all draws among all other tokens; ``matched``: the rivals next to it in
    dense rank, one above and one below by turns, as far as there are any; ``kind``: share of all
    draws among ``tokens.family``; ``vocabulary``: all tokens, whose size is V.
    """
    right = torch.tensor(tokens.right, device=logits.device)
    rivals = torch.ones_like(logits, dtype=torch.bool)
    rivals[right] = False
    rivals[list(tokens.unclear)] = False
    better = rivals & (logits >= logits[right].max())
    above, others = int(better.sum()), int(rivals.sum())
    kept = _nearer(dense, right, rivals, better)
    found: list[Rung] = [
        row
        for size in sizes(others + 1)[:-1]
        for row in (
            ("random", size, share_won(above, others, size)),
            ("matched", size, float(size - 1 <= kept)),
        )
    ]
    family = int(better[list(tokens.family)].sum())
    count = len(tokens.family)
    found += [("kind", size, share_won(family, count, size)) for size in sizes(count + 1)]
    found.append(("vocabulary", len(logits), float(not above)))
    return found, above + 1


def _nearer(dense: Tensor, right: Tensor, rivals: Tensor, better: Tensor) -> int:
    """How many rivals stand nearer to the right token in dense rank than the first ``better``
    one; above comes before below. Tokens that are no candidates take no place in that rank."""
    if not better.any():
        return int(rivals.sum())
    order, rank = ranking(dense)
    line = order[rivals[order]]
    above = int((rank[line] < rank[right].min()).sum())
    place = torch.arange(len(line), device=line.device)
    turn = torch.where(place < above, 2 * (above - 1 - place), 2 * (place - above) + 1)
    return int((turn < turn[better[line]].min()).sum())
