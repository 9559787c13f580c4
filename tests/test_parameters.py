import math

import pytest

from helpers.errors import InputError
from runs.parameters import RunParameters, read, validate


def test_defaults_are_valid():
    assert validate({}) == RunParameters()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 0}, "parameter temperature=0 is not allowed: it takes a number above 0"),
        ({"temperature": math.inf}, "temperature=inf is not allowed"),
        ({"max_new_tokens": -1}, "max_new_tokens=-1 is not allowed: it takes 1 to 4096"),
        ({"max_new_tokens": 2.5}, "max_new_tokens=2.5 is not allowed"),
        ({"device": "gpu"}, "device='gpu' is not allowed: it takes auto, cpu, cuda, cuda:N"),
        ({"dtype": "float8"}, "dtype='float8' is not allowed: it takes float32, bfloat16"),
        ({"method": "wish"}, "method='wish' is not allowed: it takes drop, checkpoint, magnitude"),
        ({"seed": -1}, "seed=-1 is not allowed"),
        ({"model": ""}, "model='' is not allowed"),
        ({"method": "checkpoint"}, "method=checkpoint needs checkpoint=FOLDER"),
        ({"checkpoint": "x"}, "no other method takes one"),
        ({"temprature": 1}, "unknown parameter 'temprature': did you mean temperature?"),
        ({"zzz": 1}, "unknown parameter 'zzz': known are "),
    ],
)
def test_bad_values_are_one_line_that_names_them(values, message):
    with pytest.raises(InputError) as caught:
        validate(values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_notebook_globals_are_read():
    import json

    namespace = {"temperature": 2, "_i": 1, "In": [], "json": json, "read": read, "get_ipython": 0}
    assert read(namespace).temperature == 2


def test_parameter_of_another_chapter_is_unknown():
    assert read({"temperature": 2, "results": "x"}, "temperature").temperature == 2
    with pytest.raises(InputError, match="unknown parameter 'sparsity': known are "):
        read({"sparsity": 0.5}, "temperature")


def test_misspelt_notebook_parameter_stops():
    with pytest.raises(InputError, match="did you mean max_new_tokens"):
        read({"max_new_token": 3})


def test_results_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("WHEN_PRUNING_WORKS_RESULTS", str(tmp_path / "from-environment"))
    assert validate({}).results_folder() == tmp_path / "from-environment"
    assert validate({"results": str(tmp_path)}).results_folder() == tmp_path
    monkeypatch.delenv("WHEN_PRUNING_WORKS_RESULTS")
    monkeypatch.chdir(tmp_path)
    assert validate({}).results_folder() == tmp_path / "results"
    (tmp_path / "_toc.yml").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert validate({}).results_folder() == tmp_path / "results"
