"""A corner of one real weight matrix and what its inputs look like: the worked example."""

from typing import Any

import numpy as np
import pandas as pd

from helpers.errors import InputError
from helpers.models.load import load, model_facts
from helpers.pruning import prunable
from helpers.pruning.calibrate import walk
from helpers.pruning.statistics import Hessian
from helpers.texts.calibration import calibration_text
from runs.columns import COUNT, LAYER, TEXT, VALUE, Column
from runs.parameters import RunParameters
from runs.store import Measured, measurement

USES = (
    "model",
    "revision",
    "dtype",
    "calibration",
    "calibration_samples",
    "calibration_length",
    "seed",
)
ROWS, COLUMNS = 6, 8
TABLE = (
    LAYER,
    Column("weight", TEXT, "kind of weight, such as up_proj"),
    Column(
        "quantity",
        TEXT,
        "weight: an entry of W; product: an entry of XXᵀ of its inputs over calibration text",
        ("weight", "product"),
    ),
    Column("row", COUNT, "row within the corner, from 0"),
    Column("column", COUNT, "column within the corner, from 0"),
    VALUE,
)


@measurement(*USES, tables={"weights": TABLE})
def weight_corner(parameters: RunParameters) -> Measured:
    """The first outputs of an MLP's first linear in the middle of the model, and a few inputs:
    the one with the largest norm, and those that are most correlated with it.

    Table ``weights``: ``weight`` (rows × columns) and ``product``, the entries of XXᵀ of those
    inputs over the calibration text (columns × columns).
    """
    loaded = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    used = calibration_text(
        loaded.tokenizer,
        parameters.calibration,
        parameters.calibration_samples,
        parameters.calibration_length,
        parameters.seed,
    )
    middle = len(loaded.decoder.layers) // 2
    every = prunable(loaded.decoder, "mlp")
    chosen = tuple(linears[:1] if layer == middle else () for layer, linears in enumerate(every))
    linear = chosen[middle][0]
    held: dict[str, np.ndarray] = {}
    place: dict[str, Any] = {"layer": middle, "weight": linear.role}

    def cut(layer: int, statistics: Any) -> None:
        if layer != middle:
            return
        product = statistics[linear.name].total
        if product.shape[0] < COLUMNS or linear.matrix.shape[0] < ROWS:
            raise InputError(f"{linear.where} is smaller than {ROWS} × {COLUMNS}")
        norms = product.diagonal().sqrt()
        loudest = int(norms.argmax())
        correlation = (product[loudest] / (norms * norms[loudest]).clamp(min=1e-30)).abs()
        inputs = correlation.topk(COLUMNS).indices.sort().values
        held["weight"] = linear.matrix[:ROWS, inputs].double().cpu().numpy()
        held["product"] = product[inputs][:, inputs].double().cpu().numpy()
        place["inputs"] = inputs.tolist()

    walk(loaded.decoder, used, chosen, Hessian, cut, sequential=False, description="Reading inputs")
    frames = [
        pd.DataFrame(
            {
                "quantity": name,
                "row": np.repeat(np.arange(len(values)), values.shape[1]),
                "column": np.tile(np.arange(values.shape[1]), len(values)),
                "value": values.reshape(-1),
            }
        )
        for name, values in held.items()
    ]
    table = pd.concat(frames).assign(layer=middle, weight=linear.role)
    facts = {"model": model_facts(loaded), "calibration": used.description, "corner": place}
    return Measured({"weights": table}, facts)
