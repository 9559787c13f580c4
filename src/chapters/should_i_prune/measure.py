"""What does a pruned or quantized model cost to run, beside the dense one? (Should I prune?)

In stock transformers, as anybody would run it: weights and cache in bytes, and seconds. Both models
take turns, so that whatever else the machine does meets both.
"""

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor, nn

from helpers.models.load import LoadedModel, model_facts
from helpers.quantization.packed import packed_bytes
from measurements import pruned_model
from measurements.pruned_model import evaluated_model
from runs.columns import COUNT, NUMBER, TEXT, Column
from runs.parameters import RunParameters
from runs.store import Measured, measurement

READ, WRITTEN, ROUNDS = 128, 8, 5  # tokens read at once, written one by one; turns of both models
USES = ("model", "revision", "dtype", "seed", *pruned_model.USES)
SPEED = (
    Column(
        "phase", TEXT, "read: a text at once; write: one token after the other", ("read", "write")
    ),
    Column("turn", COUNT, "both models are timed in turns, from 0"),
    Column("tokens", COUNT, "read or written in that time"),
    Column("seconds", NUMBER, "that the model took"),
    Column("dense_seconds", NUMBER, "that the dense model took in the same turn"),
)
MEMORY = (
    Column(
        "part",
        TEXT,
        "weights: parameters as they are held; cache: keys and values of one token of text; peak: "
        "by how much memory grew at most while a text was read and written on",
        ("weights", "cache", "peak"),
    ),
    Column("own_bytes", pa.int64(), "that the model takes"),
    Column("dense_bytes", pa.int64(), "that the dense model takes"),
)


@measurement(*USES, tables={"speed": SPEED, "memory": MEMORY}, by_threads=True)
def running_cost(parameters: RunParameters) -> Measured:
    """Read :data:`READ` tokens and write :data:`WRITTEN` more, alone in the batch, with the model
    that ``parameters`` say and with the dense one by turns, after a first turn that does not count.

    Tables ``speed`` and ``memory``. Facts: ``pruned`` in words, ``parameters_left``. Seconds differ
    from one time to the next, as those of no other measurement do.
    """
    one = evaluated_model(parameters)
    both = (one.loaded, one.dense)
    generator = torch.Generator().manual_seed(parameters.seed)
    known = one.dense.decoder.embedded_tokens
    ids = torch.randint(known, (1, READ), generator=generator).to(one.dense.decoder.device)
    timed = [[_timed(each, ids) for each in both] for _ in range(1 + ROUNDS)]
    rows = [
        {
            "phase": phase,
            "turn": turn,
            "tokens": tokens,
            "seconds": own[place],
            "dense_seconds": dense[place],
        }
        for turn, ((own, _), (dense, _)) in enumerate(timed[1:])
        for place, (phase, tokens) in enumerate((("read", READ), ("write", WRITTEN)))
    ]
    held = {
        "weights": [weight_bytes(each.model) for each in both],
        "cache": [cache for _, cache in timed[0]],
        "peak": [_growth(each, ids) for each in both],
    }
    memory = [
        {"part": part, "own_bytes": own, "dense_bytes": dense}
        for part, (own, dense) in held.items()
    ]
    facts = {
        "model": model_facts(one.dense),
        "pruned": one.words,
        "parameters_left": one.parameters_left,
    }
    return Measured({"speed": pd.DataFrame(rows), "memory": pd.DataFrame(memory)}, facts)


def weight_bytes(model: nn.Module) -> int:
    """Bytes of the parameters as they are held: tied ones once, packed ones with their scales, and
    of a sublayer that is dropped none."""
    held: dict[int, int] = {}
    packed = [each for each in model.modules() if _packed(each)]
    for module in packed:
        held[id(module.weight)] = packed_bytes(module)
    for weight in model.parameters():
        held.setdefault(id(weight), weight.numel() * weight.element_size())
    return sum(held.values())


def _packed(module: Any) -> bool:
    weight = getattr(module, "weight", None)
    return getattr(weight, "quant_state", None) is not None or hasattr(weight, "SCB")


@torch.inference_mode()
def _timed(one: LoadedModel, ids: Tensor) -> tuple[tuple[float, float], int]:
    """Seconds of reading and of writing, and bytes of the cache a token."""
    begin = _now()
    steps = _steps(one.model, ids)
    next(steps)
    read = _now()
    *_, cache = steps
    return (read - begin, _now() - read), _cache_bytes(cache) // (READ + WRITTEN)


@torch.inference_mode()
def _steps(model: Any, ids: Tensor) -> Iterator[Any]:
    """Read, then write greedily; the cache after each pass."""
    found = model(input_ids=ids, use_cache=True, logits_to_keep=1)
    yield found.past_key_values
    for _ in range(WRITTEN):
        token = found.logits[:, -1:].argmax(-1)
        found = model(input_ids=token, past_key_values=found.past_key_values, use_cache=True)
        yield found.past_key_values


def _cache_bytes(cache: Any) -> int:
    tensors = [
        tensor
        for layer in cache.layers
        for tensor in (getattr(layer, "keys", None), getattr(layer, "values", None))
        if tensor is not None
    ]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _now() -> float:
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


def _growth(one: LoadedModel, ids: Tensor) -> int:
    """Bytes by which memory grows at most in one turn, the weights being there: of the GPU, or of
    this process; 0 where the system does not tell."""

    def turn() -> None:
        for _ in _steps(one.model, ids):
            pass

    if one.model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        turn()
        return int(torch.cuda.max_memory_allocated()) - before
    return _process_growth(turn)


def _process_growth(turn: Callable[[], None]) -> int:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # what is free, but held, would hide what is taken
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        before = _resident("VmRSS")
        turn()
        return max(0, _resident("VmHWM") - before)
    except (OSError, StopIteration):
        return 0


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(name)))
