"""What did the network hold? The residual stream around every sublayer, as the model runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache

from helpers.errors import InputError
from helpers.models.architecture import Decoder, Kind, Sublayer


@dataclass(frozen=True)
class Pair:
    """Which two states one sublayer's intervention compares: indices into ``States.tensor``."""

    layer: int
    kind: Kind
    dense: int
    pruned: int


@dataclass(frozen=True)
class States:
    """Residual-stream states of one forward pass.

    ``tensor`` is (S, B, P, d) in the model's dtype: S states, B sequences, P positions. Dense is
    the state with a sublayer, pruned the state without it or with its pruned counterpart.
    """

    tensor: Tensor
    pairs: tuple[Pair, ...]


Positions = int | slice | Tensor


@dataclass
class Trace:
    """States of the latest forward pass, held on the device until the next one."""

    _states: States | None = None
    _running: dict[str, Any] = field(default_factory=dict)

    @property
    def states(self) -> States:
        """The latest states; an error before the first whole forward pass."""
        if self._states is None:
            raise RuntimeError("nothing captured: run the model inside the capture context")
        return self._states


@contextmanager
def capture(
    decoder: Decoder, positions: Positions = -1, pruned: Decoder | None = None
) -> Iterator[Trace]:
    """Record the residual stream before and after every sublayer while the model runs.

    Without ``pruned`` a sublayer is compared with its absence: x + f(x) against x. With it, f is
    replaced in place by the same sublayer of ``pruned`` on the dense model's input, x + f(x)
    against x + f̃(x); its attention keeps a cache of its own over those same inputs, so that an
    exact copy deviates by exactly 0, with and without a cache.

    ``positions`` picks tokens of each forward pass (−1: the last). Hooks come off when the
    context ends, also by an exception. Hooks only read: the model's output does not change.
    """
    if pruned is not None:
        _refuse_other_shape(decoder, pruned)
    trace = Trace()
    recorder = _Recorder(decoder, _as_index(positions), pruned, trace)
    handles = recorder.install()
    try:
        yield trace
    finally:
        for handle in handles:
            handle.remove()


def _as_index(positions: Positions) -> slice | Tensor:
    if isinstance(positions, int):
        return slice(positions, positions + 1 or None)
    return positions


def _refuse_other_shape(dense: Decoder, pruned: Decoder) -> None:
    for what, ours, theirs in (
        ("layers", len(dense.layers), len(pruned.layers)),
        ("width", dense.hidden_size, pruned.hidden_size),
        ("vocabulary", dense.vocabulary_size, pruned.vocabulary_size),
        ("parallel sublayers", dense.parallel, pruned.parallel),
    ):
        if ours != theirs:
            raise InputError(
                f"the checkpoint is no pruned version of the model: {what} {theirs}, not {ours}"
            )


