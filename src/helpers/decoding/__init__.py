"""How does a model write on, and how do two models' generations part?

A :class:`Reader` is one model reading one text with its cache; :func:`lockstep` lets several
readers read on, each its own text or another's. A :class:`Branch` reads once what texts begin with.
"""

from helpers.decoding.reader import Branch, Guest, Held, Reader, Tokens, read_states, snapshot
from helpers.decoding.writing import (
    Choice,
    Sampler,
    Step,
    Together,
    continued,
    end_tokens,
    greedy,
    likeliest,
    lockstep,
    log_likelihoods,
    refuse_too_long,
    two_likeliest,
    write,
)

__all__ = [
    "Branch",
    "Choice",
    "Guest",
    "Held",
    "Reader",
    "Sampler",
    "Step",
    "Together",
    "Tokens",
    "continued",
    "end_tokens",
    "greedy",
    "likeliest",
    "lockstep",
    "log_likelihoods",
    "read_states",
    "refuse_too_long",
    "snapshot",
    "two_likeliest",
    "write",
]
