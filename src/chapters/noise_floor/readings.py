"""The same texts read in different ways: alone, in a batch, token by token, in float64.

In exact arithmetic all of them hold the same states. What parts them in practice is noise.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from helpers.capture import Pair, capture
from helpers.decoding.reader import read_states
from helpers.models.architecture import Decoder
from helpers.models.head import Head
from helpers.models.load import LoadedModel, load


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
    return [
        _pass(decoder, text.tokens, text.steps, torch.ones_like(text.tokens))[0][0]
        for text in texts
    ]


def together(decoder: Decoder, texts: list[Text]) -> list[Reading]:
    """All texts in one batch, in one pass, the shorter ones padded on the left."""
    rows = [text.tokens[0] for text in texts]
    longest = max(len(row) for row in rows)
    ids = torch.stack([nn.functional.pad(row, (longest - len(row), 0)) for row in rows])
    lengths = torch.tensor([[len(row)] for row in rows], device=ids.device)
    mask = (torch.arange(longest, device=ids.device) >= longest - lengths).long()
    read, _ = _pass(decoder, ids, max(text.steps for text in texts), mask)
    return [_last(one, text.steps) for one, text in zip(read, texts, strict=True)]


def token_by_token(decoder: Decoder, texts: list[Text]) -> list[Reading]:
    """Each text alone: the prompt in one pass, then one token at a time with a cache."""
    return [_stepwise(decoder, text) for text in texts]


def _stepwise(decoder: Decoder, text: Text) -> Reading:
    before = len(text.prompt)
    parts = text.tokens.split([before, *[1] * (text.steps - 1)], dim=-1)
    cache: Any = None
    read: list[Reading] = []
    for step, part in enumerate(parts):
        mask = torch.ones(1, before + step, dtype=torch.long, device=part.device)
        (reading,), cache = _pass(decoder, part, 1, mask, cache, use_cache=True)
        read.append(reading)
    states = torch.cat([one.states for one in read], dim=1)
    return Reading(states, read[0].pairs, torch.cat([one.output for one in read]))


def _last(reading: Reading, steps: int) -> Reading:
    return Reading(reading.states[:, -steps:], reading.pairs, reading.output[-steps:])


def _pass(
    decoder: Decoder,
    ids: Tensor,
    keep: int,
    mask: Tensor,
    cache: Any = None,
    use_cache: bool = False,
) -> tuple[list[Reading], Any]:
    """One forward pass over ids (B, T) after what the cache holds: readings of the last ``keep``
    positions, one for each sequence, and the cache."""
    with capture(decoder, slice(-keep, None)) as trace:
        output, cache = read_states(decoder, ids, mask, cache, use_cache)
    states, last = trace.states, output[:, -keep:].to(decoder.device)
    return [
        Reading(states.tensor[:, row], states.pairs, last[row]) for row in range(len(ids))
    ], cache


class _Wider(TorchFunctionMode):
    """Answers every request for float32 with float64."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """``function`` with float64 wherever its arguments, or its name, say float32."""
        if function is torch.Tensor.float:
            function = torch.Tensor.double
        wide = tuple(_wider(value) for value in args)
        named = {name: _wider(value) for name, value in (kwargs or {}).items()}
        return function(*wide, **named)


def _wider(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value


@contextmanager
def float64_throughout() -> Iterator[None]:
    """Inside the context torch computes in float64 where code asks for float32.

    Architectures ask for float32 by name inside their norms, rotary positions and softmaxes,
    whatever the format of their weights: a float64 model would lose half its digits at every norm.

    Run a model of :func:`load_float64` inside it: then no step on the way from tokens to logits
    is rounded to float32, rotary frequencies and attention included.
    """
    with _Wider():
        yield


def load_float64(name: str, revision: str = "main", device: str = "auto") -> LoadedModel:
    """The model ``name`` with its weights as float64 and the constants of its positions computed
    in float64. Weights keep their stored values: only the arithmetic on them has more digits."""
    with float64_throughout():
        return load(name, revision, "float64", device)


def logits_float64(head: Head, states: Tensor) -> Tensor:
    """Logits (N, V), float64 throughout, of states (N, d): what ``head.logits`` would be with no
    rounding on the way."""
    z = states.double() @ head.weight.detach().double().T
    if head.bias is not None:
        z += head.bias.double()
    if head.cap:
        z = z.div_(head.cap).tanh_().mul_(head.cap)
    return z
