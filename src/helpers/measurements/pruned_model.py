"""A whole pruned model beside the dense one, as the parameters ask for it."""

import sys
from typing import Any

import pandas as pd
import pyarrow as pa
import torch

from helpers import passages
from helpers.errors import InputError
from helpers.measurements.masks import apply_masks, in_words, masks, pruned_in_place
from helpers.measurements.ranking import ranking, stored_importance
from helpers.models.architecture import Decoder
from helpers.models.head import Head
from helpers.models.load import LoadedModel, load
from helpers.parameters import CALIBRATION, RunParameters
from helpers.pruning.checkpoint import differences
from helpers.pruning.drop import Place, drop
from helpers.pruning.selection import one_shot, refuse_count
from helpers.settings import SETTING

_held: dict[str, Any] = {}
MASKED = ("magnitude", "wanda", "random")  # these set weights to zero and change no other
USES = ("method", "checkpoint", "target", "dropped", "sparsity", "pattern", *CALIBRATION)


def pruned_counterpart(parameters: RunParameters, dense: LoadedModel) -> tuple[Decoder, str]:
    """The pruned model, apart from ``dense``, and what was done to it in words.

    ``method=drop``: the ``dropped`` least important sublayers or blocks of kind ``target`` on
    calibration text, taken out together; with ``dropped=0`` the model as it is. A method for
    weights: all prunable weights at ``sparsity`` or in ``pattern``, layer after layer, each
    calibrated on what the layers before it then give. Or the ``checkpoint``. Raises
    :class:`helpers.errors.InputError` as those do.

    Rankings and masks are measurements of their own, which chapters share; SparseGPT changes the
    weights that it keeps, so of its models the last one is held in memory. Nobody may change what
    is returned.
    """
    if parameters.method == "checkpoint":
        other = load(parameters.checkpoint, "main", parameters.dtype, parameters.device)
        _refuse_other_head(dense.decoder.head, other.decoder.head)
        summary = differences(dense, other).summary
        print(f"Comparing with {parameters.checkpoint}: {summary}", file=sys.stderr)
        return other.decoder, summary
    if parameters.method == "drop":
        return _without(parameters, dense)
    if parameters.method in MASKED:
        other = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
        words = apply_masks(other.decoder, masks(parameters))
        return Decoder.of(other.model), words
    return _with_weights_changed(parameters, dense)


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


def _with_weights_changed(parameters: RunParameters, dense: LoadedModel) -> tuple[Decoder, str]:
    """The model that :func:`helpers.measurements.masks.pruned_in_place` leaves, made anew unless
    it is the last one that was asked for."""
    used = {name: getattr(parameters, name) for name in (*SETTING, *CALIBRATION, "seed", "dtype")}
    text = passages.identity(parameters.calibration)
    key = (dense.fingerprint, str(dense.decoder.device), text, *used.items())
    if _held.get("key") != key:
        _held.clear()
        other = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
        report = pruned_in_place(other.decoder, parameters, dense.tokenizer)
        _held.update(key=key, pruned=(Decoder.of(other.model), in_words(report)))
    found: tuple[Decoder, str] = _held["pruned"]
    return found


def described(rows: pd.DataFrame, parameters: RunParameters, run: str) -> pa.Table:
    """A table of ``rows`` with the columns that say which run and which pruned model they are of,
    and the seed where the rows have none of their own."""
    columns = {
        "run": run,
        "model": parameters.model,
        "method": parameters.method,
        "target": parameters.whole_target,
        "amount": parameters.whole_amount,
        "pattern": parameters.whole_pattern,
    }
    seed = {} if "seed" in rows else {"seed": parameters.seed}
    return pa.Table.from_pandas(rows.assign(**columns, **seed), preserve_index=False)


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
