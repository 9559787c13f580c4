"""Every method that prunes single weights, and all that the rest of the book must know of it.

A new method is one entry of :data:`METHODS`. Importing this module loads no torch, so that what
may be asked for is known before anything heavy is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from helpers.pruning.recipe import Recipe

Group = Literal["row", "layer"]
Statistic = Literal["none", "norms", "hessian"]


@dataclass(frozen=True)
class Evidence:
    """What a method may decide by: one weight, and what entered it.

    ``weight`` (rows, columns) = (outputs, inputs) in the model's dtype. ``inputs`` is summed over
    all calibration tokens as the method asks: None, or
    :class:`helpers.pruning.statistics.SquaredNorms` (its ``norms`` are ‖X_j‖₂, (columns,)), or
    :class:`helpers.pruning.statistics.Hessian` (its ``total`` is XXᵀ, (columns, columns)), both
    float64. ``generator`` draws on the CPU and is this weight's own. ``where`` names the weight.
    """

    weight: Tensor
    inputs: Any
    generator: torch.Generator
    where: str = "this weight"


@dataclass(frozen=True)
class Method:
    """A way to choose which weights go.

    ``title``: what readers call it. ``score``: evidence → (rows, columns), the lowest of each
    ``group`` go: of each output's ``row``, or of the whole ``layer``'s matrix. ``statistic``: what
    it must know of the inputs. ``solve``, for a method that also changes the weights it keeps:
    (evidence, recipe) → new weight and keep-mask, bool, both (rows, columns); ``score`` is then
    None. ``drawn``: scores are drawn by the generator and look at nothing.
    """

    title: str
    score: Callable[[Evidence], Tensor] | None = None
    group: Group = "layer"
    statistic: Statistic = "none"
    solve: Callable[[Evidence, Recipe], tuple[Tensor, Tensor]] | None = None
    drawn: bool = False

    @property
    def calibrated(self) -> bool:
        """Whether it reads calibration text."""
        return self.statistic != "none"

    @property
    def seeded(self) -> bool:
        """Whether another seed gives another pruned model."""
        return self.calibrated or self.drawn

    @property
    def only_masks(self) -> bool:
        """Whether it sets weights to zero and changes no other, so that masks say it all."""
        return self.solve is None

    def remove(self, seen: Evidence, recipe: Recipe) -> tuple[Tensor, Tensor]:
        """The new weight and its keep-mask, bool, both (rows, columns)."""
        from helpers.pruning import masks

        if self.solve:
            return self.solve(seen, recipe)
        assert self.score is not None
        score = self.score(seen)
        keep = (
            masks.n_of_m(score, recipe.pattern)
            if recipe.pattern
            else masks.unstructured(score, recipe.amount, self.group)
        )
        return seen.weight.masked_fill(~keep, 0), keep


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
    import torch

    drawn = torch.rand(weight.shape, generator=generator, dtype=torch.float64, device="cpu")
    return drawn.to(weight.device) if weight.device.type != "mps" else drawn.float().to("mps")


def _sparsegpt(seen: Evidence, recipe: Recipe) -> tuple[Tensor, Tensor]:
    from helpers.pruning.sparsegpt import sparsegpt

    factor = seen.inputs.factor(recipe.damping, seen.where)
    return sparsegpt(seen.weight, factor, recipe.ratio or 0.0, recipe.pattern)


METHODS: dict[str, Method] = {
    "magnitude": Method("Magnitude", lambda seen: magnitude(seen.weight)),
    "wanda": Method(
        "Wanda", lambda seen: wanda(seen.weight, seen.inputs.norms), group="row", statistic="norms"
    ),
    "sparsegpt": Method("SparseGPT", statistic="hessian", solve=_sparsegpt),
    "random": Method("Random", lambda seen: random(seen.weight, seen.generator), drawn=True),
}
