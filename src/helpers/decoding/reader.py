"""One model that reads texts on, a few tokens at a time, with its cache."""

import inspect
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from helpers.models.architecture import Decoder


@dataclass(frozen=True)
class Held:
    """What a model holds at the last position of each text.

    ``state`` (B, d) is what the head reads, after the final norm, in the model's dtype;
    ``logits`` (B, V) float32 are what the head makes of it.
    """

    state: Tensor
    logits: Tensor

    def rows(self, rows: Tensor) -> "Held":
        """Only the texts ``rows`` (R,)."""
        return Held(self.state[rows], self.logits[rows])

    def to(self, device: torch.device) -> "Held":
        """The same on another device."""
        return Held(self.state.to(device), self.logits.to(device))


class Companion(Protocol):
    """Whoever looks on while a reader reads."""

    def beside(self, decoder: Decoder) -> AbstractContextManager[None]:
        """A context around each forward pass of ``decoder``."""


class Reader:
    """A model in the middle of texts (B, T), padded on the left.

    ``attention_mask`` (B, T) is that of the prompts; all that is read beyond it counts as text.
    With ``use_cache=False`` every call reads the whole text again.
    """

    def __init__(self, decoder: Decoder, attention_mask: Tensor, use_cache: bool = True) -> None:
        self.decoder, self.use_cache = decoder, use_cache
        self.companions: list[Companion] = []
        self.length = 0  # tokens read so far, padding included
        self._prompt_mask = attention_mask
        self._cache: Any = None
        self._tokens: Tensor | None = None

    def mask(self, length: int) -> Tensor:
        """Attention mask (B, length) of the first ``length`` places."""
        beyond = length - self._prompt_mask.shape[1]
        if beyond <= 0:
            return self._prompt_mask[:, :length]
        more = self._prompt_mask.new_ones(len(self._prompt_mask), beyond)
        return torch.cat([self._prompt_mask, more], dim=-1)

    def copy_texts(self, times: int) -> None:
        """Go on with ``times`` copies of all texts, block after block: (times · B, T) from now.

        Raises :class:`ValueError` with a companion, who would not know.
        """
        if self.companions:
            raise ValueError("copy the texts before a companion comes")
        mask = self._prompt_mask
        rows = torch.arange(len(mask), device=mask.device).repeat(times)
        self._prompt_mask = self._prompt_mask[rows]
        if self._tokens is not None:
            self._tokens = self._tokens[rows]
        if self._cache is not None:
            self._cache.batch_select_indices(rows)

    @torch.inference_mode()
    def read(self, tokens: Tensor) -> Held:
        """Read ``tokens`` (B, n) on; what is held at the last of them."""
        self.length += tokens.shape[1]
        if not self.use_cache:
            before = [] if self._tokens is None else [self._tokens]
            tokens = self._tokens = torch.cat([*before, tokens], dim=-1)
        with ExitStack() as stack:
            for companion in self.companions:
                stack.enter_context(companion.beside(self.decoder))
            held, self._cache = forward(
                self.decoder, tokens, self.mask(self.length), self._cache, self.use_cache
            )
        return held


@torch.inference_mode()
def forward(
    decoder: Decoder, tokens: Tensor, mask: Tensor, cache: Any, use_cache: bool = True
) -> tuple[Held, Any]:
    """One pass over ``tokens`` (B, n) as in :func:`read_states`: what is held at the last place,
    and the cache.

    The head runs at the last place alone, in float32 whatever the model's dtype.
    """
    states, cache = read_states(decoder, tokens, mask, cache, use_cache)
    state = states[:, -1].to(decoder.device)
    return Held(state, decoder.head.logits(state)), cache


@torch.inference_mode()
def read_states(
    decoder: Decoder, tokens: Tensor, mask: Tensor, cache: Any = None, use_cache: bool = False
) -> tuple[Tensor, Any]:
    """States (B, n, d) after the final norm of ``tokens`` (B, n), the last of the places of
    ``mask`` (B, T), read after what ``cache`` holds; and the cache."""
    backbone: Any = decoder.model.base_model
    places = (mask.cumsum(-1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
    options = {"position_ids": places}
    accepted = inspect.signature(backbone.forward).parameters
    output = backbone(
        input_ids=tokens,
        attention_mask=mask,
        past_key_values=cache,
        use_cache=use_cache,
        **{name: value for name, value in options.items() if name in accepted},
    )
    return output.last_hidden_state, getattr(output, "past_key_values", None)
