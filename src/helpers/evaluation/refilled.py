"""lm-eval's Hugging Face model with a faster way to write answers, and the same answers.

The stock class lets every text of a batch run until the last one stops. Here a text that has
stopped gives its seat to the next (:mod:`helpers.evaluation.seats`). And where a text has begun to
say again what it said before, as pruned models do in loops, its next tokens are guessed from
itself and read in one pass, which tells how many of them the model would have written: the text
stays what it is, token for token.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import (
    handle_stop_sequences,
    normalize_gen_kwargs,
    postprocess_generated_text,
)
from torch import Tensor
from tqdm import tqdm

from helpers.evaluation.seats import Seats
from helpers.models import Decoder
from helpers.models.onednn import by_onednn

ALIKE = 3  # tokens that stood together before: what followed them then is guessed to follow now
GUESSES = (0, 1, 2, 4, 8, 16, 32)  # how many tokens are guessed at a time
FADING = 0.8  # weight of earlier guesses, from pass to pass, in how far they are trusted
FLOOR = 16  # a pass takes as long as to read so many tokens more: all weights are read for it
TOGETHER = 512  # tokens of prompts that are read in one pass, if more than one is
AHEAD = 2  # tokens that a stop string may take beyond its usual ones
ATTENTION = ("sdpa", "eager")  # those that take a mask for each text
STEADY_POSITIONS = ("default", "linear", "llama3", "yarn")  # do not depend on a pass's length
GREEDY = {"do_sample": False, "temperature": 0.0}
HARMLESS = {  # settings of a model that change no greedy text beyond what is seen to here
    *("bos_token_id", "eos_token_id", "pad_token_id", "transformers_version"),
    *("do_sample", "temperature", "top_k", "top_p"),
    *("use_cache", "output_attentions", "output_hidden_states", "_from_model_config"),
}


@dataclass
class Writing:
    """A text that is being written: its ``tokens``, the first ``begun`` of which are the context.

    ``read`` of them are in the cache, at ``seat``; the last ``fresh`` ones are new.
    """

    number: int
    tokens: list[int]
    begun: int = field(init=False)
    seat: int = 0
    read: int = 0
    fresh: int = 0
    _after: dict[tuple[int, ...], int] = field(default_factory=dict)  # which place follows what
    _right: float = 0.0  # guesses that were right lately …
    _tried: float = 0.0  # … of so many

    def __post_init__(self) -> None:
        self.begun = len(self.tokens)
        self._remember(0)

    @property
    def length(self) -> int:
        """How many tokens follow the context."""
        return len(self.tokens) - self.begun

    @property
    def written(self) -> list[int]:
        """What follows the context."""
        return self.tokens[self.begun :]

    def write(self, tokens: Sequence[int], most: int, ends: frozenset[int]) -> bool:
        """Add ``tokens`` up to the first of ``ends``, and up to ``most`` in all: whether the text
        is at its end."""
        first = next((at for at, token in enumerate(tokens) if token in ends), None)
        added = tokens[: None if first is None else first + 1]
        added = added[: most - self.length]
        known = len(self.tokens)
        self.tokens += added
        self._remember(known)
        self.fresh = len(added)
        return first is not None or self.length >= most

    def guess(self, count: int) -> list[int]:
        """The next ``count`` tokens, if the text goes on as it did after the same tokens before:
        from there on, over and over; none if they never stood there."""
        start = self._after.get(tuple(self.tokens[-ALIKE:]))
        if start is None:
            return []
        round_ = len(self.tokens) - start
        return [self.tokens[start + place % round_] for place in range(count)]

    def expected(self, count: int) -> float:
        """How many of ``count`` guessed tokens will be right, from those that were."""
        trust = (self._right + 1) / (self._tried + 2)
        return trust * (1 - trust**count) / (1 - trust)

    def learn(self, right: int, tried: int) -> None:
        """Remember that of ``tried`` guesses the first ``right`` ones were right."""
        self._right = FADING * self._right + right
        self._tried = FADING * self._tried + right + (right < tried)

    def _remember(self, known: int) -> None:
        for place in range(max(known, ALIKE), len(self.tokens)):
            self._after[tuple(self.tokens[place - ALIKE : place])] = place


class RefilledLM(HFLM):
    """Writes what the stock class writes, one text at a time (with ``batch_size=1``).

    The stock class decides when a text has ended for a whole batch; texts are cut at the first
    stop there too, so the same is left of them. Wherever something other than the likeliest token
    is asked for, or a model's attention or positions do not allow to read texts at their own
    places, the stock class writes.
    """

    cut_off: frozenset[str] = frozenset()  # contexts whose answers reached the limit of tokens

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """What follows each context, up to the first of its stops, in the order of requests."""
        if not self._seated(requests):
            return super().generate_until(requests, disable_tqdm)
        self.cut_off = frozenset()
        groups: dict[str, list[int]] = {}
        for number, one in enumerate(requests):
            groups.setdefault(repr(one.args[1]), []).append(number)
        found = [""] * len(requests)
        bar = tqdm(
            total=len(requests),
            desc="Writing answers",
            unit="answer",
            mininterval=2.0,
            disable=disable_tqdm,
        )
        with bar, by_onednn(self.model):
            for numbers in groups.values():
                contexts = [requests[number].args[0] for number in numbers]
                how: dict[str, Any] = requests[numbers[0]].args[1]
                for place, text in self._group(contexts, how):
                    found[numbers[place]] = text
                    self.cache_hook.add_partial("generate_until", (contexts[place], how), text)
                    bar.update()
        return found

    def _seated(self, requests: list[Instance]) -> bool:
        """Whether the likeliest tokens are asked for and nothing else, of texts that can be read
        beside others at their own places."""
        own: Any = self.model.generation_config
        return (
            can_share(self.model)
            and self.backend == "causal"
            and self.batch_size != "auto"
            and (self.mixed_precision_dtype, self.think_end_token) == (None, None)
            and set(own.to_diff_dict()) <= HARMLESS
            and all(one.args[0] and _greedy(one.args[1]) for one in requests)
        )

    def _group(self, contexts: list[str], how: dict[str, Any]) -> Iterator[tuple[int, str]]:
        """Place and answer of each context, as they are done."""
        wanted: Any = normalize_gen_kwargs(how, self.max_gen_toks)
        most = wanted["max_gen_toks"]
        end = self.tok_decode(self.eot_token_id, skip_special_tokens=False)
        stops = [each for each in handle_stop_sequences(wanted.get("until"), eos=end) if each]
        if most >= self.max_length:
            raise ValueError(f"answers of {most} tokens; the model reads {self.max_length}")
        waiting = []
        for number, context in enumerate(contexts):
            ids, _ = self.tok_batch_encode(
                [context], left_truncate_len=self.max_length - most, truncation=self.truncation
            )
            tokens = ids[0].tolist()
            self.refuse_unknown(context, tokens)
            waiting.append(Writing(number, tokens))
        waiting.sort(key=lambda text: (-text.begun, contexts[text.number]))
        tail = AHEAD + max(len(self.tok_encode(stop)) for stop in stops)
        for text in self._written(waiting, most, stops, tail):
            said = self.tok_decode(text.written)
            left = postprocess_generated_text(said, stops, None)
            if left == said and not self._ended(text, stops, tail):
                self.cut_off |= {contexts[text.number]}
            yield text.number, left

    def _written(
        self, waiting: list[Writing], most: int, stops: list[str], tail: int
    ) -> Iterator[Writing]:
        """The texts, each as soon as it has ended."""
        decoder, ends = Decoder.of(self.model), self._ends()
        seats = min(int(self.batch_size), len(waiting))
        cache = Seats(len(decoder.layers), seats, max(text.begun for text in waiting) + most)
        seated: list[Writing] = []
        while waiting or seated:
            fresh, waiting = waiting[: seats - len(seated)], waiting[seats - len(seated) :]
            for text in fresh:
                text.seat = len(seated)
                seated.append(text)
            over = []
            for texts, guesses in list(_prompts(fresh)) or [_worthwhile(seated, most)]:
                for text, said in _read(decoder, cache, texts, guesses):
                    if text.write(said, most, ends) or self._ended(text, stops, tail):
                        over.append(text)
            yield from over
            for text in over:
                last = seated.pop()
                if last is not text:  # its seat is free, and the last one's is given up
                    cache.move(last.seat, text.seat)
                    last.seat = text.seat
                    seated[text.seat] = last

    def _ended(self, text: Writing, stops: list[str], tail: int) -> bool:
        """Whether a text has just come to an end token or a stop, looked for among its last tokens
        as the stock class does: special ones count."""
        last = text.written[-tail - text.fresh :]
        said = self.tokenizer.decode(last)
        return last[-1] in self._ends() or any(stop in said for stop in stops)

    def _ends(self) -> frozenset[int]:
        """The tokens at which the stock class ends a text."""
        own: Any = self.model.generation_config.eos_token_id
        return frozenset(own if isinstance(own, list) else [own]) - {None}


def can_share(model: Any) -> bool:
    """Whether tokens can be read beside others that they do not see, as they would be alone."""
    positions = getattr(model.config, "rope_parameters", None) or {}
    steady = positions.get("rope_type", "default") in STEADY_POSITIONS
    return steady and model.config._attn_implementation in ATTENTION


def _greedy(how: dict[str, Any]) -> bool:
    """Whether a request asks for the likeliest tokens and for nothing else."""
    wanted: dict[str, Any] = dict(normalize_gen_kwargs(how))
    others = {name: wanted[name] for name in wanted if name not in ("until", "max_gen_toks")}
    return others.items() <= GREEDY.items()


Pass = tuple[list[Writing], int]  # texts that are read together, and how many guesses of each


def _prompts(fresh: Sequence[Writing]) -> Iterator[Pass]:
    """New texts of similar length together."""
    together: list[Writing] = []
    for text in fresh:
        if together and together[0].begun * (len(together) + 1) > TOGETHER:
            yield together, 0
            together = []
        together.append(text)
    if together:
        yield together, 0


def _worthwhile(seated: Sequence[Writing], most: int) -> Pass:
    """The texts to read on, and how many guesses of each, with which the most tokens are written
    in the time."""
    best, found = 0.0, (list(seated), 0)
    again = [text for text in seated if text.guess(1)]
    for count in GUESSES:
        able = [text for text in again if most - text.length > count] if count else seated
        gained = 0.0
        ordered = sorted(able, key=lambda text: -text.expected(count))
        for number, text in enumerate(ordered, 1):
            gained += 1 + text.expected(count)
            rate = gained / (FLOOR + number * (1 + count))
            if rate > best:
                best, found = rate, (ordered[:number], count)
    return found


@torch.inference_mode()
def _read(
    decoder: Decoder, cache: Seats, texts: Sequence[Writing], guesses: int
) -> Iterator[tuple[Writing, list[int]]]:
    """What each text says next, read with so many ``guesses`` of it: as many tokens as were
    guessed rightly, and one more."""
    texts = sorted(texts, key=lambda text: text.seat)
    fresh = [text.tokens[text.read :] for text in texts]
    guessed = [text.guess(guesses) if guesses else [] for text in texts]
    more = [new + own for new, own in zip(fresh, guessed, strict=True)]
    states = cache.read(decoder, [text.seat for text in texts], [text.read for text in texts], more)
    ahead = [
        row[len(new) - 1 : len(whole)] for row, new, whole in zip(states, fresh, more, strict=True)
    ]
    chosen = iter(_likeliest(decoder, torch.cat(ahead)))
    for text, new, own in zip(texts, fresh, guessed, strict=True):
        says = [next(chosen) for _ in range(len(own) + 1)]
        right = next((at for at, token in enumerate(own) if token != says[at]), len(own))
        text.read += len(new) + right
        text.learn(right, len(own))
        yield text, says[: right + 1]


def _likeliest(decoder: Decoder, states: Tensor) -> list[int]:
    """The likeliest token after each state (N, d), by the head in its own number format, as the
    stock class has it."""
    model: Any = decoder.model
    z = model.get_output_embeddings()(states.to(decoder.device))
    if decoder.head.cap:
        z = torch.tanh(z / decoder.head.cap) * decoder.head.cap
    found: list[int] = z.argmax(-1).tolist()
    return found
