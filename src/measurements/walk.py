"""The dense model writes, and at each step every sublayer is looked at where it stands."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from tqdm import tqdm

from helpers.capture import Pair, capture
from helpers.decoding import greedy
from helpers.models.architecture import Decoder
from helpers.models.load import LoadedModel, load, model_facts
from helpers.pruning.apply import prune
from helpers.pruning.checkpoint import differences
from helpers.pruning.recipe import Recipe
from measurements.calibrated import calibration_for
from measurements.prompted import prompted
from runs.columns import CATEGORY, COUNT, FLAG, PROMPT, STRING, Column
from runs.parameters import CALIBRATION, RunParameters

IN_PLACE = ("method", "checkpoint", "sparsity", *CALIBRATION)
TEXTS = (
    PROMPT,
    CATEGORY,
    Column("prompt_tokens", COUNT, "length of the prompt with its template, in tokens"),
    Column("steps", COUNT, "measured decoding steps"),
    Column("ended", FLAG, "whether the text ended by itself within those steps"),
    Column("text", STRING, "what the dense model wrote"),
)


@dataclass(frozen=True)
class Visit:
    """All states (S, d) of one sequence at one step, and which of them are compared."""

    row: int
    step: int
    states: Tensor
    pairs: tuple[Pair, ...]


@dataclass
class Walk:
    """Greedy continuations of the chosen prompts by the dense model, up to ``steps`` each.

    Iterating yields a :class:`Visit` for each prompt and step. Afterwards ``rows`` holds the
    prompt and step of each, and ``texts`` what was written.
    """

    parameters: RunParameters
    steps: int
    doing: str
    rows: list[tuple[int, int]] = field(default_factory=list)
    written: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        chosen = self.parameters
        self.begin = prompted(chosen, self.steps)
        self.dense, self.prompts = self.begin.dense, self.begin.prompts
        self.counterpart, self.summary = _counterpart(chosen, self.dense)
        self.written = [[] for _ in self.prompts]
        self.ends = self.begin.ends

    @torch.inference_mode()
    def __iter__(self) -> Iterator[Visit]:
        dense, decoder = self.dense, self.dense.decoder
        ids, mask = self.begin.input_ids, self.begin.attention_mask
        self.lengths = mask.sum(-1).cpu().numpy()
        steps = greedy(dense.model, ids, mask, self.steps, self.ends)
        description = f"{self.doing} {len(decoder.sublayers)} sublayers, step"
        bar = tqdm(steps, total=self.steps, desc=description, mininterval=2.0)
        with capture(decoder, pruned=self.counterpart) as trace:
            for step in bar:
                states = trace.states
                for row, token in zip(step.rows.tolist(), step.tokens.tolist(), strict=True):
                    self.rows.append((row, step.number))
                    self.written[row].append(token)
                    yield Visit(row, step.number, states.tensor[:, row, 0], states.pairs)

    def facts(self) -> dict[str, Any]:
        """What every manifest says of a walk."""
        found: dict[str, Any] = {
            "model": model_facts(self.dense),
            "prompts": len(self.prompts),
            "chains": len(self.rows),
        }
        if self.summary:
            found[self.parameters.method] = self.summary
        return found

    def texts(self) -> pa.Table:
        """Table ``texts``: what the dense model wrote."""
        prompts, written, tokenizer = self.prompts, self.written, self.dense.tokenizer
        return pa.table(
            {
                "prompt": [prompt.id for prompt in prompts],
                "category": [prompt.category for prompt in prompts],
                "prompt_tokens": self.lengths.astype(np.int32),
                "steps": [len(tokens) for tokens in written],
                "ended": [tokens[-1] in self.ends for tokens in written],
                "text": [tokenizer.decode(tokens, skip_special_tokens=True) for tokens in written],
            }
        )


def _counterpart(parameters: RunParameters, dense: LoadedModel) -> tuple[Decoder | None, str]:
    """The model whose sublayers stand in, one at a time, and what was done to it in words; None
    where a sublayer is compared with its absence.

    Weights are pruned as for one sublayer alone: calibrated on the dense model's own states.
    """
    if parameters.method == "checkpoint":
        place = parameters.checkpoint, "main", parameters.dtype, parameters.device
        other = load(*place, tokenizer=dense.tokenizer)
        summary = differences(dense, other).summary
        print(f"Comparing with {parameters.checkpoint}: {summary}", file=sys.stderr)
        return other.decoder, summary
    if not parameters.prunes_weights:
        return None, ""
    other = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    reads = dense.tokenizer, other.decoder
    text = calibration_for(parameters, *reads) if parameters.calibrated else None
    recipe = Recipe(parameters.method, parameters.sparsity, seed=parameters.seed)
    report = prune(other.decoder, recipe, text, sequential=False, reversible=False)
    used = f", calibrated on {report.calibration}" if text else ""
    return other.decoder, f"{report.recipe}{used}"
