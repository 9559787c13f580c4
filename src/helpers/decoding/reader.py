"""Models in the middle of texts: one that reads on, a guest on its history, and texts that branch.

A guest reads one token on the residual stream that another model, the host, held at all earlier
positions. The guest's own weights make keys and values of it, so that a history means the same for
every pair of models, also where one of them has no attention in some layer.
"""

import copy
import inspect
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, Self

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from helpers.capture import on_entry
from helpers.models.architecture import Decoder, Sublayer

Tokens = tuple[int, ...]


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


class Guest:
    """Reads single tokens on the history of a host, before the host reads on itself.

    The guest's attention looks on at every pass of the host and keeps the keys and values that
    it makes of the host's states. Raises :class:`ValueError` if the host has read already, or if
    both are one network, whose modules would call themselves.
    """

    def __init__(self, decoder: Decoder, host: Reader) -> None:
        if host.length:
            raise ValueError("the host has begun to read: bring the guest first")
        if decoder.model is host.decoder.model:
            raise ValueError("guest and host are one network: bring a copy of it")
        self.decoder, self.host = decoder, host
        self.cache: Any = DynamicCache(config=decoder.model.config)
        host.companions.append(self)

    def read(self, tokens: Tensor) -> Held:
        """What the guest holds after ``tokens`` (B, 1), read after all that the host has read.

        The history stays as it is: the token is forgotten again.
        """
        mask = self.host.mask(self.host.length + tokens.shape[1])
        return forward(self.decoder, tokens, mask, snapshot(self.cache))[0]

    @contextmanager
    def beside(self, decoder: Decoder) -> Iterator[None]:
        """Look on while ``decoder``, the host's model, makes one pass."""
        handles: list[Any] = []
        try:
            for theirs, own in zip(decoder.sublayers, self.decoder.sublayers, strict=True):
                if theirs.kind == "attention":
                    handles += on_entry(theirs, partial(self._read_along, own))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _read_along(self, own: Sublayer, state: Tensor, keywords: dict[str, Any]) -> None:
        """The guest's attention reads what the host's does, into the guest's cache."""
        exchanged = {
            name: self.cache if isinstance(value, Cache) else value
            for name, value in keywords.items()
        }
        own(state, **exchanged)


def snapshot(cache: Any) -> Any:
    """A cache that may grow without changing ``cache``; both share what is there."""
    twin = copy.copy(cache)
    twin.layers = [copy.copy(layer) for layer in cache.layers]
    return twin


@dataclass(frozen=True)
class Branch:
    """A model after B texts: what it was last given and, in its cache, all before that.

    ``states`` (B, n, d) are those of the tokens read last, after the final norm; ``mask`` (B, T)
    marks the places of all tokens read so far. Reading on gives another branch and leaves this one
    as it is, so that a text can go on in several ways.
    """

    decoder: Decoder
    states: Tensor
    mask: Tensor
    cache: Any = None

    @classmethod
    def start(cls, decoder: Decoder, tokens: Tokens = ()) -> Self:
        """After one text, which may be empty; its states are then (1, 0, d)."""
        device = decoder.device
        empty = decoder.head.weight.new_zeros(1, 0, decoder.hidden_size)
        begin = cls(decoder, empty, torch.zeros(1, 0, dtype=torch.long, device=device))
        return begin.read([tokens]) if tokens else begin

    def rows(self, rows: Sequence[int]) -> Self:
        """The texts ``rows``, in this order; a text may stand there several times."""
        places = torch.tensor(list(rows), dtype=torch.long, device=self.mask.device)
        cache = self.cache
        if cache is not None:
            cache = snapshot(cache)
            cache.batch_select_indices(places)
        states = self.states[places.to(self.states.device)]
        return type(self)(self.decoder, states, self.mask[places], cache)

    @torch.inference_mode()
    def read(self, more: Sequence[Tokens], align: str = "right") -> Self:
        """After ``more``, B texts; of one that is empty the states say nothing.

        Shorter ones are padded: on the left, so that all end at the last place and can be read
        on, or with ``align="left"`` on the right, so that their states begin at the first place
        and no padding lies between two tokens.
        """
        longest = max(map(len, more))
        if not longest:
            return self
        blanks = [(0,) * (longest - len(row)) for row in more]
        left, right = (blanks, [()] * len(more)) if align == "right" else ([()] * len(more), blanks)
        triples = list(zip(left, more, right, strict=True))
        ids = self._tensor([(*before, *row, *after) for before, row, after in triples])
        seen = self._tensor([(*before, *(1,) * len(row), *after) for before, row, after in triples])
        mask = torch.cat([self.mask, seen], dim=-1)
        cache = None if self.cache is None else snapshot(self.cache)
        states, cache = read_states(self.decoder, ids, mask, cache, use_cache=True)
        return type(self)(self.decoder, states.to(self.decoder.device), mask, cache)

    def _tensor(self, rows: list[Tokens]) -> Tensor:
        return torch.tensor(rows, dtype=torch.long, device=self.mask.device)

    def logits(self) -> Tensor:
        """Logits (B, V) float32 of the next token."""
        return self.decoder.head.logits(self.states[:, -1])
