"""The one model that is scored: dense or pruned, with what was done to it. The last ones are kept,
since a model is asked one task after the other."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from helpers import passages
from helpers.measurements.pruned_model import pruned_counterpart
from helpers.measurements.remaining import remaining_parameters
from helpers.models.load import LoadedModel, fingerprint, load
from helpers.parameters import CALIBRATION, RunParameters
from helpers.settings import SETTING

_held: dict[str, Any] = {}


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
    :func:`helpers.measurements.pruned_model.pruned_counterpart` for errors."""
    dense = _dense(
        *(parameters.model, parameters.revision, parameters.dtype, parameters.device),
        fingerprint(parameters.model, parameters.revision),
    )
    if parameters.dense:
        return EvaluatedModel(dense, dense, "nothing removed", dense.decoder.parameter_count)
    unread = parameters.unread(SETTING)
    key = (
        *(dense.fingerprint, parameters.dtype, str(dense.decoder.device), parameters.seed),
        *(getattr(parameters, name) for name in (*SETTING, *CALIBRATION) if name not in unread),
        passages.identity(parameters.calibration),
        fingerprint(parameters.checkpoint) if parameters.checkpoint else "",
    )
    if _held.get("key") != key:
        _held.clear()
        decoder, words = pruned_counterpart(parameters, dense)
        left = remaining_parameters(decoder, dense.decoder)
        loaded = replace(dense, model=decoder.model, decoder=decoder)
        _held.update(key=key, model=EvaluatedModel(loaded, dense, words, left))
    found: EvaluatedModel = _held["model"]
    return found


@lru_cache(maxsize=1)
def _dense(model: str, revision: str, dtype: str, device: str, _identity: str) -> LoadedModel:
    return load(model, revision, dtype, device)
