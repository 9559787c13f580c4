"""Wanda, SparseGPT and the drop ranking beside the published procedures, written plainly."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from benchmarks.harness import Result, compare
from helpers.models import Decoder, load
from helpers.pruning import LinearWeight, Recipe, prunable, prune
from helpers.pruning.importance import importance
from helpers.pruning.masks import unstructured
from helpers.pruning.methods import wanda
from helpers.pruning.sparsegpt import hessian_factor, sparsegpt
from helpers.texts.calibration import Calibration, calibration_text

SAMPLES, LENGTH = 32, 512
WIDTHS = {
    "vocab_size": 512,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
}


def benchmarks() -> Iterator[Result]:
    """Embedded model, 32 × 512 calibration tokens, 50% of all weights."""
    loaded = load("smollm2-135m", device="cpu")
    decoder, tokenizer = loaded.decoder, loaded.tokenizer
    used = calibration_text(tokenizer, samples=SAMPLES, length=LENGTH)
    size = f"{SAMPLES} × {LENGTH} tokens"
    yield compare(
        f"drop ranking, all sublayers, {size}",
        lambda: importance(decoder, used.ids),
        lambda: plain_ranking(decoder, used.ids),
        repeats=1,
    )
    for method, plain in (("wanda", plain_wanda), ("sparsegpt", plain_sparsegpt)):
        yield compare(
            f"{method} 50%, {size}",
            partial(_ours, decoder, method, used),
            partial(_plain, decoder, plain, method == "wanda", used),
            repeats=1,
        )
    yield from depths()


def depths() -> Iterator[Result]:
    """Random models of two depths: cost per layer is flat, memory does not grow with depth."""
    for layers in (6, 18):
        config = AutoConfig.for_model("llama", num_hidden_layers=layers, **WIDTHS)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        decoder = Decoder.of(model.eval().requires_grad_(False))
        ids = torch.randint(3, 512, (8, 256), generator=torch.Generator().manual_seed(0))
        used = Calibration(ids, "random", 0)
        found = compare("", partial(_ours, decoder, "wanda", used, reversible=False), repeats=3)
        per_layer = 1000 * found.ours_s / layers
        yield replace(found, name=f"wanda, {layers} layers, {per_layer:.0f} ms per layer")


def _ours(decoder: Decoder, method: Any, calibration: Calibration, reversible: bool = True) -> None:
    dense = _copies(decoder) if reversible else []
    recipe = Recipe(method, 0.5)
    prune(decoder, recipe, calibration, reversible=False, progress=False)
    if reversible:
        _restore(decoder, dense)


def _copies(decoder: Decoder) -> list[Tensor]:
    return [linear.matrix.clone() for linears in prunable(decoder) for linear in linears]


def _restore(decoder: Decoder, dense: list[Tensor]) -> None:
    linears = (linear for linears in prunable(decoder) for linear in linears)
    for linear, matrix in zip(linears, dense, strict=True):
        linear.write(matrix)


Solve = Callable[[LinearWeight, Tensor], Tensor]


def _plain(decoder: Decoder, solve: Solve, norms_only: bool, calibration: Calibration) -> None:
    """The published loop: batch 1; for each layer one pass to collect and one to propagate.

    Wanda collects squared norms of the inputs, SparseGPT their products.
    """
    weights = prunable(decoder)
    dense = _copies(decoder)
    states, keywords = first_inputs(decoder, calibration.ids)
    with torch.no_grad():
        for layer, linears in zip(decoder.layers, weights, strict=True):
            sums = {
                linear.name: torch.zeros((linear.matrix.shape[1],) * (1 if norms_only else 2))
                for linear in linears
            }
            handles = [linear.module.register_forward_hook(_collect(sums[linear.name]))
                       for linear in linears]  # fmt: skip
            for state in states:
                layer(state, **keywords)
            for handle in handles:
                handle.remove()
            for linear in linears:
                linear.write(solve(linear, sums[linear.name]))
            states = [_tensor(layer(state, **keywords)) for state in states]
    _restore(decoder, dense)


def _collect(total: Tensor) -> Callable[..., None]:
    def hook(_module: Any, args: tuple[Tensor, ...], _output: Any) -> None:
        x = args[0].reshape(-1, args[0].shape[-1])
        total.add_(x.square().sum(0) if total.dim() == 1 else x.T @ x)

    return hook


def plain_wanda(linear: LinearWeight, squares: Tensor) -> Tensor:
    """Wanda's mask from the collected norms."""
    scores = wanda(linear.matrix, squares.sqrt())
    return linear.matrix * unstructured(scores, 0.5, "row")


def plain_sparsegpt(linear: LinearWeight, product: Tensor) -> Tensor:
    """SparseGPT's update from the collected Hessian, by the same solver as ours."""
    return sparsegpt(linear.matrix, hessian_factor(product), 0.5)[0].to(linear.matrix.dtype)


def first_inputs(decoder: Decoder, ids: Tensor) -> tuple[list[Tensor], dict[str, Any]]:
    """What the first layer is called with, sample by sample."""
    states: list[Tensor] = []
    held: dict[str, Any] = {}

    def catch(_module: Any, args: tuple[Tensor, ...], keywords: dict[str, Any]) -> None:
        states.append(args[0] if args else keywords.pop("hidden_states"))
        held.update(keywords)

    handle = decoder.layers[0].register_forward_pre_hook(catch, with_kwargs=True)
    with torch.no_grad():
        for row in ids:
            decoder.model(input_ids=row[None], use_cache=False)
    handle.remove()
    return states, held


def plain_ranking(decoder: Decoder, ids: Tensor) -> dict[tuple[int, str], float]:
    """As published: batch 1, every layer run again for each sublayer's input and output, cosine
    of whole float32 states."""
    found: dict[tuple[int, str], float] = {}
    with torch.no_grad():
        states, keywords = first_inputs(decoder, ids)
        for number, layer in enumerate(decoder.layers):
            for kind in ("attention", "mlp"):
                total = 0.0
                for state in states:
                    x, y = _around(decoder, number, kind, layer, state, keywords)
                    total += float(torch.cosine_similarity(x, y, dim=-1).mean())
                found[number, kind] = 1 - total / len(states)
            states = [_tensor(layer(state, **keywords)) for state in states]
    return found


def _around(
    decoder: Decoder, number: int, kind: str, layer: Any, state: Tensor, keywords: dict[str, Any]
) -> tuple[Tensor, Tensor]:
    """Residual stream before and after a sublayer, from a run of its layer."""
    held: list[Tensor] = []
    norm = decoder.sublayers[2 * number + 1].norm
    handle = norm.register_forward_pre_hook(lambda _module, args: held.append(args[0]))
    output = _tensor(layer(state, **keywords))
    handle.remove()
    return (state, held[0]) if kind == "attention" else (held[0], output)


def _tensor(output: Any) -> Tensor:
    found: Tensor = output[0] if isinstance(output, tuple) else output
    return found
