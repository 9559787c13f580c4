"""What became of a profile's runs is read from their own files."""

import json

import pandas as pd
import pytest

from runs import profiles, status
from runs.__main__ import main

RUN = "e-prompts"


@pytest.fixture(scope="module")
def ran(tiny_folder, tmp_path_factory):
    """A profile of two runs, of which the first is done, and the folder it lies in."""
    root = tmp_path_factory.mktemp("book")
    path = root / "mine.yaml"
    text = f"shared: {{model: {tiny_folder}}}\nchapters: {{{RUN}: , 05-hierarchical-effects: }}\n"
    path.write_text(text)
    profile = profiles.read(str(path))
    values = profile[RUN].values | {"results": str(root / "results")}
    given = [word for name, value in values.items() for word in ("-p", name, value)]
    output = root / "results" / "mine" / f"{RUN}.ipynb"
    assert main(["run", str(profile[RUN].notebook), str(output), *given]) == 0
    return profile, root


def _changed(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_run_is_done_or_missing_and_says_what_made_it(ran):
    profile, root = ran
    manifest = json.loads((root / "results" / "mine" / f"{RUN}.json").read_text())
    done, missing = status.status(profile, root).itertuples(index=False)
    assert (done.state, missing.state) == (status.DONE, status.MISSING)
    assert done.minutes == manifest["seconds"] / 60
    assert done.torch == manifest["versions"]["torch"]
    assert pd.isna(missing.minutes)
    assert pd.isna(missing.torch)


def test_other_code_or_parameters_make_a_run_out_of_date(ran):
    profile, root = ran
    path = root / "results" / "mine" / f"{RUN}.json"
    before = path.read_text()
    manifest = json.loads(before)
    for change in ({"code": "0" * 64}, {"parameters": manifest["parameters"] | {"prompts": "MC1"}}):
        _changed(path, **change)
        assert status.status(profile, root)["state"][0] == status.OUTDATED
        path.write_text(before)


def test_a_failed_run_shows_its_line_and_its_log(ran):
    profile, root = ran
    path = root / "results" / "mine" / f"{RUN}.failed.json"
    failed = {"run": RUN, "error": "model x is not there", "log": "results/mine/logs/x.log"}
    path.write_text(json.dumps(failed | {"seconds": 30.0, "finished": "2026-01-01T00:00:00+00:00"}))
    try:
        found = status.status(profile, root)
    finally:
        path.unlink()
    assert found["state"][0] == status.FAILED
    assert found["minutes"][0] == 0.5
    assert "model x is not there (log: results/mine/logs/x.log)" in status.as_text(found)


def test_an_unknown_profile_is_one_line(capsys):
    assert main(["status", "nosuch"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: unknown profile 'nosuch'")
    assert said.count("\n") == 1
