"""How much does each sublayer and block turn the residual stream? What is dropped first."""

import pandas as pd
import torch
from torch import Tensor

from helpers.models.load import load, model_facts
from helpers.pruning.importance import Importance, importance
from measurements.calibrated import calibration_for
from runs.columns import LAYER, NUMBER, SUBLAYER, Column
from runs.parameters import CALIBRATION, RunParameters
from runs.store import Measured, Measurement, measurement

PARTS = ("attention", "mlp", "block")
IMPORTANCE = (LAYER, SUBLAYER, Column("value", NUMBER, "mean 1 − cos of its input and output"))


@measurement(
    *("model", "revision", "dtype", "seed", *CALIBRATION), tables={"importance": IMPORTANCE}
)
def ranking(parameters: RunParameters) -> Measured:
    """Importance of every sublayer and block on calibration text, see
    :func:`helpers.pruning.importance.importance`. Table ``importance``."""
    dense = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    used = calibration_for(parameters, dense.tokenizer, dense.decoder)
    measured = importance(dense.decoder, used.ids)
    rows = [
        {"layer": layer, "sublayer": part, "value": value}
        for part in PARTS
        for layer, value in enumerate(getattr(measured, part).tolist())
    ]
    facts = {"model": model_facts(dense), "calibration": used.description}
    return Measured({"importance": pd.DataFrame(rows)}, facts)


def stored_importance(measured: Measurement) -> Importance:
    """What :func:`ranking` stored, without the distances between blocks, which are not a number
    (L + 1, L + 1)."""
    rows = measured.table("importance")

    def values(part: str) -> Tensor:
        found = rows[rows["sublayer"] == part].sort_values("layer")["value"]
        return torch.tensor(found.to_numpy(), dtype=torch.float64, device="cpu")

    layers = int(rows["layer"].max()) + 1
    nothing = torch.full((layers + 1, layers + 1), torch.nan, device="cpu")
    return Importance(values("attention"), values("mlp"), values("block"), nothing)
