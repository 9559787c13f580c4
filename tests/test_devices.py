"""Nothing assumes a device: every tensor that the package makes names where it lives."""

import inspect
from pathlib import Path

import pytest
import torch
from torch.utils._device import _device_constructors

import helpers
from chapters.background.measure import readouts
from chapters.d_error_propagation.measure_terms import decomposition
from chapters.propagation.measure import propagation
from chapters.pruning_by_hand.measure import pruning_quality
from measurements.generation import generation
from measurements.layer_profile import layer_profile
from runs.parameters import validate

PACKAGE = Path(helpers.__file__).parent
FACTORIES = (
    *("arange", "as_tensor", "empty", "eye", "full", "linspace", "ones", "rand"),
    *("randint", "randn", "randperm", "tensor", "zeros"),
)
# token ids are drawn, and random scores made, on the CPU: a seed then means the same everywhere
ON_THE_CPU = (
    "texts/calibration.py",
    "pruning/apply.py",
    "pruning/importance.py",
    "pruning/methods.py",
)
SHORT = {
    "prompts": "MC2",
    "max_new_tokens": 2,
    "calibration_samples": 2,
    "calibration_length": 32,
    "evaluation_samples": 1,
    "sweep_steps": 2,
    "dropped": 1,
}


@pytest.mark.parametrize(
    "measure", [layer_profile, propagation, pruning_quality, readouts, generation, decomposition]
)
def test_every_factory_is_told_its_device(measure, monkeypatch, tiny_folder, tmp_path):
    """Factories called from the package's own files, without ``device``, would make a tensor on
    the CPU beside a model on a GPU."""
    _device_constructors()  # torch remembers them when first asked: they must be the real ones
    seen, silent = [], []

    def watched(name):
        original = getattr(torch, name)

        def factory(*args, **keywords):
            caller = inspect.currentframe().f_back
            file = Path(caller.f_code.co_filename)
            if PACKAGE in file.parents:
                place = str(file.relative_to(PACKAGE))
                seen.append(place)
                device = keywords.get("device")
                if device is None or (device == "cpu" and place not in ON_THE_CPU):
                    silent.append(f"{place}:{caller.f_lineno} torch.{name}")
            return original(*args, **keywords)

        return factory

    for name in FACTORIES:
        monkeypatch.setattr(torch, name, watched(name))
    places = {"model": str(tiny_folder), "results": str(tmp_path), "device": "cpu"}
    measure(validate(SHORT | places))
    assert seen
    assert sorted(set(silent)) == []


@pytest.mark.gpu
@pytest.mark.parametrize("measure", [layer_profile, pruning_quality, generation])
def test_measurements_agree_with_the_cpu_on_a_gpu(measure, tiny_folder, tmp_path):
    """The same drivers on a GPU where there is one."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU here")
    found = {}
    for device in ("cpu", "cuda"):
        places = {"model": str(tiny_folder), "results": str(tmp_path), "device": device}
        measured = measure(validate(SHORT | places))
        assert measured.manifest["device"] == device
        table = next(name for name in ("deviations", "prunings") if name_in(measured, name))
        found[device] = measured.table(table)["value"].to_numpy()
    difference = abs(found["cpu"] - found["cuda"]) / (1 + abs(found["cpu"]))
    assert difference.mean() < 1e-3


def name_in(measured, name):
    return (measured.folder / f"{name}.parquet").is_file()
