"""How far apart are two states in the embedding, logit and probability spaces?

All numbers compare a dense vector with a pruned one and are taken from dense: Δ = pruned − dense.
Four products decide everything about the angle and length of two vectors, so each space computes
those products in float64 in its own cheapest way and shares the rest.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.capture import Pair, States
from helpers.models.head import Head

BLOCK = 4096  # logits per row and pass: the float64 working set stays in a core's cache

Metrics = dict[str, Tensor]


def deviation(hh: Tensor, hd: Tensor, dd: Tensor) -> Metrics:
    """Angle and relative magnitudes of h and h + Δ from products h·h, h·Δ and Δ·Δ.

    All float64, any one shape. With α = h·Δ/‖h‖² and b = ‖Δ⊥‖/‖h‖ the cosine is exactly
    (1 + α)/√((1 + α)² + b²) (the identity behind Theorem 1, Equation 7). The angular deviation
    1 − cos is formed without cancellation and is exactly 0 where Δ = 0.

    Returns ``cosine``, ``angular``, ``parallel`` (α: negative where pruning shortens) and
    ``orthogonal`` (b ≥ 0). Where h, or h + Δ, is the zero vector, the angle is NaN.
    """
    alpha = hd / hh
    squared = ((dd - hd * alpha) / hh).clamp(min=0)
    along = 1 + alpha
    length = (along.square() + squared).sqrt()
    near = squared / (length * (length + along))
    angular = torch.where(along > 0, near, 1 - along / length)
    return {
        "cosine": 1 - angular,
        "angular": angular,
        "parallel": alpha,
        "orthogonal": squared.sqrt(),
    }


def from_pruned(hh: Tensor, hd: Tensor, dd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same three products with the roles exchanged: relative to the pruned vector, as the
    paper's scripts take them."""
    return hh + 2 * hd + dd, -(hd + dd), dd


