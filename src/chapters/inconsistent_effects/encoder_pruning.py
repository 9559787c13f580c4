"""Pruning a text encoder: which sublayers, which weights, on which calibration text."""

from typing import Any

import torch

from helpers.errors import InputError
from helpers.evaluation import encoder_parts
from helpers.evaluation.encoders import TextEncoder
from helpers.pruning import Recipe, prune
from helpers.pruning.selection import one_shot, refuse_count
from helpers.texts.calibration import Calibration, draw
from helpers.texts.passages import passages
from runs.parameters import RunParameters


def prune_encoder(encoder: TextEncoder, parameters: RunParameters) -> str:
    """Prune an ``encoder`` such as BERT in place, as ``parameters`` say, and say in words how.

    Dropped are the least important sublayers on calibration text; see
    :mod:`helpers.evaluation.encoder_parts` for what that means where a norm follows the sublayer.
    Weights go as in a decoder: linears of attention and MLP, layer after layer.
    """
    layers = encoder.parts.layers
    if parameters.method == "drop":
        target, count = parameters.target, parameters.dropped
        refuse_count(count, target, len(layers))
        if not count:
            return "nothing removed"
        used = calibration_windows(encoder, parameters)
        measured = encoder_parts.importance(encoder.backbone, used.ids)
        places = one_shot(measured, target, count)
        encoder_parts.drop(encoder.backbone, places)
        named = ", ".join(f"{kind} of layer {layer}" for layer, kind in sorted(places))
        return f"dropped {named}, ranked on {used.description}"
    if parameters.method == "checkpoint":
        raise InputError("a checkpoint is opened as an encoder of its own, not pruned again")
    text = calibration_windows(encoder, parameters) if parameters.calibrated else None
    ratio = None if parameters.pattern else parameters.sparsity
    recipe = Recipe(parameters.method, ratio, parameters.pattern, seed=parameters.seed)
    report = prune(encoder.parts, recipe, text, reversible=False, progress=False)
    return f"{report.recipe}, calibrated on {report.calibration}" if text else report.recipe


def calibration_windows(encoder: TextEncoder, parameters: RunParameters) -> Calibration:
    """Windows of calibration text, each a whole text to the encoder: between its first and last
    special token, without padding, and no longer than the texts that it reads."""
    tokenizer: Any = encoder.tokenizer
    special = tokenizer("")["input_ids"]
    begin, end = special[:1], special[1:]
    length = min(parameters.calibration_length, encoder.longest)
    start = begin if tokenizer.bos_token_id in begin else []  # such windows have it already
    drawn = draw(
        tokenizer,
        passages(parameters.calibration),
        parameters.calibration,
        parameters.calibration_samples,
        length - len(special) + len(start),
        parameters.seed,
    )
    body = drawn.ids[:, len(start) :]
    rows = len(body)
    around = (torch.tensor([part]).expand(rows, -1).long() for part in (begin, end))
    first, last = around
    return Calibration(torch.cat([first, body, last], dim=1), drawn.source, drawn.seed)