def on_entry(sublayer: Sublayer, look: Callable[[Tensor, dict[str, Any]], None]) -> list[Any]:
    """Call ``look`` whenever a sublayer is about to run: with the residual stream (B, T, d) that
    its norm reads and the keywords of its body, hidden states apart. Handles, for removal."""
    states: list[Tensor] = []

    def reach(module: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        states.append(_first(args, keywords))

    def enter(module: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        given = {name: value for name, value in keywords.items() if name != "hidden_states"}
        look(states.pop(), given)

    return [
        sublayer.norm.register_forward_pre_hook(reach, with_kwargs=True),
        sublayer.body.register_forward_pre_hook(enter, with_kwargs=True),
    ]


class _Recorder:
    """Hooks that fill a trace. Sequential blocks share states between neighbouring sublayers:
    L layers have 2L + 1. Parallel blocks have three per layer: x, x + attention, x + MLP."""

    def __init__(
        self, decoder: Decoder, index: slice | Tensor, pruned: Decoder | None, trace: Trace
    ) -> None:
        self.decoder, self.index, self.pruned, self.trace = decoder, index, pruned, trace
        self.states: list[Tensor] = []
        self.replaced: list[Tensor] = []
        self.input: Tensor | None = None
        self.shape: torch.Size | None = None
        self.caches: tuple[Cache, Cache] | None = None  # the dense model's, the counterpart's

    def install(self) -> list[Any]:
        """Register every hook; their handles are returned for removal."""
        handles: list[Any] = []
        before, after = "register_forward_pre_hook", "register_forward_hook"

        def add(module: nn.Module, when: str, hook: Callable[..., None]) -> None:
            handles.append(getattr(module, when)(hook, with_kwargs=True))

        add(self.decoder.layers[0], before, self._start)
        counterparts = self.pruned.sublayers if self.pruned else [None] * len(self._sublayers)
        for sublayer, other in zip(self._sublayers, counterparts, strict=True):
            add(sublayer.norm, before, self._reach)
            if other is not None:
                add(sublayer.body, before, self._replace_with(other))
            if self.decoder.parallel:
                add(sublayer.last, after, self._add_output)
        add(self.decoder.layers[-1], after, self._finish)
        return handles

    @property
    def _sublayers(self) -> tuple[Sublayer, ...]:
        return self.decoder.sublayers

    def _start(self, module: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self.states, self.replaced = [], []
        self.shape = _first(args, keywords).shape

    def _reach(self, module: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """A sublayer's norm is about to read the residual stream."""
        self.input = _first(args, keywords)
        is_attention = len(self.states) % 3 == 0
        if not self.decoder.parallel or is_attention:
            self._keep(self.states, self.input)

    def _replace_with(self, other: Sublayer) -> Callable[..., None]:
        def run(module: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            assert self.input is not None
            given = {} if other.kind == "mlp" else self._own_cache(keywords)
            given.pop("hidden_states", None)
            self._keep(self.replaced, self.input + other(self.input, **given))

        return run

    def _own_cache(self, keywords: dict[str, Any]) -> dict[str, Any]:
        """The dense attention's keywords with its cache exchanged for the counterpart's own.

        A new dense cache is a new sequence, so the counterpart starts afresh with it.
        """
        assert self.pruned is not None
        exchanged = dict(keywords)
        for name, value in keywords.items():
            if isinstance(value, Cache):
                if self.caches is None or self.caches[0] is not value:
                    self.caches = (value, DynamicCache(config=self.pruned.model.config))
                exchanged[name] = self.caches[1]
        return exchanged

    def _add_output(
        self, module: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any], output: Any
    ) -> None:
        """Parallel blocks: x + f(x) is never formed by the model, so it is formed here."""
        assert self.input is not None
        update = output[0] if isinstance(output, tuple) else output
        self._keep(self.states, self.input + update)

    def _finish(
        self, module: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any], output: Any
    ) -> None:
        if not self.decoder.parallel:
            self._keep(self.states, output[0] if isinstance(output, tuple) else output)
        kept = self.states + self.replaced
        self.trace._states = States(torch.stack(kept), self._pairs(len(self.states)))
        self.states, self.replaced, self.input = [], [], None

    def _pairs(self, dense_count: int) -> tuple[Pair, ...]:
        pairs = []
        for number, sublayer in enumerate(self._sublayers):
            if self.decoder.parallel:
                start = 3 * sublayer.layer
                dense = start + 1 + (sublayer.kind == "mlp")
            else:
                start, dense = number, number + 1
            pruned = start if self.pruned is None else dense_count + number
            pairs.append(Pair(sublayer.layer, sublayer.kind, dense, pruned))
        return tuple(pairs)

    def _keep(self, held: list[Tensor], state: Tensor) -> None:
        """Chosen positions of a state, moved to where states are compared."""
        assert self.shape is not None
        chosen = state.detach().reshape(self.shape)[:, self.index]
        held.append(chosen.clone() if chosen._is_view() else chosen)
        if held[-1].device != self.decoder.device:
            held[-1] = held[-1].to(self.decoder.device)


def _first(args: tuple[Any, ...], keywords: dict[str, Any]) -> Tensor:
    """The hidden states that a module is called with, by position or by name."""
    return args[0] if args else keywords["hidden_states"]
