"""How well does an encoder, dense or pruned, find the documents that answer a query?"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from helpers.errors import InputError
from helpers.evaluation import encoder_parts, search_sets
from helpers.evaluation.encoders import (
    TextEncoder,
    decoder_encoder,
    decoder_pooling,
    encoder_facts,
    open_encoder,
)
from helpers.models.load import fingerprint, model_facts
from helpers.pruning import Recipe, prune
from helpers.pruning.selection import one_shot, refuse_count
from helpers.texts.calibration import Calibration, draw
from helpers.texts.passages import passages
from measurements import pruned_model
from measurements.pruned_model import Last, evaluated_model, pruning_key, remaining_parameters
from measurements.scoring import ITEMS, SCORES, compared
from runs import settings
from runs.parameters import RunParameters
from runs.store import Measured, measurement

LAST = Last()  # an encoder searches one retrieval set after the other
USES = (
    *("model", "revision", "dtype", "pooling", "instruction", "document_prefix", "collections"),
    *("items", "batch_size", "seed", "task_folder"),
    *pruned_model.USES,
)
SET = ("source", "queries", "documents", "judged", "absent_documents", "absent_queries")


@dataclass(frozen=True)
class EvaluatedEncoder:
    """An ``encoder`` to score, facts of the ``dense`` one, what was done to it in words, and how
    many of its parameters remain. Nobody may change it."""

    encoder: TextEncoder
    dense: dict[str, Any]
    words: str
    parameters_left: int


def _contents(parameters: RunParameters) -> str:
    return search_sets.identities(parameters.collections, parameters.task_folder)


PINS = {"collections": _contents, "task_folder": lambda _: ""}  # what is read, not where it is


@measurement(*USES, tables={"items": ITEMS}, pins=PINS)
def retrieval_items(parameters: RunParameters) -> Measured:
    """Search one retrieval set (``collections``) with one encoder (``model``), dense or pruned.

    Table ``items``: one row per query; see :func:`helpers.evaluation.retrieval.search`. Facts:
    ``model`` (the dense one), ``pruned`` in words, ``parameters_left``, and of the set its
    ``source``, how many ``queries`` and ``documents`` it has, how many judgements (``judged``), and
    how many of these are of ``absent_documents`` and ``absent_queries``, whether a query may find
    itself (``finds_itself``), and an ``example`` of a query.

    Raises :class:`helpers.errors.InputError` before a model is loaded if the set cannot be had.
    """
    from helpers.evaluation.retrieval import search

    folder = parameters.task_folder
    (name,) = search_sets.names(parameters.collections, folder)
    searched = search_sets.search_set(name, parameters.items, parameters.seed, folder)
    torch.manual_seed(parameters.seed)
    one = evaluated_encoder(parameters)
    rows = search(
        one.encoder,
        searched,
        parameters.instruction,
        parameters.document_prefix,
        parameters.batch_size,
    )
    facts = {
        "model": one.dense,
        "pruned": one.words,
        "parameters_left": one.parameters_left,
        "source": searched.source,
        "queries": len(searched.queries),
        "documents": len(searched.documents),
        "judged": searched.judged,
        "absent_documents": searched.absent_documents,
        "absent_queries": searched.absent_queries,
        "finds_itself": not searched.ignore_identical_ids,
        "example": next(iter(searched.queries.values())),
    }
    return Measured({"items": rows}, facts)


@measurement(*USES, tables={"scores": SCORES}, pins=PINS)
def retrieval_scores(parameters: RunParameters) -> Measured:
    """Scores of one encoder (``model``) in all ``collections``, on the same queries as the dense
    one.

    Table ``scores``; facts as from :func:`measurements.scoring.compared`, and ``sets``: by name the
    facts of each set, see :func:`retrieval_items`.
    """
    chosen = search_sets.names(parameters.collections, parameters.task_folder)
    parts = {
        Path(name).name: parameters.model_copy(update={"collections": name}) for name in chosen
    }

    def left() -> tuple[int, str]:
        one = evaluated_encoder(parameters)
        return one.parameters_left, one.words

    found = compared(parameters, retrieval_items, parts, left)
    facts = {
        name: retrieval_items(settings.dense(one)).manifest["facts"] for name, one in parts.items()
    }
    sets = {name: {key: known[key] for key in SET} for name, known in facts.items()}
    return Measured(found.tables, found.facts | {"sets": sets})


def evaluated_encoder(parameters: RunParameters) -> EvaluatedEncoder:
    """The encoder that ``parameters`` say. A decoder is pruned as everywhere in the book, an
    encoder such as BERT by :func:`prune_encoder`; see there for errors."""
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
    words = "a checkpoint as it is"
    if not parameters.checkpoint:
        words = prune_encoder(encoder, parameters)
    left = remaining_parameters(encoder.parts, dense.parts)
    return EvaluatedEncoder(encoder, facts, words, left)


@lru_cache(maxsize=1)
def _dense(
    model: str, revision: str, dtype: str, device: str, pooling: Any, _identity: str
) -> TextEncoder:
    return open_encoder(model, revision, dtype, device, pooling)


def prune_encoder(encoder: TextEncoder, parameters: RunParameters) -> str:
    """Prune an ``encoder`` such as BERT in place, as ``parameters`` say, and say in words how.

    Dropped are the least important sublayers on calibration text; see
    :mod:`helpers.evaluation.encoder_parts` for what that means where a norm follows the sublayer.
    Weights go as in a decoder: linears of attention and MLP, layer after layer.
    """
    layers = encoder.parts.layers
    if parameters.method == "drop":
        target, count = parameters.target, parameters.dropped
        refuse_count(count, target, len(layers))
        if not count:
            return "nothing removed"
        used = calibration_windows(encoder, parameters)
        measured = encoder_parts.importance(encoder.backbone, used.ids)
        places = one_shot(measured, target, count)
        encoder_parts.drop(encoder.backbone, places)
        named = ", ".join(f"{kind} of layer {layer}" for layer, kind in sorted(places))
        return f"dropped {named}, ranked on {used.description}"
    if parameters.method == "checkpoint":
        raise InputError("a checkpoint is opened as an encoder of its own, not pruned again")
    text = calibration_windows(encoder, parameters) if parameters.calibrated else None
    ratio = None if parameters.pattern else parameters.sparsity
    recipe = Recipe(parameters.method, ratio, parameters.pattern, seed=parameters.seed)
    report = prune(encoder.parts, recipe, text, reversible=False, progress=False)
    return f"{report.recipe}, calibrated on {report.calibration}" if text else report.recipe


def calibration_windows(encoder: TextEncoder, parameters: RunParameters) -> Calibration:
    """Windows of calibration text, each a whole text to the encoder: between its first and last
    special token, without padding, and no longer than the texts that it reads."""
    tokenizer: Any = encoder.tokenizer
    special = tokenizer("")["input_ids"]
    length = min(parameters.calibration_length, encoder.longest)
    start = special[:1] if tokenizer.bos_token_id in special[:1] else []  # windows have it already
    drawn = draw(
        tokenizer,
        passages(parameters.calibration),
        parameters.calibration,
        parameters.calibration_samples,
        length - len(special) + len(start),
        parameters.seed,
    )
    body = drawn.ids[:, len(start) :]
    first, last = (
        torch.tensor([part]).expand(len(body), -1).long() for part in (special[:1], special[1:])
    )
    return Calibration(torch.cat([first, body, last], dim=1), drawn.source, drawn.seed)
