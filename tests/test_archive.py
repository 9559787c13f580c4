"""An archive of results: what goes in comes out, and one with any fault changes nothing."""

import hashlib
import io
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from measurements.layer_profile import layer_profile
from runs import archive, exchange, imported, profiles, published
from runs.__main__ import main
from runs.columns import COUNT
from runs.parameters import validate

ROOT = Path(__file__).parents[1]
SHORT = {"prompts": "MC2", "max_new_tokens": 1, "device": "cpu"}
TABLE, OTHER, MANIFEST = "deviations.parquet", "texts.parquet", "manifest.json"


@pytest.fixture(scope="module")
def packed(tiny_folder, tmp_path_factory):
    """A profile, the results of its one run, and the archive that was packed of them."""
    folder = tmp_path_factory.mktemp("packed")
    results = folder / "results"
    measured = layer_profile(validate(SHORT | {"model": str(tiny_folder), "results": str(results)}))
    profile = folder / "mine.yaml"
    profile.write_text("chapters: {05-hierarchical-effects: , e-prompts: }")
    (results / "mine").mkdir()
    run = {
        "notebook": "05-hierarchical-effects.md",
        "parameters": SHORT,
        "commit": "abc",
        "versions": {"python": "3.11"},
        "finished": "2026-11-30T10:00:00+00:00",
        "measurements": [{"name": "layer_profile", "run": measured.run}],
    }
    (results / "mine" / "05-hierarchical-effects.json").write_text(json.dumps(run))
    line = exchange.pack(profiles.read(str(profile)), results, folder / "mine.zip")
    assert line.startswith("Packed 1 of 2 runs, 1 measurements, ")
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A results folder with something of one's own, which the command takes."""
    folder = tmp_path / "here"
    (folder / "measurements").mkdir(parents=True)
    (folder / "measurements" / "own").write_text("own")
    monkeypatch.setenv("WHEN_PRUNING_WORKS_RESULTS", str(folder))
    return folder


@pytest.fixture
def files(packed):
    """Everything in the archive by name."""
    with zipfile.ZipFile(packed / "mine.zip") as whole:
        return {name: whole.read(name) for name in whole.namelist()}


def everything(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def named(files, leaf):
    return next(name for name in files if name.endswith(leaf))


def listed(files):
    """The files, with a list that agrees with them."""
    said = json.loads(files[archive.CONTENTS])
    said["files"] = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
        if name != archive.CONTENTS
    }
    return files | {archive.CONTENTS: json.dumps(said).encode()}


def said(files, /, **changes):
    """The files, with changes to what the archive says of itself."""
    whole = json.loads(files[archive.CONTENTS]) | changes
    return files | {archive.CONTENTS: json.dumps(whole).encode()}


def manifest(files, /, **changes):
    """The files, with changes to the measurement's manifest, and listed so."""
    name = named(files, MANIFEST)
    return listed(files | {name: json.dumps(json.loads(files[name]) | changes).encode()})


def table(files, change, leaf=TABLE):
    """The files, with a table after a change, and listed so."""
    name = named(files, leaf)
    target = io.BytesIO()
    pq.write_table(change(pq.read_table(io.BytesIO(files[name]))), target)
    return listed(files | {name: target.getvalue()})


def without(files, leaf):
    return listed({name: one for name, one in files.items() if not name.endswith(leaf)})


def zipped(files, *more, kind=zipfile.ZIP_STORED):
    """An archive of these files, and of ``more`` entries as pairs."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", kind) as whole:
        for name, content in [*files.items(), *more]:
            whole.writestr(name, content)
    return target.getvalue()


def entry(name, mode):
    """A file of an archive that is of another kind on disk, such as a link."""
    found = zipfile.ZipInfo(name)
    found.create_system, found.external_attr = 3, mode << 16
    return found


def beside(files, name, content=b"{}"):
    """An archive with one file more, which its list knows."""
    return zipped(listed(files | {name: content}))


def again(files):
    """The same measurement a second time, under another identity and of other weights."""
    twin = {
        name.replace(json.loads(files[named(files, MANIFEST)])["run"], "0" * 16): content
        for name, content in files.items()
        if name.startswith("measurements/")
    }
    changes = {"run": "0" * 16, "models": {"model": "folder-sha256:other"}}
    return listed(files | manifest({archive.CONTENTS: files[archive.CONTENTS]} | twin, **changes))


def flipped(content):
    """One bit of the last table otherwise."""
    place = content.rindex(b"PAR1") - 100
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def longer(content):
    """Every file's length in the directory of the archive a gigabyte more."""
    parts = content.split(b"PK\x01\x02")
    grown = [part[:16] + (2**30).to_bytes(4, "little") * 2 + part[24:] for part in parts[1:]]
    return b"PK\x01\x02".join([parts[0], *grown])


