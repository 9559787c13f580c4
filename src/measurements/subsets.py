"""Small sets of tokens, and what pruning does to the choice among them (Section 7.2).

A set is a row of token numbers. All that multiple choice asks of a model is which token of a set
has the largest logit; that choice survives pruning if it stays the same.
"""

import torch
from torch import Tensor

BANDS = (1, 10, 100, 1_000, 10_000)  # first dense rank of each band, from 1


def choice(before: Tensor, after: Tensor, sets: Tensor) -> dict[str, Tensor]:
    """What becomes of the choice within each set (S, k), from log p (V,) float64 of one output,
    dense and pruned. That these differ from logits z by a constant changes nothing but masses.
    Everything is (S,) float64:

    ``gap``: the lead of the dense best over the second, in logits; ``gap_change``: what pruning
    adds to the lead of that token over that second; ``noise``: standard deviation of Δz over the
    set (with k − 1, so that sets of any size compare); ``survived``: 1 if the best token stays
    the best, else 0, ties going to the first; ``mass`` and ``mass_pruned``: probability of the
    whole set; ``moved``: mean |Δp|.
    """
    dense, pruned = before[sets], after[sets]
    change = pruned - dense
    top = dense.topk(2, dim=-1)
    ahead = change.gather(-1, top.indices)
    return {
        "gap": top.values[:, 0] - top.values[:, 1],
        "gap_change": ahead[:, 0] - ahead[:, 1],
        "noise": change.std(-1),
        "survived": (pruned.argmax(-1) == dense.argmax(-1)).double(),
        "mass": dense.exp().sum(-1),
        "mass_pruned": pruned.exp().sum(-1),
        "moved": (pruned.exp() - dense.exp()).abs().mean(-1),
    }


def ranking(z: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens from the likeliest down, and the rank of each token from 0, of logits (V,); ties go
    to the lower token."""
    order = z.argsort(descending=True, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    return order, rank


def beside(order: Tensor, rank: Tensor, options: Tensor, step: int) -> Tensor:
    """For each option (k,) the token next to it in rank that is no option, (k,), each once.

    ``step`` 1 looks down the ranks, −1 up; where one end is reached, the other way.
    """
    taken, found = set(options.tolist()), []
    for place in rank[options].tolist():
        below = range(place + 1, len(order)), range(place - 1, -1, -1)
        ways = below if step > 0 else below[::-1]
        near = next(token for way in ways for at in way if (token := int(order[at])) not in taken)
        taken.add(near)
        found.append(near)
    return options.new_tensor(found)


def drawn(size: int, options: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """``count`` sets (D, k) of as many tokens of a vocabulary as there are options (k,), none of
    them an option, each set without repeats."""
    others = torch.arange(size)[~torch.isin(torch.arange(size), options)]
    shape = (count, len(options))
    places = torch.randint(len(others), shape, generator=generator)
    while (again := _repeats(places)).any():
        places[again] = torch.randint(len(others), shape, generator=generator)[again]
    return others[places]


def _repeats(sets: Tensor) -> Tensor:
    """Which rows (D,) of sets (D, k) hold a token twice."""
    ordered = sets.sort(dim=-1).values
    return (ordered[:, 1:] == ordered[:, :-1]).any(-1)


def same_gaps(
    before: Tensor, order: Tensor, options: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    """Sets (D, k) of other tokens whose logits lie as far apart as those of the options (k,), by
    the dense log p (V,) and the ``order`` of its tokens.

    The best token is drawn from all that have room below them, so mostly from the tail; the
    others are those nearest to the options' distances from it. D is ``count``, or 0 if no token
    has so much room below.
    """
    others = order[~torch.isin(order, options)]
    values = before[others]
    distances = before[options].sort(descending=True).values
    distances = distances[0] - distances
    room = int((values >= values[-1] + distances[-1]).sum())
    room = min(room, len(others) - len(options) + 1)
    if room < 1:
        return options.new_empty(0, len(options))
    starts = torch.randint(room, (count,), generator=generator)
    sets = []
    for start in starts.tolist():
        places = [start]
        for distance in distances[1:].tolist():
            wanted = float(values[start]) - distance
            after, left = places[-1] + 1, len(distances) - len(places)  # others need room too
            near = (values[after : len(values) - left + 1] - wanted).abs().argmin()
            places.append(after + int(near))
        sets.append(others[places])
    return torch.stack(sets)


def bands(size: int) -> dict[str, range]:
    """Dense ranks, from 0, by tens: named by first and last rank from 1, as far as there are
    any of a vocabulary of ``size``; a last band of one token is left out."""
    ends = [*(start - 1 for start in BANDS[1:]), size]
    found = {
        f"{start:,}–{min(end, size):,}": range(start - 1, min(end, size))
        for start, end in zip(BANDS, ends, strict=True)
    }
    return {name: ranks for name, ranks in found.items() if len(ranks) > 1}
