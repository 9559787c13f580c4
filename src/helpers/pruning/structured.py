"""Whole attention heads and whole neurons: which rows and columns make one of them?"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from helpers.errors import InputError
from helpers.models.architecture import Decoder, Kind
from helpers.pruning.masks import keep_highest, removal_count
from helpers.pruning.weights import LinearWeight

STRUCTURES: dict[str, Kind] = {"heads": "attention", "neurons": "mlp"}
COUNTED = {"heads": "key–value groups", "neurons": "neurons"}
OUTPUTS = ("o_proj", "dense", "out_proj", "c_proj", "down_proj", "dense_4h_to_h", "fc2")


@dataclass(frozen=True)
class Part:
    """What one group takes of one weight: ``index`` (groups, size), int64, along ``axis``
    (0 rows, 1 columns)."""

    linear: LinearWeight
    axis: int
    index: Tensor


@dataclass(frozen=True)
class Groups:
    """The groups of one sublayer. ``output`` is the part of the projection back to the residual
    stream; a group is worth what its columns there are worth."""

    parts: tuple[Part, ...]
    output: Part

    @property
    def count(self) -> int:
        """How many groups there are."""
        return len(self.output.index)


def find_groups(decoder: Decoder, linears: tuple[LinearWeight, ...], structure: str) -> Groups:
    """The heads or neurons of one sublayer, whose weights are ``linears``.

    ``heads``: a group is one key–value head with all query heads that read it: its rows of
    query, key and value and its columns of the output projection. ``neurons``: a row of gate and
    up and a column of down. Fused weights (Phi-3, GPT-NeoX, GPT-2) are taken apart.
    """
    output = next(linear for linear in linears if linear.role in OUTPUTS)
    width, device = output.matrix.shape[1], output.matrix.device
    config: Any = decoder.model.config
    heads = config.num_attention_heads
    count = width
    if structure == "heads":
        count = getattr(config, "num_key_value_heads", None) or heads
    last = Part(output, 1, _runs(count, width, device))
    parts = [
        Part(
            linear,
            0,
            _head_rows(linear, heads, count, width)
            if structure == "heads"
            else _neuron_rows(linear, width),
        )
        for linear in linears
        if linear is not output
    ]
    return Groups((*parts, last), last)


def keep_groups(column_scores: Tensor, groups: Groups, ratio: float) -> Tensor:
    """Which groups stay, bool (groups,): exactly floor(ratio × groups) of the lowest go.

    ``column_scores`` (columns,) are the scores of the output projection summed over its rows; a
    group's score is their sum over its columns, as Wanda-sp does (An et al., arXiv 2312.11983).
    """
    scores = column_scores[groups.output.index].sum(1, keepdim=True).T
    return keep_highest(scores, removal_count(ratio, groups.count))[0]


def mask_of(part: Part, keep: Tensor) -> Tensor:
    """Keep-mask, bool (rows, columns), of one weight, for the groups that stay (groups,)."""
    mask = torch.ones_like(part.linear.matrix, dtype=torch.bool)
    removed = part.index[~keep].reshape(-1)
    if part.axis == 0:
        mask[removed] = False
    else:
        mask[:, removed] = False
    return mask


def check_structure(structure: str, targets: str) -> None:
    """:class:`InputError` unless ``structure`` is known and lies within ``targets``."""
    if structure not in STRUCTURES:
        raise InputError(f"structure={structure!r} is not allowed: it takes heads or neurons")
    kind = STRUCTURES[structure]
    if targets not in ("all", kind):
        raise InputError(f"structure={structure} is part of the {kind}, not of targets={targets}")


def _runs(groups: int, total: int, device: torch.device) -> Tensor:
    """0 … total − 1 cut into consecutive runs: (groups, total / groups)."""
    return torch.arange(total, device=device).reshape(groups, -1)


def _head_rows(linear: LinearWeight, heads: int, groups: int, width: int) -> Tensor:
    """Rows (groups, size) of a weight that makes queries, keys or values, or all three.

    ``width`` is heads × head size, what the output projection reads.
    """
    rows, device = linear.matrix.shape[0], linear.matrix.device
    if linear.role in ("qkv_proj", "c_attn"):  # all queries, then all keys, then all values
        keys = width // heads * groups
        starts = (0, width, width + keys)
        sizes = (width, keys, keys)
        pieces = [
            start + _runs(groups, size, device) for start, size in zip(starts, sizes, strict=True)
        ]
        return torch.cat(pieces, dim=1)
    # separate weights, or GPT-NeoX: query, key and value of one head beside one another
    return _runs(groups, rows, device)


def _neuron_rows(linear: LinearWeight, width: int) -> Tensor:
    """Rows (neurons, size) of each neuron: one, or one of gate and one of up where Phi-3 stacks
    the two."""
    return _runs(linear.matrix.shape[0] // width, linear.matrix.shape[0], linear.matrix.device).T
