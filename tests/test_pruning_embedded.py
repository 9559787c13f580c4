"""What the methods do to the embedded model: layer errors and perplexity, in published order."""

from collections import defaultdict

import pytest
import torch

from helpers.models.load import LoadedModel, load
from helpers.pruning import Recipe, prunable, pruned
from helpers.pruning.calibrate import walk
from helpers.pruning.masks import unstructured
from helpers.pruning.methods import magnitude, wanda
from helpers.pruning.sparsegpt import hessian_factor, layer_error, sparsegpt
from helpers.pruning.statistics import Hessian
from helpers.texts.calibration import Calibration, calibration_text, held_out_text, perplexity

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

METHODS = ("sparsegpt", "wanda", "magnitude")


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load("smollm2-135m", device="cpu")


def calibration(loaded: LoadedModel, samples: int, seed: int = 0) -> Calibration:
    return calibration_text(loaded.tokenizer, samples=samples, length=256, seed=seed)


def test_layer_errors_are_in_the_published_order(loaded):
    """‖WX − ŴX‖ at 50%: SparseGPT < Wanda < magnitude, for each kind of linear over all layers;
    both sides on the same inputs, those of the dense model."""
    weights = prunable(loaded.decoder)
    errors: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    swapped: list[str] = []

    def measure(layer: int, statistics: dict[str, Hessian]) -> None:
        for linear in weights[layer]:
            weight, hessian = linear.matrix, statistics[linear.name].total
            norms = hessian.diagonal().sqrt()
            new = {
                "sparsegpt": sparsegpt(weight, hessian_factor(hessian), 0.5)[0],
                "wanda": weight * unstructured(wanda(weight, norms), 0.5, "row"),
                "magnitude": weight * unstructured(magnitude(weight), 0.5, "layer"),
            }
            size = layer_error(weight, torch.zeros_like(weight), hessian)
            found = [float(layer_error(weight, new[m], hessian) / size) for m in METHODS]
            for method, error in zip(METHODS, found, strict=True):
                errors[linear.role][method] += error / len(weights)
            if found != sorted(found):
                swapped.append(f"{linear.where}: {found}")

    walk(
        loaded.decoder,
        calibration(loaded, 8),
        weights,
        Hessian,
        measure,  # type: ignore[arg-type]
        sequential=False,
    )
    print("\nmean relative layer error at 50%", *METHODS)
    for role, found in errors.items():
        print(f"{role:10}", *(f"{found[method]:.4f}" for method in METHODS))
    print("weights out of order:", *swapped, sep="\n  ")
    for role, found in errors.items():
        assert found["sparsegpt"] < found["wanda"] < found["magnitude"], role


@pytest.mark.parametrize("seed", [0, 1])
def test_perplexity_is_in_the_published_order(loaded, seed):
    decoder, used = loaded.decoder, calibration(loaded, 32, seed)
    text = held_out_text(loaded.tokenizer, samples=16, length=256)
    found = {"dense": perplexity(decoder, text)}
    for method in METHODS:
        for amount in ({"ratio": 0.5}, {"pattern": "2:4"}, {"pattern": "4:8"}):
            with pruned(decoder, Recipe(method, **amount), used, progress=False):
                name = f"{method} {next(iter(amount.values()))}"
                found[name] = perplexity(decoder, text)
    print(f"\nperplexity of held-out text, seed {seed}")
    for name, value in found.items():
        print(f"{name:16} {value:.2f}")
    assert found["dense"] < found["sparsegpt 0.5"] <= found["wanda 0.5"] < found["magnitude 0.5"]
    for method in METHODS:
        assert found[f"{method} 0.5"] < found[f"{method} 4:8"] < found[f"{method} 2:4"]
    assert perplexity(decoder, text) == found["dense"]
