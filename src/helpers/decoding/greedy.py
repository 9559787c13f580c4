"""Greedy decoding of one model, one step at a time, batched over prompts."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from helpers.decoding.choices import likeliest
from helpers.decoding.reader import Reader
from helpers.models.architecture import Decoder


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
    reader = Reader(Decoder.of(model), attention_mask, use_cache)
    running = torch.ones(len(input_ids), dtype=torch.bool, device=input_ids.device)
    ends = torch.tensor(end_tokens, device=input_ids.device, dtype=torch.long)
    tokens = input_ids
    for number in range(max_new_tokens):
        chosen = likeliest(number, reader.read(tokens).logits).to(input_ids.device)
        rows = running.nonzero().squeeze(-1)
        yield Step(number, rows, chosen[rows])
        running &= ~torch.isin(chosen, ends)
        if not running.any():
            return
        tokens = chosen[:, None]
