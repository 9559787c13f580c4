"""By which path does a change enter an attention layer: through the values, or the weights?

Pure functions of tensors, Equations 64 and 65 of arXiv 2603.24652. Weights α are (…, H, P, T): H
heads, P positions that look, T positions that are looked at. Values v are (…, G, T, d): G key–value
heads, each shared by H/G heads. Everything is computed in float64.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

PATHS = ("value", "weight", "remainder")
Terms = Mapping[str, Tensor]


@dataclass(frozen=True)
class Attention:
    """What one attention layer looked at, and what it took from there: ``weights`` α
    (…, H, P, T) and ``values`` v (…, G, T, d), in the model's dtype."""

    weights: Tensor
    values: Tensor


def attended(weights: Tensor, values: Tensor) -> Tensor:
    """o = Σ α v (…, P, H·d), the heads side by side (Equation 64)."""
    shared = weights.shape[-3] // values.shape[-3]
    per_head = weights.double() @ values.double().repeat_interleave(shared, dim=-3)
    return per_head.transpose(-2, -3).flatten(-2)


def split(dense: Attention, other: Attention) -> dict[str, Tensor]:
    """õ − o as three terms (…, P, H·d) that add up to it exactly (Equation 65).

    ``value`` is Σ α Δv, ``weight`` is Σ Δα v, and ``remainder``, which the paper drops as being of
    second order, is Σ Δα Δv.
    """
    turned = other.weights.double() - dense.weights.double()
    moved = other.values.double() - dense.values.double()
    return {
        "value": attended(dense.weights, moved),
        "weight": attended(turned, dense.values),
        "remainder": attended(turned, moved),
    }


def value_path_of(dense: Attention, other: Attention, places: Tensor) -> Tensor:
    """What one position alone adds to the value path, α Δv (B, P, H·d): that at ``places`` (B,) of
    the T positions that are looked at. Weights (B, H, P, T), values (B, G, T, d)."""
    rows = torch.arange(len(places), device=places.device)
    moved = other.values.double() - dense.values.double()
    weights = dense.weights[rows, :, :, places]
    return attended(weights[..., None], moved[rows, :, places][:, :, None])


def change(terms: Terms) -> Tensor:
    """The whole change Δo = õ − o, the sum of its ``terms`` (…, d)."""
    return torch.stack(list(terms.values())).sum(0)


def shares(terms: Terms) -> dict[str, Tensor]:
    """How much of Δ each term accounts for: (term · Δ)/‖Δ‖² (…,) of terms (…, d).

    The shares add up to 1. A term that points against Δ has a negative one. NaN where Δ is 0.
    """
    whole = change(terms)
    return {name: share(term, whole) for name, term in terms.items()}


def share(term: Tensor, whole: Tensor) -> Tensor:
    """(term · Δ)/‖Δ‖² (…,) of a term and the whole Δ (…, d); NaN where Δ is 0."""
    return torch.linalg.vecdot(term, whole) / torch.linalg.vecdot(whole, whole)


def sizes(terms: Terms, base: Tensor) -> dict[str, Tensor]:
    """Length of each term (…, d), and of their sum as ``change``, relative to that of ``base``
    (…, d)."""
    length = torch.linalg.vector_norm(base, dim=-1)
    every = {**terms, "change": change(terms)}
    return {name: torch.linalg.vector_norm(term, dim=-1) / length for name, term in every.items()}
