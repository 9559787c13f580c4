"""Truth, identity, theorem and bounded form of the same deviations, each by its own formula."""

import numpy as np
import torch
from torch import Tensor

from helpers import theory
from helpers.spaces import Comparison, PairIndex, Space, probability_metrics
from measurements.deviations import DEVIATIONS, Kind, deviation_table
from measurements.layer_profile import as_array
from measurements.walk import IN_PLACE, Walk
from runs.parameters import WRITING, RunParameters
from runs.store import Measured, measurement

STEPS = 2  # at most: whole vocabularies in float64, once for each formula
AT_ONCE = 8  # pairs whose logits are held in float64 at a time


@measurement(
    *(*WRITING, *IN_PLACE, "sweep_steps", "temperature"), tables={"deviations": DEVIATIONS}
)
def estimate_quality(parameters: RunParameters) -> Measured:
    """The probability space of every sublayer at the first steps of each text.

    ``measured`` is the definition (:func:`helpers.spaces.probability_metrics`); ``exact``,
    ``theorem`` and ``bounded`` come from z and Δz by :mod:`helpers.theory`, and share no code with
    it. Table ``deviations``.
    """
    walk = Walk(parameters, min(STEPS, parameters.sweep_steps), "Checking the estimates of")
    decoder, temperature = walk.dense.decoder, parameters.temperature
    comparison = Comparison(decoder.head, decoder.final_norm, temperature)
    values: list[np.ndarray] = []
    for visit in walk:
        index = PairIndex.of(visit.pairs, visit.states)
        found: dict[Kind, Tensor] = {}
        for lens, (_, z) in comparison.lenses(visit.states).items():
            space = Space("probability", lens)
            truth = probability_metrics(z, index, temperature)
            found |= {(space, name, "measured"): truth[name] for name in ("angular", "kl")}
            dense = torch.arange(len(z), device=z.device)[index.dense]
            pruned = torch.arange(len(z), device=z.device)[index.pruned]
            parts = [
                estimates(z[rows].double(), z[others].double(), temperature)
                for rows, others in zip(dense.split(AT_ONCE), pruned.split(AT_ONCE), strict=True)
            ]
            for metric, quantity in parts[0]:
                joined = torch.cat([part[metric, quantity] for part in parts])
                found[space, metric, quantity] = joined
        values.append(as_array(found))
    table = deviation_table(
        parameters, walk.prompts, visit.pairs, walk.rows, list(found), np.stack(values)
    )
    return Measured({"deviations": table}, walk.facts(), parameters.removed_in_place)


def estimates(z: Tensor, other: Tensor, temperature: float) -> dict[tuple[str, str], Tensor]:
    """Every formula for 1 − cos(p, q) and KL(p‖q) (K,), by (metric, quantity), from dense and
    pruned logits (K, V), float64."""
    delta = other - z
    variance_p = theory.variance(theory.log_p(z, temperature), delta)
    variance_r = theory.variance(theory.log_r(z, temperature), delta)
    return {
        ("angular", "exact"): theory.angular_identity(z, delta, temperature),
        ("angular", "theorem"): theory.angular_theorem_2(variance_r, temperature),
        ("angular", "bounded"): theory.angular_bounded(variance_r, temperature),
        ("kl", "exact"): theory.kl_identity(z, delta, temperature),
        ("kl", "theorem"): theory.kl_theorem_3(variance_p, temperature),
    }
