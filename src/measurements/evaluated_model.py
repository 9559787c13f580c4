"""The one model that is scored: dense or pruned, with what was done to it. The last dense one is
kept, as the last pruned one is, since a model is asked one task after the other."""

from dataclasses import dataclass, replace
from functools import lru_cache

from helpers.models.load import LoadedModel, fingerprint, load
from measurements.pruned_model import pruned_counterpart
from measurements.remaining import remaining_parameters
from runs.parameters import RunParameters


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
    :func:`measurements.pruned_model.pruned_counterpart` for errors."""
    dense = _dense(
        *(parameters.model, parameters.revision, parameters.dtype, parameters.device),
        fingerprint(parameters.model, parameters.revision),
    )
    if parameters.dense:
        return EvaluatedModel(dense, dense, "nothing removed", dense.decoder.parameter_count)
    decoder, words = pruned_counterpart(parameters, dense)
    loaded = replace(dense, model=decoder.model, decoder=decoder)
    return EvaluatedModel(loaded, dense, words, remaining_parameters(decoder, dense.decoder))


@lru_cache(maxsize=1)
def _dense(model: str, revision: str, dtype: str, device: str, _identity: str) -> LoadedModel:
    return load(model, revision, dtype, device)
