"""How a model writes: which token comes next, one step at a time, alone or beside others."""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from helpers.decoding.reader import Held, Reader, read_states
from helpers.errors import InputError
from helpers.models.architecture import Decoder
from helpers.texts.data import turn_end

AT_ONCE = 64  # positions whose logits exist at the same time
TEXTS_AT_ONCE = 16
Choice = Callable[[int, Tensor], Tensor]  # step and logits (B, V) → tokens (B,)


def likeliest(step: int, logits: Tensor) -> Tensor:
    """Greedy: the largest of the logits (B, V), the lowest index among equals; (B,)."""
    return logits.argmax(-1)


def two_likeliest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of the logits (B, V) and the runner-up, (B,) each; the lowest index among equals,
    as :func:`likeliest` has it and ``topk`` does not promise."""
    first = logits.argmax(-1, keepdim=True)
    second = logits.scatter(-1, first, -torch.inf).argmax(-1)
    return first[:, 0], second


class Sampler:
    """Tokens drawn from softmax(z/T), with common random numbers.

    ``rows`` names each text by its seed and its prompt. A token is the argmax of z/T + g with
    Gumbel noise g that depends on seed, prompt and step alone: two models that hold the same
    logits draw the same token, and a text does not depend on what is beside it in the batch.
    """

    def __init__(self, rows: Sequence[tuple[int, str]], temperature: float) -> None:
        self.rows = [(seed, zlib.crc32(prompt.encode())) for seed, prompt in rows]
        self.temperature = temperature
        self._step = -1
        self._noise: Tensor | None = None

    def __call__(self, step: int, logits: Tensor) -> Tensor:
        """Tokens (B,) of logits (B, V)."""
        if self._noise is None or self._step != step:
            self._noise, self._step = self._drawn(step, logits.shape[-1]), step
        return (logits / self.temperature + self._noise.to(logits.device)).argmax(-1)

    def _drawn(self, step: int, vocabulary: int) -> Tensor:
        """Gumbel noise (B, V) float32: −log of a standard exponential, drawn in float64. In float32
        one draw in 2²³ is exactly 0, and a token would win whatever its logit is."""
        drawn = [
            np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, step]))
            for key in ([seed, prompt] for seed, prompt in self.rows)
        ]
        noise = [-np.log(one.standard_exponential(vocabulary)) for one in drawn]
        return torch.from_numpy(np.stack(noise).astype(np.float32))


@dataclass(frozen=True)
class Step:
    """One forward pass: its number, the sequences still running, and what they say next.

    ``rows`` (R,) are indices into the batch; ``tokens`` (R,) their next tokens. Step 0 reads
    the prompts. A sequence whose next token ends it is still measured at that step, its last.
    """

    number: int
    rows: Tensor
    tokens: Tensor


def greedy(
    model: nn.Module,
    input_ids: Tensor,
    attention_mask: Tensor,
    max_new_tokens: int,
    end_tokens: tuple[int, ...] = (),
    use_cache: bool = True,
) -> Iterator[Step]:
    """Decode greedily, yielding after each forward pass, until all sequences have ended.

    ``input_ids`` and ``attention_mask`` are (B, T), padded on the left. With ``use_cache=False``
    every step reads the whole text again.
    """
    reader = Reader(Decoder.of(model), attention_mask, use_cache)
    return _steps(reader, input_ids, max_new_tokens, end_tokens, likeliest)


def write(
    decoder: Decoder,
    input_ids: Tensor,
    attention_mask: Tensor,
    max_new_tokens: int,
    end_tokens: tuple[int, ...] = (),
    choose: Choice = likeliest,
    words: str = "The dense model",
) -> list[list[int]]:
    """What a model writes after prompts (B, T), padded on the left: up to ``max_new_tokens`` tokens
    each, an end token included. ``words`` name the model on the progress bar."""
    written: list[list[int]] = [[] for _ in input_ids]
    reader = Reader(decoder, attention_mask)
    steps = _steps(reader, input_ids, max_new_tokens, end_tokens, choose)
    for step in tqdm(steps, f"{words} writes, token", max_new_tokens, mininterval=2.0):
        for row, token in zip(step.rows.tolist(), step.tokens.tolist(), strict=True):
            written[row].append(token)
    return written


@torch.inference_mode()
def _steps(
    reader: Reader, input_ids: Tensor, steps: int, end_tokens: tuple[int, ...], choose: Choice
) -> Iterator[Step]:
    """The loop of all decoding by one model."""
    running = torch.ones(len(input_ids), dtype=torch.bool, device=input_ids.device)
    ends = torch.tensor(end_tokens, device=input_ids.device, dtype=torch.long)
    tokens = input_ids
    for number in range(steps):
        chosen = choose(number, reader.read(tokens).logits).to(input_ids.device)
        rows = running.nonzero().squeeze(-1)
        yield Step(number, rows, chosen[rows])
        running &= ~torch.isin(chosen, ends)
        if not running.any():
            return
        tokens = chosen[:, None]


class Reads(Protocol):
    """A :class:`helpers.decoding.Reader`, or a :class:`helpers.decoding.Guest`."""

    def read(self, tokens: Tensor) -> Held:
        """Read tokens (B, n) on."""


@dataclass(frozen=True)
class Together:
    """One step of all readers: what each holds, and the token (B,) that each reads next.

    Step 0 is the last position of the prompt.
    """

    number: int
    held: dict[str, Held]
    tokens: dict[str, Tensor]


Decide = Callable[[int, Mapping[str, Held]], dict[str, Tensor]]


@torch.inference_mode()
def lockstep(
    readers: Mapping[str, Reads], input_ids: Tensor, steps: int, decide: Decide
) -> Iterator[Together]:
    """Let ``readers`` read ``input_ids`` (B, T) and then, ``steps`` times in all, what ``decide``
    makes of what they hold: the next token (B,) of each reader, by name.

    So a reader writes its own text, or is forced to read another's. Readers read in their order
    at every step. What they hold is brought to the device of ``input_ids``, since two models may
    end on different ones. Nothing is kept from one step to the next but the caches.
    """
    reading = dict.fromkeys(readers, input_ids)
    for number in range(steps):
        held = {
            name: reader.read(reading[name]).to(input_ids.device)
            for name, reader in readers.items()
        }
        tokens = decide(number, held)
        yield Together(number, held, tokens)
        reading = {name: tokens[name][:, None] for name in readers}


def end_tokens(model: nn.Module, tokenizer: Any) -> tuple[int, ...]:
    """Ids at which a sequence ends, each once: those of the generation config, the tokenizer's,
    and the one with which its chat template ends a turn. None if nobody declares any."""
    written = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    several = written if isinstance(written, list | tuple) else [written]
    declared = (*several, tokenizer.eos_token_id, turn_end(tokenizer))
    return tuple(dict.fromkeys(int(token) for token in declared if token is not None))


def refuse_too_long(model: Any, tokens: int, writes: str = "") -> None:
    """:class:`InputError` if the longest prompt with its continuation, ``tokens`` together, is
    longer than the model reads. ``writes`` names the parameter that says how long continuations
    are; without it the prompt stands alone."""
    limit = getattr(model.config, "max_position_embeddings", None)
    if not limit or tokens <= limit:
        return
    if writes:
        raise InputError(
            f"prompt and {writes} make {tokens} tokens, the model reads {limit}: "
            f"lower {writes}, or shorten the longest prompt"
        )
    raise InputError(
        f"the longest prompt makes {tokens} tokens, the model reads {limit}: shorten it"
    )


def continued(
    input_ids: Tensor, attention_mask: Tensor, written: list[list[int]]
) -> tuple[Tensor, Tensor]:
    """Prompts followed by what was written after each, for one pass over all of it.

    ``input_ids`` and ``attention_mask`` (B, T) are padded on the left, and so are the two tensors
    (B, T') that are returned: rows of different lengths all end at the last position. For
    teacher forcing leave out the last written token, which nothing is read after.
    """
    rows = [
        torch.cat([ids[keep.bool()], ids.new_tensor(tokens)])
        for ids, keep, tokens in zip(input_ids, attention_mask, written, strict=True)
    ]
    longest = max(len(row) for row in rows)
    ids = torch.stack([nn.functional.pad(row, (longest - len(row), 0)) for row in rows])
    lengths = torch.tensor([len(row) for row in rows], device=ids.device)
    places = torch.arange(longest, device=ids.device)
    return ids, (places >= longest - lengths[:, None]).to(attention_mask.dtype)


@torch.inference_mode()
def log_likelihoods(
    decoder: Decoder, input_ids: Tensor, attention_mask: Tensor, written: list[list[int]]
) -> list[Tensor]:
    """log p (nats, T = 1) that the model gives each written token, given all before it.

    ``input_ids`` and ``attention_mask`` (B, T) are the prompts; one float64 tensor for each text,
    as long as it is. A pass reads some texts at a time; texts may be empty.
    """
    found = []
    for first in range(0, len(written), TEXTS_AT_ONCE):
        part = slice(first, first + TEXTS_AT_ONCE)
        given = continued(input_ids[part], attention_mask[part], written[part])
        states = read_states(decoder, *given)[0].to(decoder.device)
        found += [
            _of_one(decoder, held, tokens)
            for held, tokens in zip(states, written[part], strict=True)
        ]
    return found


def _of_one(decoder: Decoder, states: Tensor, tokens: list[int]) -> Tensor:
    """Log-likelihoods of the last tokens of a text whose states (T, d) are given."""
    ahead = states[-len(tokens) - 1 : -1]  # the state before each token
    wanted = torch.tensor(tokens, dtype=torch.long, device=decoder.device)
    parts = [ahead.new_zeros(0, dtype=torch.float64)]
    for part, token in zip(ahead.split(AT_ONCE), wanted.split(AT_ONCE), strict=True):
        z = decoder.head.logits(part)
        own = z.gather(-1, token[:, None])[:, 0]
        parts.append(own.double() - z.logsumexp(-1).double())
    return torch.cat(parts)
