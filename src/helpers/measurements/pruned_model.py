"""A whole pruned model beside the dense one, as the parameters ask for it."""

import hashlib
import sys
from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import torch

from helpers.calibration import Calibration, calibration_text
from helpers.errors import InputError
from helpers.models.architecture import Decoder
from helpers.models.head import Head
from helpers.models.load import LoadedModel, load
from helpers.parameters import CALIBRATED, CALIBRATION, RunParameters
from helpers.pruning.apply import prune
from helpers.pruning.checkpoint import differences
from helpers.pruning.drop import Place, drop
from helpers.pruning.importance import importance
from helpers.pruning.recipe import Recipe
from helpers.pruning.selection import one_shot, refuse_count

USES = ("method", "checkpoint", "target", "dropped", "sparsity", "pattern", *CALIBRATION)


def pruned_counterpart(parameters: RunParameters, dense: LoadedModel) -> tuple[Decoder, str]:
    """The pruned model, apart from ``dense``, and what was done to it in words.

    ``method=drop``: the ``dropped`` least important sublayers or blocks of kind ``target`` on
    calibration text, taken out together; with ``dropped=0`` the model as it is. A method for
    weights: all prunable weights at ``sparsity`` or in ``pattern``, layer after layer, each
    calibrated on what the layers before it then give. Or the ``checkpoint``. Raises
    :class:`helpers.errors.InputError` as those do.

    A chapter asks for the same models several times, so the last ranking of sublayers and the
    last model with pruned weights are kept. Nobody may change what is returned.
    """
    if parameters.method == "checkpoint":
        other = load(parameters.checkpoint, "main", parameters.dtype, parameters.device)
        _refuse_other_head(dense.decoder.head, other.decoder.head)
        summary = differences(dense, other).summary
        print(f"Comparing with {parameters.checkpoint}: {summary}", file=sys.stderr)
        return other.decoder, summary
    if parameters.method == "drop":
        return _without(parameters, dense)
    used = _calibration(parameters, dense) if parameters.method in CALIBRATED else None
    ratio = None if parameters.pattern else parameters.sparsity
    recipe = Recipe(parameters.method, ratio, parameters.pattern, seed=parameters.seed)
    found: tuple[Decoder, str] = _kept(
        "pruned",
        (recipe, *_origin(parameters, dense, used)),
        lambda: _with_weights_pruned(parameters, recipe, used),
    )
    return found


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
    used = _calibration(parameters, dense)
    measured = _kept(
        "ranking",
        _origin(parameters, dense, used),
        lambda: importance(dense.decoder, used.ids),
    )
    places = one_shot(measured, target, count)
    words = f"dropped {_layers(places)}, ranked on {used.description}"
    return drop(other.decoder, places), words


def _with_weights_pruned(
    parameters: RunParameters, recipe: Recipe, used: Calibration | None
) -> tuple[Decoder, str]:
    other = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    report = prune(other.decoder, recipe, used, reversible=False, progress=False)
    calibrated = f", calibrated on {report.calibration}" if used else ""
    return Decoder.of(other.model), f"{report.recipe}{calibrated}"


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


_held: dict[str, tuple[tuple[Any, ...], Any]] = {}


def _kept(what: str, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    """What ``make`` gives, once for as long as nothing else is asked for, and to the end of the
    process. The old one is let go before the new one is made."""
    if what not in _held or _held[what][0] != key:
        _held.pop(what, None)
        _held[what] = (key, make())
    return _held[what][1]


def _origin(
    parameters: RunParameters, dense: LoadedModel, used: Calibration | None
) -> tuple[Any, ...]:
    """Everything besides the recipe that a pruning depends on."""
    text = hashlib.sha256(used.ids.numpy().tobytes()).hexdigest() if used else ""
    return dense.fingerprint, parameters.dtype, str(dense.decoder.device), text


def _calibration(parameters: RunParameters, dense: LoadedModel) -> Calibration:
    return calibration_text(
        dense.tokenizer,
        parameters.calibration,
        parameters.calibration_samples,
        parameters.calibration_length,
        parameters.seed,
    )


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
