"""A whole pruned model beside the dense one, as the parameters ask for it, and what is left."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from torch import Tensor

from helpers.errors import InputError
from helpers.models.architecture import Decoder
from helpers.models.load import LoadedModel, fingerprint, load
from helpers.pruning.checkpoint import differences, refuse_other_head
from helpers.pruning.drop import Place, drop
from helpers.pruning.methods import METHODS
from helpers.pruning.selection import one_shot, refuse_count
from helpers.pruning.weights import prunable
from helpers.quantization.apply import Account, quantize
from helpers.quantization.methods import QUANTIZERS
from helpers.quantization.recipe import Quantization
from helpers.texts import passages
from measurements.calibrated import calibration_for
from measurements.masks import apply_masks, in_words, masks, pruned_in_place
from measurements.ranking import ranking, stored_importance
from runs.parameters import CALIBRATION, SETTING, RunParameters

ROUNDED_TO_ZERO = 2.0**-25  # half the smallest number above 0 in float16
USES = (*SETTING, *CALIBRATION)


@dataclass
class Last:
    """One thing, such as a pruned model, and what it depends on. Nobody may change it."""

    key: Any = None
    made: Any = None

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """The one that is kept, if it was made for this ``key``; else what ``make`` gives now."""
        if self.key != key:
            self.key = self.made = None
            self.made = make()
            self.key = key
        return self.made


def pruning_key(parameters: RunParameters, dense: str, device: object) -> tuple[Any, ...]:
    """Everything that a pruned model depends on; ``dense`` is the fingerprint of the dense one."""
    unread = parameters.unread(SETTING)
    return (
        *(dense, str(device), parameters.dtype, parameters.seed),
        *(getattr(parameters, name) for name in (*SETTING, *CALIBRATION) if name not in unread),
        passages.identity(parameters.calibration),
        fingerprint(parameters.checkpoint) if parameters.checkpoint else "",
    )


LAST = Last()


def pruned_counterpart(parameters: RunParameters, dense: LoadedModel) -> tuple[Decoder, str]:
    """The pruned model, apart from ``dense``, and what was done to it in words.

    ``method=drop``: the ``dropped`` least important sublayers or blocks of kind ``target`` on
    calibration text, taken out together; with ``dropped=0`` the model as it is. A method for
    weights: all prunable weights at ``sparsity`` or in ``pattern``, layer after layer, each
    calibrated on what the layers before it then give. Or the ``checkpoint``. With ``quantizer``
    what is left is then quantized. Raises
    :class:`helpers.errors.InputError` as those do.

    Rankings and masks are measurements of their own, which chapters share, and the last pruned
    model is kept, since it is asked for several times in a row. Nobody may change it.
    """
    decoder, words, _ = _last(parameters, dense)
    return decoder, words


def _last(parameters: RunParameters, dense: LoadedModel) -> tuple[Decoder, str, int | None]:
    """The pruned model, what was done to it in words, and its remaining parameters where they can
    no longer be counted."""
    key = pruning_key(parameters, dense.fingerprint, dense.decoder.device)
    found: tuple[Decoder, str, int | None] = LAST.get(key, lambda: _made(parameters, dense))
    return found


def _made(parameters: RunParameters, dense: LoadedModel) -> tuple[Decoder, str, int | None]:
    """Pruned first, then counted, then quantized: a weight that is rounded to 0 is still one."""
    decoder, words = _pruned(parameters, dense)
    if not parameters.quantizer:
        return decoder, words, None
    left = remaining_parameters(decoder, dense.decoder)
    account = quantized_in_place(decoder, parameters, dense.tokenizer)
    return decoder, str(account) if parameters.whole else f"{words}, then {account}", left


def quantized_in_place(decoder: Decoder, parameters: RunParameters, tokenizer: Any) -> Account:
    """Quantize the weights of ``decoder`` as the parameters ask for it, for good."""
    used = None
    if QUANTIZERS[parameters.quantizer].calibrated:
        used = calibration_for(parameters, tokenizer, decoder)
    recipe = Quantization(
        parameters.quantizer,
        parameters.bits if parameters.simulated else 0,
        parameters.group_size,
        keep_zeros=not parameters.whole,
    )
    return quantize(decoder, recipe, used)


def _pruned(parameters: RunParameters, dense: LoadedModel) -> tuple[Decoder, str]:
    if parameters.method == "checkpoint":
        place = parameters.checkpoint, "main", parameters.dtype, parameters.device
        other = load(*place, tokenizer=dense.tokenizer)
        refuse_other_head(dense, other)
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


@dataclass(frozen=True)
class EvaluatedModel:
    """A model to score (``loaded``), the ``dense`` one that it comes from, what was done to it in
    words, and how many of its parameters remain. Nobody may change either model."""

    loaded: LoadedModel
    dense: LoadedModel
    words: str
    parameters_left: int


def evaluated_model(parameters: RunParameters) -> EvaluatedModel:
    """The model that ``parameters`` say; see
    :func:`pruned_counterpart` for errors."""
    dense = _dense(
        *(parameters.model, parameters.revision, parameters.dtype, parameters.device),
        fingerprint(parameters.model, parameters.revision),
    )
    if parameters.dense:
        return EvaluatedModel(dense, dense, "nothing removed", dense.decoder.parameter_count)
    decoder, words, left = _last(parameters, dense)
    loaded = replace(dense, model=decoder.model, decoder=decoder)
    if left is None:
        left = remaining_parameters(decoder, dense.decoder)
    return EvaluatedModel(loaded, dense, words, left)


def left(parameters: RunParameters) -> tuple[int, str]:
    """Parameters that remain of the pruned model, and what was done to it in words."""
    one = evaluated_model(parameters)
    return one.parameters_left, one.words


@lru_cache(maxsize=1)
def _dense(model: str, revision: str, dtype: str, device: str, _identity: str) -> LoadedModel:
    return load(model, revision, dtype, device)


def remaining_parameters(decoder: Decoder, dense: Decoder | None = None) -> int:
    """Parameters of ``decoder`` that remain, tied ones counted once.

    A dropped sublayer counts nothing, nor does its norm; nor does a weight of 0 in a linear of
    any sublayer, unless the same weight is 0 in ``dense`` too, where that is given, or so small
    there that float16 rounds it to 0: some are by chance, in a model whose weights lie on a grid,
    or in a copy in another format. Table 1 counts alike, without the LM head:
    with eight attention sublayers dropped 7.1B of Mistral-7B become 6.8B, with eight MLPs 5.7B.
    """
    before = {} if dense is None else _weights(dense)
    zeros = 0
    for place, weight in _weights(decoder).items():
        zero = weight == 0
        if place in before:
            zero &= before[place].to(weight.device).abs() > ROUNDED_TO_ZERO
        zeros += int(zero.sum())
    return decoder.parameter_count - zeros


def _weights(decoder: Decoder) -> dict[tuple[int, str], Tensor]:
    """The linears' weights (outputs, inputs) by layer and name."""
    try:
        layers = prunable(decoder)
    except InputError:  # packed or offloaded: no weight of it can have been set to 0
        return {}
    return {(linear.layer, linear.name): linear.matrix for layer in layers for linear in layer}
