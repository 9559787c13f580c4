"""The calibration text of a run."""

from typing import Any

from helpers.texts.calibration import Calibration, calibration_text
from runs.parameters import RunParameters


def calibration_for(parameters: RunParameters, tokenizer: Any) -> Calibration:
    """The calibration text that a run's parameters ask for."""
    return calibration_text(
        tokenizer,
        parameters.calibration,
        parameters.calibration_samples,
        parameters.calibration_length,
        parameters.seed,
    )
