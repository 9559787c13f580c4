"""How do a dense and a pruned model part while they write? (Section 7.1, Figure 7, Table 2)"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from tqdm import tqdm

from helpers.capture import Pair
from helpers.decoding import (
    Choice,
    Held,
    Reader,
    Sampler,
    Together,
    likeliest,
    lockstep,
    log_likelihoods,
)
from helpers.models.architecture import Decoder
from helpers.models.load import model_facts
from helpers.spaces import Comparison, PairIndex, Space
from helpers.texts.data import Prompt
from measurements import pruned_model
from measurements.decisions import decisions, entropy
from measurements.deviations import DEVIATIONS, OUTPUT, Kind, deviation_table, with_estimates
from measurements.prompted import prompted
from measurements.pruned_model import pruned_counterpart
from measurements.token_table import TOKENS, Writing, token_table
from runs.parameters import WRITING, RunParameters
from runs.store import Measured, measurement

USES = (*WRITING, *pruned_model.USES, "max_new_tokens", "temperature", "sampling", "repeats")
LOGIT, PROBABILITY = Space("logit", "normed"), Space("probability", "normed")
DECODINGS = ("free", "forced")


@measurement(*USES, tables={"deviations": DEVIATIONS, "tokens": TOKENS})
def generation(parameters: RunParameters) -> Measured:
    """Let a dense and a pruned model write on together, free-running and teacher-forced.

    ``free``: each model reads its own text. ``forced``: the pruned model reads the dense text.
    Greedy, or with ``sampling`` drawn at ``temperature``, ``repeats`` times with seeds from
    ``seed`` on and common random numbers.

    Tables: ``deviations`` of the model's output (final norm, ``layer`` −1) at each step until a
    text ends, and ``tokens``: both texts, to their ends.
    """
    begin = prompted(parameters, parameters.max_new_tokens)
    dense, decoder, prompts = begin.dense, begin.decoder, begin.prompts
    pruned, words = pruned_counterpart(parameters, dense)

    rows = text_rows(parameters, prompts)
    repeated = len(rows) // len(prompts)
    ids, mask = begin.input_ids, begin.attention_mask
    choose = choice_of(parameters, rows)
    pairing = Pairing(decoder, pruned, ids, mask, choose, begin.ends, copies=repeated)
    pairing.run(parameters.max_new_tokens, parameters.temperature)

    ids, mask = ids.repeat(repeated, 1), mask.repeat(repeated, 1)
    writings = []
    for writer, written in (("dense", pairing.written[0]), ("pruned", pairing.written[1])):
        likelihoods = log_likelihoods(decoder, ids, mask, written)
        writings.append(Writing(writer, written, likelihoods))
    tokens = token_table(rows, writings, dense.tokenizer)
    facts = {
        "model": model_facts(dense),
        "pruned": words,
        "prompts": len(prompts),
        "texts": len(rows),
    }
    tables = {"deviations": _deviations(parameters, rows, pairing), "tokens": tokens}
    return Measured(tables, facts)


def text_rows(parameters: RunParameters, prompts: tuple[Prompt, ...]) -> list[tuple[int, Prompt]]:
    """Seed and prompt of each text: one text a prompt, or with sampling one for each seed too."""
    count = parameters.repeats if parameters.sampling else 1
    seeds = range(parameters.seed, parameters.seed + count)
    return [(seed, prompt) for seed in seeds for prompt in prompts]


def choice_of(parameters: RunParameters, rows: list[tuple[int, Prompt]]) -> Choice:
    """How the next token is chosen: the likeliest, or drawn with common random numbers."""
    if not parameters.sampling:
        return likeliest
    return Sampler([(seed, prompt.text) for seed, prompt in rows], parameters.temperature)


@dataclass
class Pairing:
    """A dense and a pruned model that write on after prompts (B, T), and what is measured.

    With ``copies`` every prompt is read once and written on that many times: texts are block after
    block of all prompts.
    ``rows`` and ``values`` hold, for each decoding, the text and step of each comparison and its
    numbers (C, M); ``kinds`` names them. ``written`` holds the dense and the pruned texts.
    """

    dense: Decoder
    pruned: Decoder
    input_ids: Tensor
    attention_mask: Tensor
    choose: Choice = likeliest
    ends: tuple[int, ...] = ()
    use_cache: bool = True
    copies: int = 1
    kinds: list[Kind] = field(default_factory=list)
    rows: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    values: dict[str, list[np.ndarray]] = field(default_factory=dict)
    written: tuple[list[list[int]], list[list[int]]] = ([], [])

    def run(self, steps: int, temperature: float, forced: bool = True) -> None:
        """Write and compare up to ``steps`` tokens, until every text has ended; without
        ``forced`` only free-running."""
        comparison = Comparison(self.dense.head, self.dense.final_norm, temperature)
        count, device = self.copies * len(self.input_ids), self.dense.device
        self.rows = {name: [] for name in DECODINGS}
        self.values = {name: [] for name in DECODINGS}
        self.written = ([[] for _ in range(count)], [[] for _ in range(count)])
        running = torch.ones(2, count, dtype=torch.bool, device=device)  # dense, pruned
        same = torch.ones(count, dtype=torch.bool, device=device)  # texts read so far are equal
        ends = torch.tensor(self.ends, dtype=torch.long, device=device)
        for step in self._together(steps, forced):
            chosen = torch.stack([step.tokens["dense"], step.tokens["free"]]).to(device)
            self._compare(comparison, step, same, running)
            for texts, tokens, runs in zip(self.written, chosen, running, strict=True):
                for row in runs.nonzero()[:, 0].tolist():
                    texts[row].append(int(tokens[row]))
            same &= chosen[0] == chosen[1]
            running &= ~torch.isin(chosen, ends)
            if not running.any():
                return

    def _together(self, steps: int, forced: bool) -> Iterator[Together]:
        def reader(decoder: Decoder) -> Reader:
            return Reader(decoder, self.attention_mask, self.use_cache)

        readers = {"dense": reader(self.dense), "free": reader(self.pruned)}
        if forced:
            readers["forced"] = reader(self.pruned)

        def decide(number: int, held: Any) -> dict[str, Tensor]:
            own = {name: self.choose(number, held[name].logits) for name in ("dense", "free")}
            return own | {"forced": own["dense"]}

        start = self.input_ids
        if self.copies > 1:
            for one in readers.values():
                one.read(start[:, :-1])
                one.copy_texts(self.copies)
            start = start[:, -1:].repeat(self.copies, 1)
        together = lockstep(readers, start, steps, decide)
        yield from tqdm(together, total=steps, desc="Writing side by side, step", mininterval=2.0)

    def _compare(
        self, comparison: Comparison, step: Together, same: Tensor, running: Tensor
    ) -> None:
        """Compare what is not over: free while both texts run, forced while the dense one does.

        Up to the parting both are the same comparison, and made once.
        """
        forced = "forced" in step.held
        wanted = {"free": running.all(0)}
        if forced:
            wanted["forced"] = running[0] & ~(same & running[1])
        for name, rows in wanted.items():
            chosen = rows.nonzero()[:, 0]
            if not len(chosen):
                continue
            held = step.held["dense"].rows(chosen), step.held[name].rows(chosen)
            found = compare_outputs(comparison, *held)
            picked = [
                self.choose(step.number, step.held[one].logits)[chosen] for one in ("dense", name)
            ]
            found[PROBABILITY, "choice", "measured"] = (picked[0] == picked[1]).double()
            self.kinds = list(found)
            block = torch.stack(list(found.values()), dim=-1).cpu().numpy()
            for row, numbers in zip(chosen.tolist(), block, strict=True):
                both = forced and name == "free" and bool(same[row])
                for decoding in DECODINGS if both else (name,):
                    self.rows[decoding].append((row, step.number))
                    self.values[decoding].append(numbers)


def compare_outputs(comparison: Comparison, dense: Held, pruned: Held) -> dict[Kind, Tensor]:
    """All numbers (R,) float64 that compare two models' outputs for R texts: the three spaces
    with what the theorems say, and the decision."""
    count = len(dense.state)
    states = torch.cat([dense.state, pruned.state])
    pairs = tuple(Pair(0, "mlp", row, count + row) for row in range(count))
    index = PairIndex.of(pairs, states)
    logits = torch.cat([dense.logits, pruned.logits])
    found = with_estimates(
        comparison.through("normed", states, logits, index), comparison.temperature
    )
    for name, value in decisions(dense.logits, pruned.logits).items():
        space = LOGIT if name.startswith("margin") else PROBABILITY
        found[space, name, "measured"] = value
    for name, held in (("dense", dense), ("pruned", pruned)):
        value = entropy(held.logits, comparison.temperature)
        found[PROBABILITY, f"entropy_{name}", "measured"] = value
    return found


def _deviations(
    parameters: RunParameters, rows: list[tuple[int, Prompt]], pairing: Pairing
) -> pa.Table:
    """The long table: for each decoding and seed, comparisons × numbers."""
    tables = []
    prompts = tuple(dict.fromkeys(prompt for _, prompt in rows))
    for decoding in DECODINGS:
        for seed in dict.fromkeys(seed for seed, _ in rows):
            kept = [
                number
                for number, (row, _) in enumerate(pairing.rows[decoding])
                if rows[row][0] == seed
            ]
            if not kept:
                continue
            chains = [pairing.rows[decoding][number] for number in kept]
            block = np.stack([pairing.values[decoding][number] for number in kept])
            tables.append(
                deviation_table(
                    parameters.model_copy(update={"seed": seed}),
                    prompts,
                    OUTPUT,
                    [(prompts.index(rows[row][1]), step) for row, step in chains],
                    pairing.kinds,
                    block[:, None],
                    intervention="propagated",
                    decoding=decoding,  # type: ignore[arg-type]
                )
            )
    return pa.concat_tables(tables)
