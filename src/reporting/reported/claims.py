"""What does the paper claim? Every claim, in a sentence of ours, with what would overturn it."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

import yaml

FIELDS = {"key", "section", "claim", "overturned_by", "untested"}


@dataclass(frozen=True)
class PaperClaim:
    """A claim of the paper: the ``section`` that makes it, the claim in our words, what would
    overturn it, and why no chapter tests it, where none does."""

    key: str
    section: str
    claim: str
    overturned_by: str
    untested: str = ""


@cache
def paper_claims() -> Mapping[str, PaperClaim]:
    """Every claim of the paper by its key, from the abstract to Appendix I."""
    text = resources.files("reporting.reported").joinpath("claims.yaml").read_text("utf-8")
    return MappingProxyType(checked(yaml.safe_load(text)))


def checked(rows: list[dict[str, Any]]) -> dict[str, PaperClaim]:
    """The claims that a file lists, by key. Raises ValueError for a row that lacks a field, has
    one that is unknown or empty, or takes a key that is taken."""
    found: dict[str, PaperClaim] = {}
    for row in rows:
        name = row.get("key", "without a key")
        if wrong := (set(row) - FIELDS) | (FIELDS - {"untested"} - set(row)):
            raise ValueError(f"claim {name}: wrong or missing fields: {', '.join(sorted(wrong))}")
        if not all(isinstance(value, str) and value.strip() for value in row.values()):
            raise ValueError(f"claim {name}: every field is a text, and none is empty")
        if name in found:
            raise ValueError(f"claim {name} stands there twice")
        found[name] = PaperClaim(**{key: " ".join(value.split()) for key, value in row.items()})
    return found


def check_key(key: str) -> None:
    """Raise ValueError, with the keys that are near it, for one that no claim of the paper has."""
    known = paper_claims()
    if key not in known:
        near = ", ".join(get_close_matches(key, known, n=3, cutoff=0.4)) or "none is near"
        raise ValueError(f"the paper has no claim {key!r}; did you mean: {near}?")
