"""A whole pruned model beside the dense one, as the parameters ask for it."""

import sys

import torch

from helpers.errors import InputError
from helpers.models.architecture import Decoder
from helpers.models.head import Head
from helpers.models.load import LoadedModel, load
from helpers.pruning.checkpoint import differences
from helpers.pruning.drop import Place, drop
from helpers.pruning.methods import METHODS
from helpers.pruning.selection import one_shot, refuse_count
from measurements.last import Last, pruning_key
from measurements.masks import apply_masks, in_words, masks, pruned_in_place
from measurements.ranking import ranking, stored_importance
from runs.parameters import CALIBRATION, SETTING, RunParameters

LAST = Last()
USES = (*SETTING, *CALIBRATION)


def pruned_counterpart(parameters: RunParameters, dense: LoadedModel) -> tuple[Decoder, str]:
    """The pruned model, apart from ``dense``, and what was done to it in words.

    ``method=drop``: the ``dropped`` least important sublayers or blocks of kind ``target`` on
    calibration text, taken out together; with ``dropped=0`` the model as it is. A method for
    weights: all prunable weights at ``sparsity`` or in ``pattern``, layer after layer, each
    calibrated on what the layers before it then give. Or the ``checkpoint``. Raises
    :class:`helpers.errors.InputError` as those do.

    Rankings and masks are measurements of their own, which chapters share, and the last pruned
    model is kept, since it is asked for several times in a row. Nobody may change it.
    """
    key = pruning_key(parameters, dense.fingerprint, dense.decoder.device)
    found: tuple[Decoder, str] = LAST.get(key, lambda: _pruned(parameters, dense))
    return found


def _pruned(parameters: RunParameters, dense: LoadedModel) -> tuple[Decoder, str]:
    if parameters.method == "checkpoint":
        other = load(parameters.checkpoint, "main", parameters.dtype, parameters.device)
        _refuse_other_head(dense.decoder.head, other.decoder.head)
        summary = differences(dense, other).summary
        print(f"Comparing with {parameters.checkpoint}: {summary}", file=sys.stderr)
        return other.decoder, summary
    if parameters.method == "drop":
        return _without(parameters, dense)
    other = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    if METHODS[parameters.method].only_masks:
        words = apply_masks(other.decoder, masks(parameters))
    else:
        words = in_words(pruned_in_place(other.decoder, parameters, dense.tokenizer))
    return Decoder.of(other.model), words


def _refuse_other_head(ours: Head, theirs: Head) -> None:
    """Logits of both models are compared through one head, which pruning leaves as it is."""
    for own, other in ((ours.weight, theirs.weight), (ours.bias, theirs.bias)):
        if own is None or other is None:
            same = own is other
        else:
            same = torch.equal(own, other.to(own.device))
        if not same:
            raise InputError(
                "the checkpoint changed the LM head (or the embedding tied to it): give one that "
                "was pruned between embedding and head"
            )


def _without(parameters: RunParameters, dense: LoadedModel) -> tuple[Decoder, str]:
    """The model without its least important sublayers."""
    target, count = parameters.target, parameters.dropped
    refuse_count(count, target, len(dense.decoder.layers))
    other = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    if not count:
        return other.decoder, "nothing removed"
    found = ranking(parameters)
    places = one_shot(stored_importance(found), target, count)
    calibration = found.manifest["facts"]["calibration"]
    return drop(other.decoder, places), f"dropped {_layers(places)}, ranked on {calibration}"


def _layers(places: tuple[Place, ...]) -> str:
    """``attention of layers 3, 5 and mlp of layers 3, 5``."""
    found: dict[str, list[int]] = {}
    for layer, kind in sorted(places):
        found.setdefault(kind, []).append(layer)
    return (
        " and ".join(
            f"{kind} of layers {', '.join(map(str, layers))}" for kind, layers in found.items()
        )
        or "nothing"
    )
