"""How does a model write on, and how do two models' generations part?

A :class:`Reader` is one model reading one text with its cache; :func:`lockstep` lets several
readers read on, each its own text or another's. A :class:`Branch` reads once what texts begin with.
"""

from helpers.decoding.branches import Branch, Tokens
from helpers.decoding.choices import Choice, Sampler, likeliest, two_likeliest
from helpers.decoding.greedy import Step, greedy, write
from helpers.decoding.history import Guest
from helpers.decoding.lockstep import Together, lockstep
from helpers.decoding.reader import Held, Reader
from helpers.decoding.texts import continued, end_tokens, log_likelihoods, refuse_too_long

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
    "refuse_too_long",
    "two_likeliest",
    "write",
]
