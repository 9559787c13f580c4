"""Quantize a model in place, and take it back bit for bit."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from helpers.errors import InputError
from helpers.models.architecture import Decoder
from helpers.pruning.calibrate import walk
from helpers.pruning.methods import Evidence
from helpers.pruning.statistics import STATISTICS
from helpers.pruning.weights import LinearWeight, prunable
from helpers.quantization.methods import QUANTIZERS
from helpers.quantization.packed import packed_bytes, packed_linear, set_linear
from helpers.quantization.recipe import Quantization
from helpers.quantization.storage import dense_bytes, stored_bytes
from helpers.texts.calibration import Calibration


@dataclass(frozen=True)
class Stored:
    """One weight (rows, columns): what it takes now, in ``bytes``, and ``error``, the relative
    change ‖Ŵ − W‖/‖W‖ of a simulated one."""

    layer: int
    sublayer: str
    weight: str
    rows: int
    columns: int
    bytes: int
    error: float | None


@dataclass
class Account:
    """What one quantization did: ``recipe`` and ``calibration`` in words, and every weight."""

    recipe: str
    calibration: str
    weights: list[Stored] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Of all quantized weights."""
        return sum(one.bytes for one in self.weights)

    @property
    def bits(self) -> float:
        """Mean number of bits a quantized weight takes, scales and zeros with it."""
        return 8 * self.bytes / sum(one.rows * one.columns for one in self.weights)

    @property
    def table(self) -> pd.DataFrame:
        """One row per weight."""
        return pd.DataFrame([vars(one) for one in self.weights])

    def __str__(self) -> str:
        size = dense_bytes(sum(one.rows * one.columns for one in self.weights))
        return (
            f"{self.recipe}: {self.bits:.2f} bits a weight, {self.bytes:,} bytes of {size:,} in "
            f"bfloat16; read {self.calibration}"
        )


@contextmanager
def quantized(
    decoder: Decoder, recipe: Quantization, calibration: Calibration | None = None
) -> Iterator[Account]:
    """Inside the context ``decoder``'s model is quantized in place; on leaving it, also by an
    exception, the weights are back bit for bit. Raises :class:`InputError` for what does not fit
    the model."""
    applier = _Applier(decoder, recipe, calibration)
    try:
        applier.run()
        yield applier.account
    finally:
        applier.restore()


def quantize(
    decoder: Decoder, recipe: Quantization, calibration: Calibration | None = None
) -> Account:
    """As :func:`quantized`, for good. If it fails, the model is as it was."""
    applier = _Applier(decoder, recipe, calibration)
    try:
        applier.run()
    except BaseException:
        applier.restore()
        raise
    return applier.account


@dataclass
class _Applier:
    """One quantization under way: dense weights, or dense modules, and the account."""

    decoder: Decoder
    recipe: Quantization
    calibration: Calibration | None
    weights_before: list[tuple[LinearWeight, Tensor]] = field(default_factory=list)
    modules_before: list[tuple[nn.Module, LinearWeight]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.method = QUANTIZERS[self.recipe.method]
        if self.recipe.calibrated and self.calibration is None:
            raise InputError(f"{self.method.title} needs calibration text")
        self.linears = prunable(self.decoder, self.recipe.targets)
        for linear in (one for layer in self.linears for one in layer):
            if not self.method.packed:
                self.recipe.levels.width(linear.matrix.shape[1], linear.where)
            if not bool(linear.matrix.isfinite().all()):
                raise InputError(f"{linear.where} holds weights that are NaN or infinite")
        read = self.calibration if self.recipe.calibrated else None
        self.account = Account(str(self.recipe), read.description if read else "none")

    @torch.no_grad()
    def run(self) -> None:
        """Quantize every layer, each calibrated on what the layers below it then give."""
        words = f"Quantizing: {self.recipe}"
        if not self.recipe.calibrated:
            for layer in tqdm(range(len(self.linears)), words, unit="layer", disable=None):
                self._quantize_layer(layer, {})
            return
        assert self.calibration is not None
        statistic = STATISTICS[self.method.statistic]
        seen = self.decoder, self.calibration, self.linears, statistic
        walk(*seen, self._quantize_layer, description=words)

    def _quantize_layer(self, layer: int, statistics: dict[str, Any]) -> None:
        for linear in self.linears[layer]:
            if self.method.packed:
                self._pack(layer, linear)
            else:
                self._simulate(linear, statistics.pop(linear.name, None))

    def _simulate(self, linear: LinearWeight, inputs: Any) -> None:
        assert self.method.solve is not None
        dense = linear.matrix.clone()
        unused = torch.Generator()
        seen = Evidence(dense, inputs, unused, linear.where)
        self.weights_before.append((linear, linear.module.weight.detach().to("cpu", copy=True)))
        linear.write(self.method.solve(seen, self.recipe))
        change = torch.linalg.vector_norm(linear.matrix.double() - dense.double())
        size = torch.linalg.vector_norm(dense.double())
        rows, columns = dense.shape
        held = stored_bytes(rows, columns, dense.numel(), levels=self.recipe.levels)
        self._note(linear, held, float(change / size) if size > 0 else 0.0)

    def _pack(self, layer: int, linear: LinearWeight) -> None:
        owner = self.decoder.layers[layer]
        new = packed_linear(linear, self.method.packed)
        self.modules_before.append((owner, linear))
        set_linear(owner, linear.name, new)
        self._note(linear, packed_bytes(new), None)

    def _note(self, linear: LinearWeight, held: int, error: float | None) -> None:
        rows, columns = linear.matrix.shape
        place = (linear.layer, linear.kind, linear.name)
        self.account.weights.append(Stored(*place, rows, columns, held, error))

    def restore(self) -> None:
        """Put the dense weights and modules back."""
        while self.weights_before:
            linear, weight = self.weights_before.pop()
            linear.module.weight.data.copy_(weight)
        while self.modules_before:
            owner, linear = self.modules_before.pop()
            set_linear(owner, linear.name, linear.module)
