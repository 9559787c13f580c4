"""What was measured elsewhere is found by name, parameters and fingerprint, and told as such."""

import json
import shutil

import pytest

from helpers.errors import InputError
from measurements.generation import generation
from measurements.layer_profile import layer_profile
from measurements.ranking import ranking
from reporting import prose
from runs import archive, dataset, exchange, imported, published
from runs.parameters import validate

SHORT = {
    "prompts": "MC2,Gen4",
    "max_new_tokens": 2,
    "device": "cpu",
    "dropped": 1,
    "seed": 71,  # of no other test, since a process keeps the model that it pruned last
    "calibration_samples": 2,
    "calibration_length": 32,
}


@pytest.fixture
def parameters(tiny_folder, tmp_path):
    """Of a model that a test may take away."""
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    return validate(SHORT | {"model": str(folder), "results": str(tmp_path / "elsewhere")})


@pytest.fixture
def here(tmp_path):
    """A results folder in which nothing was measured."""
    return tmp_path / "here"


def travel(measured, here, name="theirs.zip", **changes):
    """Pack measurements as if their manifests said otherwise, and take them in."""
    files = {}
    for one in measured:
        path = one.folder / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        inside = f"measurements/{one.manifest['measurement']}/{one.run}"
        files |= {f"{inside}/{path.name}": path for path in one.folder.iterdir()}
    file = here.parent / name
    archive.write(file, "0.0.9", "theirs", [], files)
    exchange.take_in(file, here)


def own(here, name="layer_profile"):
    return list((here / "measurements" / name).glob("*/manifest.json"))


def at(parameters, results, **changes):
    return parameters.model_copy(update={"results": str(results), **changes})


def test_found_where_the_code_has_moved_on(parameters, here):
    theirs = layer_profile(parameters)
    versions = theirs.manifest["versions"] | {"when-pruning-works": "0.0.7"}
    travel([theirs], here, source="0" * 64, device="cuda", versions=versions)
    found = layer_profile(at(parameters, here))
    day = theirs.manifest["finished"][:10]
    told = {"version": "0.0.7", "date": day, "file": "theirs.zip"}
    assert found.manifest["imported"] == told
    assert found.table("deviations").equals(theirs.table("deviations"))
    assert not own(here)
    words = prose.cost(found, theirs)
    assert words.endswith(f"; imported (1 of 2), measured with version 0.0.7 on {day}")
    assert "imported" not in prose.cost(theirs)
    assert prose.provenance(found, parameters, "x")["imported"] == told
    assert not prose.provenance(theirs, parameters, "x")["imported"]


def test_what_was_measured_here_goes_first(parameters, here):
    measured = layer_profile(at(parameters, here))
    travel([layer_profile(parameters)], here, finished="2199-01-01T00:00:00+00:00")
    assert layer_profile(at(parameters, here)).manifest == measured.manifest


def test_the_same_code_goes_before_what_is_newer_and_that_before_what_is_older(parameters, here):
    theirs = layer_profile(parameters)
    source = theirs.manifest["source"]
    for name, code, year in (("a", "1", 2031), ("b", "2", 2033), ("c", "3", 2032)):
        travel([theirs], here, f"{name}.zip", source=code, finished=f"{year}-01-01T00:00:00+00:00")
    assert layer_profile(at(parameters, here)).manifest["imported"]["file"] == "b.zip"
    travel([theirs], here, "d.zip", source=source, finished="2030-01-01T00:00:00+00:00")
    assert layer_profile(at(parameters, here)).manifest["imported"]["file"] == "d.zip"


@pytest.mark.parametrize("change", [{"temperature": 2.0}, {"prompts": "MC2"}, {"seed": 1}])
def test_other_parameters_are_measured_here(parameters, here, change):
    travel([layer_profile(parameters)], here)
    assert "imported" not in layer_profile(at(parameters, here, **change)).manifest


def test_another_model_of_the_same_name_is_measured_here(parameters, here, tmp_path):
    travel([layer_profile(parameters)], here)
    with (tmp_path / "model" / "config.json").open("a") as file:
        file.write("\n")
    assert "imported" not in layer_profile(at(parameters, here)).manifest


def test_no_import_is_part_of_what_is_measured_here(parameters, here):
    travel([ranking(parameters)], here)
    assert "imported" in ranking(at(parameters, here)).manifest
    found = generation(at(parameters, here))
    assert "imported" not in found.manifest
    runs = [path.parent.name for path in own(here, "ranking")]
    assert [each["run"] for each in found.manifest["measurements"]] == runs
    assert len(runs) == 1


