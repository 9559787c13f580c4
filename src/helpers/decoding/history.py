"""A model that reads one token on a history that another model has made.

The history is the residual stream that the other model, the host, held at all earlier positions.
The guest's own weights make keys and values of it, so that a history means the same for every
pair of models, also where one of them has no attention in some layer.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor
from transformers import Cache, DynamicCache

from helpers.capture import on_entry
from helpers.decoding.reader import Held, Reader, forward
from helpers.models.architecture import Decoder, Sublayer


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
