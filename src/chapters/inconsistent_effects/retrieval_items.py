"""How well does one encoder find the documents that answer a query? (Section 4, Table 1(a))"""

import torch

from chapters.inconsistent_effects.evaluated_encoder import evaluated_encoder
from helpers.evaluation import search_sets
from measurements import pruned_model
from measurements.scoring import ITEMS
from runs.parameters import RunParameters
from runs.store import Measured, measurement

USES = (
    *("model", "revision", "dtype", "pooling", "instruction", "collections", "items"),
    *("batch_size", "seed", "task_folder"),
    *pruned_model.USES,
)


def _contents(parameters: RunParameters) -> str:
    return search_sets.identities(parameters.collections, parameters.task_folder)


@measurement(*USES, tables={"items": ITEMS}, pins={"collections": _contents})
def retrieval_items(parameters: RunParameters) -> Measured:
    """Search one retrieval set (``collections``) with one encoder (``model``), dense or pruned.

    Table ``items``: one row per query; see :func:`helpers.evaluation.retrieval.search`. Facts:
    ``model`` (the dense one), ``pruned`` in words, ``parameters_left``, and of the set its
    ``source``, how many ``queries`` and ``documents`` it has, and an ``example`` of a query.

    Raises :class:`helpers.errors.InputError` before a model is loaded if the set cannot be had.
    """
    from helpers.evaluation.retrieval import search

    folder = parameters.task_folder
    (name,) = search_sets.names(parameters.collections, folder)
    searched = search_sets.search_set(name, parameters.items, parameters.seed, folder)
    torch.manual_seed(parameters.seed)
    one = evaluated_encoder(parameters)
    rows = search(one.encoder, searched, parameters.instruction, parameters.batch_size)
    facts = {
        "model": one.dense,
        "pruned": one.words,
        "parameters_left": one.parameters_left,
        "source": searched.source,
        "queries": len(searched.queries),
        "documents": len(searched.documents),
        "example": next(iter(searched.queries.values())),
    }
    return Measured({"items": rows}, facts)


def left(parameters: RunParameters) -> tuple[int, str]:
    """Parameters that remain of the pruned encoder, and what was done to it in words."""
    one = evaluated_encoder(parameters)
    return one.parameters_left, one.words
