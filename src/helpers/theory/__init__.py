"""What do the theorems say the deviation should be? Estimates, exact identities, a bounded form.

Pure functions of tensors, one equation each; numbers are those of arXiv 2603.24652. Vocabulary-
sized arguments are (…, V) and should be float64: ``z`` the dense logits, ``delta`` = Δz = pruned −
dense. T is the temperature and u = Δz/T. "Order k" says that the error falls as the k-th power
of the size of the perturbation.
"""

import torch
from torch import Tensor


def log_p(z: Tensor, temperature: float = 1.0) -> Tensor:
    """log p (…, V) with p = softmax(z/T) (Equation 4). Finite for any finite z."""
    return torch.log_softmax(z / temperature, dim=-1)


def log_r(z: Tensor, temperature: float = 1.0) -> Tensor:
    """log r (…, V) with r = p²/‖p‖² (Equation 53): the softmax at half the temperature."""
    return log_p(z, temperature / 2)


def log_uniform(z: Tensor) -> Tensor:
    """log of the uniform weights 1/V, (…, V): what Appendix C.1 compares with."""
    return torch.full_like(z, 1 / z.shape[-1]).log()


def mean(log_weights: Tensor, x: Tensor) -> Tensor:
    """E_w[x] = Σ w x (…,), from log w (…, V) that sums to one and x (…, V)."""
    return torch.linalg.vecdot(log_weights.exp(), x)


def centred(log_weights: Tensor, x: Tensor) -> Tensor:
    """x − E_w[x] (…, V). Does not change when a constant is added to x.

    Taken about the likeliest token first, so that a large common offset does not cancel digits.
    """
    top = log_weights.argmax(-1, keepdim=True)
    shifted = x - x.gather(-1, top)
    return shifted - mean(log_weights, shifted)[..., None]


def variance(log_weights: Tensor, x: Tensor) -> Tensor:
    """Var_w(x) = Σ w (x − E_w[x])² (…,), the second cumulant κ₂ of x under w."""
    return torch.linalg.vecdot(log_weights.exp(), centred(log_weights, x).square())


def third_cumulant(log_weights: Tensor, x: Tensor) -> Tensor:
    """κ₃ = E_w[(x − E_w[x])³] (…,): what the theorems drop first. 0 if x is symmetric under w."""
    return torch.linalg.vecdot(log_weights.exp(), centred(log_weights, x).pow(3))


def log_moment(log_weights: Tensor, x: Tensor) -> Tensor:
    """log E_w[eˣ] (…,), without overflow: the cumulant-generating function."""
    return torch.logsumexp(log_weights + x, dim=-1)


def split(h: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """α = h·Δ/‖h‖² and b = ‖Δ⊥‖/‖h‖ (…,) of vectors (…, d) (Equations 41–43)."""
    square = torch.linalg.vecdot(h, h)
    alpha = torch.linalg.vecdot(h, delta) / square
    across = delta - alpha[..., None] * h
    return alpha, torch.linalg.vector_norm(across, dim=-1) / square.sqrt()


def angular_exact(alpha: Tensor, orthogonal: Tensor) -> Tensor:
    """1 − cos(h, h + Δ) = 1 − (1 + α)/√((1 + α)² + b²), exactly, for the embedding and the logit
    space. Formed without cancellation where 1 + α > 0."""
    along, squared = 1 + alpha, orthogonal.square()
    length = (along.square() + squared).sqrt()
    return torch.where(along > 0, squared / (length * (length + along)), 1 - along / length)


def angular_theorem_1(orthogonal: Tensor) -> Tensor:
    """1 − cos(h, h + Δ) ≈ b²/2 (Theorem 1, Equations 7, 8 and 45), from b = ‖Δ⊥‖/‖h‖.

    Order 3, the first dropped term being −αb²; order 4 where Δ is orthogonal to h.
    """
    return orthogonal.square() / 2


def angular_theorem_2(variance_r: Tensor, temperature: float = 1.0) -> Tensor:
    """1 − cos(p, q) ≈ Var_r(Δz)/(2T²) (Theorem 2, Equations 9 and 63), from Var_r(Δz).

    Order 3. Unbounded, while 1 − cos is at most 1.
    """
    return variance_r / (2 * temperature**2)


def angular_bounded(variance_r: Tensor, temperature: float = 1.0) -> Tensor:
    """1 − exp(−Var_r(Δz)/(2T²)): what 1 − cos(p, q) would be if u were Gaussian under r.

    Between 0 and 1, and equal to Theorem 2 to second order (not in the paper).
    """
    return -torch.expm1(-angular_theorem_2(variance_r, temperature))


def angular_identity(z: Tensor, delta: Tensor, temperature: float = 1.0) -> Tensor:
    """1 − cos(p, q) = 1 − E_r[eᵘ]/√E_r[e²ᵘ], exactly (…,) (not in the paper).

    With K(s) = log E_r[eˢᵘ]: −log cos = K(2)/2 − K(1) = κ₂/2 + κ₃/2 + …, κ the cumulants of u
    under r; Theorem 2 is the first term.
    """
    weights = log_r(z, temperature)
    u = centred(weights, delta / temperature)
    log_cosine = log_moment(weights, u) - log_moment(weights, 2 * u) / 2
    return -torch.expm1(log_cosine.clamp(max=0))  # never above 0, but for rounding


def kl_theorem_3(variance_p: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(p‖q) ≈ Var_p(Δz)/(2T²) in nats (Theorem 3, Equations 10 and 28), from Var_p(Δz).

    Order 3; the same for KL(q‖p), which differs in the third order.
    """
    return variance_p / (2 * temperature**2)


def kl_identity(z: Tensor, delta: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(p‖q) = log E_p[eᵘ] − E_p[u] in nats, exactly (…,) (Equation 23).

    = κ₂/2 + κ₃/6 + …, κ the cumulants of u under p; KL(q‖p) = κ₂/2 + κ₃/3 + ….
    """
    weights = log_p(z, temperature)
    return log_moment(weights, centred(weights, delta / temperature)).clamp(min=0)


def linear_response(z: Tensor, delta: Tensor, temperature: float = 1.0) -> Tensor:
    """Δp ≈ (diag p − ppᵀ)Δz/T, (…, V) (Equation 46): p moves by p·(u − E_p[u]). Order 2."""
    weights = log_p(z, temperature)
    return weights.exp() * centred(weights, delta / temperature)


def order(sizes: Tensor, errors: Tensor) -> float:
    """The exponent k of errors ∝ sizesᵏ: slope of the least-squares line in log–log, (N,) each."""
    x, y = sizes.double().log(), errors.double().abs().log()
    x, y = x - x.mean(), y - y.mean()
    return float((x @ y) / (x @ x))
