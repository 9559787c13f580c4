"""Keys and values of several texts of different lengths, each at a seat of its own.

The token at place n of a text is at place n of its seat, so there is no padding between texts and
their beginnings, whatever is read beside them. What was read too far is written over later.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from helpers.models import Decoder


class Seats(Cache):
    """The cache of a model for up to ``count`` texts of up to ``length`` tokens.

    Room is taken at the first pass: (count, heads, length + 1, width) for each layer's keys and
    values, of which the last place is for padding, which nothing reads.
    """

    def __init__(self, layers: int, count: int, length: int) -> None:
        super().__init__(layers=[_Layer(self, count, length + 1) for _ in range(layers)])
        self.length = length
        self.seats = self.places = torch.empty(0, dtype=torch.long)
        self.width, self.first = 0, False

    @torch.inference_mode()
    def read(
        self, decoder: Decoder, seats: Sequence[int], starts: Sequence[int], more: Sequence[Any]
    ) -> Tensor:
        """States (B, T, d) after the final norm of ``more``, B lists of up to T tokens, which
        follow the first ``starts`` tokens of the texts at ``seats``.

        Shorter lists are padded on the right; states of padding say nothing.
        """
        device = entry(decoder)
        longest = max(map(len, more))
        tokens = torch.zeros(len(more), longest, dtype=torch.long)
        places = torch.full_like(tokens, -1)
        for row, (start, own) in enumerate(zip(starts, more, strict=True)):
            tokens[row, : len(own)] = torch.tensor(own)
            places[row, : len(own)] = torch.arange(start, start + len(own))
        self.width = int(places.max()) + 1
        self.seats = torch.tensor(seats, device=device)
        self.first = list(seats) == list(range(len(seats)))
        self.places = places.where(places >= 0, self.length).to(device)
        places.clamp_(min=0)
        keys = torch.arange(self.width).expand(len(more), -1)
        seen = keys[:, None, :] <= places[:, :, None]
        backbone: Any = decoder.model.base_model
        return backbone(
            input_ids=tokens.to(device),
            position_ids=places.to(device),
            attention_mask=masks(decoder, seen, places, keys),
            past_key_values=self,
            use_cache=True,
        ).last_hidden_state

    @torch.inference_mode()
    def move(self, old: int, new: int) -> None:
        """Let the text at seat ``old`` go on at seat ``new``."""
        for layer in self.layers:
            if layer.is_initialized:
                for held in (layer.keys, layer.values):
                    held[new] = held[old]


class _Layer(CacheLayerMixin):
    """One layer's keys and values, at the places that its :class:`Seats` say."""

    is_sliding = False

    def __init__(self, seats: Seats, count: int, length: int) -> None:
        super().__init__()
        self.now, self.count, self.length = seats, count, length

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.keys, self.values = (
            states.new_zeros(self.count, states.shape[1], self.length, states.shape[3])
            for states in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Keys and values of the texts in this pass, new ones included."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        return self._with(self.keys, key_states), self._with(self.values, value_states)

    def _with(self, held: Any, states: Tensor) -> Tensor:
        now = self.now
        seats = now.seats.to(held.device)
        held[seats[:, None], :, now.places.to(held.device)] = states.transpose(1, 2)
        if now.first:  # those that are read lie side by side, and need not be copied
            return held[: len(seats), :, : now.width]
        return held[seats, :, : now.width]

    def get_seq_length(self) -> int:
        return self.now.width if self.is_initialized else 0

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.now.width, 0

    def get_max_length(self) -> int:
        return self.length


def masks(decoder: Decoder, seen: Tensor, places: Tensor, keys: Tensor) -> Any:
    """What is added to attention scores, (B, 1, T, K): one mask for all layers, or one for each
    kind of layer, as the model wants it.

    ``seen`` (B, T, K) says which keys each token may see, ``places`` (B, T) and ``keys`` (B, K)
    where in their text both stand: a sliding window sees only those that are near.
    """
    config: Any = decoder.model.config
    window = getattr(config, "sliding_window", None)
    near = seen & (places[:, :, None] - keys[:, None, :] < window) if window else seen
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        return _added(decoder, near)
    return {
        kind: _added(decoder, near if kind == "sliding_attention" else seen) for kind in set(kinds)
    }


def _added(decoder: Decoder, seen: Tensor) -> Tensor:
    dtype = decoder.head.weight.dtype
    blank = torch.zeros(seen.shape, dtype=dtype, device=entry(decoder))
    return blank.masked_fill_(~seen.to(blank.device), torch.finfo(dtype).min)[:, None]


def entry(decoder: Decoder) -> torch.device:
    """Where a model takes its tokens."""
    device: torch.device = decoder.model.device  # type: ignore[assignment]
    return device
