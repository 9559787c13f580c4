"""Where most measurements begin: a dense model, and the prompts that it is to write after."""

from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.decoding import end_tokens, refuse_too_long
from helpers.models.architecture import Decoder
from helpers.models.load import LoadedModel, load
from helpers.texts.data import Prompt, select_prompts, tokenize
from runs.parameters import RunParameters


@dataclass(frozen=True)
class Prompted:
    """A dense model with its prompts: ids and mask (B, T), padded on the left, on the device of its
    head, and the tokens at which its texts end."""

    dense: LoadedModel
    prompts: tuple[Prompt, ...]
    input_ids: Tensor
    attention_mask: Tensor
    ends: tuple[int, ...]

    @property
    def decoder(self) -> Decoder:
        """The parts of the dense model."""
        return self.dense.decoder


def prompted(parameters: RunParameters, steps: int, *more: Prompt) -> Prompted:
    """The run's model, seeded, with its prompts and those in ``more`` that are not among them.

    Raises :class:`helpers.errors.InputError` as loading and tokenizing do, and where a prompt
    with ``steps`` tokens after it is longer than the model reads.
    """
    torch.manual_seed(parameters.seed)
    dense = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    prompts = tuple(dict.fromkeys((*select_prompts(parameters.prompts), *more)))
    decoder, chat = dense.decoder, parameters.chat_template
    ids, mask = tokenize(prompts, dense.tokenizer, chat, decoder.device, decoder.embedded_tokens)
    lengths = {name: getattr(parameters, name) for name in ("max_new_tokens", "sweep_steps")}
    writes = " or ".join(name for name, length in lengths.items() if length == steps)
    refuse_too_long(dense.model, ids.shape[1] + steps, writes or "sweep_steps")
    return Prompted(dense, prompts, ids, mask, end_tokens(dense.model, dense.tokenizer))