def encrypted(content):
    return content.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01")


FAULTS = {
    "wrong length": (
        lambda files: zipped(said(files, files={
            name: {"bytes": 3, "sha256": "0" * 64} for name in files if name != archive.CONTENTS
        })),
        "bytes, not the 3 listed",
    ),
    "wrong checksum": (
        lambda files: zipped(files | {named(files, TABLE): flipped(files[named(files, TABLE)])}),
        "deviations.parquet (wrong checksum)",
    ),
    "a bit has flipped": (lambda files: flipped(zipped(files)), "is damaged at"),
    "newer schema": (
        lambda files: zipped(said(files, schema_version=2, more="unknown")),
        "packed with schema 2, and this version of the book reads schemas up to 1",
    ),
    "cut off": (lambda files: zipped(files)[:-500], "is no archive of results, or it is cut off"),
    "no archive": (lambda files: b"a letter", "is no archive of results, or it is cut off"),
    "empty": (lambda files: b"", "is no archive of results, or it is cut off"),
    "another archive": (lambda files: zipped({"a.txt": b"a"}), "it has no contents.json"),
    "no list": (lambda files: zipped(files | {archive.CONTENTS: b"[1]"}), "does not say so"),
    "another format": (lambda files: zipped(said(files, format="x")), "does not say so"),
    "a list with a wrong entry": (
        lambda files: zipped(said(files, profile=3)), "contents.json is wrong at profile",
    ),
    "a way out": (lambda files: beside(files, "../../evil.json"), "leads out of the results"),
    "a way out further in": (
        lambda files: beside(files, "measurements/x/0123456789abcdef/../../../evil.json"),
        "leads out of the results",
    ),
    "an absolute path": (lambda files: beside(files, "/etc/evil.json"), "leads out of the results"),
    "a path of Windows": (lambda files: beside(files, "runs\\evil.json"), "leads out of"),
    "a program": (lambda files: beside(files, "runs/evil.pkl"), "that no result has"),
    "a link": (
        lambda files: zipped(files, (entry("runs/a.json", stat.S_IFLNK | 0o777), b"/etc/passwd")),
        "is a link or no plain file",
    ),
    "a file twice": (
        lambda files: zipped(files, (named(files, TABLE), files[named(files, TABLE)])),
        "is there twice",
    ),
    "a file twice but for its case": (
        lambda files: zipped(files, ("RUNS/05-HIERARCHICAL-EFFECTS.JSON", b"{}")), "is there twice",
    ),
    "a file that is not listed": (
        lambda files: zipped(files, ("runs/more.json", b"{}")), "is not in its list",
    ),
    "a listed file that is not there": (
        lambda files: zipped({n: one for n, one in files.items() if not n.endswith(TABLE)}),
        "is listed and missing",
    ),
    "a bomb": (
        lambda files: zipped(
            listed(files | {"runs/a.json": bytes(10**8)}), kind=zipfile.ZIP_DEFLATED
        ),
        "is packed or encrypted",
    ),
    "a claimed length": (lambda files: longer(zipped(files)), "claims 1,073,741,824 bytes"),
    "encrypted": (lambda files: encrypted(zipped(files)), "encrypted"),
    "a manifest without its table": (
        lambda files: zipped(without(files, OTHER)), "has no texts.parquet",
    ),
    "tables without their manifest": (
        lambda files: zipped(without(files, MANIFEST)), "has no manifest.json",
    ),
    "a manifest that is none": (
        lambda files: zipped(listed(files | {named(files, MANIFEST): b"{}"})),
        "is damaged at measurement",
    ),
    "a manifest that is cut off": (
        lambda files: zipped(listed(files | {named(files, MANIFEST): b'{"run"'})),
        "manifest.json is damaged at its start",
    ),
    "a manifest of another run": (
        lambda files: zipped(manifest(files, run="f" * 16)), "is of layer_profile/ffffffff",
    ),
    "markup": (
        lambda files: zipped(manifest(files, commit="<script>")), "is damaged at commit",
    ),
    "a run's manifest that is none": (
        lambda files: beside(files, "runs/x.json"), "runs/x.json is damaged at notebook",
    ),
    "an unknown measurement": (
        lambda files: zipped(listed(
            {name.replace("layer_profile", "astrology"): one for name, one in files.items()}
        )),
        "has no measurement 'astrology'",
    ),
    "an unknown table": (
        lambda files: beside(
            files, named(files, TABLE).replace("deviations", "more"), files[named(files, TABLE)]
        ),
        "is no table of layer_profile, which has deviations, texts",
    ),
    "other columns": (
        lambda files: zipped(table(files, lambda one: one.drop_columns("lens"))),
        "deviations.parquet cannot be used (columns missing or unknown: lens)",
    ),
    "a column more": (
        lambda files: zipped(table(files, lambda one: one.append_column("x", one["value"]))),
        "columns missing or unknown: x",
    ),
    "a column of another type": (
        lambda files: zipped(table(files, lambda one: one.set_column(
            one.column_names.index("value"), "value", one["value"].cast(pa.float32())
        ))),
        "columns of another type: value is float",
    ),
    "a value that is not allowed": (
        lambda files: zipped(table(files, lambda one: one.set_column(
            one.column_names.index("lens"), "lens",
            pa.array(["rosy"] * len(one)).dictionary_encode(),
        ))),
        "['rosy'] not allowed",
    ),
    "a value that is missing": (
        lambda files: zipped(table(files, lambda one: one.set_column(
            one.column_names.index("steps"), "steps", pa.nulls(len(one), COUNT)
        ), OTHER)),
        "column steps: 1 missing",
    ),
    "no Parquet": (
        lambda files: zipped(listed(files | {named(files, TABLE): b"PAR1 no PAR1"})),
        "deviations.parquet cannot be used",
    ),
    "two models of one name": (lambda files: zipped(again(files)), "mean different models by"),
}  # fmt: skip


