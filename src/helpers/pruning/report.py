"""What was removed? Counted from the masks, weight by weight."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from torch import Tensor

from helpers.pruning.weights import LinearWeight


@dataclass(frozen=True)
class Removal:
    """One weight's count: ``removed`` of ``rows`` × ``columns``, at ``itemsize`` bytes each."""

    layer: int
    sublayer: str
    weight: str
    rows: int
    columns: int
    removed: int
    itemsize: int


@dataclass
class Report:
    """The account of one pruning.

    ``recipe`` and ``calibration`` are words; ``parameters`` and ``bytes`` are of the whole dense
    model, tied weights counted once;
    ``masks`` holds the keep-masks (bool, on the CPU) by layer and weight name where they were
    asked for.
    """

    recipe: str
    calibration: str
    parameters: int
    bytes: int
    removals: list[Removal] = field(default_factory=list)
    masks: dict[tuple[int, str], Tensor] = field(default_factory=dict)

    def add(self, linear: LinearWeight, keep: Tensor, expected: int) -> None:
        """Count a weight's keep-mask (rows, columns); ``RuntimeError`` unless exactly
        ``expected`` weights are removed."""
        rows, columns = keep.shape
        removed = keep.numel() - int(keep.sum())
        if removed != expected:
            raise RuntimeError(f"{linear.where}: {removed} weights removed, not {expected}")
        itemsize = linear.matrix.element_size()
        self.removals.append(
            Removal(linear.layer, linear.kind, linear.name, rows, columns, removed, itemsize)
        )

    @property
    def removed(self) -> int:
        """How many weights the masks remove, over all layers."""
        return sum(removal.removed for removal in self.removals)

    @property
    def parameters_kept(self) -> int:
        """Parameters of the whole model that stay, as Table 1's #Params row counts them."""
        return self.parameters - self.removed

    @property
    def bytes_kept(self) -> int:
        """Bytes of the whole model's parameters that stay, as if only they were stored."""
        return self.bytes - sum(part.removed * part.itemsize for part in self.removals)

    @property
    def sparsity(self) -> float:
        """Share removed of the weights that the recipe targets."""
        targeted = sum(removal.rows * removal.columns for removal in self.removals)
        return self.removed / targeted if targeted else 0.0

    @property
    def table(self) -> pd.DataFrame:
        """One row per weight: its place, size, what is removed and kept, and the bytes of the
        weights that are kept, as if only they were stored."""
        table = pd.DataFrame([vars(removal) for removal in self.removals])
        if table.empty:
            return table
        size = table["rows"] * table["columns"]
        table["sparsity"] = table["removed"] / size
        table["kept"] = size - table["removed"]
        table["bytes_kept"] = table["kept"] * table["itemsize"]
        return table

    @property
    def per_layer(self) -> pd.DataFrame:
        """One row per layer: weights, removed, kept, bytes kept and sparsity."""
        table = self.table
        table["weights"] = table["rows"] * table["columns"]
        columns = ["weights", "removed", "kept", "bytes_kept"]
        layers = table.groupby("layer", as_index=False)[columns].sum()
        layers["sparsity"] = layers["removed"] / layers["weights"]
        return layers

    @property
    def summary(self) -> dict[str, Any]:
        """The totals: recipe, calibration, sparsity of the targeted weights and of the whole
        model, and its parameters and bytes before and after."""
        return {
            "recipe": self.recipe,
            "calibration": self.calibration,
            "sparsity": self.sparsity,
            "model_sparsity": self.removed / self.parameters,
            "parameters": self.parameters,
            "parameters_kept": self.parameters_kept,
            "bytes": self.bytes,
            "bytes_kept": self.bytes_kept,
        }
