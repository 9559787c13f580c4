"""Linears of bitsandbytes in the place of a model's own, as transformers' integration puts them.

Their weights are packed: such a model takes the memory that it says, and cannot be pruned.
"""

import logging
from typing import Any

from torch import nn

from helpers.errors import InputError
from helpers.pruning.weights import LinearWeight

BLOCK = 64  # weights that share a scale in nf4 and fp4, the library's default


def packed_linear(linear: LinearWeight, kind: str) -> nn.Module:
    """bitsandbytes' linear with the weight of ``linear``, on its device; ``kind`` is ``nf4``,
    ``fp4`` or ``int8``. :class:`InputError` if bitsandbytes is missing or the module is none that
    it can replace."""
    try:
        import bitsandbytes as bnb
    except Exception as error:  # a broken installation raises of many kinds
        raise InputError(
            f"{kind} needs bitsandbytes, which cannot be loaded ({type(error).__name__}): "
            "pip install bitsandbytes"
        ) from None
    hush()
    old = linear.module
    if not isinstance(old, nn.Linear):
        raise InputError(f"{kind} cannot replace {linear.where}, which is no plain linear")
    sizes: dict[str, Any] = {
        "input_features": old.in_features,
        "output_features": old.out_features,
        "bias": old.bias is not None,
    }
    weight = old.weight.data.detach().to("cpu", copy=True)
    new: Any
    if kind == "int8":
        new = bnb.nn.Linear8bitLt(**sizes, has_fp16_weights=False, threshold=6.0)
        new.weight = bnb.nn.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    else:
        new = bnb.nn.Linear4bit(
            **sizes, compute_dtype=old.weight.dtype, quant_type=kind, compress_statistics=False
        )
        new.weight = bnb.nn.Params4bit(
            weight, requires_grad=False, quant_type=kind, blocksize=BLOCK, compress_statistics=False
        )
        # else some processors compute in bfloat16, in a layout that does not fit every width
        new.support_avx512bf16_for_cpu = False
    new.bias = old.bias
    return new.to(old.weight.device).eval()


def packed_bytes(module: Any) -> int:
    """Bytes of the packed weight and its scales, which int8 moves at its first pass."""
    weight = module.weight
    state = getattr(weight, "quant_state", None)
    if state is not None:
        scales = state.absmax
    else:
        scales = module.state.SCB if weight.SCB is None else weight.SCB
    return int(weight.numel() * weight.element_size() + scales.numel() * scales.element_size())


def hush() -> None:
    """Keep the library from saying, at every call of every layer, that int8 casts its inputs, and
    that it knows a faster kernel on the hub, which is not wanted."""
    for name in ("autograd._functions", "backends.cpu.ops"):
        logging.getLogger(f"bitsandbytes.{name}").setLevel(logging.ERROR)


def set_linear(layer: nn.Module, name: str, module: nn.Module) -> None:
    """Put ``module`` where ``name``, such as ``self_attn.q_proj``, stands in ``layer``."""
    path, _, last = name.rpartition(".")
    setattr(layer.get_submodule(path), last, module)
