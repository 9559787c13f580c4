"""Texts that begin alike, read once: a model's place in them, from which it reads on many ways."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from helpers.decoding.history import snapshot
from helpers.decoding.reader import read_states
from helpers.models.architecture import Decoder

Tokens = tuple[int, ...]


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
