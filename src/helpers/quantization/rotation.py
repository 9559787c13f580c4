"""The same function with other weights: turn the residual stream by a random orthogonal matrix.

A model that was released in 4 bits lies on a 4-bit grid, and rounding it to that costs nothing.
Turned, its weights lie on no grid, and the model still computes what it did: RMSNorm commutes with
a rotation once its weights are folded into the linears that follow (as in SliceGPT, arXiv
2401.15024, and QuaRot, arXiv 2404.00456).
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor, nn

from helpers.errors import InputError
from helpers.machine import cache_folder
from helpers.models.architecture import Decoder
from helpers.models.load import fingerprint, load

ROTATED = ("llama", "mistral", "qwen2", "qwen3", "gemma", "phi3")
ONE_PLUS = ("gemma",)  # norms that multiply by 1 + weight
NOTE = "rotated.json"
OUTPUTS = ("o_proj", "down_proj")  # linears that write to the residual stream


def orthogonal(size: int, seed: int) -> Tensor:
    """A random orthogonal matrix Q (size, size), float64, uniform over all of them."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(size, size, generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(drawn)
    return q * r.diagonal().sign()


@torch.no_grad()
def rotate(decoder: Decoder, seed: int) -> None:
    """Turn ``decoder``'s model in place: every state x becomes xQ, all logits stay. The head gets
    a weight of its own, since the last norm is folded into it. :class:`InputError` for an
    architecture whose norms do not commute with a rotation."""
    model: Any = decoder.model
    kind = model.config.model_type
    if kind not in ROTATED:
        raise InputError(
            f"architecture {kind!r} cannot be rotated: its norms take means or stand behind a "
            f"sublayer; rotated are {', '.join(ROTATED)}"
        )
    q = orthogonal(decoder.hidden_size, seed)
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    head.weight = nn.Parameter(head.weight.detach().clone(), requires_grad=False)
    model.config.tie_word_embeddings = False
    _turn_inputs(embedding, None, q)
    _turn_inputs(head, _fold(decoder.final_norm, kind), q)
    for sublayer in decoder.sublayers:
        scale = _fold(sublayer.norm, kind)
        for name, linear in sublayer.body.named_modules():
            if not isinstance(linear, nn.Linear):
                continue
            if name.rpartition(".")[2] in OUTPUTS:
                _turn_outputs(linear, q)
            else:
                _turn_inputs(linear, scale, q)


def _fold(norm: Any, kind: str) -> Tensor:
    """What a norm multiplies by (d,), float64, which it no longer does."""
    weight = norm.weight.detach().double()
    scale = 1 + weight if kind in ONE_PLUS else weight.clone()
    norm.weight.fill_(0.0 if kind in ONE_PLUS else 1.0)
    return scale


def _turn_inputs(linear: Any, scale: Tensor | None, q: Tensor) -> None:
    weight = linear.weight.double()
    q = q.to(weight.device)
    linear.weight.copy_((weight if scale is None else weight * scale) @ q)


def _turn_outputs(linear: Any, q: Tensor) -> None:
    q = q.to(linear.weight.device)
    linear.weight.copy_(q.T @ linear.weight.double())
    if linear.bias is not None:
        linear.bias.copy_(linear.bias.double() @ q)


def rotated_folder(name: str, revision: str = "main", seed: int = 0) -> Path:
    """Folder of the model ``name`` turned with ``seed``, float32 safetensors, made at first use and
    kept in the cache by the model's fingerprint; it loads as any other model."""
    identity = fingerprint(name, revision)
    target = cache_folder() / "models" / f"rotated-{identity[:16]}-{seed}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not target.is_dir():
            loaded = load(name, revision, "float32", "cpu")
            tied = bool(loaded.model.config.tie_word_embeddings)  # type: ignore[union-attr]
            rotate(loaded.decoder, seed)
            work = Path(tempfile.mkdtemp(prefix=".rotated-", dir=target.parent))
            try:
                model: Any = loaded.model
                model.save_pretrained(work)
                loaded.tokenizer.save_pretrained(work)
                note = {"of": loaded.name, "seed": seed, "copied_head": tied}
                (work / NOTE).write_text(json.dumps(note), encoding="utf-8")
                work.rename(target)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return target


def copied_head(folder: str) -> bool:
    """Whether the head of a rotated copy is the embedding in the model that it was made of."""
    found = json.loads((Path(folder) / NOTE).read_text(encoding="utf-8"))
    return bool(found["copied_head"])
