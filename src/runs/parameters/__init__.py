"""What may be asked for? One validated model of every parameter that a run takes."""

from runs.parameters.reading import read, refuse_unknown, validate
from runs.parameters.run import (
    CALIBRATED,
    CALIBRATION,
    WEIGHT_METHODS,
    WRITING,
    Dtype,
    Method,
    RunParameters,
    Target,
    project_root,
)

__all__ = [
    "CALIBRATED",
    "CALIBRATION",
    "WEIGHT_METHODS",
    "WRITING",
    "Dtype",
    "Method",
    "RunParameters",
    "Target",
    "project_root",
    "read",
    "refuse_unknown",
    "validate",
]
