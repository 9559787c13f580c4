"""Where are the sublayers of a text encoder such as BERT, and how are they taken out?

BERT norms after it adds: x → norm(x + f(x)), where f is the attention or the MLP. As everywhere
in this book f is what is added to the stream, so a dropped sublayer leaves x → norm(x): its norm
stays, with its weights, and all that made f is gone. How much a sublayer matters is 1 − cos of x
and x + f(x), which is what it turns before the norm, alike with and without it.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from helpers.errors import InputError
from helpers.models.architecture import Decoder, Sublayer
from helpers.models.head import NoHead
from helpers.pruning.drop import Place, checked
from helpers.pruning.importance import Importance, summed

FAMILIES = ("bert", "camembert", "electra", "roberta", "xlm-roberta")


class OnlyNorm(nn.Module):
    """In place of a module that ends in norm(x + f): norm(x)."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.LayerNorm = norm


class NoAttention(OnlyNorm):
    """In place of the attention of one layer and the norm behind it."""

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
        """norm(x) (B, T, d), and None in place of the attention weights."""
        return self.LayerNorm(hidden_states), None


class NoOutput(OnlyNorm):
    """In place of the second half of the MLP of one layer and the norm behind it."""

    def forward(self, _hidden_states: Tensor, input_tensor: Tensor) -> Tensor:
        """norm(x) (B, T, d) for the ``input_tensor`` x that the MLP read."""
        kept: Tensor = self.LayerNorm(input_tensor)
        return kept


def view(model: nn.Module) -> Decoder:
    """An encoder as pruning sees a decoder: :func:`helpers.pruning.prune` works on it, with its
    layers, the linears of its sublayers and its embedding. It has no head, and its norms follow
    its sublayers, so nothing else that is made for decoders does.

    Raises :class:`InputError` for an architecture of which the sublayers are not known.
    """
    config: Any = model.config
    if config.model_type not in FAMILIES:
        raise InputError(
            f"encoder architecture {config.model_type!r} cannot be pruned here: those that can "
            f"are {', '.join(FAMILIES)}, and the decoders that the book knows"
        )
    encoder: Any = model
    layers = tuple(encoder.encoder.layer)
    sublayers: list[Sublayer] = []
    for number, layer in enumerate(layers):
        sublayers += [
            Sublayer(number, "attention", _norm(layer.attention), layer.attention, ()),
            Sublayer(number, "mlp", _norm(layer), layer.intermediate, (layer.output,)),
        ]
    head = NoHead(encoder.get_input_embeddings().weight)
    return Decoder(model, layers, tuple(sublayers), nn.Identity(), head, parallel=False)


def drop(model: nn.Module, places: Iterable[Place]) -> None:
    """Remove sublayers for good: x → norm(x + f(x)) becomes x → norm(x), and their weights are
    released. Raises :class:`InputError` as :func:`helpers.pruning.drop.drop`."""
    layers: Any = view(model).layers
    for number, kind in checked(places, len(layers)):
        layer = layers[number]
        if isinstance(layer.attention if kind == "attention" else layer.output, OnlyNorm):
            raise InputError(f"layer {number} {kind} is dropped already: name one that is there")
        if kind == "attention":
            layer.attention = NoAttention(_norm(layer.attention))
        else:
            layer.intermediate, layer.output = nn.Identity(), NoOutput(_norm(layer))


@torch.inference_mode()
def importance(model: nn.Module, ids: Tensor, batch_size: int = 8) -> Importance:
    """Importance of every sublayer, mean 1 − cos(x, x + f(x)), and of every layer, mean 1 − cos of
    its input and output, over windows of tokens ``ids`` (N, T) without padding.

    ``distance`` is left at zero: runs of layers are not dropped here.
    """
    encoder: Any = model
    layers: Any = view(model).layers
    sums: dict[tuple[int, str], Tensor] = {}

    with ExitStack() as stack:

        def watch(key: tuple[int, str], start: Any, end: Any, after: bool = False) -> None:
            """Add up how far the stream turns from what enters ``start`` to what enters ``end``,
            or leaves it."""
            held: list[Tensor] = []

            def read(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
                held.append(inputs[0])

            def wrote(_module: nn.Module, inputs: tuple[Any, ...], output: Any = None) -> None:
                state = inputs if output is None else output
                state = state[0] if isinstance(state, tuple) else state
                sums[key] = sums.get(key, 0) + summed(held.pop(), state).cpu()

            stack.callback(start.register_forward_pre_hook(read).remove)
            hooked = end.register_forward_hook if after else end.register_forward_pre_hook
            stack.callback(hooked(wrote).remove)

        for number, layer in enumerate(layers):
            watch((number, "attention"), layer.attention, _norm(layer.attention))
            watch((number, "mlp"), layer.intermediate, _norm(layer))
            watch((number, "block"), layer, layer, after=True)
        for part in ids.split(batch_size):
            encoder(input_ids=part.to(encoder.device))
    means = {
        kind: torch.stack([sums[number, kind] for number in range(len(layers))]) / ids.numel()
        for kind in ("attention", "mlp", "block")
    }
    if not all(bool(values.isfinite().all()) for values in means.values()):
        raise InputError(
            "the encoder's states are not finite on the calibration text: try dtype=float32"
        )
    size = len(layers) + 1
    return Importance(**means, distance=torch.zeros(size, size, dtype=torch.float64))


def _norm(module: Any) -> nn.Module:
    """The norm behind an attention, or behind the MLP of a layer, dropped or not."""
    norm: nn.Module = (module if isinstance(module, OnlyNorm) else module.output).LayerNorm
    return norm
