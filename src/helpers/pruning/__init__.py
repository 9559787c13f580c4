"""What is removed? Methods in one registry, one driver, one reversible interface."""

from typing import TYPE_CHECKING

from helpers.lazy import lazily

if TYPE_CHECKING:
    from helpers.pruning.apply import prune, pruned
    from helpers.pruning.methods import METHODS, Method
    from helpers.pruning.recipe import Recipe
    from helpers.pruning.report import Report
    from helpers.pruning.weights import TARGETS, LinearWeight, prunable
    from helpers.texts.calibration import Calibration

__all__ = [
    "METHODS",
    "TARGETS",
    "Calibration",
    "LinearWeight",
    "Method",
    "Recipe",
    "Report",
    "prunable",
    "prune",
    "pruned",
]

__getattr__ = lazily(
    {
        "helpers.pruning.apply": ("prune", "pruned"),
        "helpers.pruning.methods": ("METHODS", "Method"),
        "helpers.pruning.recipe": ("Recipe",),
        "helpers.pruning.report": ("Report",),
        "helpers.pruning.weights": ("TARGETS", "LinearWeight", "prunable"),
        "helpers.texts.calibration": ("Calibration",),
    }
)