def test_imports_can_be_switched_off_and_forgotten(parameters, here, monkeypatch):
    travel([layer_profile(parameters)], here)
    with monkeypatch.context() as patch:
        patch.setenv(imported.SWITCH, "no")
        assert not list(imported.measurements(here))
        assert not published.take_in(here.parent)
    assert list(imported.measurements(here))
    assert exchange.forget(here) == "Forgot theirs.zip"
    assert not list(imported.measurements(here))
    assert "imported" not in layer_profile(at(parameters, here)).manifest


class TestModelThatIsNotHere:
    """Its fingerprint and its layers come from what was imported of it."""

    @pytest.fixture
    def away(self, parameters, here, tmp_path):
        travel([layer_profile(parameters)], here)
        shutil.rmtree(tmp_path / "model")
        return at(parameters, here)

    def test_found_by_its_name(self, away):
        assert "imported" in layer_profile(away).manifest
        assert prose.shown_layer(away) == 4 * 12 // 28

    def test_a_model_of_the_hub_is_asked_for_once(self, parameters, here, monkeypatch):
        looks = []

        def unreachable(name, revision, timeout):
            looks.append((name, revision))
            raise ConnectionError

        monkeypatch.setattr("huggingface_hub.model_info", unreachable)
        theirs = layer_profile(parameters)
        said = theirs.manifest["parameters"] | {"model": "org/large", "revision": "v2"}
        travel([theirs], here, parameters=said, models={"model": "hub-commit:abc"})
        hub = at(parameters, here, model="org/large", revision="v2")
        for _ in range(2):
            assert "imported" in layer_profile(hub).manifest
        assert looks == [("org/large", "v2")]
        with pytest.raises(InputError, match="not in the local cache"):
            layer_profile(at(hub, here, revision="main"))

    def test_what_was_not_imported_is_one_line(self, away):
        with pytest.raises(InputError, match=r"not on this machine.*seed=71, not 5") as error:
            layer_profile(at(away, away.results, seed=5))
        assert "temperature" not in str(error.value)
        with pytest.raises(InputError, match=r"no import has ranking.*they have none"):
            ranking(away)

    def test_a_name_that_no_import_has_is_refused_as_ever(self, away):
        with pytest.raises(InputError, match="unknown model"):
            layer_profile(at(away, away.results, model="/nowhere/else"))

    def test_a_name_of_two_models_is_refused(self, away, here):
        (note,) = here.glob("imported/*/import.json")
        twin = shutil.copytree(note.parent, note.parent.with_name("twin"))
        told = json.loads((twin / "import.json").read_text()) | {"digest": "twin"}
        (twin / "import.json").write_text(json.dumps(told))
        path = next(twin.glob("measurements/*/*/manifest.json"))
        path.write_text(json.dumps(json.loads(path.read_text()) | {"models": {"model": "other"}}))
        with pytest.raises(InputError, match=r"different models by .*other"):
            imported.of_model(here, away.model)


def test_a_checkpoint_that_is_not_here_is_found_by_its_folders_name(parameters, here, tmp_path):
    twin = shutil.copytree(tmp_path / "model", tmp_path / "checkpoints" / "twin")
    given = {"method": "checkpoint", "checkpoint": str(twin)}
    travel([layer_profile(at(parameters, parameters.results, **given))], here)
    shutil.rmtree(twin)
    elsewhere = given | {"checkpoint": "/another/place/twin"}
    assert "imported" in layer_profile(at(parameters, here, **elsewhere)).manifest


def test_what_runs_asked_for_is_found_where_it_lies(parameters, here, tmp_path):
    """For pages that draw what runs list: taken here, imported, or gone."""
    theirs = layer_profile(parameters)
    travel([theirs, ranking(parameters)], here)
    ours = ranking(at(parameters, here, calibration_samples=1))
    listed = [("layer_profile", theirs.run), ("ranking", ours.run), ("ranking", "0" * 16)]
    said = {"measurements": [{"name": name, "run": run} for name, run in listed]}
    found = list(dataset.asked_for(here, [said, said, {}]))
    assert [one.run for one in found] == [theirs.run, ours.run]
    assert ["imported" in one.manifest for one in found] == [True, False]
