"""The contest: give a pruned model its writing back with few parameters.

The embedded model loses two MLP sublayers (``DROPPED``), and with them most of what it could write,
though hardly anything of what it could choose. A team hands in one safetensors file of corrections
with at most ``BUDGET`` numbers. Its names say where they go:

``16.down`` (r, d), ``16.up`` (d, r), ``16.bias`` (d)
    in place of the MLP of layer 16: x → up (down x) + bias, where x (d) is what that MLP read, the
    normed residual stream. The bias may stand alone.
``16.gate_proj`` (k, d), ``16.up_proj`` (k, d), ``16.down_proj`` (d, k)
    an MLP of k neurons in its place, added to the above.
``layers.3.self_attn.q_proj.down`` (r, inputs), ``….up`` (outputs, r), ``….bias`` (outputs)
    a correction of a weight that is still there: W + up down, and a bias.

Its metadata names the team. What is in a file is data: nothing of it is run.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from helpers.errors import InputError
from helpers.models.architecture import Decoder
from helpers.models.load import LoadedModel

DROPPED = (16, 17)  # the two that turn the residual stream least
BUDGET = 50_000
TEAM = re.compile(r"[\w][\w .-]{0,39}")
NUMBERS = (torch.float32, torch.float16, torch.bfloat16)
LINEAR, NEURONS = ("down", "up"), ("gate_proj", "up_proj", "down_proj")
WEIGHT = re.compile(r"layers\.\d+\.(self_attn|mlp)\.\w+_proj")
HEADER = 100_000  # bytes that a file may hold beside its numbers

Parts = dict[str, Tensor]


@dataclass(frozen=True)
class Corrections:
    """What a ``team`` hands in: tensors by where they go, a layer's number or a weight's name."""

    team: str
    parts: dict[str, Parts]

    @property
    def parameters(self) -> int:
        """How many numbers these are."""
        return sum(each.numel() for parts in self.parts.values() for each in parts.values())


class StandIn(nn.Module):
    """In place of a dropped MLP: what a team gives, or nothing at all."""

    def __init__(self, parts: Parts, act: Any) -> None:
        super().__init__()
        self.parts, self.act = parts, act

    def forward(self, x: Tensor) -> Tensor:
        """(…, d) for the normed states (…, d)."""
        parts, found = self.parts, torch.zeros_like(x)
        if "down" in parts:
            found = x @ parts["down"].T @ parts["up"].T
        if "gate_proj" in parts:
            opened = self.act(x @ parts["gate_proj"].T) * (x @ parts["up_proj"].T)
            found = found + opened @ parts["down_proj"].T
        return found + parts["bias"] if "bias" in parts else found


def save(path: Path | str, team: str, tensors: Mapping[str, Tensor]) -> None:
    """Write what a ``team`` hands in."""
    held = {name: each.detach().contiguous() for name, each in tensors.items()}
    save_file(held, path, {"team": team})


def read(path: Path, model: LoadedModel) -> Corrections:
    """What a file holds, checked against the rules and ``model``; :class:`InputError` with the
    first thing that is not right."""
    if path.is_symlink() or not path.is_file():
        raise InputError("it is no file")
    if path.stat().st_size > 4 * BUDGET + HEADER:
        raise InputError(f"the file is larger than {BUDGET} numbers take")
    try:
        with safe_open(path, "pt") as file:
            team = (file.metadata() or {}).get("team", "")
            held = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError("the file is no whole safetensors file: contest.save makes one") from error
    if not TEAM.fullmatch(team):
        raise InputError("its metadata names no team: up to 40 letters, digits, blanks, . _ or -")
    if not held:
        raise InputError("the file holds no tensor")
    parts: dict[str, Parts] = {}
    for name, tensor in held.items():
        place, _, part = name.rpartition(".")
        if tensor.dtype not in NUMBERS:
            raise InputError(f"{name} is {tensor.dtype}: numbers are float32, float16 or bfloat16")
        if not bool(tensor.isfinite().all()):
            raise InputError(f"{name} holds numbers that are NaN or infinite")
        parts.setdefault(place, {})[part] = tensor.float()
    for place, given in parts.items():
        _refuse_shapes(place, given, model)
    found = Corrections(team, parts)
    if found.parameters > BUDGET:
        raise InputError(f"{found.parameters} parameters are over the budget of {BUDGET}")
    return found


def _refuse_shapes(place: str, given: Parts, model: LoadedModel) -> None:
    """:class:`InputError` for parts that do not belong together, or not to this model."""
    if place in map(str, DROPPED):
        outputs = inputs = model.decoder.hidden_size
        known = {*LINEAR, *NEURONS, "bias"}
    elif WEIGHT.fullmatch(place) and (linear := _weight(model, place)) is not None:
        outputs, inputs = linear.weight.shape
        known = {*LINEAR, "bias"}
    else:
        raise InputError(f"{place or 'a tensor'} is no place: see what names say where parts go")
    if strange := sorted(set(given) - known):
        raise InputError(f"{place}.{strange[0]} is unknown: there are {', '.join(sorted(known))}")
    for whole in (LINEAR, NEURONS):
        if 0 < len(given.keys() & set(whole)) < len(whole):
            raise InputError(f"{place} needs {', '.join(whole)} together")
    rank = len(given["down"]) if "down" in given else 0
    count = len(given["gate_proj"]) if "gate_proj" in given else 0
    wanted = {"down": (rank, inputs), "up": (outputs, rank), "bias": (outputs,)}
    wanted |= {"gate_proj": (count, inputs), "up_proj": (count, inputs)}
    wanted |= {"down_proj": (outputs, count)}
    for part, tensor in given.items():
        if tuple(tensor.shape) != wanted[part]:
            raise InputError(f"{place}.{part} is {tuple(tensor.shape)}, not {wanted[part]}")


def _weight(model: LoadedModel, place: str) -> Any:
    """The linear module of that name, if the model has it and it was not dropped."""
    layer = int(place.split(".")[1])
    if layer >= len(model.decoder.layers) or (layer in DROPPED and ".mlp." in place):
        return None
    try:
        found = reduce(getattr, place.split(".")[2:], model.decoder.layers[layer])
    except AttributeError:
        return None
    return found if isinstance(found, nn.Linear) else None


@contextmanager
def restored(model: LoadedModel, given: Corrections | None = None) -> Iterator[Decoder]:
    """``model`` without the dropped MLPs and with corrections, inside the context; the stock model
    after it."""
    parts = given.parts if given else {}
    stock = {layer: model.decoder.layers[layer].mlp for layer in DROPPED}
    changed: list[tuple[nn.Linear, Tensor, nn.Parameter | None]] = []
    try:
        for layer, mlp in stock.items():
            stand_in = StandIn(parts.get(str(layer), {}), mlp.act_fn)  # type: ignore[union-attr]
            model.decoder.layers[layer].mlp = stand_in
        for place in parts.keys() - set(map(str, DROPPED)):
            linear = _weight(model, place)
            changed.append((linear, linear.weight.data, linear.bias))
            if "down" in parts[place]:
                linear.weight.data = linear.weight.data + parts[place]["up"] @ parts[place]["down"]
            if "bias" in parts[place]:
                held = 0 if linear.bias is None else linear.bias.data
                linear.bias = nn.Parameter(parts[place]["bias"] + held, requires_grad=False)
        yield Decoder.of(model.model)
    finally:
        for linear, weight, bias in reversed(changed):
            linear.weight.data = weight
            linear.register_parameter("bias", bias)
        for layer, mlp in stock.items():
            model.decoder.layers[layer].mlp = mlp


@torch.inference_mode()
def linear_baseline(model: LoadedModel, ids: Tensor, rank: int, ridge: float = 1e-3) -> Parts:
    """For each dropped MLP the linear map of ``rank`` that repeats best, in least squares, what it
    says on calibration windows ``ids`` (N, T): no training, one solution of linear equations.

    The idea is ReplaceMe's (Shopkhoev and others, 2025), here with a map of low rank: the best one
    of all is projected on the leading directions of what it gives. ``ridge`` is a share of the mean
    square of an input.
    """
    found: Parts = {}
    seen: dict[int, list[tuple[Tensor, Tensor]]] = {layer: [] for layer in DROPPED}
    hooks = [
        model.decoder.layers[layer].mlp.register_forward_hook(  # type: ignore[union-attr]
            lambda _module, args, output, layer=layer: seen[layer].append(
                (args[0].flatten(0, 1).double(), output.flatten(0, 1).double())
            )
        )
        for layer in DROPPED
    ]
    try:
        for part in ids.split(8):
            model.model(input_ids=part, use_cache=False, logits_to_keep=1)
    finally:
        for hook in hooks:
            hook.remove()
    for layer, pairs in seen.items():
        x, y = (torch.cat(each) for each in zip(*pairs, strict=True))
        middle, mean = x.mean(0), y.mean(0)
        gram = (x - middle).T @ (x - middle)
        gram += ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
        best = torch.linalg.solve(gram, (x - middle).T @ (y - mean))
        leading = torch.linalg.svd((x - middle) @ best, full_matrices=False).Vh[:rank]
        down, up = leading @ best.T, leading.T
        found |= {f"{layer}.down": down.float(), f"{layer}.up": up.float()}
        found[f"{layer}.bias"] = (mean - up @ (down @ middle)).float()
    return found