def vector_products(dense: Tensor, pruned: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """h·h, h·Δ and Δ·Δ (…,), float64, of vectors (…, d)."""
    h = dense.double()
    delta = pruned.double() - h
    dot = torch.linalg.vecdot
    return dot(h, h), dot(h, delta), dot(delta, delta)


def logit_products(dense: Tensor, pruned: Tensor, gram: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """z·z, z·Δz and Δz·Δz (…,) of states (…, d) under a linear head with Gram matrix (d, d)."""
    h = dense.double()
    delta = pruned.double() - h
    image, dot = delta @ gram, torch.linalg.vecdot
    return dot(h @ gram, h), dot(h, image), dot(delta, image)


@dataclass(frozen=True)
class PairIndex:
    """Rows of a (S, d) stack that are compared, K pairs: as slices where rows are neighbours,
    which costs no copy, else as index tensors. ``same`` (K,) marks a row compared with itself."""

    dense: slice | Tensor
    pruned: slice | Tensor
    same: Tensor

    @classmethod
    def of(cls, pairs: tuple[Pair, ...], states: Tensor) -> "PairIndex":
        """Pairs as indices. A pruned state (S, d) that equals its dense one bit for bit shares
        its row, so that a state against itself deviates by exactly 0 in every space."""
        dense = torch.tensor([pair.dense for pair in pairs], device=states.device)
        pruned = torch.tensor([pair.pruned for pair in pairs], device=states.device)
        same = (states[dense] == states[pruned]).all(-1)
        return cls(_compact(dense), _compact(torch.where(same, dense, pruned)), same)


def _compact(index: Tensor) -> slice | Tensor:
    start = int(index[0])
    neighbours = torch.arange(start, start + len(index), device=index.device)
    return slice(start, start + len(index)) if torch.equal(index, neighbours) else index


def probability_metrics(z: Tensor, index: PairIndex, temperature: float) -> Metrics:
    """Compare p = softmax(z_dense/T) with q = softmax(z_pruned/T) for every pair.

    ``z`` (S, V) are float32 logits. Two passes over blocks of the vocabulary in float64: the
    log-normalizers, then products of p, of Δp = q − p (formed, so that nothing cancels), and
    KL(p‖q) = Σ p (log p − log q) (Equation 21). Returns (K,) float64 each: the metrics of
    :func:`deviation`, ``kl``, and ``kl_reversed``, KL(q‖p) as some of the paper's scripts take it.
    """
    dot = torch.linalg.vecdot
    top = z.amax(-1, keepdim=True)
    blocks = z.split(BLOCK, dim=-1)
    mass = z.new_zeros(len(z), dtype=torch.float64)
    for block in blocks:
        mass += (block.double() - top).div_(temperature).exp_().sum(-1)
    normalizer = mass.log()[:, None]

    square, entropy = z.new_zeros(2, len(z), dtype=torch.float64)
    along, distance, forward, backward = z.new_zeros(4, len(index.same), dtype=torch.float64)
    for block in blocks:
        log_p = (block.double() - top).div_(temperature).sub_(normalizer)
        p = log_p.exp()
        square += dot(p, p)
        entropy -= dot(p, log_p)
        dense, pruned = p[index.dense], p[index.pruned]
        delta = pruned - dense
        along += dot(dense, delta)
        distance += dot(delta, delta)
        forward -= dot(dense, log_p[index.pruned])
        backward -= dot(pruned, log_p[index.dense])
    kl = (forward - entropy[index.dense]).masked_fill(index.same, 0.0)
    kl_reversed = (backward - entropy[index.pruned]).masked_fill(index.same, 0.0)
    metrics = deviation(square[index.dense], along, distance)
    return metrics | {"kl": kl.clamp(min=0), "kl_reversed": kl_reversed.clamp(min=0)}


@dataclass(frozen=True)
class Space:
    """Where two states are compared: space, lens, and whether logits were centred."""

    space: str
    lens: str
    centred: bool = False


class Comparison:
    """Compares captured states in the three spaces, one chain of states at a time.

    A chain is all states of one sequence at one position; it is projected in one matrix product
    into a buffer (S, V) that every chain reuses, so memory does not grow with steps or prompts.
    """

    def __init__(self, head: Head, final_norm: torch.nn.Module, temperature: float) -> None:
        self.head, self.final_norm, self.temperature = head, final_norm, temperature
        self._buffer: Tensor | None = None

    @torch.inference_mode()
    def chain(self, states: Tensor, pairs: tuple[Pair, ...]) -> dict[Space, Metrics]:
        """Metrics (K,) float64 of every pair of states (S, d), for both lenses: ``raw`` on the
        residual stream as it is, ``normed`` after the final norm."""
        index = PairIndex.of(pairs, states)
        found: dict[Space, Metrics] = {}
        normed = self.final_norm(states).to(states.device)
        for lens, seen in (("raw", states), ("normed", normed)):
            found |= self._one_lens(lens, seen, index)
        return found

    def compare(self, states: States, row: int, position: int = 0) -> dict[Space, Metrics]:
        """:meth:`chain` for sequence ``row`` and captured position of :class:`States`."""
        return self.chain(states.tensor[:, row, position], states.pairs)

    def _one_lens(self, lens: str, seen: Tensor, index: PairIndex) -> dict[Space, Metrics]:
        dense, pruned = seen[index.dense], seen[index.pruned]
        z = self.head.logits(seen, out=self._reusable(len(seen), seen.device))
        found = {Space("embedding", lens): _both_bases(vector_products(dense, pruned))}
        for centred in (False, True):
            if self.head.linear:
                gram = self.head.centred_gram if centred else self.head.gram
                products = logit_products(dense, pruned, gram)
            else:
                products = projected_products(z, index, centred)
            found[Space("logit", lens, centred)] = _both_bases(products)
        found[Space("probability", lens)] = probability_metrics(z, index, self.temperature)
        return found

    def _reusable(self, rows: int, device: torch.device) -> Tensor:
        if self._buffer is None or len(self._buffer) != rows:
            width = len(self.head.weight)
            self._buffer = torch.empty(rows, width, dtype=torch.float32, device=device)
        return self._buffer


def projected_products(z: Tensor, index: PairIndex, centred: bool) -> tuple[Tensor, Tensor, Tensor]:
    """z·z, z·Δz and Δz·Δz (K,) from logits (S, V) themselves, for heads that are not linear."""
    mean = z.mean(-1, keepdim=True, dtype=torch.float64) if centred else 0.0
    totals = z.new_zeros(3, len(index.same), dtype=torch.float64)
    for block in z.split(BLOCK, dim=-1):
        values = block.double() - mean
        products = vector_products(values[index.dense], values[index.pruned])
        totals += torch.stack(products)
    return totals[0], totals[1], totals[2]


def _both_bases(products: tuple[Tensor, Tensor, Tensor]) -> Metrics:
    """Metrics from dense, and the two magnitudes once more relative to pruned."""
    metrics = deviation(*products)
    swapped = deviation(*from_pruned(*products))
    for name in ("parallel", "orthogonal"):
        metrics[f"{name}_from_pruned"] = swapped[name]
    return metrics
