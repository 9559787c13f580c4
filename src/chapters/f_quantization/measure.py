"""What do the weights of a pruned or quantized model take, and how far are they from the dense
ones? (Appendix F)"""

from itertools import product
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from helpers.decoding import write
from helpers.models.architecture import Decoder
from helpers.models.load import load, model_facts
from helpers.pruning.weights import LinearWeight, prunable
from helpers.quantization.grid import Levels, round_to_nearest
from helpers.quantization.methods import BITS, QUANTIZERS
from helpers.quantization.packed import packed_bytes
from helpers.quantization.storage import dense_bytes, stored_bytes
from measurements import pruned_model
from measurements.prompted import prompted
from measurements.pruned_model import pruned_counterpart
from runs.columns import CATEGORY, COUNT, FLAG, LAYER, NUMBER, PROMPT, TEXT, Column
from runs.parameters import WRITING, RunParameters
from runs.store import Measured, measurement

USES = ("model", "revision", "dtype", "seed", *pruned_model.USES)
WEIGHTS = (
    LAYER,
    Column("weight", TEXT, "name of the weight within its layer, such as mlp.up_proj"),
    Column("size", COUNT, "how many numbers the dense weight has"),
    Column("kept", COUNT, "how many of them are kept: not removed by pruning"),
    Column("bytes", COUNT, "what it takes in theory, with all that is needed to read it"),
    Column("unmasked", COUNT, "what it takes where zeros are stored as any other number"),
    Column(
        "error",
        NUMBER,
        "‖Ŵ − W‖/‖W‖; missing where bitsandbytes holds the weight packed",
        nullable=True,
    ),
)


@measurement(*USES, tables={"stored_weights": WEIGHTS})
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
    return Measured({"stored_weights": pd.DataFrame(found)}, facts)


@torch.no_grad()
def _row(parameters: RunParameters, linear: LinearWeight, layer: nn.Module) -> dict[str, object]:
    """One weight beside what stands in its place."""
    dense = linear.matrix
    rows, columns = dense.shape
    found = {"layer": linear.layer, "weight": linear.name, "size": dense.numel()}
    try:
        module = layer.get_submodule(linear.name)
    except AttributeError:  # its sublayer is dropped
        return found | {"kept": 0, "bytes": 0, "unmasked": 0, "error": 1.0}
    if parameters.quantizer and QUANTIZERS[parameters.quantizer].packed:
        held = packed_bytes(module)
        return found | {"kept": dense.numel(), "bytes": held, "unmasked": held, "error": None}
    new = LinearWeight(linear.layer, linear.kind, linear.name, module).matrix.to(dense.device)
    levels = Levels(parameters.bits, parameters.group_size) if parameters.simulated else None
    kept = _kept(parameters, dense, new)
    held = stored_bytes(rows, columns, kept, parameters.whole_pattern, levels)
    whole = stored_bytes(rows, columns, dense.numel(), levels=levels)
    return found | {"kept": kept, "bytes": held, "unmasked": whole, "error": _error(dense, new)}


def _kept(parameters: RunParameters, dense: Tensor, new: Tensor) -> int:
    """How many weights pruning kept: a weight that is rounded to 0 alone is kept."""
    if parameters.whole or not parameters.prunes_weights:
        return dense.numel()
    return dense.numel() - int(((new == 0) & (dense != 0)).sum())


def _error(dense: Tensor, new: Tensor) -> float:
    size = torch.linalg.vector_norm(dense.double())
    change = torch.linalg.vector_norm(new.double() - dense.double())
    return float(change / size) if size > 0 else 0.0


GRIDS = (
    LAYER,
    Column("weight", TEXT, "name of the weight within its layer, such as mlp.up_proj"),
    Column("bits", COUNT, "of the grid"),
    Column("whole_zero", FLAG, "whether the grid's zero is an integer, so that 0 stays 0"),
    Column("error", NUMBER, "‖Ŵ − W‖/‖W‖ of rounding to nearest"),
)
RELEASED = 32  # inputs that share a scale in the release's own format


@measurement("model", "revision", "dtype", tables={"grids": GRIDS})
def grid_errors(parameters: RunParameters) -> Measured:
    """Relative error of rounding every weight of the dense model to the nearest level, at each
    number of bits and with both kinds of zero, in groups of :data:`RELEASED`; of a linear with
    another width, in whole rows."""
    dense = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    rows = []
    for linear in (one for layer in prunable(dense.decoder) for one in layer):
        weight = linear.matrix.double()
        group = 0 if weight.shape[1] % RELEASED else RELEASED
        for bits, whole in product(BITS, (True, False)):
            new = round_to_nearest(weight, Levels(bits, group, whole))
            place = {"layer": linear.layer, "weight": linear.name}
            rows.append(place | {"bits": bits, "whole_zero": whole, "error": _error(weight, new)})
    return Measured({"grids": pd.DataFrame(rows)}, {"model": model_facts(dense)})


ROTATION = (
    PROMPT,
    CATEGORY,
    Column("largest", NUMBER, "largest difference of a logit, over all positions of the prompt"),
    Column("logit_size", NUMBER, "root mean square of the logits there"),
    Column("agreement", NUMBER, "share of positions with the same likeliest token"),
    Column("same_text", FLAG, "whether both write the same greedy text"),
)


@measurement(*WRITING, "max_new_tokens", tables={"rotation": ROTATION})
def rotation_check(parameters: RunParameters) -> Measured:
    """Is a rotated copy the same function? Logits at every position of the prompts, and greedy
    texts of ``max_new_tokens``, of the model and of its copy."""
    steps = parameters.max_new_tokens
    begin = prompted(parameters, steps)
    given = begin.input_ids, begin.attention_mask
    place = parameters.revision, parameters.dtype, parameters.device
    copy = load(f"{parameters.model}+rotated", *place)
    models = (begin.decoder, copy.decoder)
    texts = [write(one, *given, steps, begin.ends) for one in models]
    rows = []
    for number, prompt in enumerate(begin.prompts):
        ids = begin.input_ids[number][begin.attention_mask[number].bool()][None]
        first, second = (_logits(one, ids) for one in models)
        rows.append(
            {
                "prompt": prompt.id,
                "category": prompt.category,
                "largest": float((first - second).abs().max()),
                "logit_size": float(first.square().mean().sqrt()),
                "agreement": float((first.argmax(-1) == second.argmax(-1)).double().mean()),
                "same_text": texts[0][number] == texts[1][number],
            }
        )
    facts = {"model": model_facts(begin.dense), "prompts": len(rows)}
    return Measured({"rotation": pd.DataFrame(rows)}, facts)


@torch.no_grad()
def _logits(decoder: Decoder, ids: Tensor) -> Tensor:
    """Logits (T, V), float64."""
    model: Any = decoder.model
    logits: Tensor = model(ids.to(model.device)).logits[0].double()
    return logits
