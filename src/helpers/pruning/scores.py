"""How much is each weight worth? One score per weight; the lowest are removed."""

import torch
from torch import Tensor


def magnitude(weight: Tensor) -> Tensor:
    """|W|, in the dtype and shape (rows, columns) of ``weight``."""
    return weight.abs()


def wanda(weight: Tensor, input_norms: Tensor) -> Tensor:
    """S_ij = |W_ij| · ‖X_j‖₂ (Sun et al., arXiv 2306.11695, Equation 1).

    ``weight`` is (rows, columns) = (outputs, inputs); ``input_norms`` (columns,) holds the
    norm of each input over all calibration tokens. Scores have the dtype of ``input_norms``.
    """
    return weight.abs().to(input_norms.dtype) * input_norms


def random(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform scores (rows, columns), float64, drawn on the CPU so that a seed gives the same
    scores on every device: the control that every method has to beat."""
    drawn = torch.rand(weight.shape, generator=generator, dtype=torch.float64, device="cpu")
    return drawn.to(weight.device) if weight.device.type != "mps" else drawn.float().to("mps")