def test_each_export_has_the_same_bytes_and_packs_nothing_twice(packed, tmp_path):
    again = tmp_path / "again.zip"
    exchange.pack(profiles.read(str(packed / "mine.yaml")), packed / "results", again)
    content = (packed / "mine.zip").read_bytes()
    assert again.read_bytes() == content
    with zipfile.ZipFile(again) as whole:
        assert whole.testzip() is None
        names = whole.namelist()
        contents = json.loads(whole.read(archive.CONTENTS))
    assert names == [archive.CONTENTS, *sorted(names[1:])] == [archive.CONTENTS, *contents["files"]]
    assert contents["unfinished"] == ["e-prompts"]
    assert {name.rpartition("/")[2] for name in names[1:]} == {
        "05-hierarchical-effects.json", TABLE, OTHER, MANIFEST,
    }  # fmt: skip


def test_what_was_packed_is_what_is_imported_and_a_second_time_changes_nothing(
    packed, files, here, capsys
):
    own = everything(here)
    assert main(["import", str(packed / "mine.zip")]) == 0
    assert capsys.readouterr().out.startswith("Imported 1 measurements of mine.zip into ")
    first = everything(here)
    found = {name.split("/", 2)[-1]: one for name, one in first.items() if name not in own}
    found = {name: one for name, one in found.items() if name not in (".lock", "import.json")}
    assert found == {name: one for name, one in files.items() if name != archive.CONTENTS}
    (packed / "renamed.zip").write_bytes((packed / "mine.zip").read_bytes())
    for name in ("mine.zip", "renamed.zip"):
        assert main(["import", str(packed / name)]) == 0
        assert "nothing to do" in capsys.readouterr().out
    assert everything(here) == first


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_and_changes_nothing(fault, files, here, tmp_path, capsys):
    make, message = FAULTS[fault]
    bad = tmp_path / "bad.zip"
    bad.write_bytes(make(files))
    before = everything(tmp_path)
    assert main(["import", str(bad)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert message in lines[0], lines[0]
    assert everything(tmp_path) == before


@pytest.mark.parametrize("missing", ["nowhere.zip", "."])
def test_an_archive_that_is_not_there(missing, here, tmp_path, capsys):
    assert main(["import", str(tmp_path / missing)]) == 2
    assert "is not there" in capsys.readouterr().err


def test_a_name_that_an_earlier_import_has_for_another_model(packed, files, here, capsys):
    assert main(["import", str(packed / "mine.zip")]) == 0
    before = everything(here)
    other = packed / "other.zip"
    other.write_bytes(zipped(manifest(files, models={"model": "folder-sha256:other"})))
    assert main(["import", str(other)]) == 2
    assert "mean different models by" in capsys.readouterr().err
    assert everything(here) == before


def test_a_table_of_more_rows_than_any(packed, here, capsys, monkeypatch):
    monkeypatch.setattr(exchange, "MOST_ROWS", 5)
    assert main(["import", str(packed / "mine.zip")]) == 2
    assert "rows, at most 5 may be" in capsys.readouterr().err
    assert not (here / "imported").exists()


def test_any_one_byte_otherwise_is_noticed_or_means_nothing(packed, files, here, tmp_path):
    """Nothing that was imported from a damaged archive differs from what was packed."""
    content = (packed / "mine.zip").read_bytes()
    draw = random.Random(0)
    refused = 0
    for _ in range(60):
        place = draw.randrange(len(content))
        bad = tmp_path / "bad.zip"
        bad.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            exchange.take_in(bad, here)
        except exchange.InputError:
            refused += 1
            assert not (here / "imported").exists()
            continue
        (note,) = here.glob("imported/*/import.json")
        for name in json.loads(files[archive.CONTENTS])["files"]:
            assert (note.parent / name).read_bytes() == files[name]
        exchange.forget(here)
    assert refused > 30


def _killed_at(write, file, here):
    """Import, and be killed at the ``write``-th file."""
    real, done = Path.write_bytes, []

    def counted(path, content):
        done.append(path)
        if len(done) == write:
            real(path, content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return real(path, content)

    Path.write_bytes = counted
    exchange.take_in(file, here)


@pytest.mark.parametrize("write", [1, 3])
def test_a_killed_import_leaves_nothing_that_is_read(write, packed, files, here):
    own = everything(here)
    context = multiprocessing.get_context("fork")
    worker = context.Process(target=_killed_at, args=(write, packed / "mine.zip", here))
    worker.start()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL
    assert not imported.notes(here)
    assert list(here.glob("imported/.new/**/*.*"))
    exchange.take_in(packed / "mine.zip", here)
    assert not (here / "imported" / ".new").exists()
    (note,) = here.glob("imported/*/import.json")
    assert len(everything(note.parent)) == len(files)
    assert own.items() <= everything(here).items()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_import_that_ends_early_leaves_nothing(error, packed, here, monkeypatch, capsys):
    def full(*_arguments):
        raise error

    monkeypatch.setattr(Path, "write_bytes", full)
    own = everything(here)
    if error is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            exchange.take_in(packed / "mine.zip", here)
    else:
        assert main(["import", str(packed / "mine.zip")]) == 2
        assert "cannot be unpacked" in capsys.readouterr().err
    left = everything(here)
    left.pop("imported/.lock", None)
    assert left == own


class TestExport:
    """What cannot be packed is one line, and no file."""

    def line(self, capsys):
        (line,) = capsys.readouterr().err.strip().splitlines()
        return line

    def test_unknown_profile(self, here, tmp_path, capsys):
        assert main(["export", "nobody", str(tmp_path / "a.zip")]) == 2
        assert "unknown profile 'nobody'" in self.line(capsys)

    def test_no_finished_run(self, packed, here, tmp_path, capsys):
        assert main(["export", str(packed / "mine.yaml"), str(tmp_path / "a.zip")]) == 2
        assert "no run of profile mine is finished" in self.line(capsys)
        assert not (tmp_path / "a.zip").exists()

    def test_a_measurement_that_is_gone(self, packed, here, tmp_path, capsys):
        run = packed / "results" / "mine" / "05-hierarchical-effects.json"
        (here / "mine").mkdir()
        (here / "mine" / run.name).write_bytes(run.read_bytes())
        assert main(["export", str(packed / "mine.yaml"), str(tmp_path / "a.zip")]) == 2
        assert "asked for layer_profile/" in self.line(capsys)

    def test_no_room(self, packed, tmp_path):
        """The system lets the command write files of 4 KiB at most."""
        words = f"{sys.executable} -m runs export {packed / 'mine.yaml'} {tmp_path / 'a.zip'}"
        done = subprocess.run(
            ["bash", "-c", f"ulimit -f 4; exec {words}"],
            env=os.environ | {"WHEN_PRUNING_WORKS_RESULTS": str(packed / "results")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        assert re.fullmatch(
            r"error: .*a\.zip cannot be written \(File too large\).*\n", done.stderr
        )
        assert not list(tmp_path.iterdir())

    def test_a_file_that_is_no_archive_stays(self, packed, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("WHEN_PRUNING_WORKS_RESULTS", str(packed / "results"))
        thesis = tmp_path / "thesis.pdf"
        thesis.write_text("years of work")
        assert main(["export", str(packed / "mine.yaml"), str(thesis)]) == 2
        assert "is no archive of results" in self.line(capsys)
        assert thesis.read_text() == "years of work"

    def test_what_was_imported_can_be_packed_again(self, packed, here, tmp_path):
        exchange.take_in(packed / "mine.zip", here)
        run = packed / "results" / "mine" / "05-hierarchical-effects.json"
        (here / "mine").mkdir()
        (here / "mine" / run.name).write_bytes(run.read_bytes())
        exchange.pack(profiles.read(str(packed / "mine.yaml")), here, tmp_path / "again.zip")
        assert (tmp_path / "again.zip").read_bytes() == (packed / "mine.zip").read_bytes()

    def test_runs_that_list_nothing_pack_the_newest_of_their_models(self, packed, tmp_path):
        run = packed / "results" / "mine" / "05-hierarchical-effects.json"
        said = json.loads(run.read_text())
        models = {"model": str(said), "encoder": "x"}
        results = packed / "results"
        name = json.loads(next(results.glob("measurements/*/*/manifest.json")).read_text())
        models["model"] = name["parameters"]["model"]
        old = {key: value for key, value in said.items() if key != "measurements"}
        found = exchange._asked_for([old | {"parameters": models}], results)
        assert [one.run for one in found] == [name["run"]]
        assert not exchange._asked_for([old | {"parameters": {"model": "y"}}], results)


def test_what_comes_with_the_book_is_taken_in_and_told(packed, here, tmp_path):
    """By a build: the second time without what measures, which takes long to load."""
    folder = tmp_path / "published"
    assert published.take_in(folder) == []
    folder.mkdir()
    (folder / "second.zip").write_bytes((packed / "mine.zip").read_bytes())
    (line,) = published.take_in(folder)
    assert line.startswith("Where nothing was measured here, chapters read second.zip, packed by ")
    light = (
        "import sys; from pathlib import Path; from runs import published; "
        f"print(*published.take_in(Path({str(folder)!r}))); assert 'torch' not in sys.modules"
    )
    said = subprocess.run([sys.executable, "-c", light], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == line
    (folder / "third.zip").write_bytes(b"cut")
    with pytest.raises(exchange.InputError, match=r"third\.zip is no archive"):
        published.take_in(folder)


def test_a_damaged_archive_that_comes_with_the_book_stops_a_build_in_one_line(tmp_path):
    for name in ("workflow", "src", "notebooks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "book" / "published").mkdir(parents=True)
    (tmp_path / "book" / "published" / "second.zip").write_bytes(b"cut")
    command = [sys.executable, "workflow/build.py", "--profile", "smoke"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert re.fullmatch(r"error: second\.zip is no archive of results.*\n", done.stderr)
    assert not list((tmp_path / "_build").glob("*smoke*"))
