"""A model that computes in float64 throughout, to measure what fewer digits cost.

Architectures ask for float32 by name inside their norms, rotary positions and softmaxes, whatever
the format of their weights. A float64 model would therefore lose half its digits at every norm.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from helpers.models.head import Head
from helpers.models.load import LoadedModel, load

WIDER = {torch.float32: torch.float64}


class _Wider(TorchFunctionMode):
    """Answers every request for float32 with float64."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """``function`` with float64 wherever its arguments, or its name, say float32."""
        if function is torch.Tensor.float:
            function = torch.Tensor.double
        wide = tuple(_wider(value) for value in args)
        named = {name: _wider(value) for name, value in (kwargs or {}).items()}
        return function(*wide, **named)


def _wider(value: Any) -> Any:
    return WIDER.get(value, value) if isinstance(value, torch.dtype) else value


@contextmanager
def float64_throughout() -> Iterator[None]:
    """Inside the context torch computes in float64 where code asks for float32.

    Run a model of :func:`load_float64` inside it: then no step on the way from tokens to logits
    is rounded to float32, rotary frequencies and attention included.
    """
    with _Wider():
        yield


def load_float64(name: str, revision: str = "main", device: str = "auto") -> LoadedModel:
    """The model ``name`` with its weights as float64 and the constants of its positions computed
    in float64. Weights keep their stored values: only the arithmetic on them has more digits."""
    with float64_throughout():
        return load(name, revision, "float64", device)


def logits_float64(head: Head, states: Tensor) -> Tensor:
    """Logits (N, V), float64 throughout, of states (N, d): what ``head.logits`` would be with no
    rounding on the way."""
    z = states.double() @ head.weight.detach().double().T
    if head.bias is not None:
        z += head.bias.double()
    if head.cap:
        z = z.div_(head.cap).tanh_().mul_(head.cap)
    return z
