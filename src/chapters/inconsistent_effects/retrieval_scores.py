"""What is a pruned encoder worth in retrieval, beside the dense one? (Section 4, Table 1)"""

from pathlib import Path

from chapters.inconsistent_effects.retrieval_items import left, retrieval_items
from helpers.evaluation.search_sets import names
from measurements.scoring import SCORES, compared
from runs.parameters import RunParameters
from runs.store import Measured, measurement


@measurement(*retrieval_items.uses, tables={"scores": SCORES}, pins=retrieval_items.pins)
def retrieval_scores(parameters: RunParameters) -> Measured:
    """Scores of one encoder (``model``) in all ``collections``, on the same queries as the dense
    one.

    Table ``scores``; facts as from :func:`measurements.scoring.compared`.
    """
    chosen = names(parameters.collections, parameters.task_folder)
    parts = {
        Path(name).name: parameters.model_copy(update={"collections": name}) for name in chosen
    }
    return compared(parameters, retrieval_items, parts, lambda: left(parameters))
