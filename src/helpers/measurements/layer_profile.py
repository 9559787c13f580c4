"""What does removing one sublayer do, in place, to the state it stands in? (Section 5)"""

import sys
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from tqdm import tqdm

from helpers.capture import capture
from helpers.data import Prompt, select_prompts, tokenize
from helpers.decoding import end_tokens, greedy
from helpers.errors import InputError
from helpers.measurements.deviations import deviation_table
from helpers.models.load import LoadedModel, load, model_facts
from helpers.parameters import RunParameters
from helpers.pruning.checkpoint import differences
from helpers.results import Measured, measurement
from helpers.spaces import Comparison, Metrics, Space

USES = (
    "model",
    "revision",
    "dtype",
    "method",
    "checkpoint",
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
    x + f̃(x) of a checkpoint (``method=checkpoint``); the dense model runs on undisturbed.

    Tables: ``deviations`` (one row per prompt, step, sublayer, space, lens and metric) and
    ``texts`` (what was written).
    """
    torch.manual_seed(parameters.seed)
    dense = load(parameters.model, parameters.revision, parameters.dtype, parameters.device)
    pruned = None
    if parameters.checkpoint:
        pruned = load(parameters.checkpoint, "main", parameters.dtype, parameters.device)
        summary = differences(dense, pruned).summary
        print(f"Comparing with {parameters.checkpoint}: {summary}", file=sys.stderr)
    prompts = select_prompts(parameters.prompts)
    ids, mask = tokenize(prompts, dense.tokenizer, parameters.chat_template, dense.decoder.device)
    _refuse_too_long(dense, ids.shape[1] + parameters.max_new_tokens)

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
        capture(dense.decoder, pruned=pruned.decoder if pruned else None) as trace,
    ):
        for step in bar:
            for row, token in zip(step.rows.tolist(), step.tokens.tolist(), strict=True):
                found = comparison.compare(trace.states, row)
                rows.append((row, step.number))
                values.append(_as_array(found))
                written[row].append(token)
    kinds = [(space, metric) for space, metrics in found.items() for metric in metrics]
    facts = {"model": model_facts(dense), "prompts": len(prompts), "chains": len(rows)}
    if pruned:
        facts["checkpoint"] = summary
    deviations = deviation_table(
        parameters, run, prompts, trace.states.pairs, rows, kinds, np.stack(values)
    )
    texts = _texts(parameters, run, prompts, written, ends, dense.tokenizer, mask.sum(-1))
    return Measured({"deviations": deviations, "texts": texts}, facts)


def _refuse_too_long(dense: LoadedModel, tokens: int) -> None:
    limit = getattr(dense.model.config, "max_position_embeddings", None)
    if limit and tokens > limit:
        raise InputError(
            f"prompt and max_new_tokens make {tokens} tokens, the model reads {limit}: "
            "lower max_new_tokens"
        )


def _as_array(found: dict[Space, Metrics]) -> np.ndarray:
    """Metrics of one chain as (sublayers, kinds of number), float64."""
    columns = [values for metrics in found.values() for values in metrics.values()]
    return torch.stack(columns, dim=-1).cpu().numpy()


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
