"""The LM head: from residual-stream states to logits, exactly and in blocks of memory."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

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
