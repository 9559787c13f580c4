"""Which sublayers are dropped? From importance, or a published list, to a list of sublayers."""

from collections.abc import Callable, Iterable
from typing import Literal, get_args

import torch
from torch import Tensor

from helpers.errors import InputError
from helpers.models.architecture import Decoder
from helpers.pruning.drop import Place, checked, dropped
from helpers.pruning.importance import Importance, importance

DropTarget = Literal["attention", "mlp", "block", "all"]
Procedure = Literal["one_shot", "iterative", "contiguous"]

DROP_TARGETS: tuple[DropTarget, ...] = get_args(DropTarget)
PROCEDURES: tuple[Procedure, ...] = get_args(Procedure)


def units(target: DropTarget, layer_count: int) -> tuple[tuple[Place, ...], ...]:
    """What is dropped together, in order of depth: a sublayer, or both of a block.

    ``all`` holds every attention and MLP sublayer as a unit of its own: attention 0, MLP 0,
    attention 1, … Raises :class:`InputError` for a target that there is not.
    """
    _refuse_unknown(target)
    found: list[tuple[Place, ...]] = []
    for layer in range(layer_count):
        attention, mlp = blocks((layer,))
        if target == "block":
            found.append((attention, mlp))
        if target in ("attention", "all"):
            found.append((attention,))
        if target in ("mlp", "all"):
            found.append((mlp,))
    return tuple(found)


def scores(measured: Importance, target: DropTarget) -> Tensor:
    """Importance (U,) of each of :func:`units`, in the same order."""
    _refuse_unknown(target)
    if target == "all":
        return torch.stack([measured.attention, measured.mlp], dim=-1).flatten()
    return {"attention": measured.attention, "mlp": measured.mlp, "block": measured.block}[target]


def least(values: Tensor, count: int) -> list[int]:
    """Indices of the ``count`` smallest of ``values`` (U,), smallest first; ties by lower index."""
    return torch.argsort(values, stable=True)[:count].tolist()


def one_shot(measured: Importance, target: DropTarget, count: int) -> tuple[Place, ...]:
    """The ``count`` least important units of ``target``, all from one ranking, first dropped
    first. A block counts as one unit and gives its two sublayers."""
    available = units(target, len(measured.block))
    refuse_count(count, target, len(available))
    return tuple(
        place for number in least(scores(measured, target), count) for place in available[number]
    )


def iterative(
    measure: Callable[[tuple[Place, ...]], Importance],
    target: DropTarget,
    count: int,
    layer_count: int,
) -> tuple[Place, ...]:
    """As :func:`one_shot`, but ranked anew after each drop, ``count`` measurements in all.

    ``measure`` gives the importance in the model that lacks the sublayers it is called with.
    """
    available = units(target, layer_count)
    refuse_count(count, target, len(available))
    chosen: tuple[Place, ...] = ()
    for _ in range(count):
        values = scores(measure(chosen), target).clone()
        for number, unit in enumerate(available):
            if unit[0] in chosen:
                values[number] = torch.inf
        chosen += available[least(values, 1)[0]]
    return chosen


def contiguous(measured: Importance, count: int) -> tuple[Place, ...]:
    """The run of ``count`` neighbouring blocks whose input and output are nearest: blocks l to
    l + count − 1 with the least angular distance at the last position (Gromov et al.).

    The run may end at the last block; its output is then taken before the final norm.
    """
    layer_count = len(measured.block)
    refuse_count(count, "block", layer_count)
    if count == 0:
        return ()
    start = least(measured.distance.diagonal(count), 1)[0]
    return blocks(range(start, start + count))


def blocks(layers: Iterable[int]) -> tuple[Place, ...]:
    """Both sublayers of each layer."""
    return tuple(place for layer in layers for place in ((layer, "attention"), (layer, "mlp")))


def listed(
    layer_count: int,
    attention: Iterable[int] = (),
    mlp: Iterable[int] = (),
    block: Iterable[int] = (),
) -> tuple[Place, ...]:
    """A list that somebody published: layer indices from 0 of attentions, MLPs and blocks.

    Raises :class:`InputError` for a layer that the model of ``layer_count`` layers does not have
    and for a sublayer named twice, also when it is once part of a block.
    """
    places: list[Place] = [(layer, "attention") for layer in attention]
    places += [(layer, "mlp") for layer in mlp]
    return checked([*places, *blocks(block)], layer_count)


def select(
    decoder: Decoder,
    input_ids: Tensor,
    target: DropTarget,
    count: int,
    procedure: Procedure = "one_shot",
    residual: bool = True,
    batch_size: int = 2,
) -> tuple[Place, ...]:
    """The sublayers to drop from a model, by their importance on calibration ids (N, T).

    ``contiguous`` is for blocks. What is asked for is checked before the model runs. Errors as in
    the functions that it calls, :func:`helpers.pruning.importance.importance` among them.
    """
    if procedure not in PROCEDURES:
        raise InputError(f"unknown procedure {procedure!r}: known are {', '.join(PROCEDURES)}")
    refuse_count(count, target, len(units(target, len(decoder.layers))))
    if procedure == "contiguous" and target != "block":
        raise InputError(f"procedure contiguous drops blocks: it takes target=block, not {target}")

    def measure(without: tuple[Place, ...]) -> Importance:
        with dropped(decoder, without) as remaining:
            return importance(remaining, input_ids, residual, batch_size)

    if procedure == "iterative":
        return iterative(measure, target, count, len(decoder.layers))
    if procedure == "contiguous":
        return contiguous(measure(()), count)
    return one_shot(measure(()), target, count)


def _refuse_unknown(target: str) -> None:
    if target not in DROP_TARGETS:
        raise InputError(f"unknown target {target!r}: known are {', '.join(DROP_TARGETS)}")


def refuse_count(count: int, target: DropTarget, available: int) -> None:
    """:class:`InputError` unless ``count`` of the ``available`` units of ``target`` can go."""
    if not 0 <= count <= available:
        what = {"all": "sublayers"}.get(target, f"{target} sublayers")
        what = "blocks" if target == "block" else what
        raise InputError(
            f"{count} {what} cannot be dropped: the model has {available}; ask for 0 to {available}"
        )
