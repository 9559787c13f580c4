"""How does a model write on? Greedy decoding, one step at a time, batched over prompts."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from helpers.errors import InputError


@dataclass(frozen=True)
class Step:
    """One forward pass: its number, the sequences still running, and what they say next.

    ``rows`` (R,) are indices into the batch; ``tokens`` (R,) their next tokens. Step 0 reads
    the prompts. A sequence whose next token ends it is still measured at that step, its last.
    """

    number: int
    rows: Tensor
    tokens: Tensor


@torch.inference_mode()
def greedy(
    model: nn.Module,
    input_ids: Tensor,
    attention_mask: Tensor,
    max_new_tokens: int,
    end_tokens: tuple[int, ...] = (),
    use_cache: bool = True,
) -> Iterator[Step]:
    """Decode greedily, yielding after each forward pass, until all sequences have ended.

    ``input_ids`` and ``attention_mask`` are (B, T), padded on the left. With ``use_cache=False``
    every step reads the whole text again.
    """
    accepted = inspect.signature(model.forward).parameters
    mask, tokens, cache = attention_mask, input_ids, None
    running = torch.ones(len(input_ids), dtype=torch.bool, device=input_ids.device)
    ends = torch.tensor(end_tokens, device=input_ids.device, dtype=torch.long)
    for number in range(max_new_tokens):
        places = (mask.cumsum(-1) - 1).clamp(min=0)
        options: dict[str, Any] = {"position_ids": places[:, -tokens.shape[1] :]}
        options["logits_to_keep"] = 1
        options = {name: value for name, value in options.items() if name in accepted}
        output = model(
            input_ids=tokens,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=use_cache,
            **options,
        )
        chosen = output.logits[:, -1].argmax(-1).to(input_ids.device)
        rows = running.nonzero().squeeze(-1)
        yield Step(number, rows, chosen[rows])
        running &= ~torch.isin(chosen, ends)
        if not running.any():
            return
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=-1)
        if use_cache:
            cache, tokens = output.past_key_values, chosen[:, None]
        else:
            tokens = torch.cat([tokens, chosen[:, None]], dim=-1)


def end_tokens(model: nn.Module, tokenizer: Any) -> tuple[int, ...]:
    """Ids at which a sequence ends: those of the generation config, else the tokenizer's."""
    declared = getattr(model.generation_config, "eos_token_id", None)
    if declared is None:
        declared = tokenizer.eos_token_id
    if declared is None:
        return ()
    return tuple(declared) if isinstance(declared, list | tuple) else (int(declared),)


def refuse_too_long(model: Any, tokens: int) -> None:
    """:class:`InputError` if a prompt with its continuation is longer than the model reads."""
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit and tokens > limit:
        raise InputError(
            f"prompt and max_new_tokens make {tokens} tokens, the model reads {limit}: "
            "lower max_new_tokens"
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
