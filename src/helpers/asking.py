"""Ask a model to choose: what its output holds where an answer would begin.

One question can end in several ways, such as with and without an answer prefix. A model reads
what the endings share once.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from helpers.data import Prompt, wrapped
from helpers.decoding.reader import forward
from helpers.models.architecture import Decoder

AT_ONCE = 24  # questions in one pass

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Asked:
    """A text up to where its answers part, and the next token of each answer.

    ``tokens`` holds None for an answer that is not told apart there: one that ends before it, or
    that a tokenizer joins to the text in another way.
    """

    context: Tokens
    tokens: tuple[int | None, ...]

    def distinct(self, count: int) -> bool:
        """Whether the first ``count`` answers all begin with a token, and each with its own."""
        first = self.tokens[:count]
        return None not in first and len(set(first)) == count


def asked(
    tokenizer: Any,
    text: str,
    prefix: str,
    answers: Sequence[str],
    chat_template: bool,
    options: int | None = None,
) -> Asked:
    """``text`` as a user says it, an answer that begins with ``prefix``, and how it goes on.

    With a chat template the prefix opens the model's own turn, without one it follows the text
    after a space; the answer follows after a space, but not at the very beginning of a turn.
    Tokens are those of the whole text, since tokenizers do not split at blanks alone. The first
    ``options`` answers (all by default) decide where answers part; the text is read up to there,
    with what they share.

    Raises :class:`helpers.errors.InputError` if the tokenizer has no chat template.
    """
    _, wholes = worded(tokenizer, text, prefix, answers, chat_template)
    context = shared(wholes[:options])
    return Asked(context, tuple(_next(whole, context) for whole in wholes))


def worded(
    tokenizer: Any, text: str, prefix: str, answers: Sequence[str], chat_template: bool
) -> tuple[Tokens, list[Tokens]]:
    """Tokens of what is asked, up to where an answer is written, and of the same with each answer:
    see :func:`asked`."""
    if chat_template:
        (start,) = wrapped((Prompt("", "", text),), tokenizer)
        start, glue = start + prefix, " " if prefix else ""
    else:
        start, glue = f"{text} {prefix}" if prefix else text, " "
    begun, *wholes = (
        tuple(tokenizer(whole, add_special_tokens=not chat_template)["input_ids"])
        for whole in (start, *(start + glue + answer for answer in answers))
    )
    return begun, wholes


@torch.inference_mode()
def last_states(
    decoder: Decoder, questions: Sequence[Sequence[Tokens]], doing: str = "Reading questions"
) -> Tensor:
    """What the head reads at the end of each text: (N, E, d) for N questions with E endings each.

    The endings of one question share most of it, which is read once. Questions of similar length
    are read together, padded on the left.
    """
    order = sorted(range(len(questions)), key=lambda place: len(questions[place][0]))
    found: list[Tensor] = [torch.empty(0)] * len(questions)
    bar = tqdm(total=len(questions), desc=doing, unit="question", mininterval=2.0)
    for begin in range(0, len(order), AT_ONCE):
        places = order[begin : begin + AT_ONCE]
        batch = _endings(decoder, [questions[place] for place in places])
        for place, states in zip(places, torch.stack(list(batch), dim=1), strict=True):
            found[place] = states
        bar.update(len(places))
    bar.close()
    return torch.stack(found)


def shared(rows: Sequence[Tokens], leave: int = 0) -> Tokens:
    """The longest beginning that all rows share, at least ``leave`` tokens before the end of
    each."""
    longest = max(0, min(map(len, rows)) - leave)
    count = next(
        (place for place in range(longest) if len({row[place] for row in rows}) > 1), longest
    )
    return rows[0][:count]


def _endings(decoder: Decoder, questions: Sequence[Sequence[Tokens]]) -> Iterator[Tensor]:
    """States (B, d) at each ending in turn."""
    starts = [shared(endings, leave=1) for endings in questions]
    longest = max(len(whole) for endings in questions for whole in endings)
    window = getattr(decoder.model.config, "sliding_window", None)
    if window and 2 * longest > window:  # padding before an ending would count in its window
        for endings in zip(*questions, strict=True):
            yield forward(decoder, *_padded(endings, decoder.device), None)[0].state
        return
    ids, mask = _padded(starts, decoder.device)
    cache = forward(decoder, ids, mask, None)[1]
    for endings in zip(*questions, strict=True):
        rest = [whole[len(start) :] for whole, start in zip(endings, starts, strict=True)]
        more, beyond = _padded(rest, decoder.device)
        both = torch.cat([mask, beyond], dim=-1)
        yield forward(decoder, more, both, copy.deepcopy(cache))[0].state


def _padded(rows: Sequence[Tokens], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and mask (B, T), padded on the left."""
    longest = max(map(len, rows))
    ids = [
        nn.functional.pad(torch.tensor(row, dtype=torch.long), (longest - len(row), 0))
        for row in rows
    ]
    lengths = torch.tensor([len(row) for row in rows])
    mask = (torch.arange(longest) >= longest - lengths[:, None]).long()
    return torch.stack(ids).to(device), mask.to(device)


def _next(whole: Tokens, context: Tokens) -> int | None:
    count = len(context)
    return whole[count] if len(whole) > count and whole[:count] == context else None
