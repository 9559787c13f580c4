"""By which path does what pruning changed upstream enter each attention? (Appendix D.1)"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from helpers.capture.attention import Call, calls, eager, look
from helpers.decoding import continued, write
from helpers.errors import InputError
from helpers.models.architecture import Decoder, Sublayer
from helpers.models.load import model_facts
from helpers.texts.data import Prompt
from helpers.theory import attention_paths as paths
from measurements import pruned_model
from measurements.prompted import prompted
from measurements.pruned_model import pruned_counterpart
from runs.columns import CATEGORY, LAYER, NUMBER, PROMPT, STEP, TEXT, VALUE, Column
from runs.parameters import WRITING, RunParameters
from runs.store import Measured, measurement

USES = (*WRITING, *pruned_model.USES, "sweep_steps", "layer")
TABLE = (
    PROMPT,
    CATEGORY,
    STEP,
    LAYER,
    Column(
        "cause",
        TEXT,
        "what changes the output o of one attention: inputs (its dense parameters read what the "
        "pruned model holds there), parameters (then its pruned parameters read the same), both",
        ("inputs", "parameters", "both"),
    ),
    Column(
        "scale",
        NUMBER,
        "share of the change of the inputs that is applied; 1 for all of it",
    ),
    Column(
        "term",
        TEXT,
        "value: Σ α Δv; weight: Σ Δα v; remainder: Σ Δα Δv; change: their sum Δo",
        ("value", "weight", "remainder", "change"),
    ),
    Column(
        "metric",
        TEXT,
        "share: projection of the term on Δo over ‖Δo‖², which add up to 1; size: length of the "
        "term over that of o, dense; part: projection of this cause's Δo on the Δo of both causes, "
        "over its squared length; first: share of that part of the value path which the first "
        "token of the text makes",
        ("share", "size", "part", "first"),
    ),
    VALUE,
)
SCALES = tuple(2.0**-power for power in range(9))
NEGLIGIBLE = 1e-6  # a smaller change, relative to o, is rounding: its shares would be noise
Chain = tuple[int, int]  # prompt, step
Numbers = dict[tuple[str, str], Tensor]  # term and metric → (B, P)


@measurement(*USES, tables={"paths": TABLE})
def attention_paths(parameters: RunParameters) -> Measured:
    """Split what changes at the output of every attention, Σ α v before its projection, between
    values and weights.

    Dense and pruned model read one text, the dense model's greedy continuation of each prompt.
    Each attention is then called by itself: with dense and with pruned parameters, on what the
    dense and on what the pruned model holds there. At ``layer`` the change of the inputs is also
    scaled down (−1: nowhere). Layers whose attention was dropped have no paths.

    Table: ``paths``, at the last position of the prompt (step 0) and at steps 1, 2, 4, 8, ….
    """
    begin = prompted(parameters, parameters.sweep_steps)
    dense, decoder, prompts = begin.dense, begin.decoder, begin.prompts
    pruned, words = pruned_counterpart(parameters, dense)
    given = begin.input_ids, begin.attention_mask
    written = write(decoder, *given, parameters.sweep_steps, begin.ends)
    ids, mask = continued(*given, [tokens[:-1] for tokens in written])
    chains = [(row, step) for row, tokens in enumerate(written) for step in looked_at(len(tokens))]
    rows, places = zip(*((row, step - len(written[row])) for row, step in chains), strict=True)
    longest = max(map(len, written))

    frames = []
    with eager(decoder), eager(pruned):
        comparison = AttentionPair(decoder, pruned, ids, mask, slice(-longest, None))
        if not comparison.layers:
            raise InputError("no attention is left in both models: lower dropped")
        bar = tqdm(comparison.layers, desc="Splitting attention, layer", mininterval=2.0)
        for layer in bar:
            for cause, scale, numbers in comparison.at(layer, layer == parameters.layer):
                picked = {
                    key: value[list(rows), list(places)].cpu().numpy()
                    for key, value in numbers.items()
                }
                frame = _frame(picked, prompts, chains, scale)
                frames.append(frame.assign(layer=layer, cause=cause, scale=scale))
    facts = {
        "model": model_facts(dense),
        "pruned": words,
        "prompts": len(prompts),
        "chains": len(chains),
        "layers": comparison.layers,
        "first_norms": comparison.first_norms(),
    }
    return Measured({"paths": pd.concat(frames, ignore_index=True)}, facts)


def looked_at(steps: int) -> list[int]:
    """Steps 0, 1, 2, 4, 8, … of a text with so many."""
    doubling = (2**power for power in range(steps.bit_length()))
    return [step for step in (0, *doubling) if step < steps]


class AttentionPair:
    """Attention sublayers of a dense and a pruned model that read ids and mask (B, T), compared at
    ``positions``. Use it inside :func:`helpers.capture.attention.eager` of both."""

    def __init__(
        self, dense: Decoder, pruned: Decoder, ids: Tensor, mask: Tensor, positions: slice
    ) -> None:
        self.positions = positions
        self.own, self.other = _attention(dense), _attention(pruned)
        self.dense, self.pruned = calls(dense, ids, mask), calls(pruned, ids, mask)
        self.layers = [layer for layer in self.pruned if layer in self.dense]
        self.mask, self.first = mask, mask.argmax(-1)

    def at(self, layer: int, scaled: bool = False) -> Iterator[tuple[str, float, Numbers]]:
        """Cause, scale, and numbers of one layer, each (B, P)."""
        dense, pruned = self.dense[layer], self.pruned[layer]
        device = dense.state.device
        change = pruned.state.to(device) - dense.state

        def read(state: Tensor) -> paths.Attention:
            return look(self.own[layer], Call(state, dense.keywords), self.positions)

        here = read(dense.state)
        moved = read(pruned.state.to(device))
        there = look(self.other[layer], pruned, self.positions)
        there = paths.Attention(there.weights.to(device), there.values.to(device))
        base = paths.attended(here.weights, here.values)
        both = paths.split(here, there)
        found = {"inputs": paths.split(here, moved), "parameters": paths.split(moved, there)}
        parts = paths.shares({cause: paths.change(terms) for cause, terms in found.items()})
        first = paths.value_path_of(here, moved, self.first.to(device))
        for cause, terms in found.items():
            numbers = _numbers(terms, base) | {("change", "part"): parts[cause]}
            if cause == "inputs":
                numbers["value", "first"] = paths.share(first, paths.change(terms))
            yield cause, 1.0, numbers
        yield "both", 1.0, _numbers(both, base)
        for scale in SCALES[1:] if scaled else ():
            terms = paths.split(here, read(dense.state + scale * change))
            yield "inputs", scale, _numbers(terms, base)

    def first_norms(self) -> dict[str, list[float]]:
        """How much longer the first token's state is than those of other tokens, at each attention
        that both models have: ratio of mean lengths, over all texts."""
        return {
            name: [self._first_norm(found[layer].state) for layer in self.layers]
            for name, found in (("dense", self.dense), ("pruned", self.pruned))
        }

    def _first_norm(self, state: Tensor) -> float:
        lengths = torch.linalg.vector_norm(state.double(), dim=-1)
        mask, first = self.mask.to(state.device).bool(), self.first.to(state.device)
        rows = torch.arange(len(first), device=state.device)
        others = mask.index_put((rows, first), torch.tensor(False, device=state.device))
        return float(lengths[rows, first].mean() / lengths[others].mean())


def _attention(decoder: Decoder) -> dict[int, Sublayer]:
    return {one.layer: one for one in decoder.sublayers if one.kind == "attention"}


def _numbers(terms: paths.Terms, base: Tensor) -> Numbers:
    """Shares and sizes (B, P) of terms (B, P, d)."""
    numbers = {(term, "share"): value for term, value in paths.shares(terms).items()}
    return numbers | {(term, "size"): value for term, value in paths.sizes(terms, base).items()}


def _frame(
    numbers: dict[tuple[str, str], np.ndarray],
    prompts: tuple[Prompt, ...],
    chains: list[Chain],
    scale: float,
) -> pd.DataFrame:
    """Rows of one layer, cause and scale from numbers (C,): sizes always, and shares where there
    is a change to share out."""
    seen = numbers["change", "size"] > NEGLIGIBLE * scale
    where = pd.DataFrame(
        {
            "prompt": [prompts[row].id for row, _ in chains],
            "category": [prompts[row].category for row, _ in chains],
            "step": [step for _, step in chains],
        }
    )
    parts = []
    for (term, metric), values in numbers.items():
        kept = np.isfinite(values) & (seen | (metric == "size"))
        parts.append(where.assign(term=term, metric=metric, value=values)[kept])
    return pd.concat(parts, ignore_index=True)
