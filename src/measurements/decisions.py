"""What does greedy decoding see of two models? Margins, ranks and ties between logits.

Greedy decoding never sees the softmax: the largest logit is also the largest probability. What
decides whether pruning changes a token is the dense model's margin and the noise added to it.
"""

import torch
from torch import Tensor

from helpers.decoding import two_likeliest

NAMES = ("agreement", "rank", "margin", "margin_noise", "margin_pruned")


def decisions(dense: Tensor, pruned: Tensor) -> dict[str, Tensor]:
    """What pruning does to the dense model's choice; logits (R, V) float32, results (R,) float64.

    ``agreement``: 1 where the likeliest token is the same, else 0. ``rank``: place of the dense
    model's choice among the pruned model's logits, from 1. ``margin``: by how many logits the
    dense model's choice leads its runner-up; ``margin_noise``: what pruning adds to the lead over
    that same runner-up; ``margin_pruned``: the choice's lead over its best rival, whoever it is,
    in the pruned model, negative where the choice has flipped.
    """
    first, second = (choice[:, None] for choice in two_likeliest(dense))
    before = (dense.gather(-1, first) - dense.gather(-1, second)).double()
    own = pruned.gather(-1, first)
    after = (own - pruned.gather(-1, second)).double()
    rivals = pruned.scatter(-1, first, -torch.inf).amax(-1, keepdim=True)
    found = (
        pruned.argmax(-1, keepdim=True) == first,
        1 + (pruned > own).sum(-1, keepdim=True),
        before,
        after - before,
        own.double() - rivals.double(),
    )
    return dict(zip(NAMES, (value[:, 0].double() for value in found), strict=True))


def entropy(logits: Tensor, temperature: float) -> Tensor:
    """Entropy in nats of softmax(z/T), (R,) float64, of logits (R, V) float32."""
    log_p = (logits / temperature).log_softmax(-1)
    return -(log_p.exp() * log_p).nan_to_num(0.0).sum(-1, dtype=torch.float64)
