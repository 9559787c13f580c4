"""What does removing one sublayer do, in place, to the state it stands in? (Section 5)"""

import sys
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
import torch
from tqdm import tqdm

from helpers.calibration import calibration_text
from helpers.capture import capture
from helpers.data import Prompt, select_prompts, tokenize
from helpers.decoding import end_tokens, greedy, refuse_too_long
from helpers.measurements.deviations import Kind, deviation_table, with_estimates
from helpers.models.architecture import Decoder
from helpers.models.load import LoadedModel, load, model_facts
from helpers.parameters import CALIBRATED, WEIGHT_METHODS, RunParameters
from helpers.pruning.apply import prune
from helpers.pruning.checkpoint import differences
from helpers.pruning.recipe import Method, Recipe
from helpers.results import Measured, measurement
from helpers.spaces import Comparison

USES = (
    "model",
    "revision",
    "dtype",
    "method",
    "checkpoint",
    "sparsity",
    "calibration",
    "calibration_samples",
    "calibration_length",
    "prompts",
    "chat_template",
    "max_new_tokens",
    "temperature",
    "seed",
)


@measurement(*USES)
def layer_profile(parameters: RunParameters, run: str) -> Measured:
    """Compare the residual stream with and without each sublayer, in the three spaces.

    The dense model writes its greedy continuation of every prompt. At each step and for every
    sublayer the state after it, x + f(x), is compared in place with x (``method=drop``) or with
    x + f̃(x) of its counterpart, in a checkpoint (``method=checkpoint``) or with its weights pruned;
    the dense model runs on undisturbed.

    Tables: ``deviations`` (one row per prompt, step, sublayer, space, lens and metric) and
    ``texts`` (what was written).
    """
    torch.manual_seed(parameters.seed)
    dense = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    counterpart = _counterpart(parameters, dense)
    prompts = select_prompts(parameters.prompts)
    ids, mask = tokenize(prompts, dense.tokenizer, parameters.chat_template, dense.decoder.device)
    refuse_too_long(dense.model, ids.shape[1] + parameters.max_new_tokens)

    comparison = Comparison(dense.decoder.head, dense.decoder.final_norm, parameters.temperature)
    rows: list[tuple[int, int]] = []
    values: list[np.ndarray] = []
    written: list[list[int]] = [[] for _ in prompts]
    ends = end_tokens(dense.model, dense.tokenizer)
    bar = tqdm(
        greedy(dense.model, ids, mask, parameters.max_new_tokens, ends),
        total=parameters.max_new_tokens,
        desc=f"Comparing {len(dense.decoder.sublayers)} sublayers, step",
        mininterval=2.0,
    )
    with (
        torch.inference_mode(),
        capture(dense.decoder, pruned=counterpart.decoder if counterpart else None) as trace,
    ):
        for step in bar:
            for row, token in zip(step.rows.tolist(), step.tokens.tolist(), strict=True):
                compared = comparison.compare(trace.states, row)
                found = with_estimates(compared, parameters.temperature)
                rows.append((row, step.number))
                values.append(_as_array(found))
                written[row].append(token)
    facts = {"model": model_facts(dense), "prompts": len(prompts), "chains": len(rows)}
    if counterpart:
        facts[parameters.method] = counterpart.summary
    deviations = deviation_table(
        parameters, run, prompts, trace.states.pairs, rows, list(found), np.stack(values)
    )
    texts = _texts(parameters, run, prompts, written, ends, dense.tokenizer, mask.sum(-1))
    return Measured({"deviations": deviations, "texts": texts}, facts)


@dataclass(frozen=True)
class _Counterpart:
    """The model whose sublayers stand in, one at a time, and what was done to it in words."""

    decoder: Decoder
    summary: str


def _counterpart(parameters: RunParameters, dense: LoadedModel) -> _Counterpart | None:
    """None where a sublayer is compared with its absence.

    Weights are pruned as for one sublayer alone: calibrated on the dense model's own states.
    """
    if parameters.method == "checkpoint":
        other = load(parameters.checkpoint, "main", parameters.dtype, parameters.device)
        summary = differences(dense, other).summary
        print(f"Comparing with {parameters.checkpoint}: {summary}", file=sys.stderr)
        return _Counterpart(other.decoder, summary)
    if parameters.method not in WEIGHT_METHODS:
        return None
    other = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    text = None
    if parameters.method in CALIBRATED:
        text = calibration_text(
            dense.tokenizer,
            parameters.calibration,
            parameters.calibration_samples,
            parameters.calibration_length,
            parameters.seed,
        )
    recipe = Recipe(cast(Method, parameters.method), parameters.sparsity, seed=parameters.seed)
    report = prune(other.decoder, recipe, text, sequential=False, reversible=False)
    return _Counterpart(other.decoder, f"{report.recipe}, calibrated on {report.calibration}")


def _as_array(found: dict[Kind, torch.Tensor]) -> np.ndarray:
    """Numbers of one chain as (sublayers, kinds of number), float64."""
    return torch.stack(list(found.values()), dim=-1).cpu().numpy()


def _texts(
    parameters: RunParameters,
    run: str,
    prompts: tuple[Prompt, ...],
    written: list[list[int]],
    ends: tuple[int, ...],
    tokenizer: Any,
    lengths: torch.Tensor,
) -> pa.Table:
    return pa.table(
        {
            "run": [run] * len(prompts),
            "model": [parameters.model] * len(prompts),
            "prompt": [prompt.id for prompt in prompts],
            "category": [prompt.category for prompt in prompts],
            "prompt_tokens": lengths.cpu().numpy().astype(np.int32),
            "steps": [len(tokens) for tokens in written],
            "ended": [tokens[-1] in ends for tokens in written],
            "text": [tokenizer.decode(tokens, skip_special_tokens=True) for tokens in written],
        }
    )
