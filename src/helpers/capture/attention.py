"""What did one attention layer look at? Its weights and values, read off the stock module.

Nothing here knows an architecture: with the implementation that transformers calls eager, every
attention module hands out its weights, and its values stand in the cache that it is given.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache

from helpers.capture import on_entry
from helpers.decoding.reader import read_states
from helpers.models.architecture import Decoder, Sublayer
from helpers.pruning.drop import dropped_in
from helpers.theory.attention_paths import Attention


@dataclass(frozen=True)
class Call:
    """What one attention sublayer is called with: the residual stream ``state`` (B, T, d) that its
    norm reads, and the ``keywords`` of its attention module (mask, positions, cache)."""

    state: Tensor
    keywords: dict[str, Any]


@contextmanager
def eager(decoder: Decoder) -> Iterator[None]:
    """Inside the context the model's attention hands out its weights; afterwards, also after an
    exception, it is computed as before."""
    model: Any = decoder.model
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@torch.inference_mode()
def calls(decoder: Decoder, input_ids: Tensor, attention_mask: Tensor) -> dict[int, Call]:
    """What every attention sublayer is called with in one pass over ids and mask (B, T), padded on
    the left; by layer. Layers whose attention is dropped are left out. Call it inside
    :func:`eager`: the masks differ elsewhere.
    """
    gone = dropped_in(decoder)
    found: dict[int, Call] = {}
    handles = []
    for sublayer in decoder.sublayers:
        if sublayer.kind == "attention" and (sublayer.layer, "attention") not in gone:
            handles += on_entry(sublayer, partial(_note, found, sublayer.layer))
    try:
        read_states(decoder, input_ids, attention_mask, DynamicCache(), use_cache=True)
    finally:
        for handle in handles:
            handle.remove()
    return found


@torch.inference_mode()
def look(sublayer: Sublayer, call: Call, positions: slice | Tensor = slice(None)) -> Attention:
    """Weights (B, H, P, T) at ``positions`` and values (B, G, T, d) of one attention sublayer that
    reads ``call.state`` with an empty cache. Call it inside :func:`eager`."""
    held: list[Tensor] = []

    def hold(module: nn.Module, args: Any, output: tuple[Tensor, Tensor]) -> None:
        held.append(output[1][:, :, positions])

    cache = DynamicCache()  # not of the model's configuration: that one forgets what slid away
    keywords = {
        name: cache if isinstance(value, Cache) else value for name, value in call.keywords.items()
    }
    handle = sublayer.body.register_forward_hook(hold)
    try:
        sublayer(call.state, **keywords)
    finally:
        handle.remove()
    return Attention(held[0], cache.layers[sublayer.layer].values)


def _note(found: dict[int, Call], layer: int, state: Tensor, keywords: dict[str, Any]) -> None:
    found[layer] = Call(state, keywords)
