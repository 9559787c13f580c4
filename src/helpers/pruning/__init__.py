"""What is removed? Methods in one registry, one driver, one reversible interface."""

from helpers.lazy import lazily

__getattr__, __all__ = lazily(__file__)
