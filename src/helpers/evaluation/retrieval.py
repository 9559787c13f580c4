"""Search all documents of a retrieval set: nDCG at ten of every query, as mteb takes it."""

from collections.abc import Mapping
from heapq import nlargest
from math import log2

import pandas as pd
import torch
from torch import Tensor

from helpers.errors import InputError
from helpers.evaluation.encoders import TextEncoder, vectors
from helpers.evaluation.search_sets import SearchSet

METRIC = "ndcg_at_10"
DEPTH = 10
KEPT = 1_000  # documents that are ranked, as mteb does: those that tie at the tenth place, too
TASK = "{task}"  # in an instruction: what the set asks for
CHUNK = 50_000  # documents whose vectors exist at the same time


def search(
    encoder: TextEncoder,
    searched: SearchSet,
    instruction: str = "",
    document_prefix: str = "",
    batch_size: int = 16,
) -> pd.DataFrame:
    """Search all documents with every query and score the ten that are most alike.

    ``instruction`` stands before each query, ``document_prefix`` before each document; ``{task}``
    in them becomes what the set asks for, and ``\\n`` a new line. One row per query, in the set's
    order, with the columns of table ``items``: ``value`` is its nDCG@10, ``answer`` the id of the
    document found first, ``chance`` 0. Raises :class:`InputError` for vectors that are not finite.
    """
    before = {
        what: text.replace(TASK, searched.prompt).replace("\\n", "\n")
        for what, text in (("queries", instruction), ("documents", document_prefix))
    }

    def encoded(texts: list[str], what: str) -> Tensor:
        words = f"Encoding {searched.name}: {what}"
        found = vectors(encoder, texts, what == "queries", before[what], batch_size, words)
        if not bool(found.isfinite().all()):
            raise InputError(
                f"encoder {encoder.name!r} gives vectors that are not finite: try dtype=float32"
            )
        return found

    asked = encoded(list(searched.queries.values()), "queries")
    ids = list(searched.documents["id"])
    best = torch.empty(len(asked), 0)
    places = torch.empty(len(asked), 0, dtype=torch.int64)
    for start in range(0, len(ids), CHUNK):
        texts = _texts(searched.documents[start : start + CHUNK])
        alike = encoder.similarity(asked, encoded(texts, "documents"))
        top = alike.float().cpu().topk(min(KEPT, alike.shape[1]))
        joined = torch.cat([best, top.values], 1), torch.cat([places, top.indices + start], 1)
        best, chosen = joined[0].topk(min(KEPT, joined[0].shape[1]))
        places = joined[1].gather(1, chosen)
    rows = []
    for query, alike, found in zip(searched.queries, best, places, strict=True):
        scores = dict(zip((ids[place] for place in found.tolist()), alike.tolist(), strict=True))
        if searched.ignore_identical_ids:
            scores.pop(query, None)
        ranked = ranking(scores)
        rows.append(
            {
                "task": searched.name,
                "kind": "retrieval",
                "form": "",
                "metric": METRIC,
                "item": query,
                "family": "",
                "answer": next(iter(ranked), "")[:300],
                "chance": 0.0,
                "value": ndcg(ranked, searched.relevant.get(query, {})),
            }
        )
    return pd.DataFrame(rows)


def ranking(scores: Mapping[str, float]) -> list[str]:
    """The ten documents that are most alike, from the first down; of several that are equally
    alike the last id first, as trec_eval has it."""
    return nlargest(DEPTH, scores, key=lambda document: (scores[document], document))


def ndcg(ranked: list[str], grades: Mapping[str, int]) -> float:
    """nDCG@10 of documents in their order: Σ grade / log₂(rank + 1) over that of the best order;
    0 where no document answers the query."""

    def gain(found: list[int]) -> float:
        return sum(max(grade, 0) / log2(rank + 1) for rank, grade in enumerate(found[:DEPTH], 1))

    best = gain(sorted(grades.values(), reverse=True))
    return gain([grades.get(document, 0) for document in ranked]) / best if best else 0.0


def _texts(documents: Mapping[str, list[str]]) -> list[str]:
    """What is read of each document: its title, where it has one, and its text."""
    titles = documents.get("title") or [""] * len(documents["text"])
    pairs = zip(titles, documents["text"], strict=True)
    return [f"{title or ''} {text}".strip() for title, text in pairs]
