"""What does removing one sublayer do, in place, to the state it stands in? (Sections 5 and 6)"""

import numpy as np
import torch

from helpers.spaces import Comparison
from measurements.deviations import DEVIATIONS, Kind, deviation_table, with_estimates
from measurements.walk import IN_PLACE, TEXTS, Walk
from runs.parameters import WRITING, RunParameters
from runs.store import Measured, measurement


@measurement(
    *(*WRITING, *IN_PLACE, "max_new_tokens", "temperature"),
    tables={"deviations": DEVIATIONS, "texts": TEXTS},
)
def layer_profile(parameters: RunParameters) -> Measured:
    """Compare the residual stream with and without each sublayer, in the three spaces.

    The dense model writes its greedy continuation of every prompt. At each step and for every
    sublayer the state after it, x + f(x), is compared in place with x (``method=drop``) or with
    x + f̃(x) of its counterpart, in a checkpoint (``method=checkpoint``) or with its weights pruned;
    the dense model runs on undisturbed.

    Tables: ``deviations`` (one row per prompt, step, sublayer, space, lens, metric and quantity:
    measured, or what the theorems say) and ``texts`` (what was written).
    """
    walk = Walk(parameters, parameters.max_new_tokens, "Comparing")
    decoder = walk.dense.decoder
    comparison = Comparison(decoder.head, decoder.final_norm, parameters.temperature)
    values: list[np.ndarray] = []
    for visit in walk:
        compared = comparison.chain(visit.states, visit.pairs)
        found = with_estimates(compared, parameters.temperature)
        values.append(as_array(found))
    deviations = deviation_table(
        parameters, walk.prompts, visit.pairs, walk.rows, list(found), np.stack(values)
    )
    tables = {"deviations": deviations, "texts": walk.texts()}
    return Measured(tables, walk.facts(), parameters.removed_in_place)


def as_array(found: dict[Kind, torch.Tensor]) -> np.ndarray:
    """Numbers of one chain as (sublayers, kinds of number), float64."""
    return torch.stack(list(found.values()), dim=-1).cpu().numpy()
