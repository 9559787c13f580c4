"""What does a model say to a question: how likely is each option, and what would it write?

Both come of one pass over the question, so that they answer to the same text. What questions
share is read once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from helpers.decoding import Branch, Tokens, end_tokens, refuse_too_long
from helpers.evaluation.asking import shared
from helpers.evaluation.spans import Cut, settled
from helpers.models.architecture import Decoder


@dataclass(frozen=True)
class Way:
    """How a question is put: ``start`` is what is read, ``wholes`` the same with each option.

    What the model writes after ``start`` is asked for only with a ``cut``, which gives the answer,
    and ends after ``most`` tokens.
    """

    start: Tokens
    wholes: tuple[Tokens, ...]
    cut: Cut | None = None
    most: int = 0


@dataclass(frozen=True)
class Said:
    """What came of a :class:`Way`: log-likelihood (nats) of each option, and the answer written."""

    likelihoods: tuple[float, ...]
    answer: str = ""

    @property
    def place(self) -> int:
        """The likeliest option, the first of equals."""
        return self.likelihoods.index(max(self.likelihoods))


@torch.inference_mode()
def ask(
    decoder: Decoder, tokenizer: Any, questions: Sequence[dict[str, Way]], at_once: int
) -> list[dict[str, Said]]:
    """What a model says to each question in each way, ``at_once`` questions at a time.

    What all questions begin with, such as a system prompt, is read once, and so is what the ways
    of one question share.
    """
    longest = max(
        max(len(way.start) + way.most, *map(len, way.wholes))
        for ways in questions
        for way in ways.values()
    )
    refuse_too_long(decoder.model, longest, writes=False)
    window = getattr(decoder.model.config, "sliding_window", None)
    if window and 2 * longest > window:  # padding between two tokens would count in the window
        at_once = 1
    starts = [
        shared([text for way in ways.values() for text in (way.start, *way.wholes)], leave=1)
        for ways in questions
    ]
    common = shared(starts)
    stem = Branch.start(decoder, common)
    order = sorted(range(len(questions)), key=lambda place: len(starts[place]))
    found: list[dict[str, Said]] = [{}] * len(questions)
    bar = tqdm(total=len(questions), desc="Asking the probes", unit="question", mininterval=2.0)
    for begin in range(0, len(order), at_once):
        places = order[begin : begin + at_once]
        trunk = stem.rows([0] * len(places)).read(
            [starts[place][len(common) :] for place in places]
        )
        for place in places:
            found[place] = {}
        for name in questions[places[0]]:
            ways = [questions[place][name] for place in places]
            branch = trunk.read(
                [way.start[len(starts[place]) :] for way, place in zip(ways, places, strict=True)]
            )
            chosen = list(_likelihoods(branch, ways))
            written = _written(branch, tokenizer, ways)
            for place, numbers, answer in zip(places, chosen, written, strict=True):
                found[place][name] = Said(tuple(numbers), answer)
        bar.update(len(places))
    bar.close()
    return found


def _likelihoods(branch: Branch, ways: Sequence[Way]) -> Iterator[list[float]]:
    """Log-likelihood of each option after what was read, for each text of ``branch``."""
    plain = all(whole[: len(way.start)] == way.start for way in ways for whole in way.wholes)
    if plain:
        rests = [[whole[len(way.start) :] for whole in way.wholes] for way in ways]
        yield from continuations(branch, rests)
        return
    for way in ways:  # a tokenizer that joins the end of the question to an answer's beginning
        start = shared((way.start, *way.wholes), leave=1)
        begun = Branch.start(branch.decoder, start)
        yield from continuations(begun, [[whole[len(start) :] for whole in way.wholes]])


@torch.inference_mode()
def continuations(branch: Branch, rests: Sequence[Sequence[Tokens]]) -> list[list[float]]:
    """Sum of the log-likelihoods (nats) of each continuation's tokens, for each text of
    ``branch`` its own continuations, of at least one token each."""
    first = _log_likelihoods(branch.logits(), [[rest[0] for rest in row] for row in rests])
    longer = [
        (text, number)
        for text, row in enumerate(rests)
        for number, rest in enumerate(row)
        if len(rest) > 1
    ]
    found = [list(row) for row in first]
    for begin in range(0, len(longer), len(rests)):  # no more copies of the texts than there are
        part = longer[begin : begin + len(rests)]
        for (text, number), total in zip(part, _beyond_first(branch, rests, part), strict=True):
            found[text][number] += total
    return found


def _beyond_first(
    branch: Branch, rests: Sequence[Sequence[Tokens]], chosen: Sequence[tuple[int, int]]
) -> Iterator[float]:
    """Sum of the log-likelihoods of all tokens but the first, for each of the ``chosen``
    continuations, by text and number."""
    bodies = [rests[text][number][:-1] for text, number in chosen]
    states = branch.rows([text for text, _ in chosen]).read(bodies, align="left").states
    held = torch.cat([states[row, : len(body)] for row, body in enumerate(bodies)])
    targets = [[token] for text, number in chosen for token in rests[text][number][1:]]
    each = iter(_log_likelihoods(branch.decoder.head.logits(held), targets))
    for body in bodies:
        yield sum(next(each)[0] for _ in body)


def _log_likelihoods(logits: Tensor, tokens: Sequence[Sequence[int]]) -> list[list[float]]:
    """log p of some tokens under each row of logits (R, V)."""
    total = logits.logsumexp(-1).double()
    return [
        (row[list(chosen)].double() - norm).tolist()
        for row, norm, chosen in zip(logits, total, tokens, strict=True)
    ]


def _written(branch: Branch, tokenizer: Any, ways: Sequence[Way]) -> list[str]:
    """The answer in what the model writes after each text, the likeliest token each time.

    A text is written on until its answer is complete, it ends, or it has grown too long; others go
    on without it.
    """
    ends = end_tokens(branch.decoder.model, tokenizer)
    written: list[list[int]] = [[] for _ in ways]
    running = [place for place, way in enumerate(ways) if way.cut]
    if not running:
        return [""] * len(ways)

    def text(place: int) -> str:
        return str(tokenizer.decode(written[place], skip_special_tokens=True))

    branch = branch.rows(running)
    while True:
        tokens = branch.logits().argmax(-1).tolist()
        going = []
        for row, (place, token) in enumerate(zip(running, tokens, strict=True)):
            way = ways[place]
            written[place].append(token)
            ended = token in ends or len(written[place]) >= way.most
            if not ended and way.cut and not settled(text(place), way.cut):
                going.append(row)
        if not going:
            break
        if len(going) < len(running):
            branch, running = branch.rows(going), [running[row] for row in going]
        branch = branch.read([(tokens[row],) for row in going])
    return [way.cut(text(place)) if way.cut else "" for place, way in enumerate(ways)]
