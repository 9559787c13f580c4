"""What checks share: random instances, and how an answer is compared with what is right on them."""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor


def logits(seed: int, count: int = 50, spread: float = 3.0) -> Tensor:
    """Random logits (count,) float64 with this standard deviation."""
    return spread * torch.randn(count, generator=torch.Generator().manual_seed(seed)).double()


def near(said: float, right: float, share: float = 1e-3) -> bool:
    """Whether a number is right to this share of itself."""
    return abs(said - right) <= share * abs(right) + 1e-15


def compared(
    answer: Callable[..., Any],
    right: Callable[..., Any],
    cases: Iterable[tuple[Any, ...]],
    traps: Mapping[str, Callable[..., Any]],
    share: float = 1e-3,
) -> str:
    """Whether a function gives, to this ``share``, what ``right`` gives of the same arguments: one
    number or a tensor. Empty where it does; else one line about the first of the ``cases`` where it
    does not, which is that of a trap where it gives what the trap's function gives."""
    for case in cases:
        said, wanted = _numbers(answer(*deepcopy(case))), _numbers(right(*case))
        where = ", ".join(map(_shown, inspect.signature(answer).parameters, case))
        if said.shape != wanted.shape:
            return f"{where}: {tuple(said.shape)} numbers, not {tuple(wanted.shape)}"
        if not said.isfinite().all():
            return f"{where}: not a finite number: exp overflows, which log_softmax does not"
        if torch.allclose(said, wanted, share, 1e-15):
            continue
        for line, wrong in traps.items():
            if torch.allclose(said, _numbers(wrong(*case)), share, 1e-15):
                return f"{where}: {line}"
        if said.dim():
            return f"{where}: those are other numbers than it should give"
        return f"{where}: it gives {float(said):.4g}, and {float(wanted):.4g} is right"
    return ""


def _shown(name: str, value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{len(value)} numbers {name} about {float(value.double().mean()):.2g}"
    return f"{name} = {value:g}" if isinstance(value, float) else f"{name} = {value}"


def _numbers(value: Any) -> Tensor:
    return torch.as_tensor(value).double()


def number(
    answer: Any, right: float, line: str, traps: Mapping[str, float], share: float = 0.01
) -> str:
    """Whether a number is right to this ``share`` of itself; else the line of the trap whose number
    it is, or ``line``."""
    said = float(answer)
    if near(said, right, share):
        return ""
    return next((told for told, wrong in traps.items() if near(said, wrong, share)), line)


def predicted(answer: Any, right: Mapping[str, Any], lines: Mapping[str, str]) -> str:
    """Whether each prediction is right, by name; else the line that belongs to the first wrong."""
    wrong = [f"{name}: {lines[name]}" for name in right if answer.get(name) != right[name]]
    return wrong[0] if wrong else ""


def picked(answer: Collection[str], belongs: Mapping[str, bool], lines: Mapping[str, str]) -> str:
    """Whether those words are picked that belong; else the line of the first that is wrong."""
    if unknown := ", ".join(sorted(set(answer) - belongs.keys())):
        return f"{unknown}: not one of {', '.join(belongs)}"
    return predicted({word: word in answer for word in belongs}, belongs, lines)
