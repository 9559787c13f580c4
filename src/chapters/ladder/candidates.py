"""Is an answer the likeliest of few candidates, and of many? The candidate-set ladder.

One output, one answer, and ever more tokens that it is compared with. Softmax keeps the order of
logits, so which candidate is likeliest is a matter of logits alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import torch
from torch import Tensor

from helpers.evaluation.paired import log_binomial
from helpers.subsets import ranking

Row = tuple[str, int, float]  # candidates, size, value


@dataclass(frozen=True)
class Candidates:
    """Tokens that may follow a question: those that begin a right answer, those that begin a
    wrong one of the same family, and those that begin both and so are no candidates."""

    right: tuple[int, ...]
    family: tuple[int, ...]
    unclear: tuple[int, ...]

    @classmethod
    def of(cls, accepted: Sequence[int | None], wrong: Sequence[int | None]) -> "Candidates | None":
        """From the first tokens of accepted answers, the answer itself first, and of wrong ones;
        None is a token that does not tell, and is left out.

        Gives None if the answer's own token does not tell it from the wrong answers.
        """
        begins, others = (
            {token for token in each if token is not None} for each in (accepted, wrong)
        )
        if accepted[0] is None or accepted[0] in others:
            return None
        return cls(
            *(tuple(sorted(each)) for each in (begins - others, others - begins, begins & others))
        )


def sizes(most: int) -> list[int]:
    """Numbers of candidates, the right one among them: 2, 4, 8, … up to ``most``, and that."""
    powers = [2**power for power in range(1, max(1, most).bit_length()) if 2**power < most]
    return [*powers, *([most] if most > 1 else [])]


def share_won(ahead: int, rivals: int, size: int) -> float:
    """How often a token is best of ``size`` candidates: itself, and the others drawn at random
    without replacement from ``rivals`` tokens, of which ``ahead`` are better than it.

    The hypergeometric chance to draw none of those, C(rivals − ahead, size − 1) / C(rivals,
    size − 1). Exactly 1 if none is ahead. Raises :class:`ValueError` if so many cannot be drawn.
    """
    drawn = size - 1
    if not 0 <= ahead <= rivals or not 0 <= drawn <= rivals:
        raise ValueError(f"{drawn} of {rivals} rivals, {ahead} of them ahead, cannot be drawn")
    if not ahead or not drawn:
        return 1.0
    if drawn > rivals - ahead:
        return 0.0
    return exp(log_binomial(rivals - ahead, drawn) - log_binomial(rivals, drawn))


def rungs(logits: Tensor, dense: Tensor, tokens: Candidates) -> tuple[list[Row], int]:
    """How often the right token is best among ever more candidates, and its rank from 1.

    ``logits`` (V,) are the model's own and ``dense`` (V,) those of the dense model, which say
    which tokens are ``matched``. The right token is the best of ``tokens.right``; a rival with
    the same logit counts as better. Rows for each size:

    ``random``: share of all draws among all other tokens; ``matched``: the rivals next to it in
    dense rank, one above and one below by turns, as far as there are any; ``kind``: share of all
    draws among ``tokens.family``; ``vocabulary``: all tokens, whose size is V.
    """
    right = torch.tensor(tokens.right, device=logits.device)
    rivals = torch.ones_like(logits, dtype=torch.bool)
    rivals[right] = False
    rivals[list(tokens.unclear)] = False
    better = rivals & (logits >= logits[right].max())
    above, others = int(better.sum()), int(rivals.sum())
    kept = _nearer(dense, right, rivals, better)
    found: list[Row] = [
        row
        for size in sizes(others + 1)[:-1]
        for row in (
            ("random", size, share_won(above, others, size)),
            ("matched", size, float(size - 1 <= kept)),
        )
    ]
    family = int(better[list(tokens.family)].sum())
    count = len(tokens.family)
    found += [("kind", size, share_won(family, count, size)) for size in sizes(count + 1)]
    found.append(("vocabulary", len(logits), float(not above)))
    return found, above + 1


def _nearer(dense: Tensor, right: Tensor, rivals: Tensor, better: Tensor) -> int:
    """How many rivals stand nearer to the right token in dense rank than the first ``better``
    one; above comes before below. Tokens that are no candidates take no place in that rank."""
    if not better.any():
        return int(rivals.sum())
    order, rank = ranking(dense)
    line = order[rivals[order]]
    above = int((rank[line] < rank[right].min()).sum())
    place = torch.arange(len(line), device=line.device)
    turn = torch.where(place < above, 2 * (above - 1 - place), 2 * (place - above) + 1)
    return int((turn < turn[better[line]].min()).sum())
