"""Helpers of *When Pruning Works*: prune a language model, capture what it holds, compare.

Modules are layered; each imports only from those before it: ``errors``, ``parameters``,
``machine``, ``models``, ``data``, ``capture``, ``spaces``, ``decoding``, ``results``,
``measurements``, ``reported``, ``figures``, ``chapter``.
"""

__version__ = "0.1.0"
