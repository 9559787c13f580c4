"""Ask a model: what its output holds where an answer would begin, how likely each option is, and
what it would write.

One question can be put in several ways, such as with and without an answer prefix. A model reads
once what the ways of a question share, and what all questions begin with.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from helpers.decoding import Branch, Tokens, end_tokens, refuse_too_long
from helpers.evaluation.spans import Cut, settled
from helpers.models.architecture import Decoder
from helpers.texts.data import Prompt, quoted, refuse_unknown_tokens, wrapped

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
    """What the head reads at the end of each text: (N, E, d), E endings for each of N questions."""
    found: list[Tensor] = [torch.empty(0)] * len(questions)
    for places, counts, trunk in _trunks(decoder, questions, AT_ONCE, doing):
        ends = []
        for endings in zip(*(questions[place] for place in places), strict=True):
            more = [whole[count:] for whole, count in zip(endings, counts, strict=True)]
            ends.append(trunk.read(more).states[:, -1])
        for row, place in enumerate(places):
            found[place] = torch.stack([states[row] for states in ends])
    return torch.stack(found)


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

    Raises :class:`helpers.errors.InputError` for a question that is longer than the model reads,
    or holds a token that it does not know.
    """
    every = [way for ways in questions for way in ways.values()]
    for way in every:
        refuse_unknown_question((way.start, *way.wholes), tokenizer, decoder)
    longest = max(max(len(way.start) + way.most, *map(len, way.wholes)) for way in every)
    refuse_too_long(decoder.model, longest)
    texts = [
        [text for way in ways.values() for text in (way.start, *way.wholes)] for ways in questions
    ]
    found: list[dict[str, Said]] = [{} for _ in questions]
    for places, counts, trunk in _trunks(
        decoder, texts, at_once, "Asking the probes", longest=longest
    ):
        for name in questions[places[0]]:
            ways = [questions[place][name] for place in places]
            starts = [way.start[count:] for way, count in zip(ways, counts, strict=True)]
            branch = trunk.read(starts)
            said = list(_likelihoods(branch, ways)), _written(branch, tokenizer, ways)
            for place, numbers, answer in zip(places, *said, strict=True):
                found[place][name] = Said(tuple(numbers), answer)
    return found


def refuse_unknown_question(texts: Sequence[Tokens], tokenizer: Any, decoder: Decoder) -> None:
    """:class:`helpers.errors.InputError` for a token that the model has no embedding of, in what is
    read of a question."""
    known = decoder.embedded_tokens
    for text in texts:
        if max(text, default=0) >= known:
            what = f"question {quoted(tokenizer.decode(text, skip_special_tokens=True))}"
            refuse_unknown_tokens(what, text, tokenizer, known)


def _trunks(
    decoder: Decoder,
    questions: Sequence[Sequence[Tokens]],
    at_once: int,
    doing: str,
    longest: int = 0,
) -> Iterator[tuple[list[int], list[int], Branch]]:
    """Questions of similar length together: their places, how many tokens all texts of each
    share, and the model after these."""
    starts = [shared(texts, leave=1) for texts in questions]
    common = shared(starts)
    stem = Branch.start(decoder, common)
    longest = longest or max(len(text) for texts in questions for text in texts)
    window = getattr(decoder.model.config, "sliding_window", None)
    if window and 2 * longest > window:  # padding between two tokens would count in the window
        at_once = 1
    order = sorted(range(len(questions)), key=lambda place: len(starts[place]))
    with tqdm(total=len(questions), desc=doing, unit="question", mininterval=2.0) as bar:
        for begin in range(0, len(order), at_once):
            places = order[begin : begin + at_once]
            rests = [starts[place][len(common) :] for place in places]
            trunk = stem.rows([0] * len(places)).read(rests)
            yield places, [len(starts[place]) for place in places], trunk
            bar.update(len(places))


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
