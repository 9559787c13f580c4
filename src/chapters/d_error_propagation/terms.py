"""The terms of one difference: what each exchange adds, in every space. Pure functions of what four
readers hold."""

from typing import Any

import torch
from torch import Tensor

from helpers.decoding import Held
from helpers.models.head import Head
from helpers.spaces import Comparison
from measurements.generation import compare_outputs

Found = list[tuple[dict[str, Any], Tensor]]


def terms_between(
    comparison: Comparison, held: list[Held], names: tuple[str, ...]
) -> tuple[Found, Tensor]:
    """Numbers (R,) of every term between consecutive ones of the four readings ``held``, each with
    the columns that say what it is; and the sum (R, d) of the terms in the embedding space.

    ``names`` are the three terms, in the order in which things are exchanged (Equation 71).
    """
    states = torch.stack([one.state.double() for one in held])
    steps = states.diff(dim=0)  # (3, R, d)
    vectors = torch.cat([steps, states[:1]])
    found: Found = []
    for space, centred, products in _products(comparison.head, vectors, held):
        described = {"space": space, "centred": centred, "temperature": None}
        found += _shares(described, names, products)
    found += _gains(comparison, held, names)
    return found, steps.sum(0)


def _products(head: Head, vectors: Tensor, held: list[Held]) -> list[tuple[str, bool, Tensor]]:
    """Inner products (4, 4, R) of the three terms and the dense vector, in each linear space."""
    found = [("embedding", False, torch.einsum("ird,jrd->ijr", vectors, vectors))]
    if head.linear:
        images = vectors @ head.gram
        plain = torch.einsum("ird,jrd->ijr", images, vectors)
        level = vectors @ head.mean_row
        common = len(head.weight) * torch.einsum("ir,jr->ijr", level, level)
    else:
        z = torch.stack([one.logits.double() for one in held])
        z = torch.cat([z.diff(dim=0), z[:1]])
        plain = torch.einsum("irv,jrv->ijr", z, z)
        common = z.shape[-1] * torch.einsum("ir,jr->ijr", z.mean(-1), z.mean(-1))
    return [*found, ("logit", False, plain), ("logit", True, plain - common)]


def _shares(described: dict[str, Any], names: tuple[str, ...], products: Tensor) -> Found:
    """Shares and sizes from inner products (4, 4, R): the three terms, then the dense vector.

    Where the models do not differ at all, there is nothing to share and every number is 0.
    """
    terms = products[:3, :3]
    whole = terms.sum((0, 1)).clamp(min=0)
    dense = products[3, 3]
    safe = torch.where(whole > 0, whole, torch.ones_like(whole))
    found: Found = []
    for place, name in enumerate(names):
        own = terms[place, place].clamp(min=0)
        numbers = {
            "share": terms[place].sum(0) / safe,
            "size": (own / safe).sqrt(),
            "relative": (own / dense).sqrt(),
        }
        found += [(described | {"term": name, "metric": one}, v) for one, v in numbers.items()]
    relative = {"term": "whole", "metric": "relative"}
    return [*found, (described | relative, (whole / dense).sqrt())]


def _gains(comparison: Comparison, held: list[Held], names: tuple[str, ...]) -> Found:
    """By how much each term raises the deviation from dense, in every space, and the whole."""
    levels = []
    for one in held[1:]:
        levels.append(compare_outputs(comparison, held[0], one))
    found: Found = []
    for space, metric, quantity in levels[0]:
        if quantity != "measured" or metric not in ("angular", "kl"):
            continue
        reached = torch.stack([level[space, metric, quantity] for level in levels])
        gains = torch.cat([reached[:1], reached.diff(dim=0)])
        softmaxed = space.space == "probability"
        described = {
            "space": space.space,
            "centred": space.centred,
            "temperature": comparison.temperature if softmaxed else None,
            "metric": metric,
        }
        found += [
            (described | {"term": name}, gain) for name, gain in zip(names, gains, strict=True)
        ]
        found.append((described | {"term": "whole"}, reached[-1]))
    return found
