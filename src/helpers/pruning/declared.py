"""Sublayers that a configuration calls dropped, as the tool LLM-Drop (arXiv 2406.15786) does."""

from typing import Any

from helpers.errors import InputError
from helpers.pruning.drop import Place
from helpers.pruning.selection import listed

ATTENTION, MLP = "drop_attn_list", "drop_mlp_list"


def declared(config: Any) -> tuple[Place, ...]:
    """The sublayers in ``drop_attn_list`` and ``drop_mlp_list`` of a model's configuration, each
    a list of layer indices from 0 or one bool a layer; none where there are no such lists.

    The code that comes with such a folder does nothing but leave these sublayers out, and is not
    run. Raises :class:`InputError` for anything else in the lists.
    """
    count = config.num_hidden_layers
    attention, mlp = (
        _layers(getattr(config, name, None), name, count) for name in (ATTENTION, MLP)
    )
    return listed(count, attention, mlp)


def _layers(said: Any, name: str, count: int) -> list[int]:
    entries = [] if said is None else said
    if isinstance(entries, list):
        if entries and all(isinstance(entry, bool) for entry in entries) and len(entries) == count:
            return [layer for layer, gone in enumerate(entries) if gone]
        if all(type(entry) is int and 0 <= entry < count for entry in entries):
            return sorted(set(entries))
    raise InputError(
        f"{name} of config.json is neither a list of layers from 0 to {count - 1} nor one true or "
        f"false for each of {count} layers"
    )
