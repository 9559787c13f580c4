"""How far does a model deviate from itself, with nothing pruned, once it has written another word?

What pruning does after two texts have parted can only be judged beside this.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from helpers.decoding import Held, Reader, Together, likeliest, lockstep, two_likeliest
from helpers.models.architecture import Decoder
from helpers.models.load import model_facts
from helpers.spaces import Comparison
from measurements.deviations import DEVIATIONS, OUTPUT, Kind, deviation_table
from measurements.generation import compare_outputs
from measurements.prompted import prompted
from runs.parameters import WRITING, RunParameters
from runs.settings import dense
from runs.store import Measured, measurement

Row = tuple[int, int]  # text and step


@measurement(*WRITING, "max_new_tokens", "temperature", tables={"deviations": DEVIATIONS})
def other_words(parameters: RunParameters) -> Measured:
    """Compare the dense model's greedy text with the one it writes after its second choice.

    The first token of that other text is the runner-up; from there on it is greedy too. No weight
    is touched. Table ``deviations`` of the model's output, as of ``generation`` and free-running,
    with amount 0, at each step until a text ends.
    """
    begin = prompted(parameters, parameters.max_new_tokens)
    decoder, prompts = begin.decoder, begin.prompts
    comparison = Comparison(decoder.head, decoder.final_norm, parameters.temperature)
    given = begin.input_ids, begin.attention_mask
    rows, kinds, values = compared(
        decoder, comparison, *given, parameters.max_new_tokens, begin.ends
    )
    table = deviation_table(
        parameters, prompts, OUTPUT, rows, kinds, values[:, None], intervention="propagated"
    )
    facts = {"model": model_facts(begin.dense), "prompts": len(prompts)}
    return Measured({"deviations": table}, facts, dense(parameters).removed)


def compared(
    decoder: Decoder,
    comparison: Comparison,
    input_ids: Tensor,
    attention_mask: Tensor,
    steps: int,
    ends: tuple[int, ...] = (),
) -> tuple[list[Row], list[Kind], np.ndarray]:
    """Text and step of each comparison, what its numbers are, and the numbers (C, M) float64.

    Prompts (B, T) are padded on the left; up to ``steps`` tokens are written after each.
    """
    readers = {name: Reader(decoder, attention_mask) for name in ("dense", "other")}
    running = torch.ones(len(input_ids), dtype=torch.bool, device=decoder.device)
    over = torch.tensor(ends, dtype=torch.long, device=decoder.device)
    rows: list[Row] = []
    blocks: list[Tensor] = []
    kinds: list[Kind] = []
    together = lockstep(readers, input_ids, steps, _decide)
    for step in tqdm(together, total=steps, desc="Writing other words, step", mininterval=2.0):
        chosen = running.nonzero()[:, 0]
        found = compare_outputs(comparison, *_pair(step, chosen))
        kinds = list(found)
        blocks.append(torch.stack(list(found.values()), dim=-1).cpu())
        rows += [(row, step.number) for row in chosen.tolist()]
        for tokens in step.tokens.values():
            running &= ~torch.isin(tokens.to(running.device), over)
        if not running.any():
            break
    return rows, kinds, torch.cat(blocks).numpy()


def _decide(number: int, held: Mapping[str, Held]) -> dict[str, Tensor]:
    """Greedy, but for the runner-up as the first token of the other text."""
    found = {name: likeliest(number, one.logits) for name, one in held.items()}
    if number == 0:
        found["other"] = two_likeliest(held["other"].logits)[1]
    return found


def _pair(step: Together, rows: Tensor) -> tuple[Held, Held]:
    return step.held["dense"].rows(rows), step.held["other"].rows(rows)
