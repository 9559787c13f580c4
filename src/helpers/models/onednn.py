"""Linear layers in float32 on a CPU, by oneDNN.

For float32 torch calls MKL, which has slow kernels for processors of other makers than its own,
and lays out a weight anew at every call. oneDNN has good ones for all, and can keep its layout.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

TOKENS = 16  # the layout is for products of about so many tokens
LARGEST = 2**32  # bytes of weights that are copied into it; larger models are read as they lie


@contextmanager
def by_onednn(model: nn.Module) -> Iterator[None]:
    """Within, linear layers of ``model`` multiply by oneDNN: the same numbers up to rounding, for
    inference alone.

    Weights must not change within, since a copy of them is multiplied, up to ``LARGEST``. Layers
    in another number format or on another device are left as they are, and so are all where torch
    comes without MKL.
    """
    layers = [layer for layer in model.modules() if type(layer) is nn.Linear and _suits(layer)]
    copied = sum(layer.weight.nbytes for layer in layers) <= LARGEST
    try:
        for layer in layers:
            weight: Tensor = layer.weight.detach()
            if copied:
                weight = torch.ops.mkldnn._reorder_linear_weight(weight, TOKENS)
            layer.forward = partial(_product, weight, layer.bias)  # type: ignore[method-assign]
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)


def _suits(layer: nn.Linear) -> bool:
    return (
        "forward" not in layer.__dict__
        and (layer.weight.dtype, layer.weight.device.type) == (torch.float32, "cpu")
        and torch.backends.mkl.is_available()
        and torch.backends.mkldnn.is_available()
    )


def _product(weight: Tensor, bias: Tensor | None, inputs: Tensor) -> Tensor:
    """``inputs`` (…, columns) times ``weight`` (rows, columns), transposed."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
    return found
