"""Measurements that walk along a text: weight pruning in place, temperatures, formula checks."""

import numpy as np
import pytest
import torch

from chapters.h_temperature.measure import TEMPERATURES, temperatures
from chapters.validity.measure import estimate_quality, estimates
from helpers.models import load
from helpers.pruning import Recipe, prune
from helpers.texts.calibration import calibration_text
from measurements.layer_profile import layer_profile
from runs.parameters import CALIBRATION, validate

SHORT = {
    "prompts": "MC2,Gen4",
    "max_new_tokens": 3,
    "sweep_steps": 2,
    "device": "cpu",
    "calibration_samples": 2,
    "calibration_length": 32,
}
KEYS = ["prompt", "step", "layer", "sublayer", "lens", "space", "centred", "metric", "quantity"]


@pytest.fixture(scope="module")
def parameters(tiny_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    return validate(SHORT | {"model": str(tiny_folder), "results": str(folder)})


def indexed(measured, **equal):
    table = measured.table("deviations", **equal)
    return table.astype({name: str for name in KEYS[4:]}).set_index(KEYS)["value"].sort_index()


def test_weights_pruned_in_place_equal_a_checkpoint_pruned_so(parameters, tiny_folder, tmp_path):
    """Wanda on every sublayer's dense inputs, against the same folder pruned and saved by hand."""
    loaded = load(str(tiny_folder), device="cpu")
    text = calibration_text(loaded.tokenizer, "embedded", 2, 32, 0)
    prune(loaded.decoder, Recipe("wanda", 0.5), text, sequential=False, reversible=False)
    loaded.model.save_pretrained(tmp_path / "pruned")
    loaded.tokenizer.save_pretrained(tmp_path / "pruned")
    ours = layer_profile(parameters.model_copy(update={"method": "wanda", "sparsity": 0.5}))
    other = layer_profile(
        parameters.model_copy(
            update={"method": "checkpoint", "checkpoint": str(tmp_path / "pruned")}
        )
    )
    assert ours.run != other.run
    assert np.array_equal(indexed(ours), indexed(other))
    assert indexed(ours).xs("kl", level="metric").max() > 0
    assert ours.manifest["constants"]["amount"] == 0.5
    assert "wanda" in ours.manifest["facts"]["wanda"]


def test_more_weights_removed_deviate_more(parameters):
    found = [
        indexed(layer_profile(parameters.model_copy(update={"method": method, "sparsity": ratio})))
        for method, ratio in (("magnitude", 0.25), ("magnitude", 0.9))
    ]
    mild, harsh = (values.xs("angular", level="metric").median() for values in found)
    assert mild < harsh


def test_what_a_method_does_not_read_is_no_part_of_its_identity(parameters):
    first = layer_profile(parameters).run
    changes = {"sparsity": 0.7, "calibration_samples": 3}
    assert layer_profile(parameters.model_copy(update=changes)).run == first
    pruned = parameters.model_copy(update={"method": "magnitude"})
    assert set(CALIBRATION) <= pruned.unread(layer_profile.uses)
    assert "sparsity" not in pruned.unread(layer_profile.uses)
    wanda = parameters.model_copy(update={"method": "wanda"})
    assert not wanda.unread(layer_profile.uses) & set(layer_profile.uses)


def test_each_temperature_equals_a_profile_taken_at_it(parameters):
    swept = temperatures(parameters)
    for temperature in TEMPERATURES:
        update = {"temperature": temperature, "max_new_tokens": parameters.sweep_steps}
        alone = layer_profile(parameters.model_copy(update=update))
        wanted = indexed(alone, space="probability")
        found = indexed(swept, temperature=temperature)
        assert found.index.equals(wanted.index)
        assert np.allclose(found, wanted, rtol=1e-12, atol=1e-15)


def test_formulas_agree_with_the_profile(parameters):
    """Two code paths: blocks over the vocabulary, and the theory's own functions."""
    checked = estimate_quality(parameters).table("deviations")
    profile = layer_profile(parameters).table("deviations", space="probability")
    place = [name for name in KEYS if name != "quantity"]
    for quantity, against in (
        ("exact", "measured"),
        ("theorem", "theorem"),
        ("bounded", "bounded"),
    ):
        part = checked[checked["quantity"] == quantity]
        beside = part.merge(profile[profile["quantity"] == against], on=place)
        assert len(beside) == len(part) > 0
        assert np.allclose(beside["value_x"], beside["value_y"], rtol=1e-4, atol=1e-9)


def test_formulas_by_hand():
    """Two tokens: p = (1/2, 1/2), and Δz raises one of them by log 3."""
    z = torch.zeros(1, 2, dtype=torch.float64)
    found = estimates(z, torch.tensor([[np.log(3), 0.0]]), 1.0)
    assert found["angular", "exact"].item() == pytest.approx(1 - 1 / np.sqrt(1.25))
    assert found["kl", "exact"].item() == pytest.approx(np.log(2) - np.log(3) / 2)
    assert found["kl", "theorem"].item() == pytest.approx(np.log(3) ** 2 / 8)
    assert found["angular", "theorem"].item() == pytest.approx(np.log(3) ** 2 / 8)
    assert found["angular", "bounded"].item() == pytest.approx(1 - np.exp(-(np.log(3) ** 2) / 8))
