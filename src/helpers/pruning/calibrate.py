"""The one driver: walk the layers with the calibration text, one layer's activations at a time."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from helpers.errors import InputError
from helpers.models.architecture import Decoder
from helpers.pruning.statistics import Statistic
from helpers.pruning.weights import LinearWeight
from helpers.texts.calibration import Calibration

# more would leave a processor's cache and less would leave a GPU idle
TOKEN_BUDGET_CPU, TOKEN_BUDGET_GPU = 1024, 16384

NewStatistic = Callable[[int, torch.device], Statistic]
PruneLayer = Callable[[int, dict[str, Any]], None]


@dataclass(frozen=True)
class Call:
    """What a layer is called with beside the states: masks, position embeddings and settings,
    which may differ from layer to layer."""

    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


@dataclass
class Stream:
    """What enters a layer: ``states`` (N, T, d), and for each batch size every layer's call,
    which is the same for every batch of that size."""

    states: Tensor
    calls: dict[int, list[Call]]
    batch: int

    def batches(self, layer: int) -> Iterator[tuple[Tensor, Call]]:
        """Slices of the states, each with what ``layer`` is called with beside it."""
        for states in self.states.split(self.batch):
            yield states, self.calls[len(states)][layer]


class _Enough(Exception):
    """Every input that was wanted has been seen; the rest of the layer need not run."""


@torch.no_grad()
def walk(
    decoder: Decoder,
    calibration: Calibration,
    weights: tuple[tuple[LinearWeight, ...], ...],
    new_statistic: NewStatistic,
    prune_layer: PruneLayer,
    *,
    sequential: bool = True,
    token_budget: int | None = None,
    description: str = "Pruning",
    progress: bool = True,
) -> None:
    """Visit the layers in order: sum the statistics of ``weights``' inputs, call
    ``prune_layer(layer, statistics by weight name)``, and go on to the next layer.

    ``sequential``: a layer's inputs come from the pruned layers below it, as published; otherwise
    from the dense model. Batches hold at most ``token_budget`` tokens, or one sample; None suits
    the device. Memory does not grow with depth: the states are overwritten layer by layer.
    Raises :class:`InputError` for calibration text that does not fit the model and for activations
    that are not finite.
    """
    _check_fits(decoder, calibration)
    if token_budget is None:
        token_budget = TOKEN_BUDGET_CPU if decoder.device.type == "cpu" else TOKEN_BUDGET_GPU
    stream = enter(decoder, calibration.ids, max(1, token_budget // calibration.length))
    last = max((layer for layer, linears in enumerate(weights) if linears), default=-1)
    # tqdm hides the bar by itself where there is no terminal
    bar = tqdm(range(last + 1), description, unit="layer", disable=None if progress else True)
    for index in bar:
        advance = index < last
        statistics = _gather(
            decoder.layers[index],
            stream,
            index,
            weights[index],
            new_statistic,
            advance=advance and not sequential,
        )
        prune_layer(index, statistics)
        del statistics
        if advance and sequential:
            for states, call in stream.batches(index):
                _advance(decoder.layers[index], states, call)


@torch.no_grad()
def enter(decoder: Decoder, ids: Tensor, batch: int) -> Stream:
    """What enters layer 0 for tokens ``ids`` (N, T), ``batch`` samples at a time.

    The model's own code makes embeddings, masks and position embeddings; each layer is made to
    note what it is called with and to compute nothing.
    """
    model: Any = decoder.model
    states: Tensor | None = None
    calls: dict[int, list[Call]] = {}
    with _noting_layers(decoder) as noted:
        for start in range(0, len(ids), batch):
            part = ids[start : start + batch]
            noted.clear()
            model.base_model(input_ids=part.to(model.device), use_cache=False)
            first = noted[0][0]
            if states is None:
                shape = (len(ids), *first.shape[1:])
                states = torch.empty(shape, dtype=first.dtype, device=first.device)
            states[start : start + batch] = first
            calls.setdefault(len(part), [call for _, call in noted])
    assert states is not None
    return Stream(states, calls, batch)


@contextmanager
def _noting_layers(decoder: Decoder) -> Iterator[list[tuple[Tensor, Call]]]:
    """Replace every layer's computation by a note of its input and its call, and undo it."""
    noted: list[tuple[Tensor, Call]] = []

    def forward(hidden_states: Tensor, *arguments: Any, **keywords: Any) -> Tensor:
        noted.append((hidden_states, Call(arguments, keywords)))
        return hidden_states

    with ExitStack() as stack:
        for layer in decoder.layers:
            stack.callback(_restore_forward, layer, layer.__dict__.get("forward"))
            layer.forward = forward
        yield noted


