"""A quantized model as the book asks for it: by name, alone or after pruning."""

import pytest
import torch

from helpers.models.load import load
from helpers.pruning.weights import prunable
from measurements.pruned_model import evaluated_model
from runs.parameters import RunParameters
from runs.settings import named


@pytest.fixture
def asked(tiny_folder, little_text):

    def ask(name):
        run = RunParameters(
            model=str(tiny_folder),
            calibration=little_text,
            calibration_samples=3,
            calibration_length=16,
            group_size=16,
        )
        (one,) = named(run, name).values()
        return evaluated_model(one)

    return ask


def _zeros(decoder):
    return [one.matrix == 0 for layer in prunable(decoder) for one in layer]


@pytest.mark.parametrize("name", ["RTN 4", "GPTQ 4", "AWQ 3"])
def test_a_quantized_model_keeps_all_its_parameters(asked, name):
    found = asked(name)
    assert found.parameters_left == found.dense.decoder.parameter_count
    assert name.split()[0].lower() in found.words
    levels = [
        len(one.matrix[0, :16].unique())
        for layer in prunable(found.loaded.decoder)
        for one in layer
    ]
    assert max(levels) <= 16


@pytest.mark.parametrize("quantizer", ["RTN 4", "GPTQ 4", "AWQ 4"])
def test_what_was_pruned_before_stays_pruned(asked, quantizer):
    pruned, both = asked("Wanda 50%"), asked(f"Wanda 50% + {quantizer}")
    removed = _zeros(asked("Wanda 50%").loaded.decoder)
    assert both.parameters_left == pruned.parameters_left < pruned.dense.decoder.parameter_count
    after = _zeros(asked(f"Wanda 50% + {quantizer}").loaded.decoder)
    assert all(bool(b[a].all()) for a, b in zip(removed, after, strict=True))


def test_packed_weights_answer_and_the_dense_model_is_untouched(asked, tiny_folder):
    ids = torch.randint(3, 250, (2, 12), generator=torch.Generator().manual_seed(0))
    before = load(str(tiny_folder)).model(ids).logits
    found = asked("NF4")
    moved = found.loaded.model(ids).logits
    assert torch.equal(found.dense.model(ids).logits, before)
    assert not torch.equal(moved, before)
    assert found.parameters_left == found.dense.decoder.parameter_count
