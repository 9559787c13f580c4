"""The LM head: from residual-stream states to logits, exactly and in blocks of memory."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from helpers.errors import InputError

GRAM_BLOCK_ROWS = 8192


@dataclass(frozen=True)
class Head:
    """z = W h (Equation 3), with a bias or a cap where the architecture has one.

    ``weight`` is (V, d); ``bias`` (V,) or None; ``cap`` c means z = c·tanh(Wh / c) (Gemma 2).
    """

    weight: Tensor
    bias: Tensor | None = None
    cap: float | None = None

    @property
    def linear(self) -> bool:
        """Whether z = W h and nothing else, so that logit products follow from W's Gram matrix."""
        return self.bias is None and not self.cap

    @cached_property
    def projection(self) -> Tensor:
        """W as float32 (V, d); the model's own tensor if it already is."""
        return self.weight.detach().float()

    @torch.no_grad()
    def logits(self, states: Tensor, out: Tensor | None = None) -> Tensor:
        """Logits (N, V), float32, of states (N, d); written into ``out`` if given."""
        z = torch.mm(states.float(), self.projection.T, out=out)
        if self.bias is not None:
            z += self.bias.float()
        if self.cap:
            z = z.div_(self.cap).tanh_().mul_(self.cap)
        return z

    @cached_property
    def gram(self) -> Tensor:
        """G = WᵀW, (d, d) float64: z·z' = hᵀGh' without a vocabulary-sized tensor."""
        width = self.weight.shape[1]
        total = torch.zeros(width, width, dtype=torch.float64, device=self.weight.device)
        for block in self.weight.detach().split(GRAM_BLOCK_ROWS):
            rows = block.double()
            total.addmm_(rows.T, rows)
        return total

    @cached_property
    def mean_row(self) -> Tensor:
        """w̄, (d,) float64: w̄ᵀh is the mean logit."""
        return self.weight.detach().double().mean(0)


class NoProjection(nn.Module):
    """In place of the LM head of a checkpoint that has none, as text encoders: it holds the
    embedding's ``weight`` (V, d), so that sizes and devices can be asked for, and projects
    nothing."""

    def __init__(self, weight: nn.Parameter) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, *_: Any, **__: Any) -> NoReturn:
        """Raises :class:`InputError`."""
        raise InputError(NO_HEAD)


NO_HEAD = "this checkpoint has no LM head, so it gives no logits: take it as an encoder of texts"


class NoHead(Head):
    """The head of a checkpoint that has none: everything but the ``weight``'s size and device
    raises :class:`InputError`."""

    def logits(self, states: Tensor, out: Tensor | None = None) -> NoReturn:
        """Raises :class:`InputError`."""
        raise InputError(NO_HEAD)

    @property
    def linear(self) -> NoReturn:
        """Raises :class:`InputError`, as all that is read of a head's weights."""
        raise InputError(NO_HEAD)

    projection = gram = mean_row = linear
