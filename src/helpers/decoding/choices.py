"""Which token comes next? The likeliest one, or one that is drawn."""

import zlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

Choice = Callable[[int, Tensor], Tensor]  # step and logits (B, V) → tokens (B,)


def likeliest(step: int, logits: Tensor) -> Tensor:
    """Greedy: the largest of the logits (B, V), the lowest index among equals; (B,)."""
    return logits.argmax(-1)


def two_likeliest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of the logits (B, V) and the runner-up, (B,) each; the lowest index among equals,
    as :func:`likeliest` has it and ``topk`` does not promise."""
    first = logits.argmax(-1, keepdim=True)
    second = logits.scatter(-1, first, -torch.inf).argmax(-1)
    return first[:, 0], second


class Sampler:
    """Tokens drawn from softmax(z/T), with common random numbers.

    ``rows`` names each text by its seed and its prompt. A token is the argmax of z/T + g with
    Gumbel noise g that depends on seed, prompt and step alone: two models that hold the same
    logits draw the same token, and a text does not depend on what is beside it in the batch.
    """

    def __init__(self, rows: Sequence[tuple[int, str]], temperature: float) -> None:
        self.rows = [(seed, zlib.crc32(prompt.encode())) for seed, prompt in rows]
        self.temperature = temperature
        self._step = -1
        self._noise: Tensor | None = None

    def __call__(self, step: int, logits: Tensor) -> Tensor:
        """Tokens (B,) of logits (B, V)."""
        if self._noise is None or self._step != step:
            self._noise, self._step = self._drawn(step, logits.shape[-1]), step
        return (logits / self.temperature + self._noise.to(logits.device)).argmax(-1)

    def _drawn(self, step: int, vocabulary: int) -> Tensor:
        """Gumbel noise (B, V) float32: −log of a standard exponential, drawn in float64. In float32
        one draw in 2²³ is exactly 0, and a token would win whatever its logit is."""
        drawn = [
            np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, step]))
            for key in ([seed, prompt] for seed, prompt in self.rows)
        ]
        noise = [-np.log(one.standard_exponential(vocabulary)) for one in drawn]
        return torch.from_numpy(np.stack(noise).astype(np.float32))
