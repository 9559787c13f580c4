"""Which weights of a whole model does a method remove? One bit for each."""

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from helpers.models.architecture import Decoder
from helpers.models.load import load, model_facts
from helpers.pruning.apply import prune
from helpers.pruning.recipe import Recipe
from helpers.pruning.report import Report
from helpers.pruning.weights import prunable
from measurements.calibrated import calibration_for
from runs.columns import COUNT, LAYER, TEXT, Column
from runs.parameters import CALIBRATION, RunParameters
from runs.store import Measured, Measurement, measurement

USES = ("model", "revision", "dtype", "seed", "method", "sparsity", "pattern", *CALIBRATION)
MASKS = (
    LAYER,
    Column("weight", TEXT, "name of the weight within its layer, such as mlp.up_proj"),
    Column("rows", COUNT, "outputs of the weight"),
    Column("columns", COUNT, "inputs of the weight"),
    Column(
        "kept",
        pa.large_binary(),
        "one bit for each weight, row by row, 1 where it is kept; the highest bit of a byte first",
    ),
)


@measurement(*USES, tables={"masks": MASKS}, part=True)
def masks(parameters: RunParameters) -> Measured:
    """Prune all prunable weights at ``sparsity`` or in ``pattern``, layer after layer, each
    calibrated on what the layers before it then give, and keep the masks.

    For methods that set weights to zero and change no other. Table ``masks``; the fact ``words``
    says what was done. Chapters and tasks that need the same pruned model share it so.
    """
    loaded = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    report = pruned_in_place(loaded.decoder, parameters, loaded.tokenizer, keep_masks=True)
    rows = [
        {
            "layer": layer,
            "weight": name,
            "rows": kept.shape[0],
            "columns": kept.shape[1],
            "kept": np.packbits(kept.numpy(), axis=None).tobytes(),
        }
        for (layer, name), kept in report.masks.items()
    ]
    facts = {"model": model_facts(loaded), "words": in_words(report), "removed": report.removed}
    return Measured({"masks": pd.DataFrame(rows)}, facts)


def pruned_in_place(
    decoder: Decoder, parameters: RunParameters, tokenizer: object, keep_masks: bool = False
) -> Report:
    """Prune the weights of ``decoder`` as the parameters ask for it, for good."""
    used = calibration_for(parameters, tokenizer, decoder) if parameters.calibrated else None
    ratio = None if parameters.pattern else parameters.sparsity
    recipe = Recipe(parameters.method, ratio, parameters.pattern, seed=parameters.seed)
    return prune(
        decoder, recipe, used, reversible=False, keep_masks=keep_masks, progress=keep_masks
    )


def in_words(report: Report) -> str:
    """What was done, such as ``wanda 2:4 of all, calibrated on …``."""
    read = "" if report.calibration == "none" else f", calibrated on {report.calibration}"
    return f"{report.recipe}{read}"


@torch.no_grad()
def apply_masks(decoder: Decoder, measured: Measurement) -> str:
    """Set to zero what :func:`masks` removed from the same model; returns its words."""
    rows = measured.table("masks").set_index(["layer", "weight"])
    for linear in (each for layer in prunable(decoder) for each in layer):
        row = rows.loc[(linear.layer, linear.name)]
        shape = int(row["rows"]), int(row["columns"])
        bits = np.unpackbits(np.frombuffer(row["kept"], np.uint8), count=shape[0] * shape[1])
        kept = torch.from_numpy(bits.reshape(shape)).bool().to(linear.matrix.device)
        linear.write(linear.matrix.masked_fill(~kept, 0))
    return str(measured.manifest["facts"]["words"])
