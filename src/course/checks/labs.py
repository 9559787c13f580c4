"""Checks of the three labs."""

from collections.abc import Callable
from typing import Any

import torch

from course.checks.judging import number
from course.labs import (
    FAMILIES,
    TEXTS,
    asked_apart,
    gaps_of,
    gone_of,
    nats_of,
    read_by,
    tiny_llama,
    wanted_writing,
    writes,
    wrong_mask,
)
from course.verdict import check
from helpers.texts.probes import probes

__all__ = ["FAMILIES", "TEXTS"]
CASES: tuple[tuple[list[int], list[list[int]]], ...] = (
    ([2], [[5, 17, 40, 8]]),
    ([0], [[5, 17, 40, 8]]),
    ([0, 1], [[9, 33, 4], [12, 50, 7, 21, 16]]),
)
TOKENS = 12


@check
def one_pass(student: str, nats: float) -> str:
    """The mean cost of a token, read in one pass without the attention of one layer."""
    line = (
        f"{nats:.4g} nats are not what your text costs: it is the mean over all tokens but the "
        "first, of a network without the attention of your one layer"
    )
    return number(nats, nats_of(student), line, {}, share=0.005)


@check
def writes_as_it_reads(drop_attention: Callable[..., Any]) -> str:
    """A network without attentions writes the same step by step as when it reads all anew."""
    for layers, texts in CASES:
        network = drop_attention(tiny_llama(1), layers)
        found, known = writes(network, texts, TOKENS)
        wanted, read = wanted_writing(1, layers, texts, TOKENS)
        for ours, theirs in zip(found, wanted, strict=True):
            parted = [step for step in range(TOKENS) if ours[step] != theirs[step]]
            if parted:
                return (
                    f"without the attention of layers {layers}, token {parted[0] + 1} is another "
                    "than a network writes that reads all anew for each token"
                )
        if known != read:
            return (
                f"the text is right, but of {read} tokens {known} are remembered: is it as quick?"
            )
    return ""


@check
def share_gone(student: str, gone: float) -> str:
    """The share that the colleague's mask takes."""
    line = (
        f"{gone:.4g} is not the share that goes of your matrix: put it in four bits, take the mask "
        "of its magnitudes, and count where it is False"
    )
    return number(gone, gone_of(student), line, {}, share=0.005)


@check
def removes_what_is_asked(keep_mask: Callable[..., Any]) -> str:
    """A mask takes as many weights of each row as were asked for, the lowest ones."""
    generator = torch.Generator().manual_seed(0)
    smooth = torch.rand(5, 40, generator=generator)
    for what, scores, amount in (
        ("on random scores", smooth, 0.3),
        ("on scores in eight steps", (smooth * 8).floor(), 0.3),
        ("where nothing is to go", smooth, 0.0),
    ):
        if said := wrong_mask(scores, amount, keep_mask(scores.clone(), amount)):
            return f"{what}, {said}"
    return ""


@check
def asks_alike(right: Callable[..., Any], model: Any) -> str:
    """Both forms give the model the same to read before its answer."""
    knows: dict[str, Any] = {}

    def noted(model: Any, probe: Any, form: str) -> None:
        knows[form] = right(model, probe, form)

    for probe in probes("capitals", 2):
        if said := asked_apart(read_by(model, noted, probe)):
            return said
        if not knows["choice"]:
            return f"of {probe.question!r} the choice is wrong: the model chooses {probe.answer}"
    return ""


@check
def dense_gap(student: str, gap: float) -> str:
    """Choice less writing of the dense model."""
    if min(abs(gap - wanted) for wanted in gaps_of(student)) <= 0.05:
        return ""
    return (
        f"{gap:.4g} is not the gap of your questions: is it the model with nothing dropped, the "
        "mended comparison, and the share of the choice less that of writing?"
    )
