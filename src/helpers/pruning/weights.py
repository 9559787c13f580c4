"""Which weights may be pruned? The linears of every attention and MLP, all seen as (out, in)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from helpers.errors import InputError
from helpers.models.architecture import Decoder, Kind, Sublayer

TARGETS = ("attention", "mlp", "all")
NEVER = ("embed", "lm_head", "unembed", "output_head", "wte", "wpe")


@dataclass(frozen=True)
class LinearWeight:
    """One weight: where it is, and its matrix as (outputs, inputs) whatever the module stores."""

    layer: int
    kind: Kind
    name: str  # within the layer, such as self_attn.q_proj
    module: Any = field(repr=False)

    @property
    def matrix(self) -> Tensor:
        """The weight (outputs, inputs): a view, so that writing to it writes to the model.

        GPT-2's Conv1D stores (inputs, outputs).
        """
        weight: Tensor = self.module.weight.data
        return weight.T if isinstance(self.module, Conv1D) else weight

    @property
    def role(self) -> str:
        """The last part of the name, such as ``q_proj``."""
        return self.name.rpartition(".")[2]

    @property
    def where(self) -> str:
        """Layer and module in words, for messages."""
        return f"layer {self.layer}'s {self.name}"

    def write(self, matrix: Tensor) -> None:
        """Replace the weight by ``matrix`` (outputs, inputs), in the model's dtype and device."""
        self.matrix.copy_(matrix)


def check_targets(targets: str) -> None:
    """:class:`InputError` unless ``targets`` is one of :data:`TARGETS`."""
    if targets in TARGETS:
        return
    if targets == "head" or any(word in targets.lower() for word in NEVER):
        raise InputError(
            f"targets={targets!r} is refused: the LM head and the embeddings are never pruned; "
            f"targets are {', '.join(TARGETS)}"
        )
    raise InputError(f"targets={targets!r} is not allowed: targets are {', '.join(TARGETS)}")


def prunable(decoder: Decoder, targets: str = "all") -> tuple[tuple[LinearWeight, ...], ...]:
    """The weights to prune, layer by layer, in the order of the modules.

    A weight that several modules share is listed once. Raises :class:`InputError` for unknown
    targets, for a weight tied to the embeddings or the LM head, and for one that is packed or
    offloaded and so cannot be written.
    """
    check_targets(targets)
    model: Any = decoder.model
    untouchable = {decoder.head.weight.data_ptr(), model.get_input_embeddings().weight.data_ptr()}
    found: list[list[LinearWeight]] = [[] for _ in decoder.layers]
    seen: set[int] = set()
    for sublayer in decoder.sublayers:
        if targets not in ("all", sublayer.kind):
            continue
        for linear in _linears(decoder.layers[sublayer.layer], sublayer):
            weight = linear.module.weight
            if not weight.is_floating_point() or weight.is_meta:
                raise InputError(
                    f"{linear.where} cannot be pruned: its weight is quantized or offloaded; "
                    "load the model with plain weights that fit the device"
                )
            if weight.data_ptr() in untouchable:
                raise InputError(f"{linear.where} shares its weight with the embeddings")
            if weight.data_ptr() not in seen:
                seen.add(weight.data_ptr())
                found[sublayer.layer].append(linear)
    return tuple(tuple(layer) for layer in found)


def _linears(layer: nn.Module, sublayer: Sublayer) -> Iterator[LinearWeight]:
    names = {module: name for name, module in layer.named_modules()}
    for part in (sublayer.body, *sublayer.rest):
        for module in part.modules() if isinstance(part, nn.Module) else ():
            if isinstance(module, torch.nn.Linear | Conv1D):
                yield LinearWeight(sublayer.layer, sublayer.kind, names[module], module)