def _restore_forward(layer: nn.Module, own: Any) -> None:
    """Give ``layer`` its class's forward again, or the ``own`` one that accelerate had set."""
    if own is None:
        del layer.forward
    else:
        layer.forward = own


def _gather(
    layer: nn.Module,
    stream: Stream,
    index: int,
    linears: tuple[LinearWeight, ...],
    new_statistic: NewStatistic,
    advance: bool,
) -> dict[str, Statistic]:
    """Statistics of the inputs of ``linears`` by name; one object for linears that share an
    input, such as query, key and value. With ``advance`` the layer's outputs replace the states;
    without, it runs no further than the last input."""
    statistics: dict[str, Statistic] = {}
    waiting: set[str] = set()
    latest: list[Any] = [None, None]  # an input, and the statistic that took it in

    def hook_for(linear: LinearWeight) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def note(_module: nn.Module, arguments: tuple[Any, ...]) -> None:
            inputs, name = arguments[0], linear.name
            if name not in statistics:
                shared = inputs is latest[0]
                width = linear.matrix.shape[1]
                statistics[name] = (
                    latest[1] if shared else new_statistic(width, linear.matrix.device)
                )
            if inputs is not latest[0]:
                statistics[name].add(inputs)
                latest[:] = inputs, statistics[name]
            waiting.discard(name)
            if not waiting and not advance:
                raise _Enough

        return note

    with ExitStack() as stack:
        for linear in linears:
            handle = linear.module.register_forward_pre_hook(hook_for(linear))
            stack.callback(handle.remove)
        for states, call in stream.batches(index) if linears or advance else ():
            waiting.update(linear.name for linear in linears)
            with suppress(_Enough):
                _advance(layer, states, call)
            latest[:] = None, None
    for linear in linears:
        if linear.name not in statistics:
            raise InputError(
                f"{linear.where} takes no part in the model (is its sublayer dropped?): "
                "make the decoder again with Decoder.of(model)"
            )
        if not statistics[linear.name].finite:
            raise InputError(
                f"the activations that enter {linear.where} are not finite (NaN or infinity): "
                "check the weights below it, or load the model with dtype=float32"
            )
    return statistics


def _advance(layer: nn.Module, states: Tensor, call: Call) -> None:
    """Overwrite ``states`` (B, T, d) by the layer's output on them."""
    device = next(layer.parameters()).device
    output = layer(states.to(device), *call.arguments, **call.keywords)
    states.copy_(output[0] if isinstance(output, tuple) else output)


def _check_fits(decoder: Decoder, calibration: Calibration) -> None:
    if decoder.model.training:
        raise InputError("the model is in training mode: call model.eval() before pruning it")
    highest = int(calibration.ids.max())
    if highest >= decoder.vocabulary_size:
        raise InputError(
            f"the calibration text holds token {highest}, the model knows "
            f"{decoder.vocabulary_size}: make the calibration with the model's own tokenizer"
        )
    config: Any = decoder.model.config
    longest = getattr(config, "max_position_embeddings", None)
    if longest and calibration.length > longest:
        raise InputError(
            f"calibration samples of {calibration.length} tokens are longer than the model's "
            f"{longest} positions: ask for a shorter length"
        )
