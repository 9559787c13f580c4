"""Inter-layer pruning: attention and MLP sublayers that add nothing and cost nothing.

A dropped sublayer's modules are exchanged for stand-ins on the stock Hugging Face model: its
norms pass their input through and its body returns zeros, so that x → x + 0, without one of its
weights being read. What cannot go is the cache entry that tells the model how many tokens it has
read; :class:`NoAttention` keeps that one, one number per token.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any, get_args

from torch import Tensor, nn
from transformers import Cache

from helpers.errors import InputError
from helpers.models.architecture import LAYOUTS, Decoder, Kind

Place = tuple[int, Kind]  # a sublayer by its layer and kind, such as (3, "mlp")


class Nothing(nn.Module):
    """In place of an MLP: zeros of the input's shape, dtype and device, whatever the input holds.

    The zeros are one number seen many times, so nothing is allocated.
    """

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> Any:
        """Zeros (…, d) for hidden states (…, d)."""
        return hidden_states.new_zeros(()).expand_as(hidden_states)


class NoAttention(Nothing):
    """In place of the attention of one layer: zeros, no weights, and no keys and values beyond
    the placeholder of :func:`tells_length`."""

    def __init__(self, layer: int) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden_states: Tensor, *_: Any, **keywords: Any) -> Any:
        """Zeros (B, T, d) in place of the output, None in place of the attention weights."""
        for value in keywords.values():  # past_key_values, or layer_past on GPT-NeoX
            if isinstance(value, Cache) and tells_length(value, self.layer):
                batch, tokens, _width = hidden_states.shape
                blank = hidden_states.new_zeros(()).expand(batch, 1, tokens, 1)
                value.update(blank, blank, self.layer)
        return super().forward(hidden_states), None


def tells_length(cache: Cache, layer: int) -> bool:
    """Whether a model asks this layer's cache entry how many tokens it has read.

    Positions come from entry 0, and the masks of full and of sliding-window attention each from
    the first entry of their kind. Where that one is missing the count stays 0, and later tokens
    get the position or the mask of a first one: no error, wrong text. Sliding entries cannot be
    cropped before their first update, which assisted decoding does, so all of them are kept.
    """
    if layer == 0:
        return True
    if layer >= len(cache.layers):  # a cache that grows as it is used has one kind of entry
        return False
    sliding = cache.is_sliding
    return sliding[layer] or False not in sliding[:layer]


@contextmanager
def dropped(decoder: Decoder, sublayers: Iterable[Place]) -> Iterator[Decoder]:
    """The model without ``sublayers`` inside the context; the stock modules after it.

    ``decoder.model`` itself is changed, so it, ``generate`` and every harness run the pruned
    model. Yields its view: :func:`helpers.capture.capture` on it works, and another ``dropped``
    may be nested. Stock modules come back untouched, also after an exception; while they are out
    they take no part in ``parameters()``, ``state_dict()`` or a move to another device.

    Raises :class:`InputError` for a layer or kind that there is not, a sublayer named twice, or
    one that is dropped already.
    """
    chosen = checked(sublayers, len(decoder.layers))
    _refuse_dropped(decoder, chosen)
    stock: list[tuple[nn.Module, str, Any]] = []
    try:
        for layer, kind in chosen:
            module = decoder.layers[layer]
            for name, stand_in in _stand_ins(decoder, layer, kind):
                stock.append((module, name, getattr(module, name)))
                setattr(module, name, stand_in)
        yield Decoder.of(decoder.model)
    finally:
        for module, name, original in reversed(stock):
            setattr(module, name, original)


def drop(decoder: Decoder, sublayers: Iterable[Place]) -> Decoder:
    """Remove ``sublayers`` from ``decoder.model`` for good: their weights are released once
    nothing else refers to them (the view given here does). Returns the view of what is left.
    Errors as :func:`dropped`."""
    chosen = checked(sublayers, len(decoder.layers))
    _refuse_dropped(decoder, chosen)
    for layer, kind in chosen:
        for name, stand_in in _stand_ins(decoder, layer, kind):
            setattr(decoder.layers[layer], name, stand_in)
    return Decoder.of(decoder.model)


def checked(sublayers: Iterable[Place], layer_count: int) -> tuple[Place, ...]:
    """The same sublayers, each known to exist in a model of ``layer_count`` layers and named
    once; else :class:`InputError`."""
    chosen: list[Place] = []
    for place in sublayers if isinstance(sublayers, Iterable) else [sublayers]:
        if not (isinstance(place, tuple | list) and len(place) == 2):
            raise InputError(f"{place!r} is no sublayer: give a list such as [(3, 'mlp')]")
        layer, kind = place
        if not isinstance(layer, Integral):
            raise InputError(f"{layer!r} is no layer: give its whole number, such as (3, 'mlp')")
        if kind not in get_args(Kind):
            raise InputError(f"unknown sublayer {kind!r}: a layer has an attention and an mlp")
        if not 0 <= layer < layer_count:
            raise InputError(
                f"there is no layer {layer} to drop: the model has layers 0 to {layer_count - 1}"
            )
        if (layer, kind) in chosen:
            raise InputError(f"layer {layer} {kind} is named twice: name each sublayer once")
        chosen.append((layer, kind))
    return tuple(chosen)


def dropped_in(decoder: Decoder) -> tuple[Place, ...]:
    """The sublayers that ``decoder.model`` lacks now, in order of depth."""
    return tuple(
        (layer, kind)
        for layer, module in enumerate(decoder.layers)
        for kind in get_args(Kind)
        if isinstance(getattr(module, _names(decoder, kind)[1]), Nothing)
    )


def _refuse_dropped(decoder: Decoder, chosen: tuple[Place, ...]) -> None:
    gone = dropped_in(decoder)
    for layer, kind in chosen:
        if (layer, kind) in gone:
            raise InputError(f"layer {layer} {kind} is dropped already: name one that is there")


def _names(decoder: Decoder, kind: Kind) -> tuple[str, ...]:
    """Attribute names of a sublayer's modules on its layer: norm, body, then any others."""
    config: Any = decoder.model.config
    names: tuple[str, ...] = getattr(LAYOUTS[config.model_type], kind)
    return names


def _stand_ins(decoder: Decoder, layer: int, kind: Kind) -> Iterator[tuple[str, nn.Module]]:
    """A stand-in for each module of a sublayer: zeros from the body on, and all else a pass."""
    for number, name in enumerate(_names(decoder, kind)):
        if number != 1:
            yield name, nn.Identity()
        else:
            yield name, NoAttention(layer) if kind == "attention" else Nothing()
