"""All results as one data set, which pandas and DuckDB read in a line each."""

import json
import re
import sys
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from measurements.generation import generation
from measurements.layer_profile import layer_profile
from measurements.scores import scores
from runs import dataset, store
from runs.__main__ import main
from runs.parameters import validate

ROOT = Path(__file__).parents[1]
SHORT = {
    "prompts": "MC2",
    "max_new_tokens": 1,
    "device": "cpu",
    "dropped": 1,
    "seed": 72,  # of no other test, since a process keeps the model that it pruned last
    "calibration_samples": 2,
    "calibration_length": 32,
    "tasks": "piqa,openbookqa",
    "items": 3,
}


@pytest.fixture(scope="module")
def book(tiny_folder, tmp_path_factory):
    """A folder with results of several kinds, and the data set that was made of them."""
    folder = tmp_path_factory.mktemp("book")
    results = folder / "results"
    given = validate(SHORT | {"model": str(tiny_folder), "results": str(results)})
    dense = given.model_copy(update={"dropped": 0})
    for one in (given, given.model_copy(update={"method": "random"})):
        layer_profile(one)
    generation(given)
    for one in (dense, given):
        scores(one)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHEN_PRUNING_WORKS_RESULTS", str(results))
        assert main(["tables"]) == 0
    return folder


def measured(book):
    return [one for one in dataset.finished(book / "results") if one.manifest["facts"]]


def test_every_row_is_there_with_what_its_manifest_says_once(book):
    """Against the tables in their folders, read one by one."""
    for name in ("deviations", "tokens", "scores", "items", "importance"):
        whole = pd.read_parquet(book / "results" / "tables" / f"{name}.parquet")
        parts = [one for one in measured(book) if (one.folder / f"{name}.parquet").is_file()]
        assert len(whole) == sum(len(one.table(name)) for one in parts) > 0
        for one in parts:
            rows = whole[whole["run"].eq(one.run)].reset_index(drop=True)
            wanted = one.labelled(name)
            found = rows[[*wanted]].astype(object).where(rows[[*wanted]].notna(), None)
            wanted = wanted.astype(object).where(wanted.notna(), None)
            pd.testing.assert_frame_equal(found, wanted, check_dtype=False)
            assert set(rows["measurement"]) == {one.manifest["measurement"]}


def test_columns_have_the_types_of_the_dictionary_in_every_file(book):
    described = dataset.tables() | {dataset.RUNS: dataset.run_columns()}
    files = sorted((book / "results" / "tables").glob("*.parquet"))
    assert [path.stem for path in files] == sorted(described)
    for path in files:
        schema = pq.read_schema(path)
        wanted = [(column.name, column.type) for column in described[path.stem]]
        assert [(field.name, field.type) for field in schema] == wanted


def test_one_name_has_one_type_wherever_it_stands():
    kinds = {}
    for columns in dataset.tables().values():
        for column in columns:
            assert kinds.setdefault(column.name, column.type) == column.type, column.name
    for stored in store.every_measurement().values():
        for name, columns in stored.tables.items():
            if stored.part:
                assert name not in dataset.tables()
                continue
            assert {each.name for each in columns} <= {one.name for one in dataset.tables()[name]}
            assert not [each for each in columns if pa.types.is_large_binary(each.type)]


def examples():
    sys.path.insert(0, str(ROOT / "workflow"))
    from pages.dictionary import data_dictionary

    for text in ((ROOT / "book" / "run-it.md").read_text(), data_dictionary()):
        (block,) = [
            each
            for each in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
            if "results/tables/" in each
        ]
        yield block.strip().splitlines()


def test_a_line_of_pandas_and_a_line_of_duckdb_say_the_same(book, monkeypatch):
    """The lines that the pages on runs and the data dictionary show."""
    monkeypatch.chdir(book)
    for lines in examples():
        one, two = (eval(line, {"pd": pd, "duckdb": duckdb}) for line in lines)
        ours = one.reset_index()
        theirs = two.df().set_axis([*ours], axis="columns")
        keys = [*ours][:-1]
        assert len(ours) > 1
        pd.testing.assert_frame_equal(
            *(each.astype({key: str for key in keys}).sort_values(keys, ignore_index=True)
              for each in (ours, theirs)),
            check_dtype=False,
        )  # fmt: skip


def test_runs_join_with_parameters_and_cost(book, monkeypatch):
    monkeypatch.chdir(book)
    found = duckdb.sql(
        "select distinct d.method, d.run, r.prompts, r.sparsity, r.seconds, r.torch_version, "
        "r.model_fingerprint, r.imported from 'results/tables/deviations.parquet' d "
        "join 'results/tables/runs.parquet' r using (run) "
        "where d.measurement = 'layer_profile' order by method"
    ).df()
    by_run = {one.run: one.manifest for one in measured(book)}
    assert found["method"].tolist() == ["drop", "random"]
    for row in found.itertuples():
        said = by_run[row.run]
        assert row.prompts == said["parameters"]["prompts"]
        assert row.seconds == said["seconds"]
        assert row.torch_version == said["versions"]["torch"]
        assert row.model_fingerprint == said["models"]["model"]
    assert found["sparsity"].isna().tolist() == [True, False]
    assert found["imported"].isna().all()


def test_what_was_measured_again_stands_there_once(book):
    one = next(one for one in measured(book) if one.manifest["measurement"] == "layer_profile")
    older = one.manifest | {"run": "0" * 16, "finished": "2001-01-01T00:00:00+00:00", "source": "x"}
    imported = older | {"finished": "2101-01-01T00:00:00+00:00", "imported": {"file": "a"}}
    other = older | {"device": "cuda"}
    found = dataset.newest(
        [*(store.Measurement(one.folder, each) for each in (older, imported, other)), one]
    )
    assert [each.manifest for each in found] == [other, one.manifest]
    assert json.loads((one.folder / "manifest.json").read_text()) == one.manifest


def test_nothing_measured_is_an_empty_data_set(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WHEN_PRUNING_WORKS_RESULTS", str(tmp_path / "new"))
    assert main(["tables"]) == 0
    assert capsys.readouterr().out.strip().endswith("runs 0")
    assert pd.read_parquet(tmp_path / "new" / "tables" / "scores.parquet").empty
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["tables"]
