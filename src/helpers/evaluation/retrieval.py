"""Search through mteb: nDCG at ten of every query of a retrieval set."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from helpers.errors import InputError
from helpers.evaluation.encoders import TextEncoder, vectors
from helpers.evaluation.search_sets import SearchSet

METRIC = "ndcg_at_10"
DEPTHS = (1, 10, 100)
TASK = "{task}"  # in an instruction: what the set asks for


def search(
    encoder: TextEncoder, searched: SearchSet, instruction: str = "", batch_size: int = 16
) -> pd.DataFrame:
    """Search all documents with every query and score the ten that are most alike.

    mteb runs the search and scores it; nothing is cached. ``instruction`` stands before each
    query; ``{task}`` in it becomes what the set asks for, and ``\\n`` a new line. One row per
    query, in the set's order, with the columns of table ``items``: ``value`` is its nDCG@10,
    ``answer`` the id of the document found first, ``chance`` 0.
    """
    before = instruction.replace(TASK, searched.prompt).replace("\\n", "\n")
    model = _Searching(encoder, searched.name, before, batch_size)
    values, found = _evaluated(model, searched)
    rows = [
        {
            "task": searched.name,
            "kind": "retrieval",
            "form": "",
            "metric": METRIC,
            "item": query,
            "family": "",
            "answer": _first(found.get(query, {}))[:300],
            "chance": 0.0,
            "value": values.get(query, 0.0),  # 0: nothing was found
        }
        for query in searched.queries
    ]
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Searching:
    """An encoder as mteb asks it: texts in, vectors out."""

    encoder: TextEncoder
    name: str
    instruction: str
    batch_size: int

    def encode(self, inputs: Any, *, prompt_type: Any = None, **_: Any) -> Tensor:
        """Vectors (n, d) of all texts that mteb's loader ``inputs`` holds."""
        texts = [text for batch in inputs for text in batch["text"]]
        query = getattr(prompt_type, "value", prompt_type) == "query"
        words = f"Encoding {self.name}: {'queries' if query else 'documents'}"
        found = vectors(self.encoder, texts, query, self.instruction, self.batch_size, words)
        if not bool(found.isfinite().all()):
            raise InputError(
                f"encoder {self.encoder.name!r} gives vectors that are not finite: try "
                "dtype=float32"
            )
        return found

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Tensor:
        """How alike queries (n, d) and documents (m, d) are, (n, m)."""
        return self.encoder.similarity(*map(torch.as_tensor, (embeddings1, embeddings2)))

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Tensor:
        """How alike the texts of each pair are, (n,)."""
        return self.similarity(embeddings1, embeddings2).diagonal()

    @property
    def mteb_model_meta(self) -> Any:
        """Nothing: results are kept here, not by mteb."""
        from mteb.models.model_meta import ModelMeta

        return ModelMeta.create_empty()


def _evaluated(
    model: _Searching, searched: SearchSet
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """nDCG@10 of each query, and how alike the documents are that it finds."""
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    kept: dict[str, Any] = {}

    class Task(AbsTaskRetrieval):
        """The retrieval set, as one of mteb's tasks."""

        metadata = TaskMetadata(
            name=searched.name,
            dataset={"path": searched.name, "revision": "none"},
            description=searched.prompt,
            type="Retrieval",
            category="t2t",
            eval_langs=["eng-Latn"],
            main_score=METRIC,
        )
        k_values = DEPTHS
        ignore_identical_ids = searched.ignore_identical_ids

        def task_specific_scores(
            self, scores: Any, qrels: Any, results: Any, **_: Any
        ) -> dict[str, float]:
            """Nothing to add; the scores of single queries are kept."""
            kept.update(scores=scores, results=results)
            return {}

    with _quiet():
        task = Task()
        queries = {"id": list(searched.queries), "text": list(searched.queries.values())}
        task.dataset = {
            "default": {
                "test": {
                    "corpus": searched.documents,
                    "queries": Dataset.from_dict(queries),
                    "relevant_docs": searched.relevant,
                    "top_ranked": None,
                }
            }
        }
        task.data_loaded = True
        options = {"batch_size": model.batch_size, "show_progress_bar": False}
        task.evaluate(model, "test", encode_kwargs=options)
    values = {query: float(each["ndcg_cut_10"]) for query, each in kept["scores"].items()}
    return values, kept["results"]


def _first(found: Mapping[str, float]) -> str:
    """The document found first; of several that are equally alike the last id, as in the score."""
    return max(found, key=lambda document: (found[document], document), default="")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars of small steps, and without warnings about other scores that mteb takes
    of too few queries; and with the random numbers as they were."""
    import datasets

    bars = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    state = torch.get_rng_state()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_rng_state(state)
        if not bars:
            datasets.enable_progress_bars()
