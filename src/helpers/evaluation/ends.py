"""What a model holds at the ends of many questions that begin alike."""

from collections.abc import Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from helpers.asking import shared
from helpers.evaluation.branches import Branch, Tokens
from helpers.models.architecture import Decoder

AT_ONCE = 24  # questions in one pass


@torch.inference_mode()
def end_states(
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
        trunk = stem.rows([0] * len(places))
        rests = [starts[place][len(common) :] for place in places]
        if any(rests):
            trunk = trunk.read(rests)
        ends = []
        for endings in zip(*(questions[place] for place in places), strict=True):
            more = [whole[len(starts[at]) :] for whole, at in zip(endings, places, strict=True)]
            ends.append(trunk.read(more).states[:, -1])
        for row, place in enumerate(places):
            found[place] = torch.stack([states[row] for states in ends])
        bar.update(len(places))
    bar.close()
    return torch.stack(found)
