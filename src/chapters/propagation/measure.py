"""What reaches the model's output when one sublayer is dropped, beside what it does in place?"""

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from tqdm import tqdm

from helpers.capture import Pair, States, capture
from helpers.capture.resume import states_between, without_each
from helpers.decoding import continued, write
from helpers.models.architecture import Decoder
from helpers.models.load import model_facts
from helpers.spaces import Comparison, Space
from measurements.deviations import DEVIATIONS, Kind, deviation_table
from measurements.prompted import prompted
from runs.parameters import WRITING, RunParameters
from runs.store import Measured, measurement

USES = (*WRITING, "max_new_tokens", "temperature")
METRICS = ("cosine", "angular", "kl")


@measurement(*USES, tables={"deviations": DEVIATIONS})
def propagation(parameters: RunParameters) -> Measured:
    """Compare each sublayer's removal where it stands with what is left of it at the output.

    The dense model writes its greedy continuation of every prompt; then every model reads that
    same text in one pass (``decoding=forced``). ``in_place``: the dense state after a sublayer
    against the state before it. ``propagated``: the state after the last layer of the dense
    model against that of the model without the sublayer, at every position of the text.

    Table: ``deviations``, at the last position of the prompt (step 0) and at each written token.
    """
    parameters = parameters.model_copy(update={"method": "drop", "checkpoint": ""})
    begin = prompted(parameters, parameters.max_new_tokens)
    decoder, prompts, given = begin.decoder, begin.prompts, (begin.input_ids, begin.attention_mask)
    written = write(decoder, *given, parameters.max_new_tokens, begin.ends)
    ids, mask = continued(*given, [tokens[:-1] for tokens in written])

    states = both_interventions(decoder, ids, mask, max(map(len, written)))
    comparison = Comparison(decoder.head, decoder.final_norm, parameters.temperature)
    chains = [(row, step) for row, tokens in enumerate(written) for step in range(len(tokens))]
    tables = []
    for intervention, held in states.items():
        values = []
        for row, step in tqdm(chains, desc=f"Comparing {intervention}, position", mininterval=2.0):
            numbers = _numbers(comparison, held, row, step - len(written[row]))
            values.append(torch.stack(list(numbers.values()), dim=-1).cpu().numpy())
        kinds, block = list(numbers), np.stack(values)
        tables.append(
            deviation_table(
                parameters,
                prompts,
                held.pairs,
                chains,
                kinds,
                block,
                intervention=intervention,  # type: ignore[arg-type]
                decoding="forced",
            )
        )
    facts = {"model": model_facts(begin.dense), "prompts": len(prompts), "chains": len(chains)}
    table = pa.concat_tables(tables)
    return Measured({"deviations": table}, facts, parameters.removed_in_place)


def both_interventions(
    decoder: Decoder, input_ids: Tensor, attention_mask: Tensor, count: int
) -> dict[str, States]:
    """States at the last ``count`` positions of a text, ids and mask (B, T), padded on the left.

    ``in_place`` holds the dense states around every sublayer, as :mod:`helpers.capture` gives
    them; ``propagated`` (1 + 2L, B, P, d) the last layer's output of the dense model and of the
    model without each sublayer.
    """
    positions = slice(-count, None)
    with torch.inference_mode(), capture(decoder, positions) as trace:
        between = states_between(decoder, input_ids, attention_mask)
    last, pairs = [between[-1][:, positions]], []
    bar = tqdm(
        without_each(decoder, input_ids, attention_mask, between, positions),
        total=len(decoder.sublayers),
        desc="Running on without one sublayer",
        mininterval=2.0,
    )
    for (layer, kind), state in bar:
        pairs.append(Pair(layer, kind, dense=0, pruned=len(last)))
        last.append(state)
    return {"in_place": trace.states, "propagated": States(torch.stack(last), tuple(pairs))}


def _numbers(comparison: Comparison, states: States, row: int, position: int) -> dict[Kind, Tensor]:
    """Numbers (K,) float64 of one chain: the metrics kept, and whether the likeliest token that
    the head reads off both states, through the final norm, is the same."""
    found = comparison.compare(states, row, position)
    numbers: dict[Kind, Tensor] = {
        (space, name, "measured"): values
        for space, metrics in found.items()
        for name, values in metrics.items()
        if name in METRICS
    }
    seen = comparison.final_norm(states.tensor[:, row, position])
    top = comparison.head.logits(seen.to(states.tensor.device)).argmax(-1)
    dense, pruned = ([getattr(pair, end) for pair in states.pairs] for end in ("dense", "pruned"))
    numbers[Space("probability", "normed"), "agreement", "measured"] = (
        top[dense] == top[pruned]
    ).double()
    return numbers
