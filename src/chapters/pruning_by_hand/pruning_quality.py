"""What does each pruning method cost, layer by layer and in the whole model's perplexity?"""

from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from helpers.models.load import LoadedModel, load, model_facts
from helpers.pruning import METHODS, Recipe, prunable, pruned
from helpers.pruning.calibrate import walk
from helpers.pruning.drop import Place, dropped
from helpers.pruning.importance import importance
from helpers.pruning.methods import Evidence
from helpers.pruning.selection import DropTarget, one_shot
from helpers.pruning.sparsegpt import layer_error
from helpers.pruning.statistics import Hessian
from helpers.texts.calibration import Calibration, calibration_text, held_out_text, perplexity
from runs.columns import COUNT, REMOVED, SEED, SUBLAYER, TEXT, VALUE, Column
from runs.parameters import RunParameters
from runs.store import Measured, measurement

USES = (
    "model",
    "revision",
    "dtype",
    "sparsity",
    "calibration",
    "calibration_samples",
    "calibration_length",
    "evaluation_samples",
    "repeats",
    "seed",
)
PATTERNS = ("4:8", "2:4")
DROPS = (1, 2, 4, 8)
HELD_OUT_LENGTH = 256  # tokens of a window
TABLE = (
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

Row = dict[str, Any]


@measurement(*USES, tables={"prunings": TABLE})
def pruning_quality(parameters: RunParameters) -> Measured:
    """Prune the model with every method, and take it back each time.

    Table ``prunings``: perplexity of held-out text (windows that no calibration sees) for dense,
    every method at ``sparsity`` and at 4:8 and 2:4, and attention or MLP sublayers dropped; the
    relative layer error of each weight at ``sparsity``, all methods on the dense model's inputs;
    and the importance of every sublayer. One row per seed for what a seed changes.
    """
    loaded = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    windows = parameters.evaluation_samples
    text = held_out_text(loaded.tokenizer, samples=windows, length=HELD_OUT_LENGTH)
    rows: list[Row] = [{"method": "dense", "value": perplexity(loaded.decoder, text)}]
    for seed in range(parameters.seed, parameters.seed + parameters.repeats):
        used = calibration_text(
            loaded.tokenizer,
            parameters.calibration,
            parameters.calibration_samples,
            parameters.calibration_length,
            seed,
        )
        described = {"seed": seed}
        with tqdm(total=_steps(loaded), desc="Pruning", unit="step") as bar:
            for row in _one_seed(loaded, parameters, used, text, bar):
                rows.append(described | row)
    facts = {"model": model_facts(loaded), "held_out": f"{windows} × {HELD_OUT_LENGTH} tokens"}
    return Measured({"prunings": _table(rows, parameters.seed)}, facts)


def _settings(parameters: RunParameters, seed: int) -> Iterator[Recipe]:
    """Every method at the share and in each pattern; what no seed changes, once."""
    for method in METHODS:
        if not METHODS[method].seeded and seed != parameters.seed:
            continue
        yield Recipe(method, ratio=parameters.sparsity, seed=seed)
        for pattern in PATTERNS:
            yield Recipe(method, pattern=pattern, seed=seed)


def _counts(loaded: LoadedModel) -> list[int]:
    """How many sublayers are dropped, as far as the model has them."""
    return [count for count in DROPS if count <= len(loaded.decoder.layers)]


def _steps(loaded: LoadedModel) -> int:
    """Steps of the progress bar: layer errors, settings, ranking, drops of both kinds."""
    return 2 + len(METHODS) * (1 + len(PATTERNS)) + 2 * len(_counts(loaded))


def _one_seed(
    loaded: LoadedModel, parameters: RunParameters, used: Calibration, text: Tensor, bar: Any
) -> Iterator[Row]:
    decoder = loaded.decoder
    bar.set_description("Comparing layer errors")
    yield from _layer_errors(loaded, parameters.sparsity, used)
    bar.update()
    for recipe in _settings(parameters, used.seed):
        bar.set_description(f"Pruning: {recipe}")
        with pruned(decoder, recipe, used, progress=False) as report:
            value = perplexity(decoder, text)
        amounts = {"amount": recipe.amount, "pattern": recipe.pattern}
        amounts["calibration"] = report.calibration
        yield {"method": recipe.method, "target": "all", "value": value} | amounts
        bar.update()
    bar.set_description("Ranking sublayers")
    measured = importance(decoder, used.ids)
    bar.update()
    kinds: tuple[tuple[DropTarget, Tensor], ...]
    kinds = (("attention", measured.attention), ("mlp", measured.mlp))
    for kind, values in kinds:
        for layer, value in enumerate(values.tolist()):
            place = {"layer": layer, "sublayer": kind, "target": kind}
            described = {"metric": "importance", "calibration": used.description}
            yield place | described | {"method": "drop", "value": value}
        for count in _counts(loaded):
            bar.set_description(f"Dropping: {count} {kind} sublayers")
            found = _drop(loaded, one_shot(measured, kind, count), kind, text)
            yield found | {"calibration": used.description}
            bar.update()


def _drop(loaded: LoadedModel, places: tuple[Place, ...], target: str, text: Tensor) -> Row:
    with dropped(loaded.decoder, places) as remaining:
        value = perplexity(remaining, text)
    return {"method": "drop", "target": target, "amount": float(len(places)), "value": value}


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
            place = {"target": linear.kind, "sublayer": linear.kind, "layer": layer}
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


def _table(rows: list[Row], seed: int) -> pd.DataFrame:
    defaults = {
        "target": "all",
        "amount": 0.0,
        "pattern": "",
        "seed": seed,
        "calibration": "none",
        "layer": -1,
        "sublayer": "model",
        "weight": "",
        "metric": "perplexity",
    }
    return pd.DataFrame([defaults | row for row in rows])
