"""A corner of one real weight matrix, and what each pruning method costs layer by layer and in the
whole model's perplexity."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from helpers.errors import InputError
from helpers.models.load import LoadedModel, load, model_facts
from helpers.pruning import METHODS, Recipe, prunable, pruned
from helpers.pruning.calibrate import walk
from helpers.pruning.drop import dropped
from helpers.pruning.importance import importance
from helpers.pruning.methods import Evidence
from helpers.pruning.selection import DropTarget, one_shot
from helpers.pruning.sparsegpt import layer_error
from helpers.pruning.statistics import Hessian
from helpers.texts.calibration import Calibration, held_out_text, perplexity
from measurements.calibrated import calibration_for
from runs.columns import COUNT, LAYER, REMOVED, SEED, SUBLAYER, TEXT, VALUE, Column
from runs.parameters import CALIBRATION, RunParameters
from runs.store import Measured, measurement

USES = ("model", "revision", "dtype", "seed", *CALIBRATION)
ROWS, COLUMNS = 6, 8  # of the corner
PATTERNS = ("4:8", "2:4")
DROPS = (1, 2, 4, 8)
HELD_OUT_LENGTH = 256  # tokens of a window
PRUNINGS = (
    *REMOVED,
    SEED,
    Column("calibration", TEXT, "calibration text of the pruning method; none without"),
    Column("layer", COUNT, "layer, from 0; -1 for the whole model"),
    SUBLAYER,
    Column("weight", TEXT, "kind of weight, such as up_proj; empty for a whole part"),
    Column(
        "metric",
        TEXT,
        "perplexity of held-out text; layer_error (‖WX − ŴX‖/‖WX‖ on calibration text); "
        "importance (mean 1 − cos of a sublayer's input and output)",
    ),
    VALUE,
)
WEIGHTS = (
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
DEFAULTS = {
    "target": "all",
    "amount": 0.0,
    "pattern": "",
    "calibration": "none",
    "layer": -1,
    "sublayer": "model",
    "weight": "",
    "metric": "perplexity",
}

Row = dict[str, Any]


@measurement(*USES, tables={"weights": WEIGHTS})
def weight_corner(parameters: RunParameters) -> Measured:
    """The first outputs of an MLP's first linear in the middle of the model, and a few inputs:
    the one with the largest norm, and those that are most correlated with it.

    Table ``weights``: ``weight`` (rows × columns) and ``product``, the entries of XXᵀ of those
    inputs over the calibration text (columns × columns).
    """
    loaded = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    used = calibration_for(parameters, loaded.tokenizer, loaded.decoder)
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
    table = pd.concat(
        pd.DataFrame(values)
        .melt(var_name="column", ignore_index=False)
        .rename_axis("row")
        .reset_index()
        .assign(quantity=name, layer=middle, weight=linear.role)
        for name, values in held.items()
    )
    facts = {"model": model_facts(loaded), "calibration": used.description, "corner": place}
    return Measured({"weights": table}, facts)


@measurement(*USES, "sparsity", "evaluation_samples", "repeats", tables={"prunings": PRUNINGS})
def pruning_quality(parameters: RunParameters) -> Measured:
    """Prune the model with every method, and take it back each time.

    Table ``prunings``: perplexity of held-out text (windows that no calibration sees) for dense,
    every method at ``sparsity`` and at 4:8 and 2:4, and attention or MLP sublayers dropped; the
    relative layer error of each weight at ``sparsity``, all methods on the dense model's inputs;
    and the importance of every sublayer. One row per seed for what a seed changes.
    """
    loaded = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    windows = parameters.evaluation_samples
    tokenizer, decoder = loaded.tokenizer, loaded.decoder
    text = held_out_text(tokenizer, windows, HELD_OUT_LENGTH, known=decoder.embedded_tokens)
    rows: list[Row] = [{"method": "dense", "value": perplexity(decoder, text)}]
    for seed in range(parameters.seed, parameters.seed + parameters.repeats):
        seeded = parameters.model_copy(update={"seed": seed})
        used = calibration_for(seeded, tokenizer, decoder)
        rows += [{"seed": seed} | row for row in _one_seed(loaded, parameters, used, text)]
    facts = {"model": model_facts(loaded), "held_out": f"{windows} × {HELD_OUT_LENGTH} tokens"}
    return Measured(
        {"prunings": pd.DataFrame([DEFAULTS | {"seed": parameters.seed} | row for row in rows])},
        facts,
    )


def _recipes(parameters: RunParameters, seed: int) -> list[Recipe]:
    """Every method at the share and in each pattern; what no seed changes, once."""
    return [
        recipe
        for name, method in METHODS.items()
        if method.seeded or seed == parameters.seed
        for recipe in (
            Recipe(name, ratio=parameters.sparsity, seed=seed),
            *(Recipe(name, pattern=pattern, seed=seed) for pattern in PATTERNS),
        )
    ]


def _one_seed(
    loaded: LoadedModel, parameters: RunParameters, used: Calibration, text: Tensor
) -> Iterator[Row]:
    decoder = loaded.decoder
    yield from _layer_errors(loaded, parameters.sparsity, used)
    for recipe in tqdm(_recipes(parameters, used.seed), f"Pruning, seed {used.seed}"):
        with pruned(decoder, recipe, used, progress=False) as report:
            value = perplexity(decoder, text)
        amounts = {"amount": recipe.amount, "pattern": recipe.pattern}
        yield amounts | {
            "method": recipe.method,
            "calibration": report.calibration,
            "value": value,
        }
    ranked = importance(decoder, used.ids)
    targets: tuple[DropTarget, ...] = ("attention", "mlp")
    for target in targets:
        common = {"method": "drop", "target": target, "calibration": used.description}
        for layer, value in enumerate(getattr(ranked, target).tolist()):
            place = {"layer": layer, "sublayer": target, "metric": "importance"}
            yield common | place | {"value": value}
        counts = [count for count in DROPS if count <= len(decoder.layers)]
        for count in tqdm(counts, f"Dropping {target} sublayers, seed {used.seed}"):
            with dropped(decoder, one_shot(ranked, target, count)) as remaining:
                value = perplexity(remaining, text)
            yield common | {"amount": float(count), "value": value}


def _layer_errors(loaded: LoadedModel, sparsity: float, used: Calibration) -> Iterator[Row]:
    """Relative error ‖WX − ŴX‖/‖WX‖ of every weight, each method on the same dense inputs."""
    weights = prunable(loaded.decoder)
    unused = torch.Generator(device="cpu")
    rows: list[Row] = []

    def compare(layer: int, statistics: Any) -> None:
        for linear in weights[layer]:
            weight, inputs = linear.matrix, statistics[linear.name]
            hessian = inputs.total
            whole = layer_error(weight, torch.zeros_like(weight), hessian)
            place: Row = {"target": linear.kind, "sublayer": linear.kind, "layer": layer}
            place |= {"weight": linear.role, "metric": "layer_error", "amount": sparsity}
            for name, method in METHODS.items():
                if method.drawn:
                    continue
                seen = Evidence(weight, inputs, unused, linear.where)
                new, _ = method.remove(seen, Recipe(name, ratio=sparsity))
                error = float(layer_error(weight, new, hessian) / whole)
                rows.append(place | {"method": name, "value": error})

    walk(loaded.decoder, used, weights, Hessian, compare, sequential=False, progress=False)
    yield from (row | {"calibration": used.description} for row in rows)
