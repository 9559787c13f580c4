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
NEGLIGIBLE = -80.0  # exp of less is subnormal in float32: many times slower, and adds nothing

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


def logit_products(
    dense: Tensor, pruned: Tensor, head: Head
) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]:
    """z·z, z·Δz and Δz·Δz (…,) of states (…, d) under a linear head: of the logits as they are,
    and of centred logits z − mean(z).

    Through the head's Gram matrix and its mean row, without a vocabulary-sized tensor.
    """
    h = dense.double()
    delta = pruned.double() - h
    images, dot = torch.stack((h, delta)) @ head.gram, torch.linalg.vecdot
    as_is = dot(images[0], h), dot(images[0], delta), dot(images[1], delta)
    level, shift, size = h @ head.mean_row, delta @ head.mean_row, len(head.weight)
    common = size * level * level, size * level * shift, size * shift * shift
    return as_is, tuple(whole - part for whole, part in zip(as_is, common, strict=True))


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

    ``z`` (S, V) are float32 logits. A first pass finds each row's log-normalizer in float32; a
    second one sums in float64, over blocks of the vocabulary that stay in cache, everything that
    is asked of p, of q − p (formed, so that nothing cancels) and of u = log q − log p, which is
    Δz/T up to a constant. That p and q then sum to one only to float32's precision is put right
    at the end, exactly.

    Returns (K,) float64 each: the metrics of :func:`deviation`, ``kl``, KL(p‖q) in nats
    (Equation 21), ``kl_reversed``, KL(q‖p) as some of the paper's scripts take it, and
    ``variance_p`` and ``variance_r``, Var(Δz) under p and under r ∝ p² (Equations 28 and 53).
    """
    dot, pairs = torch.linalg.vecdot, len(index.same)
    normalizer = _log_normalizer(z, temperature)
    wide = z.new_empty(0, dtype=torch.float64)
    space = wide.new_empty(2, len(z), BLOCK), wide.new_empty(2, pairs, BLOCK)
    mass, square = wide.new_zeros(2, len(z))
    along, distance, backward, first, second, first_r, second_r = wide.new_zeros(7, pairs)
    for block in z.split(BLOCK, dim=-1):
        width = block.shape[-1]
        (log_p, p), (u, work) = (part[..., :width] for part in space)
        log_p.copy_(block).div_(temperature).sub_(normalizer)
        torch.exp(log_p, out=p)
        mass += p.sum(-1)
        square += dot(p, p)
        dense, pruned = p[index.dense], p[index.pruned]
        torch.sub(log_p[index.pruned], log_p[index.dense], out=u)
        torch.sub(pruned, dense, out=work)
        along += dot(dense, work)
        distance += dot(work, work)
        backward += dot(pruned, u)
        torch.mul(dense, u, out=work)
        first += work.sum(-1)
        second += dot(work, u)
        first_r += dot(dense, work)
        second_r += dot(work, work)

    own, other, square = mass[index.dense], mass[index.pruned], square[index.dense]
    excess = (own - other) / other  # q is (1 + excess) times what was summed, relative to p
    scale = 1 + excess
    products = (
        square,
        scale * along + excess * square,
        scale.square() * distance + 2 * scale * excess * along + excess.square() * square,
    )
    shift = (other / own).log()  # u is smaller by this than what was summed
    mean, mean_r = first / own, first_r / square
    return deviation(*products) | {
        "kl": (shift - mean).clamp(min=0),
        "kl_reversed": (backward / other - shift).clamp(min=0),
        "variance_p": (second / own - mean.square()).clamp(min=0) * temperature**2,
        "variance_r": (second_r / square - mean_r.square()).clamp(min=0) * temperature**2,
    }


def _log_normalizer(z: Tensor, temperature: float) -> Tensor:
    """log Σ exp(z/T), (S, 1) float64 with the precision of float32."""
    top = z.amax(-1, keepdim=True)
    mass = z.new_zeros(len(z), 1)
    for block in z.split(BLOCK, dim=-1):
        scaled = (block - top).div_(temperature).clamp_(min=NEGLIGIBLE)
        mass += scaled.exp_().sum(-1, keepdim=True)
    return top.double() / temperature + mass.double().log()


@dataclass(frozen=True)
class Space:
    """Where two states are compared: space, lens, and whether logits were centred."""

    space: str
    lens: str
    centred: bool = False


LENSES = ("raw", "normed")


class Comparison:
    """Compares captured states in the three spaces, one chain of states at a time.

    A chain is all states of one sequence at one position; through both lenses it is projected in
    one matrix product into a buffer (2S, V) that every chain reuses, so memory does not grow with
    steps or prompts.
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
        for lens, (seen, z) in self.lenses(states).items():
            found |= self.through(lens, seen, z, index)
        return found

    @torch.inference_mode()
    def lenses(self, states: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """What the head reads, (S, d), and its logits, (S, V) float32, through each lens. The
        logits are overwritten by the next call."""
        both = torch.cat([states, self.final_norm(states).to(states.device)])
        logits = self.head.logits(both, out=self._reusable(len(both), both.device))
        return dict(zip(LENSES, zip(both.chunk(2), logits.chunk(2), strict=True), strict=True))

    def compare(self, states: States, row: int, position: int = 0) -> dict[Space, Metrics]:
        """:meth:`chain` for sequence ``row`` and captured position of :class:`States`."""
        return self.chain(states.tensor[:, row, position], states.pairs)

    def through(self, lens: str, seen: Tensor, z: Tensor, index: PairIndex) -> dict[Space, Metrics]:
        """Metrics (K,) float64 of pairs of what the head reads, ``seen`` (S, d), and of its
        logits ``z`` (S, V) float32."""
        dense, pruned = seen[index.dense], seen[index.pruned]
        found = {Space("embedding", lens): _both_bases(vector_products(dense, pruned))}
        if self.head.linear:
            both = logit_products(dense, pruned, self.head)
        else:
            both = projected_products(z, index, False), projected_products(z, index, True)
        for centred, products in zip((False, True), both, strict=True):
            found[Space("logit", lens, centred)] = _both_bases(products)
        uniform = both[1][2].clamp(min=0) / len(self.head.weight)
        found[Space("logit", lens, True)]["variance_uniform"] = uniform
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
