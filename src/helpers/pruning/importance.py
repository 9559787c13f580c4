"""How much does the residual stream turn at each sublayer and block?

What barely turns the stream is dropped first. One forward pass over calibration text measures
every sublayer and block at once; hooks reduce each state to float64 sums as the model runs, so
memory grows neither with depth nor with the amount of text.

Sources: LLM-Drop (arXiv 2406.15786) for sublayers, ShortGPT's Block Influence (arXiv 2403.03853)
for blocks, Gromov et al. (arXiv 2403.17887) for runs of blocks.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from helpers.errors import InputError
from helpers.models.architecture import Decoder, Sublayer

Part = Literal["attention", "mlp", "block"]

BLOCK = 2**18  # float64 numbers per operand and pass: the working set stays in a core's cache


@dataclass(frozen=True)
class Importance:
    """What :func:`importance` measured, on the CPU in float64: small is unimportant.

    ``attention``, ``mlp`` and ``block`` (L,) are mean 1 − cos over all positions. ``distance``
    (L + 1, L + 1) is the mean angular distance at the last position between the inputs of any
    two blocks; row and column L stand for the last block's output.
    """

    attention: Tensor
    mlp: Tensor
    block: Tensor
    distance: Tensor


def one_minus_cosine(x: Tensor, y: Tensor) -> Tensor:
    """1 − cos of the angle between x and y (…, d), as (…,) float64.

    Half the squared chord between the unit vectors: nothing cancels, and a vector against itself
    gives exactly 0. Where either is zero there is no angle, and the cosine counts as 0.
    """
    a, b = x.double(), y.double()
    lengths = torch.linalg.vector_norm(a, dim=-1), torch.linalg.vector_norm(b, dim=-1)
    chord = a / lengths[0][..., None] - b / lengths[1][..., None]
    half = torch.linalg.vecdot(chord, chord) / 2
    return half.masked_fill((lengths[0] == 0) | (lengths[1] == 0), 1.0)


def angular_distance(x: Tensor, y: Tensor) -> Tensor:
    """arccos(cos(x, y))/π in [0, 1] of x and y (…, d), as (…,) float64 (Gromov et al., Eq. 2).

    1 − cos = 2 sin²(angle/2), and the arcsine keeps small angles that an arccosine would lose.
    """
    half_sine = (one_minus_cosine(x, y) / 2).sqrt().clamp(max=1)
    return 2 / torch.pi * torch.asin(half_sine)


def summed(x: Tensor, y: Tensor) -> Tensor:
    """Σ of :func:`one_minus_cosine` over all vectors of x and y (…, d): a float64 scalar."""
    width = x.shape[-1]
    room = BLOCK if x.device.type == "cpu" else 64 * BLOCK
    rows = max(1, room // width)
    pairs = zip(x.reshape(-1, width).split(rows), y.reshape(-1, width).split(rows), strict=True)
    total = x.new_zeros((), dtype=torch.float64)
    for a, b in pairs:
        total += one_minus_cosine(a, b).sum()
    return total


@torch.inference_mode()
def importance(
    decoder: Decoder, input_ids: Tensor, residual: bool = True, batch_size: int = 2
) -> Importance:
    """Importance of every sublayer and block over calibration text, in one forward pass.

    ``input_ids`` (N, T) are whole sequences without padding. A sublayer's importance is mean
    1 − cos(x, x + f(x)): x is the residual stream that it reads and f(x) what it adds, its norm
    and any post-norm included (LLM-Drop's main setting). With ``residual=False`` it is mean
    1 − cos(norm(x), f(x)): input and output of the bare module behind its norm, without the
    residual connection (LLM-Drop's other setting, in which the norm would stay). Blocks and
    ``distance`` do not depend on it.

    The language-model head does not run. Raises :class:`InputError` if there is no text, and
    naming the first sublayer whose states are not finite.
    """
    if input_ids.ndim != 2 or input_ids.numel() == 0:
        raise InputError("the calibration text is empty: at least one sequence of tokens is needed")
    if batch_size < 1:
        raise InputError(f"batch size {batch_size} is not allowed: it takes 1 or more")
    backbone: Any = decoder.model.base_model
    meter = _Meter(decoder, residual)
    with meter.installed():
        for ids in input_ids.split(batch_size):
            backbone(input_ids=ids.to(backbone.device), use_cache=False)
            meter.end_batch()
    _refuse_not_finite(decoder, meter.sums)
    count, layers = input_ids.numel(), range(len(decoder.layers))

    def mean(part: Part) -> Tensor:
        return torch.stack([meter.sums[layer, part].cpu() for layer in layers]) / count

    distance = meter.distance.cpu() / len(input_ids)
    return Importance(mean("attention"), mean("mlp"), mean("block"), distance)


def _refuse_not_finite(decoder: Decoder, sums: dict[tuple[int, Part], Tensor]) -> None:
    for sublayer in decoder.sublayers:
        if not sums[sublayer.layer, sublayer.kind].isfinite():
            raise InputError(
                f"the states at layer {sublayer.layer} {sublayer.kind} are not finite on the "
                "calibration text: the model gives NaN or infinity there; try dtype=float32"
            )


Hook = Callable[..., None]


@dataclass
class _Meter:
    """Hooks that add up the importance of all parts while the model runs."""

    decoder: Decoder
    residual: bool
    sums: dict[tuple[int, Part], Tensor] = field(default_factory=dict)
    distance: Any = 0.0
    edges: list[Tensor] = field(default_factory=list)  # block inputs (B, d) at the last position

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Hooks on every sublayer and block; they come off at the end, whatever happened."""
        handles: list[Any] = []
        try:
            for sublayer in self.decoder.sublayers:
                handles += self._sublayer(sublayer)
            for number, layer in enumerate(self.decoder.layers):
                handles += self._block(number, layer)
            yield
        finally:
            for handle in handles:
                handle.remove()

    def end_batch(self) -> None:
        """Add this batch's angular distances (L + 1, L + 1) between block inputs."""
        states = torch.stack(self.edges)
        self.edges = []
        rows = [angular_distance(state, states).sum(-1) for state in states]
        self.distance = self.distance + torch.stack(rows)

    def _sublayer(self, sublayer: Sublayer) -> list[Any]:
        held: list[Tensor] = []

        def read(_module: nn.Module, args: Any, keywords: Any, output: Tensor) -> None:
            held.append(_first(args, keywords) if self.residual else output)

        def wrote(_module: nn.Module, args: Any, keywords: Any, output: Any) -> None:
            x, update = held.pop(), _tensor(output)
            self._add(sublayer.layer, sublayer.kind, x, x + update if self.residual else update)

        return [_after(sublayer.norm, read), _after(sublayer.last, wrote)]

    def _block(self, number: int, layer: nn.Module) -> list[Any]:
        def ran(_module: nn.Module, args: Any, keywords: Any, output: Any) -> None:
            x, y = _first(args, keywords), _tensor(output)
            if number == 0:
                self._edge(x)
            self._edge(y)
            self._add(number, "block", x, y)

        return [_after(layer, ran)]

    def _edge(self, state: Tensor) -> None:
        self.edges.append(state[:, -1].to(self.decoder.device, copy=True))

    def _add(self, layer: int, part: Part, x: Tensor, y: Tensor) -> None:
        held = self.sums.get((layer, part))
        self.sums[layer, part] = summed(x, y) if held is None else held + summed(x, y)


def _after(module: nn.Module, hook: Hook) -> Any:
    return module.register_forward_hook(hook, with_kwargs=True)


def _first(args: tuple[Any, ...], keywords: dict[str, Any]) -> Tensor:
    """The hidden states that a module is called with, by position or by name."""
    return args[0] if args else keywords["hidden_states"]


def _tensor(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output
