"""Ask a model to choose: what its output holds where an answer would begin.

One question can end in several ways, such as with and without an answer prefix. A model reads
once what the endings share, and what all questions begin with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from helpers.decoding import Branch, Tokens
from helpers.models.architecture import Decoder
from helpers.texts.data import Prompt, wrapped

AT_ONCE = 24  # questions in one pass


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

    What all questions begin with, such as a system prompt, is read once, and so is what the
    endings of one question share. Questions of similar length are read together.
    """
    starts = [shared(endings, leave=1) for endings in questions]
    common = shared(starts)
    stem = Branch.start(decoder, common)
    longest = max(len(whole) for endings in questions for whole in endings)
    window = getattr(decoder.model.config, "sliding_window", None)
    # padding between two tokens would count in a window
    at_once = 1 if window and 2 * longest > window else AT_ONCE
    order = sorted(range(len(questions)), key=lambda place: len(starts[place]))
    found: list[Tensor] = [torch.empty(0)] * len(questions)
    bar = tqdm(total=len(questions), desc=doing, unit="question", mininterval=2.0)
    for begin in range(0, len(order), at_once):
        places = order[begin : begin + at_once]
        rests = [starts[place][len(common) :] for place in places]
        trunk = stem.rows([0] * len(places)).read(rests)
        ends = []
        for endings in zip(*(questions[place] for place in places), strict=True):
            more = [whole[len(starts[at]) :] for whole, at in zip(endings, places, strict=True)]
            ends.append(trunk.read(more).states[:, -1])
        for row, place in enumerate(places):
            found[place] = torch.stack([states[row] for states in ends])
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


def _next(whole: Tokens, context: Tokens) -> int | None:
    count = len(context)
    return whole[count] if len(whole) > count and whole[:count] == context else None
