"""What the labs are graded by: a number of each student's own, and what the mended code gives back
for inputs that are drawn when it is graded.

Inputs are drawn with a secret, so these tests may be read by anyone. ``ask`` functions run in the
sandbox, in the process of the student's code, and are trusted as little; ``judge`` functions see no
more than the data that came back, and work out by themselves what it should be.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf
from random import Random
from typing import Any

import torch

from course import labs

WORDS = ("amber", "basil", "copper", "dahlia", "ember", "fennel", "garnet", "hazel", "indigo")
PLACES = ("Zorvia", "Quellan", "Marrowick", "Tessaly", "Brenmoor", "Ulgarth")


@dataclass(frozen=True)
class Number:
    """A number that the notebook calls ``name``: worth ``points`` within ``full`` of a right one,
    half of them within ``half``."""

    name: str
    points: float
    right: Callable[[str], tuple[float, ...]]
    full: float
    half: float

    def share(self, student: str, value: Any) -> float:
        """1, 0.5 or 0 for what a student's notebook gave."""
        if type(value) not in (int, float):
            return 0.0
        off = min(abs(value - right) for right in self.right(student)) if abs(value) < 1e9 else inf
        return 1.0 if off <= self.full else 0.5 if off <= self.half else 0.0


@dataclass(frozen=True)
class Test:
    """How inputs of a hidden test are drawn, and what is wrong with what came back for them, in one
    line; empty if nothing is."""

    name: str
    points: float
    draw: Callable[[Random], Any]
    judge: Callable[[Any, Any], str]


@dataclass(frozen=True)
class Lab:
    """How one lab is graded: its numbers, its tests, and the function that asks in the sandbox."""

    numbers: tuple[Number, ...]
    tests: tuple[Test, ...]
    asking: Callable[[dict[str, Any], Any], Any]

    @property
    def ask(self) -> str:
        """Source of a function ``ask``."""
        source = inspect.getsource(self.asking)
        return f"from typing import Any\n{source}\nask = {self.asking.__name__}\n"


def _ask_writing(student: dict[str, Any], given: Any) -> Any:
    from course.labs import tiny_llama, writes

    network = student["drop_attention"](tiny_llama(given["seed"]), given["layers"])
    return writes(network, given["texts"], given["tokens"])


def _draw_writing(layers: list[int], random: Random) -> Any:
    drawn = [random.choices(range(61), k=random.randint(3, 9)) for _ in range(4)]
    return {"seed": random.randrange(2**31), "layers": layers, "texts": drawn, "tokens": 16}


def _judge_writing(given: Any, reply: Any) -> str:
    wanted, read = labs.wanted_writing(**given)
    if reply == [wanted, read]:
        return ""
    if isinstance(reply, list) and reply and reply[0] == wanted:
        return "the text is right, but what was read is not remembered"
    return "it writes another text than a network that reads all anew"


def _ask_masks(student: dict[str, Any], given: Any) -> Any:
    import torch

    masks = []
    for scores, amount in given:
        keep = student["keep_mask"](torch.tensor(scores), amount)
        masks.append([str(keep.dtype), keep.tolist()])
    return masks


def _draw_masks(steps: tuple[int, ...], amounts: tuple[float, ...], random: Random) -> Any:
    found = []
    for step in steps:
        for amount in amounts:
            rows = [[random.random() for _ in range(40)] for _ in range(6)]
            found.append([[[int(x * step) / step for x in row] for row in rows], amount])
    return found


def _judge_masks(given: Any, reply: Any) -> str:
    for (scores, amount), (dtype, mask) in zip(given, reply, strict=True):
        keep = torch.tensor(mask)
        if dtype != str(keep.dtype):
            return f"the mask is {str(dtype)[:20]}, not bool"
        if said := labs.wrong_mask(torch.tensor(scores), amount, keep):
            return said
    return ""


def _ask_forms(student: dict[str, Any], given: Any) -> Any:
    from course.labs import read_by
    from helpers.models.load import load
    from helpers.texts.probes import Probe

    model = load("smollm2-135m", device="cpu")
    return [read_by(model, student["right"], Probe(**one)) for one in given]


def _draw_forms(random: Random) -> Any:
    found = []
    for place in random.sample(PLACES, 2):
        options = tuple(random.sample(WORDS, 4))
        question = f"Which colour has the flag of {place}?"
        one = {"id": "", "family": "", "question": question, "prefix": f"The flag of {place} is"}
        found.append(one | {"answer": options[0], "accepted": options[:1], "options": options})
    return found


def _judge_forms(given: Any, reply: Any) -> str:
    for one, read in zip(given, reply, strict=True):
        if said := labs.asked_apart(read):
            return said
        if not all(one["question"] in text for text in (read["choice"][0], read["writing"][0])):
            return "the model does not read the question"
    return ""


def _one(of: Callable[[str], float], student: str) -> tuple[float, ...]:
    return (of(student),)


LABS = {
    "lab1": Lab(
        (Number("nats", 2, partial(_one, labs.nats_of), 0.02, 0.1),),
        (
            Test("layer 0", 4, partial(_draw_writing, [0]), _judge_writing),
            Test("layers 0 and 2", 2, partial(_draw_writing, [0, 2]), _judge_writing),
            Test("all layers", 2, partial(_draw_writing, [0, 1, 2, 3]), _judge_writing),
        ),
        _ask_writing,
    ),
    "lab2": Lab(
        (Number("gone", 2, partial(_one, labs.gone_of), 0.002, 0.01),),
        (
            Test("on a grid or off", 5, partial(_draw_masks, (8, 10**9), (0.2, 0.5)), _judge_masks),
            Test("all equal", 2, partial(_draw_masks, (1,), (0.25,)), _judge_masks),
            Test("nothing to go", 1, partial(_draw_masks, (8,), (0.0,)), _judge_masks),
        ),
        _ask_masks,
    ),
    "lab3": Lab(
        (Number("gap", 3, labs.gaps_of, 0.05, 0.1),),
        (Test("same to read", 7, _draw_forms, _judge_forms),),
        _ask_forms,
    ),
}
