"""Decoding by one model, one step at a time, batched over prompts."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm import tqdm

from helpers.decoding.choices import Choice, likeliest
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
    return _steps(reader, input_ids, max_new_tokens, end_tokens, likeliest)


def write(
    decoder: Decoder,
    input_ids: Tensor,
    attention_mask: Tensor,
    max_new_tokens: int,
    end_tokens: tuple[int, ...] = (),
    choose: Choice = likeliest,
    words: str = "The dense model",
) -> list[list[int]]:
    """What a model writes after prompts (B, T), padded on the left: up to ``max_new_tokens`` tokens
    each, an end token included. ``words`` name the model on the progress bar."""
    written: list[list[int]] = [[] for _ in input_ids]
    reader = Reader(decoder, attention_mask)
    steps = _steps(reader, input_ids, max_new_tokens, end_tokens, choose)
    for step in tqdm(steps, f"{words} writes, token", max_new_tokens, mininterval=2.0):
        for row, token in zip(step.rows.tolist(), step.tokens.tolist(), strict=True):
            written[row].append(token)
    return written


@torch.inference_mode()
def _steps(
    reader: Reader, input_ids: Tensor, steps: int, end_tokens: tuple[int, ...], choose: Choice
) -> Iterator[Step]:
    """The loop of all decoding by one model."""
    running = torch.ones(len(input_ids), dtype=torch.bool, device=input_ids.device)
    ends = torch.tensor(end_tokens, device=input_ids.device, dtype=torch.long)
    tokens = input_ids
    for number in range(steps):
        chosen = choose(number, reader.read(tokens).logits).to(input_ids.device)
        rows = running.nonzero().squeeze(-1)
        yield Step(number, rows, chosen[rows])
        running &= ~torch.isin(chosen, ends)
        if not running.any():
            return
        tokens = chosen[:, None]
