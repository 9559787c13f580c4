"""What reaches the model's output when one sublayer is gone and the rest runs on?

A state depends on nothing above it. So the dense model runs once and its states between layers
are kept; for each dropped sublayer the model then starts at that sublayer's layer. Over all
sublayers this halves the work, and it changes no number.
"""

import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from helpers.models.architecture import Decoder
from helpers.pruning.drop import Place, dropped


@torch.inference_mode()
def without_each(
    decoder: Decoder,
    input_ids: Tensor,
    attention_mask: Tensor,
    between: tuple[Tensor, ...],
    positions: slice = slice(None),
) -> Iterator[tuple[Place, Tensor]]:
    """The state after the last layer, without each sublayer in turn, in order of depth.

    ``input_ids`` and ``attention_mask`` (B, T) are padded on the left, and ``between`` is what
    :func:`states_between` gives for them. A sublayer is gone at every position of the text.
    Yields its place and the states (B, P, d) at ``positions``, in the model's dtype, before the
    final norm; the model is whole again at each yield.
    """
    for sublayer in decoder.sublayers:
        place = (sublayer.layer, sublayer.kind)
        start = between[sublayer.layer]
        with dropped(decoder, [place]) as rest, resumed(rest, sublayer.layer, start):
            state = last_state(rest, input_ids, attention_mask)[:, positions].clone()
        yield place, state


@torch.inference_mode()
def states_between(
    decoder: Decoder, input_ids: Tensor, attention_mask: Tensor
) -> tuple[Tensor, ...]:
    """The residual stream (B, T, d) that each layer reads, and what the last one leaves: L + 1
    states of one pass over ids and mask (B, T)."""
    with _read(decoder.layers) as entered:
        last = last_state(decoder, input_ids, attention_mask)
    return (*entered, last)


@contextmanager
def resumed(decoder: Decoder, layer: int, state: Tensor) -> Iterator[None]:
    """Inside, every pass starts at ``layer``, which reads ``state`` (B, T, d); the layers below
    hand on what they get and compute nothing. The stock layers are back when the context ends."""

    def enter(_module: nn.Module, args: Any, keywords: Any) -> tuple[Any, Any]:
        if args:
            return (state, *args[1:]), keywords
        return args, keywords | {"hidden_states": state}

    below = decoder.layers[:layer]
    kept = [vars(module).get("forward") for module in below]  # set on a model spread over devices
    handle = decoder.layers[layer].register_forward_pre_hook(enter, with_kwargs=True)
    try:
        for module in below:
            module.forward = _hand_on
        yield
    finally:
        handle.remove()
        for module, forward in zip(below, kept, strict=True):
            if forward is None:
                vars(module).pop("forward", None)
            else:
                module.forward = forward


def last_state(decoder: Decoder, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """What the final norm reads, (B, T, d) on the head's device. No head and no cache."""
    backbone: Any = decoder.model.base_model
    options: dict[str, Any] = {}
    if "position_ids" in inspect.signature(backbone.forward).parameters:
        options["position_ids"] = (attention_mask.cumsum(-1) - 1).clamp(min=0)
    with _read((decoder.final_norm,)) as entered:
        backbone(input_ids=input_ids, attention_mask=attention_mask, use_cache=False, **options)
    return entered[0].to(decoder.device)


@contextmanager
def _read(modules: Iterable[nn.Module]) -> Iterator[list[Tensor]]:
    """The hidden states that each module is called with, as the model runs inside."""
    entered: list[Tensor] = []

    def note(_module: nn.Module, args: Any, keywords: Any) -> None:
        entered.append(args[0] if args else keywords["hidden_states"])

    handles = [module.register_forward_pre_hook(note, with_kwargs=True) for module in modules]
    try:
        yield entered
    finally:
        for handle in handles:
            handle.remove()


def _hand_on(hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
    return hidden_states
