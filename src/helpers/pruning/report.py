"""What was removed? Counted from the masks, weight by weight."""

from dataclasses import dataclass, field

import pandas as pd
from torch import Tensor

from helpers.pruning.weights import LinearWeight


@dataclass(frozen=True)
class Removal:
    """One weight's count: ``removed`` of ``rows`` × ``columns``."""

    layer: int
    sublayer: str
    weight: str
    rows: int
    columns: int
    removed: int


@dataclass
class Report:
    """The account of one pruning.

    ``recipe`` and ``calibration`` are words; ``parameters`` counts those of the whole dense model,
    tied ones once; ``masks`` holds the keep-masks (bool, on the CPU) by layer and weight name where
    they were asked for.
    """

    recipe: str
    calibration: str
    parameters: int
    removals: list[Removal] = field(default_factory=list)
    masks: dict[tuple[int, str], Tensor] = field(default_factory=dict)

    def add(self, linear: LinearWeight, keep: Tensor, expected: int) -> None:
        """Count a weight's keep-mask (rows, columns); ``RuntimeError`` unless exactly
        ``expected`` weights are removed."""
        rows, columns = keep.shape
        removed = keep.numel() - int(keep.sum())
        if removed != expected:
            raise RuntimeError(f"{linear.where}: {removed} weights removed, not {expected}")
        self.removals.append(
            Removal(linear.layer, linear.kind, linear.name, rows, columns, removed)
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
    def sparsity(self) -> float:
        """Share removed of the weights that the recipe targets."""
        targeted = sum(removal.rows * removal.columns for removal in self.removals)
        return self.removed / targeted if targeted else 0.0

    def __str__(self) -> str:
        """In one line; :attr:`table` has every weight."""
        read = f"; read {self.calibration}" if self.calibration else ""
        return f"{self.recipe}: {self.removed:,} weights removed, {self.sparsity:.1%}{read}"

    @property
    def table(self) -> pd.DataFrame:
        """One row per weight: its place, size, and what is removed and kept."""
        table = pd.DataFrame([vars(removal) for removal in self.removals])
        if table.empty:
            return table
        size = table["rows"] * table["columns"]
        table["sparsity"] = table["removed"] / size
        table["kept"] = size - table["removed"]
        return table
