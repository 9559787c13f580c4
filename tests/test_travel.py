"""Chapters for a model that is not on this machine, from what somebody else measured of it."""

import json
import re
import shutil

import nbformat
import pytest
import yaml
from test_runner import SHORT

from runs import exchange, profiles
from runs.__main__ import main

CHAPTERS = ("04-inconsistent-effects", "05-hierarchical-effects")
IMPORTED = re.compile(r"; imported \((\d+) of \1\), measured with version \S+ on \d{4}-\d\d-\d\d")
FEWER = SHORT[CHAPTERS[0]] | {"pruned": "Drop-1A,Drop-1M", "tasks": "piqa"}


def run(profile, results):
    """Each run of a profile by the project's own command: its name and exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHEN_PRUNING_WORKS_RESULTS", str(results))
        for one in profiles.read(str(profile)).runs:
            given = [
                text for name, value in one.values.items() for text in ("-p", name, str(value))
            ]
            output = results / profile.stem / f"{one.name}.ipynb"
            yield one.name, main(["run", str(one.notebook), str(output), *given])


@pytest.fixture(scope="module")
def away(tiny_folder, tmp_path_factory):
    """The profile and the archive of somebody who had the model; it is here no more. Their code was
    another: so the manifests that they packed say."""
    folder = tmp_path_factory.mktemp("away")
    model = shutil.copytree(tiny_folder, folder / "model")
    shared = {"model": str(model), "device": "cpu"}
    chapters = {name: SHORT[name] for name in CHAPTERS}
    chapters[CHAPTERS[0]] = FEWER | {"encoder": str(model)}
    profile = folder / "two.yaml"
    profile.write_text(yaml.safe_dump({"shared": shared, "chapters": chapters}))
    assert [code for _, code in run(profile, folder / "theirs")] == [0, 0]
    for path in folder.glob("theirs/measurements/*/*/manifest.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"source": "another"}))
    line = exchange.pack(profiles.read(str(profile)), folder / "theirs", folder / "two.zip")
    assert line.startswith("Packed 2 of 2 runs, ")
    shutil.rmtree(model)
    return folder


def shown(notebook):
    """Text, tables and figures of an executed notebook, without what tells of the run."""
    data = [
        output.data
        for cell in nbformat.read(notebook, 4).cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    texts = [each.get("text/markdown", each.get("text/html", "")) for each in data]
    provenance = r'<div class="figure-provenance">.*?</div>|"head": ?"(?:[^"\\]|\\.)*"'
    return [
        re.sub(provenance, "", IMPORTED.sub("", text), flags=re.DOTALL) for text in texts
    ], texts


def test_whole_chapters_from_imported_results(away, tmp_path, monkeypatch, capsys):
    """Without the model, its tokenizer, a cache or a hub; nothing is measured."""
    here, cache = tmp_path / "here", tmp_path / "cache"
    profile = away / "two.yaml"
    monkeypatch.setenv("WHEN_PRUNING_WORKS_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for _, code in run(profile, here):
        assert code == 2
        assert capsys.readouterr().err.startswith("error: unknown model ")
    monkeypatch.setenv("WHEN_PRUNING_WORKS_RESULTS", str(here))
    assert main(["import", str(away / "two.zip")]) == 0
    for name, code in run(profile, here):
        assert code == 0, capsys.readouterr().err
        (theirs, _), (ours, whole) = (
            shown(results / "two" / f"{name}.ipynb") for results in (away / "theirs", here)
        )
        assert ours == theirs
        assert len(ours) >= 9
        assert IMPORTED.search("".join(whole)), name
        assert "<dt>imported</dt><dd>version " in "".join(whole)
    assert not (here / "measurements").exists()
    assert not cache.exists()
