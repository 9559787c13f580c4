"""How do the probability space and its estimates depend on the temperature? (Appendix H)"""

import numpy as np
import pyarrow as pa

from helpers.spaces import Comparison, PairIndex, Space, probability_metrics
from measurements.deviations import DEVIATIONS, Kind, deviation_table, with_estimates
from measurements.layer_profile import as_array
from measurements.walk import IN_PLACE, Walk
from runs.parameters import WRITING, RunParameters
from runs.store import Measured, measurement

TEMPERATURES = (0.25, 0.5, 1.0, 2.0, 4.0)


@measurement(*WRITING, *IN_PLACE, "sweep_steps", tables={"deviations": DEVIATIONS})
def temperatures(parameters: RunParameters) -> Measured:
    """The probability space of every sublayer at each of ``TEMPERATURES``, on the same states.

    As :func:`measurements.layer_profile.layer_profile`, with the states read once for
    all temperatures and ``sweep_steps`` steps for each prompt; the text is the greedy one, which
    no temperature changes. Table ``deviations``.
    """
    walk = Walk(parameters, parameters.sweep_steps, f"Reading at {len(TEMPERATURES)} temperatures")
    decoder = walk.dense.decoder
    comparison = Comparison(decoder.head, decoder.final_norm, parameters.temperature)
    values: dict[float, list[np.ndarray]] = {one: [] for one in TEMPERATURES}
    kinds: list[Kind] = []
    for visit in walk:
        index = PairIndex.of(visit.pairs, visit.states)
        logits = {lens: z for lens, (_, z) in comparison.lenses(visit.states).items()}
        for one in TEMPERATURES:
            found = {
                Space("probability", lens): probability_metrics(z, index, one)
                for lens, z in logits.items()
            }
            numbers = with_estimates(found, one)
            kinds = list(numbers)
            values[one].append(as_array(numbers))
    tables = [
        deviation_table(
            parameters.model_copy(update={"temperature": one}),
            walk.prompts,
            visit.pairs,
            walk.rows,
            kinds,
            np.stack(found),
        )
        for one, found in values.items()
    ]
    facts = walk.facts() | {"temperatures": list(TEMPERATURES)}
    table = pa.concat_tables(tables)
    return Measured({"deviations": table}, facts, parameters.removed_in_place)
