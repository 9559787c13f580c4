"""Calibration text: windows of tokens that pruning methods look at, and held-out ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from helpers.errors import InputError
from helpers.models.architecture import Decoder
from helpers.texts.data import quoted, refuse_unknown_tokens
from helpers.texts.passages import EMBEDDED, held_out_passages, passages

SEPARATOR = "\n\n"
READ_AHEAD = 4
LOGITS_AT_ONCE = 2**24


@dataclass(frozen=True)
class Calibration:
    """Token windows without padding: ``ids`` (N, T) int64, the text they are from, and the seed
    that they were drawn with."""

    ids: Tensor
    source: str
    seed: int

    def __post_init__(self) -> None:
        if self.ids.dim() != 2 or not self.ids.numel():
            raise InputError("the calibration text is empty: it takes at least one sample")

    @property
    def samples(self) -> int:
        """N, how many windows there are."""
        return self.ids.shape[0]

    @property
    def length(self) -> int:
        """T, tokens of each window."""
        return self.ids.shape[1]

    @property
    def description(self) -> str:
        """Source, size and seed in words, for tables and reports."""
        return f"{self.source}, {self.samples} × {self.length} tokens, seed {self.seed}"


def calibration_text(
    tokenizer: Any,
    source: str = EMBEDDED,
    samples: int = 128,
    length: int = 512,
    seed: int = 0,
    known: int | None = None,
) -> Calibration:
    """``samples`` windows of ``length`` tokens, drawn with ``seed``.

    ``source``: ``embedded`` (Wikipedia passages of BoolQ without those of its evaluation set),
    ``c4`` or ``wikitext`` from the hub, or a local file as
    :func:`helpers.texts.passages.read_file` takes it.
    :class:`InputError` if there is no such text, or too little of it, or if it holds a token that
    is not among the ``known`` ones, of which the model has an embedding.
    """
    return draw(tokenizer, passages(source), source, samples, length, seed, known)


def held_out_text(
    tokenizer: Any, samples: int = 32, length: int = 512, seed: int = 0, known: int | None = None
) -> Tensor:
    """Token windows (N, T) int64 of BoolQ's evaluation passages, which no calibration sees."""
    return draw(tokenizer, held_out_passages(), "held-out", samples, length, seed, known).ids


def draw(
    tokenizer: Any,
    documents: Sequence[str],
    source: str,
    samples: int,
    length: int,
    seed: int,
    known: int | None = None,
) -> Calibration:
    """Windows of tokens from ``documents``: joined in random order, cut into windows, and
    ``samples`` of the windows taken at random.

    Only as many documents are tokenized as give four times the tokens asked for, where there are
    so many. A window starts as the tokenizer starts a text, with its first token where it has
    one. :class:`InputError` for text that is empty or too short, and for a token that is not among
    the ``known`` ones.
    """
    if samples < 1 or length < 2:
        raise InputError(
            f"calibration of {samples} × {length} tokens is not allowed: it takes at least one "
            "sample of at least two tokens"
        )
    if not documents:
        raise InputError(f"the calibration text {source!r} is empty")
    generator = torch.Generator(device="cpu").manual_seed(seed)
    order = torch.randperm(len(documents), generator=generator, device="cpu").tolist()
    start = _start_tokens(tokenizer)
    body = length - len(start)
    tokens: list[int] = []
    for first in range(0, len(order), 64):
        texts = [documents[index] + SEPARATOR for index in order[first : first + 64]]
        rows = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        for text, ids in zip(texts, rows, strict=True):
            if known is not None:
                what = f"calibration text {quoted(text)}"
                refuse_unknown_tokens(what, [*start, *ids], tokenizer, known)
            tokens += ids
        if len(tokens) >= READ_AHEAD * samples * body:
            break
    windows = len(tokens) // body
    if windows < samples:
        raise InputError(
            f"the calibration text {source!r} is too short: it has {len(tokens)} tokens and "
            f"{samples} × {length} need {samples * body}; ask for fewer or shorter samples"
        )
    chosen = torch.randperm(windows, generator=generator, device="cpu")[:samples].tolist()
    rows = [start + tokens[window * body : (window + 1) * body] for window in chosen]
    return Calibration(torch.tensor(rows, dtype=torch.int64, device="cpu"), source, seed)


@torch.no_grad()
def perplexity(decoder: Decoder, ids: Tensor, token_budget: int = 2048) -> float:
    """exp of the mean negative log-likelihood of each token given those before it in its window.

    ``ids`` (N, T), without padding. The head is applied to some tokens at a time, so that no
    tensor of all logits exists; the sum is in float64.
    """
    model: Any = decoder.model
    total = 0.0
    rows = max(1, LOGITS_AT_ONCE // decoder.vocabulary_size)
    for batch in ids.split(max(1, token_budget // ids.shape[1])):
        batch = batch.to(model.device)
        states = model.base_model(input_ids=batch, use_cache=False).last_hidden_state
        states = states[:, :-1].reshape(-1, states.shape[-1]).to(decoder.device)
        following = batch[:, 1:].reshape(-1).to(decoder.device)
        for part, wanted in zip(states.split(rows), following.split(rows), strict=True):
            losses = torch.nn.functional.cross_entropy(
                decoder.head.logits(part), wanted, reduction="none"
            )
            total += float(losses.cpu().double().sum())
    return float(torch.tensor(total / (ids.shape[0] * (ids.shape[1] - 1)), device="cpu").exp())


def _start_tokens(tokenizer: Any) -> list[int]:
    """What the tokenizer puts before every text, such as ``<bos>``; nothing for many."""
    first = tokenizer.bos_token_id
    return [first] if first is not None and tokenizer("")["input_ids"][:1] == [first] else []
