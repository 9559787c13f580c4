"""Text encoders: from texts to vectors whose cosine says how alike they are.

A sentence-transformers model is run by that library. A decoder becomes an encoder as E5-Mistral
does: the state of the last token, an end-of-sequence token that is appended, or the mean of all.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from tqdm import tqdm

from helpers.errors import InputError
from helpers.evaluation import encoder_parts
from helpers.evaluation.encoder_files import architecture, modules, sentence_transformer
from helpers.models.architecture import LAYOUTS, Decoder
from helpers.models.known import size_in_words
from helpers.models.load import (
    LoadedModel,
    fingerprint,
    load,
)
from helpers.texts.data import quoted, refuse_unknown_tokens

Pooling = Literal["own", "mean", "last"]
LONGEST = 512  # tokens of a text that a decoder reads, as E5-Mistral's authors evaluate it
PLAIN = ("Transformer", "Pooling", "Normalize")  # parts that a decoder's own pooling covers
OWN = {"lasttoken": "last", "mean": "mean"}


@dataclass(frozen=True)
class TextEncoder(ABC):
    """An encoder: ``backbone`` is the network whose sublayers can be pruned, ``longest`` how many
    tokens of a text it reads."""

    name: str
    backbone: nn.Module
    tokenizer: Any
    longest: int
    fingerprint: str

    @property
    def parts(self) -> Decoder:
        """Layers and sublayers; :class:`InputError` if the architecture's are not known."""
        return encoder_parts.view(self.backbone)

    @property
    def embedded_tokens(self) -> int:
        """Number of tokens that have an embedding."""
        backbone: Any = self.backbone
        return int(backbone.get_input_embeddings().weight.shape[0])

    @abstractmethod
    def embed(self, texts: list[str], query: bool, before: str) -> Tensor:
        """Vectors (n, d) of a few texts, on any device; see :func:`vectors`."""

    def similarity(self, queries: Tensor, documents: Tensor) -> Tensor:
        """How alike queries (n, d) and documents (m, d) are, (n, m): their cosine."""
        normed = (torch.nn.functional.normalize(each, dim=-1) for each in (queries, documents))
        first, second = normed
        return first @ second.T


@dataclass(frozen=True)
class SentenceEncoder(TextEncoder):
    """A sentence-transformers model, pooled, normed and compared as it says."""

    model: Any = field(repr=False)

    def embed(self, texts: list[str], query: bool, before: str) -> Tensor:
        """Vectors (n, d) of a few texts; with nothing ``before`` them the model's own prompt, if
        it has one, stands there."""
        self._refuse_unknown(texts, before)
        encode = self.model.encode_query if query else self.model.encode_document
        found: Tensor = encode(
            texts,
            prompt=before or None,
            batch_size=len(texts),
            convert_to_tensor=True,
            show_progress_bar=False,
        )
        return found

    def _refuse_unknown(self, texts: list[str], before: str) -> None:
        """As :func:`refuse_unknown_tokens`, where the tokenizer has such tokens at all."""
        if max(self.tokenizer.get_vocab().values()) < self.embedded_tokens:
            return
        for text in texts:
            ids = self.tokenizer(before + text, truncation=True, max_length=self.longest)
            what = f"text {quoted(text)}"
            refuse_unknown_tokens(what, ids["input_ids"], self.tokenizer, self.embedded_tokens)

    def similarity(self, queries: Tensor, documents: Tensor) -> Tensor:
        """How alike queries (n, d) and documents (m, d) are, (n, m), as the model measures it."""
        found: Tensor = self.model.similarity(queries, documents)
        return found


@dataclass(frozen=True)
class DecoderEncoder(TextEncoder):
    """A decoder whose states are pooled: the ``last`` token's, or their ``mean``."""

    decoder: Decoder
    pooling: str

    @property
    def parts(self) -> Decoder:
        """The decoder."""
        return self.decoder

    @torch.inference_mode()
    def embed(self, texts: list[str], query: bool, before: str) -> Tensor:
        """Vectors (n, d) of a few texts, of length 1."""
        model: Any = self.decoder.model
        ids = [self._tokens(before + text) for text in texts]
        known = self.embedded_tokens
        for text, each in zip(texts, ids, strict=True):
            refuse_unknown_tokens(f"text {quoted(text)}", each, self.tokenizer, known)
        lengths = torch.tensor([len(each) for each in ids])
        padded = torch.zeros(len(ids), int(lengths.max()), dtype=torch.int64)
        for row, each in enumerate(ids):
            padded[row, : len(each)] = torch.tensor(each)
        # padding stands behind, where no token that counts looks: no mask is needed
        inputs = padded.to(model.device)
        states = model.base_model(input_ids=inputs, use_cache=False).last_hidden_state
        lengths = lengths.to(states.device)
        if self.pooling == "last":
            pooled = states[torch.arange(len(ids), device=states.device), lengths - 1].float()
        else:
            real = torch.arange(states.shape[1], device=states.device) < lengths[:, None]
            pooled = (states.float() * real[..., None]).sum(1) / lengths[:, None]
        return torch.nn.functional.normalize(pooled, dim=-1)

    def _tokens(self, text: str) -> list[int]:
        """Token ids of a text, cut to ``longest``; with pooling ``last`` an end-of-sequence token
        comes last, unless the tokenizer puts a special token there by itself."""
        ids: list[int] = self.tokenizer(text, verbose=False)["input_ids"]
        bare: list[int] = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        ends = [] if ids[-1:] == bare[-1:] else ids[-1:]
        if self.pooling == "last" and not ends and self.tokenizer.eos_token_id is not None:
            ids, ends = [*ids, self.tokenizer.eos_token_id], [self.tokenizer.eos_token_id]
        if len(ids) > self.longest:
            ids = [*ids[: self.longest - len(ends)], *ends]
        return ids or [self.tokenizer.eos_token_id or 0]


