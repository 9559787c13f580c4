"""What is removed? Scores and masks as pure functions, one driver, one reversible interface."""

from helpers.pruning.apply import prune, pruned
from helpers.pruning.recipe import METHODS, Recipe
from helpers.pruning.report import Report
from helpers.pruning.weights import TARGETS, LinearWeight, prunable
from helpers.texts.calibration import Calibration

__all__ = [
    "METHODS",
    "TARGETS",
    "Calibration",
    "LinearWeight",
    "Recipe",
    "Report",
    "prunable",
    "prune",
    "pruned",
]
