"""Is the option subspace special, or is any small set of tokens as stable? (Section 7.2)"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from helpers import theory
from helpers.errors import InputError
from helpers.evaluation.asking import Asked, asked, last_states
from helpers.models.load import model_facts
from helpers.texts.probes import LETTER_PREFIX, LETTERS, Probe, multiple_choice
from measurements import pruned_model, subsets
from measurements.asked_dense import asked_dense
from measurements.pruned_model import pruned_counterpart
from runs.columns import COUNT, FAMILY, ITEM, TEXT, VALUE, Column
from runs.parameters import RunParameters
from runs.store import Measured, measurement

USES = (
    *("model", "revision", "dtype", "chat_template", "seed", "probes", "repeats"),
    *pruned_model.USES,
)

Row = dict[str, Any]
OPTIONS: Row = {"set": "options", "band": "", "size": 4}
TABLE = (
    ITEM,
    FAMILY,
    Column(
        "form",
        TEXT,
        "what the answer prefix asks for: the word of an option, or its letter",
        ("word", "letter"),
    ),
    Column(
        "set",
        TEXT,
        "which tokens: the options; the answers of the whole family; matched, those next to the "
        "options in dense rank; same_gaps, others whose logits lie as far apart; random; top, the "
        "likeliest, as many as options; vocabulary; band, those of some dense ranks",
        ("options", "answers", "matched", "same_gaps", "random", "top", "vocabulary", "band"),
    ),
    Column("band", TEXT, "first and last dense rank of a band, from 1; empty for other sets"),
    Column("draw", COUNT, "which of several such sets, from 0"),
    Column("size", COUNT, "number of tokens"),
    Column(
        "metric",
        TEXT,
        "gap, the lead of the dense best over the second, and gap_change, what pruning adds to "
        "it, in logits; noise: standard deviation of Δz over the set, in logits; survived: 1 where "
        "the best token stays the best, else 0; mass, mass_pruned: probability of the set; moved: "
        "mean |Δp|; rank: median dense rank from 1, the lower of two; right, right_pruned: 1 where "
        "the best option is the right one, else 0; change: Δz of one option, whose place draw "
        "gives, minus the mean of all options",
        (
            *("gap", "gap_change", "noise", "survived", "mass", "mass_pruned", "moved", "rank"),
            *("right", "right_pruned", "change"),
        ),
    ),
    VALUE,
)


@measurement(*USES, tables={"subsets": TABLE})
def subspaces(parameters: RunParameters) -> Measured:
    """Ask a dense and a pruned model the probes as multiple choice, by word and by letter.

    Options are listed with letters. Candidates are the first tokens that tell the options apart
    after the answer prefix; a question where they do not is left out. Beside the options the same
    output is read on other sets of tokens, ``repeats`` draws each of those drawn at random.

    Table ``subsets``: gap, noise, survival and more of each set, see
    :func:`measurements.subsets.choice`.
    """
    torch.manual_seed(parameters.seed)
    dense = asked_dense(parameters, Question.of)
    questions = dense.questions
    pruned, words = pruned_counterpart(parameters, dense.loaded)
    moved = last_states(pruned, dense.contexts, "Asking the pruned model")
    rows: list[Row] = []
    for question, *logits in dense.beside(pruned, moved, "Comparing sets of tokens"):
        old, new = (theory.log_p(each.double()) for each in logits)
        rows += question.rows(old, new, parameters)
    if not rows:
        raise InputError("this tokenizer tells the options of no probe apart by one token")
    facts = {
        "model": model_facts(dense.loaded),
        "pruned": words,
        "questions": len(questions),
        "example": multiple_choice(questions[0].probe),
        "prefixes": {"word": questions[0].probe.prefix, "letter": LETTER_PREFIX},
        "left_out": {
            form: [one.probe.id for one in questions if not one.forms[form].distinct(4)]
            for form in ("word", "letter")
        },
    }
    return Measured({"subsets": pd.DataFrame(rows)}, facts)


@dataclass(frozen=True)
class Question:
    """A probe with the ways in which it is asked."""

    probe: Probe
    forms: dict[str, Asked]

    @classmethod
    def of(
        cls, probe: Probe, tokenizer: Any, chat_template: bool, chosen: tuple[Probe, ...]
    ) -> "Question":
        """By word, where the answers of the probe's family among those ``chosen`` are candidates
        too, and by letter."""
        text = multiple_choice(probe)
        family = [one.answer for one in chosen if one.family == probe.family]
        words = list(dict.fromkeys((*probe.options, *family)))
        return cls(
            probe,
            {
                "word": asked(tokenizer, text, probe.prefix, words, chat_template, options=4),
                "letter": asked(tokenizer, text, LETTER_PREFIX, LETTERS, chat_template),
            },
        )

    @property
    def contexts(self) -> list[tuple[int, ...]]:
        """The texts that are read, one for each form."""
        return [form.context for form in self.forms.values()]

    def rows(self, before: Tensor, after: Tensor, parameters: RunParameters) -> Iterator[Row]:
        """Every number of this question, from log p (2, V) float64 of both models."""
        for (form, candidates), old, new in zip(self.forms.items(), before, after, strict=True):
            if not candidates.distinct(4):
                continue
            labels = {"item": self.probe.id, "family": self.probe.family, "form": form}
            name = f"{parameters.seed} {self.probe.id} {form}"
            generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            for row in _sets(candidates, self.probe.place, old, new, parameters.repeats, generator):
                yield labels | row


def _sets(
    candidates: Asked,
    right: int,
    before: Tensor,
    after: Tensor,
    draws: int,
    generator: torch.Generator,
) -> Iterator[Row]:
    """Numbers of the options and of every set beside them, from log p (V,) of both models."""
    options = torch.tensor(candidates.tokens[:4])
    order, rank = subsets.ranking(before)
    answers = sorted({token for token in candidates.tokens if token is not None})
    beside = [subsets.beside(order, rank, options, step) for step in (1, -1)]
    found = {
        "options": options[None],
        "matched": torch.stack(beside),
        "same_gaps": subsets.same_gaps(before, order, options, draws, generator),
        "random": subsets.drawn(len(before), options, draws, generator),
        "top": order[None, :4],
        "vocabulary": torch.arange(len(before))[None],
    }
    if len(answers) > len(options):
        found["answers"] = torch.tensor([answers])
    for name, sets in found.items():
        if len(sets):
            numbers = subsets.choice(before, after, sets)
            numbers["rank"] = rank[sets].median(dim=-1).values + 1.0
            if name == "options":
                for metric, output in (("right", before), ("right_pruned", after)):
                    numbers[metric] = (output[sets].argmax(-1) == right).double()
                change = after[options] - before[options]
                yield from _labelled({"change": change - change.mean()}, OPTIONS)
            yield from _labelled(numbers, {"set": name, "band": "", "size": sets.shape[1]})
    for band, ranks in subsets.bands(len(before)).items():
        sets = order[None, ranks.start : ranks.stop]
        numbers = subsets.choice(before, after, sets)
        kept = {metric: numbers[metric] for metric in ("noise", "moved", "mass")}
        yield from _labelled(kept, {"set": "band", "band": band, "size": len(ranks)})


def _labelled(numbers: dict[str, Tensor], labels: Row) -> Iterator[Row]:
    for metric, values in numbers.items():
        for draw, value in enumerate(values.tolist()):
            yield labels | {"draw": draw, "metric": metric, "value": value}
