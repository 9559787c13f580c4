"""One pair of next-token distributions, with every quantity under the name the appendices use."""

from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd
import torch
from torch import Tensor

from reporting.layers import LABELS


def vector(*values: float) -> Tensor:
    """A float64 vector."""
    return torch.tensor(values, dtype=torch.float64)


def angular(a: Tensor, b: Tensor) -> Tensor:
    """1 − cos(a, b) by definition, of vectors (V,): half the squared chord between their
    directions, which is the same number without cancellation."""
    return (a / a.norm() - b / b.norm()).square().sum() / 2


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p‖q) by definition, of log probabilities (V,). Each term has q − p added, which sums to
    zero, so that small terms of either sign do not cancel."""
    ratio = log_q - log_p
    near = log_p.exp() * (torch.expm1(ratio) - ratio)
    far = log_q.exp() - log_p.exp() - log_p.exp() * ratio
    return torch.where(ratio.abs() < 1, near, far).sum()


@dataclass(frozen=True)
class State:
    """Logits z (V,) and their change Δz (V,), float64, at temperature T.

    Nothing here is an estimate: the quantities follow from the definitions (Equations 4, 11–13
    and 29), so that theorems can be held against them. ``text`` names the tokens.
    """

    name: str
    z: Tensor
    delta: Tensor
    temperature: float = 1.0
    text: tuple[str, ...] = ()

    def at(self, temperature: float) -> "State":
        """The same logits read at another temperature."""
        return replace(self, temperature=temperature)

    def scaled(self, size: float) -> "State":
        """With Δz multiplied by ``size``."""
        return replace(self, delta=size * self.delta)

    def changed(self, delta: Tensor, name: str | None = None) -> "State":
        """The same z with another Δz (V,)."""
        return replace(self, delta=delta, name=name or self.name)

    def centred(self) -> "State":
        """The same p and q from logits whose mean over the vocabulary was subtracted."""
        return replace(self, z=self.z - self.z.mean(), delta=self.delta - self.delta.mean())

    @cached_property
    def u(self) -> Tensor:
        """u = Δz/T."""
        return self.delta / self.temperature

    @cached_property
    def log_p(self) -> Tensor:
        """log p, p = softmax(z/T)."""
        return torch.log_softmax(self.z / self.temperature, -1)

    @cached_property
    def log_q(self) -> Tensor:
        """log q, q = softmax((z + Δz)/T)."""
        return torch.log_softmax((self.z + self.delta) / self.temperature, -1)

    @cached_property
    def p(self) -> Tensor:
        """The dense distribution."""
        return self.log_p.exp()

    @cached_property
    def q(self) -> Tensor:
        """The pruned distribution."""
        return self.log_q.exp()

    @cached_property
    def dp(self) -> Tensor:
        """Δp = q − p."""
        return self.q - self.p

    @cached_property
    def r(self) -> Tensor:
        """r = p²/‖p‖² (Equation 53)."""
        return self.p.square() / self.p.square().sum()

    @cached_property
    def mu(self) -> Tensor:
        """μ = E_p[Δz], a number."""
        return self.p @ self.delta

    @cached_property
    def length(self) -> Tensor:
        """‖p‖, a number."""
        return self.p.norm()

    @cached_property
    def a(self) -> Tensor:
        """a = pᵀΔp/‖p‖², a number."""
        return self.p @ self.dp / self.length**2

    @cached_property
    def jacobian(self) -> Tensor:
        """JΔz = (diag p − ppᵀ)Δz (V,), without forming the V × V matrix J."""
        return self.p * self.delta - self.p * (self.p @ self.delta)

    @cached_property
    def along(self) -> Tensor:
        """Δz∥ (V,), the part of Δz along z (Equation 42)."""
        return (self.z @ self.delta) / (self.z @ self.z) * self.z

    @cached_property
    def across(self) -> Tensor:
        """Δz⊥ (V,), the part of Δz at a right angle to z (Equation 43)."""
        return self.delta - self.along

    @cached_property
    def turn(self) -> Tensor:
        """1 − cos(p, q)."""
        return angular(self.p, self.q)

    @cached_property
    def logit_turn(self) -> Tensor:
        """1 − cos(z, z + Δz)."""
        return angular(self.z, self.z + self.delta)

    @cached_property
    def kl(self) -> Tensor:
        """KL(p‖q) = Σ p (log p − log q) in nats (Equation 21)."""
        return divergence(self.log_p, self.log_q)

    @cached_property
    def kl_reversed(self) -> Tensor:
        """KL(q‖p) in nats."""
        return divergence(self.log_q, self.log_p)

    def movers(self, count: int = 6) -> pd.DataFrame:
        """The ``count`` tokens whose probability moved most, with their p, q and Δz."""
        order = self.dp.abs().topk(min(count, len(self.dp))).indices.tolist()
        return pd.DataFrame(
            [
                {
                    "token": repr(self.text[index]) if self.text else str(index),
                    "p": float(self.p[index]),
                    "q": float(self.q[index]),
                    "Δp": float(self.dp[index]),
                    "Δz": float(self.delta[index]),
                }
                for index in order
            ]
        )


def skewed() -> State:
    """A small case that is the same everywhere. No symmetry: it would raise every order by one."""
    return State(
        "fixed skewed case",
        vector(2.0, 1.1, 0.3, -0.5, -1.2, -3.0),
        vector(0.3, -0.6, 0.9, 0.1, -0.4, 2.0),
    )


def states(logits: pd.DataFrame, temperature: float = 1.0) -> list[State]:
    """Each state of a ``logits`` table, in order of layer."""
    found = []
    for (layer, sublayer), rows in logits.groupby(["layer", "sublayer"], observed=True):
        rows = rows.sort_values("token")
        found.append(
            State(
                f"{LABELS[str(sublayer)]} of layer {layer}",
                torch.from_numpy(rows["z"].to_numpy(dtype="float64").copy()),
                torch.from_numpy(rows["delta"].to_numpy(dtype="float64").copy()),
                temperature,
                tuple(rows["text"]),
            )
        )
    return found