def open_encoder(
    name: str,
    revision: str = "main",
    dtype: str = "float32",
    device: str = "auto",
    pooling: Pooling = "own",
) -> TextEncoder:
    """The encoder ``name``: ``minilm``, or the folder or hub id of a sentence-transformers model
    or a decoder.

    ``pooling`` as the encoder has it (of a plain decoder: ``last``), or another. Raises
    :class:`InputError` naming what is missing. Code from the hub is never run and pickled weights
    are never read.
    """
    way = decoder_pooling(name, revision, pooling)
    if way:
        loaded = load(name, revision, dtype, device)
        return decoder_encoder(loaded, way)
    model = sentence_transformer(name, revision, dtype, device)
    if pooling != "own":
        _set_pooling(model, pooling, name)
    backbone = model[0].auto_model
    longest = int(model.max_seq_length or LONGEST)
    identity = fingerprint(name, revision)
    return SentenceEncoder(name, backbone, model.tokenizer, longest, identity, model)


def decoder_pooling(name: str, revision: str = "main", pooling: Pooling = "own") -> str:
    """How the states of the decoder ``name`` are pooled, ``last`` or ``mean``; empty for an
    encoder that sentence-transformers runs. Nothing large is read. Errors as
    :func:`open_encoder`."""
    kinds, own = modules(name, revision)
    plain = {kind.rpartition(".")[2] for kind in kinds} <= set(PLAIN)
    if architecture(name, revision) not in LAYOUTS or not plain:
        return ""
    if own not in ("", *OWN):
        return ""
    return OWN.get(own, "last") if pooling == "own" else pooling


def decoder_encoder(loaded: LoadedModel, pooling: str) -> DecoderEncoder:
    """A decoder, dense or pruned, as an encoder."""
    decoder = loaded.decoder
    config: Any = decoder.model.config
    longest = min(LONGEST, getattr(config, "max_position_embeddings", None) or LONGEST)
    return DecoderEncoder(
        *(loaded.name, decoder.model, loaded.tokenizer, longest, loaded.fingerprint),
        decoder=decoder,
        pooling=pooling,
    )


def vectors(
    encoder: TextEncoder,
    texts: Sequence[str],
    query: bool,
    before: str = "",
    batch_size: int = 16,
    words: str = "Encoding texts",
) -> Tensor:
    """Vectors (n, d) float32 of texts, queries or documents, on the CPU, in their order, each read
    with what stands ``before`` it. Long texts are read first, beside others of such a length.

    Raises :class:`InputError` for a text with a token that the encoder does not know.
    """
    order = sorted(range(len(texts)), key=lambda at: -len(texts[at]))
    found: list[Tensor] = []
    with tqdm(total=len(texts), desc=words, unit="text", mininterval=2.0) as bar:
        for begin in range(0, len(order), batch_size):
            part = [texts[at] for at in order[begin : begin + batch_size]]
            found.append(encoder.embed(part, query, before).float().cpu())
            bar.update(len(part))
    whole = torch.cat(found)
    return torch.empty_like(whole).index_copy_(0, torch.tensor(order), whole)


def encoder_facts(encoder: TextEncoder) -> dict[str, Any]:
    """What a manifest says of an encoder: name, size in words, and its dimensions."""
    config: Any = encoder.backbone.config
    count = sum(weight.numel() for weight in encoder.backbone.parameters())
    return {
        "name": encoder.name,
        "size": size_in_words(count),
        "parameters": count,
        "layers": config.num_hidden_layers,
        "hidden_size": config.hidden_size,
        "vocabulary_size": config.vocab_size,
        "longest": encoder.longest,
    }


def _set_pooling(model: Any, pooling: str, name: str) -> None:
    for module in model:
        if hasattr(module, "pooling_mode"):
            module.pooling_mode = {"last": "lasttoken", "mean": "mean"}[pooling]
            return
    raise InputError(f"encoder {name!r} does not pool: it takes pooling=own")
