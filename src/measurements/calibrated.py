"""The calibration text of a run."""

from typing import Any

from helpers.models.architecture import Decoder
from helpers.texts.calibration import Calibration, calibration_text
from runs.parameters import RunParameters


def calibration_for(parameters: RunParameters, tokenizer: Any, decoder: Decoder) -> Calibration:
    """The calibration text that a run's parameters ask for, for a model to read."""
    return calibration_text(
        tokenizer,
        parameters.calibration,
        parameters.calibration_samples,
        parameters.calibration_length,
        parameters.seed,
        decoder.embedded_tokens,
    )
