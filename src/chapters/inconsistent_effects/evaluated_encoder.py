"""The one encoder that is scored: dense or pruned, with what was done to it. The last ones are
kept, since an encoder searches one retrieval set after the other."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from chapters.inconsistent_effects.encoder_pruning import prune_encoder
from helpers.evaluation.encoders import (
    TextEncoder,
    decoder_encoder,
    decoder_pooling,
    encoder_facts,
    open_encoder,
)
from helpers.models.load import fingerprint, model_facts
from measurements.pruned_model import Last, evaluated_model, pruning_key, remaining_parameters
from runs.parameters import RunParameters

LAST = Last()


@dataclass(frozen=True)
class EvaluatedEncoder:
    """An ``encoder`` to score, facts of the ``dense`` one, what was done to it in words, and how
    many of its parameters remain. Nobody may change it."""

    encoder: TextEncoder
    dense: dict[str, Any]
    words: str
    parameters_left: int


def evaluated_encoder(parameters: RunParameters) -> EvaluatedEncoder:
    """The encoder that ``parameters`` say. A decoder is pruned as everywhere in the book, an
    encoder such as BERT by :func:`prune_encoder`; see there
    for errors."""
    pooling = decoder_pooling(parameters.model, parameters.revision, parameters.pooling)
    if pooling:
        one = evaluated_model(parameters)
        encoder = decoder_encoder(one.loaded, pooling)
        facts = model_facts(one.dense) | {"longest": encoder.longest}
        return EvaluatedEncoder(encoder, facts, one.words, one.parameters_left)
    dense = _dense(
        *(parameters.model, parameters.revision, parameters.dtype, parameters.device),
        *(parameters.pooling, fingerprint(parameters.model, parameters.revision)),
    )
    facts = encoder_facts(dense)
    if parameters.dense:
        return EvaluatedEncoder(dense, facts, "nothing removed", facts["parameters"])
    key = (parameters.pooling, pruning_key(parameters, dense.fingerprint, parameters.device))
    found: EvaluatedEncoder = LAST.get(key, lambda: _pruned(parameters, dense, facts))
    return found


def _pruned(
    parameters: RunParameters, dense: TextEncoder, facts: dict[str, Any]
) -> EvaluatedEncoder:
    name = parameters.checkpoint or parameters.model
    revision = "main" if parameters.checkpoint else parameters.revision
    encoder = open_encoder(name, revision, parameters.dtype, parameters.device, parameters.pooling)
    if parameters.checkpoint:
        words = "a checkpoint as it is"
    else:
        words = prune_encoder(encoder, parameters)
    left = remaining_parameters(encoder.parts, dense.parts)
    return EvaluatedEncoder(encoder, facts, words, left)


@lru_cache(maxsize=1)
def _dense(
    model: str, revision: str, dtype: str, device: str, pooling: Any, _identity: str
) -> TextEncoder:
    return open_encoder(model, revision, dtype, device, pooling)
