"""Fewer bits for every weight: quantizers in one registry, one reversible interface."""

from helpers.lazy import lazily

__getattr__, __all__ = lazily(__file__)
