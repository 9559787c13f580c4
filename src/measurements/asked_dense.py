"""The dense model's answers to the probes, the same for every pruned model beside it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from helpers.decoding import Tokens, refuse_too_long
from helpers.evaluation.asking import last_states, refuse_unknown_question
from helpers.models.architecture import Decoder
from helpers.models.load import LoadedModel, fingerprint, load
from helpers.texts.probes import probes
from runs.parameters import RunParameters

AT_ONCE = 16  # questions whose logits exist at the same time

# from a probe, a tokenizer, whether in a chat template, and all probes that are asked
MakeQuestion = Callable[..., Any]


@dataclass(frozen=True)
class AskedDense:
    """The dense model, the questions, and its states (N, E, d) at the E ends of each.

    A question has ``contexts``, the texts that are read.
    """

    loaded: LoadedModel
    questions: Sequence[Any]
    states: Tensor

    @property
    def contexts(self) -> list[list[Tokens]]:
        """The texts of all questions."""
        return [list(question.contexts) for question in self.questions]

    @torch.inference_mode()
    def beside(
        self, decoder: Decoder, states: Tensor, doing: str
    ) -> Iterator[tuple[Any, Tensor, Tensor]]:
        """Each question with its logits (E, V) float32, on the CPU, of the dense model and of
        another, whose ``states`` (N, E, d) at the same ends are given."""
        bar = tqdm(total=len(self.questions), desc=doing, unit="question", mininterval=2.0)
        for begin in range(0, len(self.questions), AT_ONCE):
            part = slice(begin, begin + AT_ONCE)
            before, after = (
                one.head.logits(held[part].flatten(0, 1)).unflatten(0, (-1, held.shape[1])).cpu()
                for one, held in ((self.loaded.decoder, self.states), (decoder, states))
            )
            yield from zip(self.questions[part], before, after, strict=True)
            bar.update(len(before))
        bar.close()


def asked_dense(parameters: RunParameters, make: MakeQuestion) -> AskedDense:
    """Ask the dense model the ``probes`` of each family, each as ``make`` puts it. The last
    answers are kept.

    Raises :class:`helpers.errors.InputError` for a question that is longer than the model reads,
    or holds a token that it does not know.
    """
    return _asked(
        make,
        parameters.model,
        parameters.revision,
        parameters.dtype,
        parameters.device,
        parameters.chat_template,
        parameters.probes,
        fingerprint(parameters.model, parameters.revision),
    )


@lru_cache(maxsize=1)
def _asked(
    make: MakeQuestion,
    model: str,
    revision: str,
    dtype: str,
    device: str,
    chat_template: bool,
    each: int,
    _identity: str,
) -> AskedDense:
    loaded = load(model, revision, dtype, device)
    chosen = probes("all", each)
    questions = [make(probe, loaded.tokenizer, chat_template, chosen) for probe in chosen]
    contexts = [question.contexts for question in questions]
    longest = max(len(text) for texts in contexts for text in texts)
    refuse_too_long(loaded.model, longest)
    for texts in contexts:
        refuse_unknown_question(texts, loaded.tokenizer, loaded.decoder)
    return AskedDense(
        loaded, questions, last_states(loaded.decoder, contexts, "Asking the dense model")
    )
