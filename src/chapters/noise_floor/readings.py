"""The same texts read in different ways: alone, in a batch, token by token.

In exact arithmetic all of them hold the same states. What parts them in practice is noise.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from helpers.capture import Pair, capture
from helpers.models.architecture import Decoder


@dataclass(frozen=True)
class Text:
    """Fixed tokens: a prompt (T,), what was written after it, and how many steps are looked at.

    Step 0 is the last position of the prompt, step k the k-th written token; the last written
    token is not read, as in decoding.
    """

    prompt: Tensor
    written: list[int]

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.written)

    @property
    def tokens(self) -> Tensor:
        """All that is read, (1, T + steps − 1)."""
        return torch.cat([self.prompt, self.prompt.new_tensor(self.written[:-1])])[None]


@dataclass(frozen=True)
class Reading:
    """What the model held at the steps of one text.

    ``states`` (S, P, d) are those of :func:`helpers.capture.capture` with their ``pairs``;
    ``output`` (P, d) is the state after the final norm, from which the head makes the model's
    own logits.
    """

    states: Tensor
    pairs: tuple[Pair, ...]
    output: Tensor

    @property
    def finite(self) -> bool:
        """Whether no number overflowed."""
        return bool(self.states.isfinite().all() and self.output.isfinite().all())


def alone(decoder: Decoder, texts: list[Text]) -> list[Reading]:
    """Each text in a batch of its own, in one pass without padding."""
    return [_pass(decoder, text.tokens, text.steps)[0] for text in texts]


def together(decoder: Decoder, texts: list[Text]) -> list[Reading]:
    """All texts in one batch, in one pass, the shorter ones padded on the left."""
    rows = [text.tokens[0] for text in texts]
    longest = max(len(row) for row in rows)
    ids = torch.stack([nn.functional.pad(row, (longest - len(row), 0)) for row in rows])
    lengths = torch.tensor([[len(row)] for row in rows], device=ids.device)
    mask = (torch.arange(longest, device=ids.device) >= longest - lengths).long()
    read = _pass(decoder, ids, max(text.steps for text in texts), mask)
    return [_last(one, text.steps) for one, text in zip(read, texts, strict=True)]


def token_by_token(decoder: Decoder, texts: list[Text]) -> list[Reading]:
    """Each text alone: the prompt in one pass, then one token at a time with a cache."""
    return [_stepwise(decoder, text) for text in texts]


def _stepwise(decoder: Decoder, text: Text) -> Reading:
    parts = text.tokens.split([len(text.prompt), *[1] * (text.steps - 1)], dim=-1)
    cache: Any = None
    read: list[Reading] = []
    for part in parts:
        before = len(text.prompt) + len(read) - 1 if read else 0
        mask = torch.ones(1, before + part.shape[-1], dtype=torch.long, device=part.device)
        (reading,), cache = _pass_with_cache(decoder, part, 1, mask, cache, use_cache=True)
        read.append(reading)
    states = torch.cat([one.states for one in read], dim=1)
    return Reading(states, read[0].pairs, torch.cat([one.output for one in read]))


def _last(reading: Reading, steps: int) -> Reading:
    return Reading(reading.states[:, -steps:], reading.pairs, reading.output[-steps:])


def _pass(decoder: Decoder, ids: Tensor, keep: int, mask: Tensor | None = None) -> list[Reading]:
    mask = torch.ones_like(ids) if mask is None else mask
    return _pass_with_cache(decoder, ids, keep, mask, None, use_cache=False)[0]


@torch.inference_mode()
def _pass_with_cache(
    decoder: Decoder, ids: Tensor, keep: int, mask: Tensor, cache: Any, use_cache: bool
) -> tuple[list[Reading], Any]:
    """One forward pass over ids (B, T) after what the cache holds: readings of the last ``keep``
    positions, one for each sequence, and the cache."""
    places = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    options: dict[str, Any] = {"position_ids": places, "logits_to_keep": 1}
    accepted = inspect.signature(decoder.model.forward).parameters
    options = {name: value for name, value in options.items() if name in accepted}
    with capture(decoder, slice(-keep, None)) as trace, _outputs(decoder, keep) as held:
        after = decoder.model(
            input_ids=ids,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=use_cache,
            **options,
        )
    states = trace.states
    readings = [
        Reading(states.tensor[:, row], states.pairs, held[0][row]) for row in range(len(ids))
    ]
    return readings, getattr(after, "past_key_values", None)


@contextmanager
def _outputs(decoder: Decoder, keep: int) -> Iterator[list[Tensor]]:
    """What leaves the final norm at the last ``keep`` positions of each forward pass."""
    held: list[Tensor] = []

    def hold(module: nn.Module, args: Any, output: Tensor) -> None:
        held.append(output.detach()[:, -keep:].to(decoder.device, copy=True))

    handle = decoder.final_norm.register_forward_hook(hold)
    try:
        yield held
    finally:
        handle.remove()
