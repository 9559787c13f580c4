"""What do the weights of a pruned or quantized model take, and how far are they from the dense
ones? (Appendix F)"""

import pandas as pd
import torch
from torch import Tensor, nn

from helpers.models.load import load, model_facts
from helpers.pruning.weights import LinearWeight, prunable
from helpers.quantization.grid import Levels
from helpers.quantization.methods import QUANTIZERS
from helpers.quantization.packed import packed_bytes
from helpers.quantization.storage import dense_bytes, stored_bytes
from measurements import pruned_model
from measurements.pruned_model import pruned_counterpart
from runs.columns import COUNT, LAYER, NUMBER, TEXT, Column
from runs.parameters import RunParameters
from runs.store import Measured, measurement

USES = ("model", "revision", "dtype", "seed", *pruned_model.USES)
WEIGHTS = (
    LAYER,
    Column("weight", TEXT, "name of the weight within its layer, such as mlp.up_proj"),
    Column("size", COUNT, "how many numbers the dense weight has"),
    Column("kept", COUNT, "how many of them are kept: not removed by pruning"),
    Column("bytes", COUNT, "what it takes in theory, with all that is needed to read it"),
    Column(
        "error",
        NUMBER,
        "‖Ŵ − W‖/‖W‖; missing where bitsandbytes holds the weight packed",
        nullable=True,
    ),
)


@measurement(*USES, tables={"weights": WEIGHTS})
def weight_store(parameters: RunParameters) -> Measured:
    """Bytes and relative error of every weight of the model that ``parameters`` say.

    Facts: ``pruned`` in words; ``dense_bytes`` of the linears in bfloat16, and ``other_bytes``:
    embeddings, head and norms, which stay as they are.
    """
    dense = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    linears = [one for layer in prunable(dense.decoder) for one in layer]
    other, words = dense.decoder, "nothing removed"
    if not parameters.dense:
        other, words = pruned_counterpart(parameters, dense)
    found = [_row(parameters, one, other.layers[one.layer]) for one in linears]
    total = sum(one.matrix.numel() for one in linears)
    facts = {
        "model": model_facts(dense),
        "pruned": words,
        "dense_bytes": dense_bytes(total),
        "other_bytes": dense_bytes(dense.release_parameters - total),
    }
    return Measured({"weights": pd.DataFrame(found)}, facts)


@torch.no_grad()
def _row(parameters: RunParameters, linear: LinearWeight, layer: nn.Module) -> dict[str, object]:
    """One weight beside what stands in its place."""
    dense = linear.matrix
    rows, columns = dense.shape
    found = {"layer": linear.layer, "weight": linear.name, "size": dense.numel()}
    try:
        module = layer.get_submodule(linear.name)
    except AttributeError:  # its sublayer is dropped
        return found | {"kept": 0, "bytes": 0, "error": 1.0}
    if parameters.quantizer and QUANTIZERS[parameters.quantizer].packed:
        return found | {"kept": dense.numel(), "bytes": packed_bytes(module), "error": None}
    new = LinearWeight(linear.layer, linear.kind, linear.name, module).matrix.to(dense.device)
    levels = Levels(parameters.bits, parameters.group_size) if parameters.simulated else None
    kept = _kept(parameters, dense, new)
    held = stored_bytes(rows, columns, kept, parameters.whole_pattern, levels)
    return found | {"kept": kept, "bytes": held, "error": _error(dense, new)}


def _kept(parameters: RunParameters, dense: Tensor, new: Tensor) -> int:
    """How many weights pruning kept: a weight that is rounded to 0 alone is kept."""
    if parameters.whole or not parameters.prunes_weights:
        return dense.numel()
    return dense.numel() - int(((new == 0) & (dense != 0)).sum())


def _error(dense: Tensor, new: Tensor) -> float:
    size = torch.linalg.vector_norm(dense.double())
    change = torch.linalg.vector_norm(new.double() - dense.double())
    return float(change / size) if size > 0 else 0.0
