"""The tables that measurements write: their columns and what those mean."""

from runs.columns import Column
from runs.tables.comparisons import DEVIATIONS, DIMENSIONS, LOGITS, NOISE, PATHS, TERMS
from runs.tables.texts import (
    CHOICES,
    ITEMS,
    LADDER,
    PROMPTS,
    READOUTS,
    SCORES,
    SUBSETS,
    TEXTS,
    TOKENS,
)
from runs.tables.weights import MASKS, PRUNINGS, WEIGHTS

SCHEMAS: dict[str, tuple[Column, ...]] = {
    "noise": NOISE,
    "deviations": DEVIATIONS,
    "scores": SCORES,
    "items": ITEMS,
    "ladder": LADDER,
    "texts": TEXTS,
    "prompts": PROMPTS,
    "tokens": TOKENS,
    "terms": TERMS,
    "paths": PATHS,
    "choices": CHOICES,
    "subsets": SUBSETS,
    "prunings": PRUNINGS,
    "weights": WEIGHTS,
    "masks": MASKS,
    "logits": LOGITS,
    "readouts": READOUTS,
    "dimensions": DIMENSIONS,
}
