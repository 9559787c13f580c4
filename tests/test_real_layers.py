"""GPTQ beside round-to-nearest on layers of real models, by what they do to real text."""

import statistics
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from helpers.models import LoadedModel, converted, load
from helpers.models.architecture import Decoder
from helpers.pruning.calibrate import walk
from helpers.pruning.sparsegpt import hessian_factor
from helpers.pruning.weights import prunable
from helpers.quantization import Levels, rotated_folder
from helpers.quantization.gptq import gptq
from helpers.quantization.grid import round_to_nearest
from helpers.texts.calibration import calibration_text

SECOND = "qwen2.5-coder-0.5b"
SAMPLES, LENGTH = 16, 128
HELD_OUT = SAMPLES * LENGTH // 4  # tokens that GPTQ does not see
GROUP = 64


class Inputs:
    """All inputs of a linear (tokens, columns), in the order of the text."""

    def __init__(self, _columns: int, _device: torch.device) -> None:
        self.parts: list[Tensor] = []

    def add(self, inputs: Tensor) -> None:
        self.parts.append(inputs.reshape(-1, inputs.shape[-1]).double())

    @property
    def finite(self) -> bool:
        return True


def ratios(loaded: LoadedModel, layers: Sequence[int], bits: int) -> dict[str, list[float]]:
    """Layer error of GPTQ as a part of round-to-nearest's, one for each linear of ``layers``: on
    the text that GPTQ ``saw``, and on text ``held_out``."""
    decoder = Decoder.of(loaded.model)
    weights = tuple(
        linears if layer in layers else () for layer, linears in enumerate(prunable(decoder))
    )
    found: dict[str, list[float]] = {"saw": [], "held_out": []}

    def compare(layer: int, inputs: dict[str, Inputs]) -> None:
        for linear in weights[layer]:
            weight, x = linear.matrix.double(), torch.cat(inputs[linear.name].parts)
            seen, fresh = x[:-HELD_OUT], x[-HELD_OUT:]
            levels = Levels(bits, GROUP)
            new = (
                gptq(weight, hessian_factor(seen.T @ seen), levels),
                round_to_nearest(weight, levels),
            )
            for name, text in (("saw", seen), ("held_out", fresh)):
                ours, nearest = (torch.linalg.matrix_norm(text @ (one - weight).T) for one in new)
                found[name].append(float(ours / nearest))

    text = calibration_text(loaded.tokenizer, samples=SAMPLES, length=LENGTH)
    walk(decoder, text, weights, Inputs, compare, sequential=False, progress=False)  # type: ignore[arg-type]
    return found


def assert_below(loaded: LoadedModel, layers: Sequence[int], bits: int) -> None:
    """GPTQ's error is below round-to-nearest's in every linear on the text that it saw, and by a
    tenth in the median on text that it did not see, where a linear of many inputs may overfit."""
    for name, values in ratios(loaded, layers, bits).items():
        below, middle = sum(value < 1 for value in values), statistics.median(values)
        words = f"{loaded.name}, {bits} bits, text {name}: below in {below} of {len(values)}"
        print(f"{words}, median ratio {middle:.2f}, greatest {max(values):.2f}")
        assert below == len(values) or name == "held_out", words
        assert middle < 0.9, words


@pytest.mark.parametrize("bits", [4, 3])
def test_on_the_embedded_model_rotated(bits: int) -> None:
    rotated = load(str(rotated_folder("smollm2-135m")), device="cpu")
    assert_below(rotated, [1, 16], bits)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [4, 3])
def test_on_the_second_model(bits: int) -> None:
    file = converted.source(SECOND)
    assert file is not None
    if not converted.intact(file.target):
        pytest.skip(f"{SECOND} is not in the cache: give its file as the model once")
    assert_below(load(SECOND, device="cpu"), range(0, 24, 6), bits)
