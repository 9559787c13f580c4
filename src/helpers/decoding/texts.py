"""Where texts begin and end: end tokens, limits, and texts that are given."""

from typing import Any

import torch
from torch import Tensor, nn

from helpers.decoding.reader import read_states
from helpers.errors import InputError
from helpers.models.architecture import Decoder

AT_ONCE = 64  # positions whose logits exist at the same time
TEXTS_AT_ONCE = 16


def end_tokens(model: nn.Module, tokenizer: Any) -> tuple[int, ...]:
    """Ids at which a sequence ends: those of the generation config, else the tokenizer's."""
    declared = getattr(model.generation_config, "eos_token_id", None)
    if declared is None:
        declared = tokenizer.eos_token_id
    if declared is None:
        return ()
    return tuple(declared) if isinstance(declared, list | tuple) else (int(declared),)


def refuse_too_long(model: Any, tokens: int, writes: bool = True) -> None:
    """:class:`InputError` if the longest prompt with its continuation, ``tokens`` together, is
    longer than the model reads; without ``writes`` the prompt stands alone."""
    limit = getattr(model.config, "max_position_embeddings", None)
    if not limit or tokens <= limit:
        return
    if writes:
        raise InputError(
            f"prompt and max_new_tokens make {tokens} tokens, the model reads {limit}: "
            "lower max_new_tokens (or sweep_steps), or shorten the longest prompt"
        )
    raise InputError(
        f"the longest prompt makes {tokens} tokens, the model reads {limit}: shorten it"
    )


def continued(
    input_ids: Tensor, attention_mask: Tensor, written: list[list[int]]
) -> tuple[Tensor, Tensor]:
    """Prompts followed by what was written after each, for one pass over all of it.

    ``input_ids`` and ``attention_mask`` (B, T) are padded on the left, and so are the two tensors
    (B, T') that are returned: rows of different lengths all end at the last position. For
    teacher forcing leave out the last written token, which nothing is read after.
    """
    rows = [
        torch.cat([ids[keep.bool()], ids.new_tensor(tokens)])
        for ids, keep, tokens in zip(input_ids, attention_mask, written, strict=True)
    ]
    longest = max(len(row) for row in rows)
    ids = torch.stack([nn.functional.pad(row, (longest - len(row), 0)) for row in rows])
    lengths = torch.tensor([len(row) for row in rows], device=ids.device)
    places = torch.arange(longest, device=ids.device)
    return ids, (places >= longest - lengths[:, None]).to(attention_mask.dtype)


@torch.inference_mode()
def log_likelihoods(
    decoder: Decoder, input_ids: Tensor, attention_mask: Tensor, written: list[list[int]]
) -> list[Tensor]:
    """log p (nats, T = 1) that the model gives each written token, given all before it.

    ``input_ids`` and ``attention_mask`` (B, T) are the prompts; one float64 tensor for each text,
    as long as it is. A pass reads some texts at a time; texts may be empty.
    """
    found = []
    for first in range(0, len(written), TEXTS_AT_ONCE):
        part = slice(first, first + TEXTS_AT_ONCE)
        given = continued(input_ids[part], attention_mask[part], written[part])
        states = read_states(decoder, *given)[0].to(decoder.device)
        found += [
            _of_one(decoder, held, tokens)
            for held, tokens in zip(states, written[part], strict=True)
        ]
    return found


def _of_one(decoder: Decoder, states: Tensor, tokens: list[int]) -> Tensor:
    """Log-likelihoods of the last tokens of a text whose states (T, d) are given."""
    ahead = states[-len(tokens) - 1 : -1]  # the state before each token
    wanted = torch.tensor(tokens, dtype=torch.long, device=decoder.device)
    parts = [ahead.new_zeros(0, dtype=torch.float64)]
    for part, token in zip(ahead.split(AT_ONCE), wanted.split(AT_ONCE), strict=True):
        z = decoder.head.logits(part)
        own = z.gather(-1, token[:, None])[:, 0]
        parts.append(own.double() - z.logsumexp(-1).double())
    return torch.cat(parts)
