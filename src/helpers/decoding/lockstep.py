"""Several models that read on together, one token at a time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from helpers.decoding.reader import Held


class Reads(Protocol):
    """A :class:`helpers.decoding.Reader`, or a :class:`helpers.decoding.Guest`."""

    def read(self, tokens: Tensor) -> Held:
        """Read tokens (B, n) on."""


@dataclass(frozen=True)
class Together:
    """One step of all readers: what each holds, and the token (B,) that each reads next.

    Step 0 is the last position of the prompt.
    """

    number: int
    held: dict[str, Held]
    tokens: dict[str, Tensor]


Decide = Callable[[int, Mapping[str, Held]], dict[str, Tensor]]


@torch.inference_mode()
def lockstep(
    readers: Mapping[str, Reads], input_ids: Tensor, steps: int, decide: Decide
) -> Iterator[Together]:
    """Let ``readers`` read ``input_ids`` (B, T) and then, ``steps`` times in all, what ``decide``
    makes of what they hold: the next token (B,) of each reader, by name.

    So a reader writes its own text, or is forced to read another's. Readers read in their order
    at every step. What they hold is brought to the device of ``input_ids``, since two models may
    end on different ones. Nothing is kept from one step to the next but the caches.
    """
    reading = dict.fromkeys(readers, input_ids)
    for number in range(steps):
        held = {
            name: reader.read(reading[name]).to(input_ids.device)
            for name, reader in readers.items()
        }
        tokens = decide(number, held)
        yield Together(number, held, tokens)
        reading = {name: tokens[name][:, None] for name in readers}
