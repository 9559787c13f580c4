"""Grading: what ten students hand in, some of it meant to do harm, and what is believed of it."""

import csv
import io
import json
import socket
import time
from pathlib import Path
from random import Random

import pytest
from test_programs import confined as needs_sandbox

from course import notebook, source
from course.checks.labs import TEXTS
from course.grading import confined, report, submissions
from course.grading.__main__ import main
from course.grading.grade import Grade, Mark, _test, graded
from course.grading.labs import LABS
from helpers.errors import InputError
from helpers.evaluation import sandbox
from helpers.machine import cache_folder

ROOT = Path(__file__).parents[1]
PAGE = source.read(ROOT / "book/lab2.md")
ASK = "def ask(student, given):\n    return student['f'](given)"


def handed_in(folder, name, student, share, mend="", more="", python="3.11.9"):
    """A student's notebook of lab 2 with their number, the mended function, and one cell more."""
    node = notebook.student(PAGE)
    compute, function = (cell for cell in node.cells if cell.metadata["course"]["role"] == "answer")
    compute.source = f"gone = {share!r}"
    function.source = mend or function.source
    lead = next(cell for cell in node.cells if 'student = "..."' in cell.source)
    lead.source = lead.source.replace('student = "..."', f"student = {student!r}")
    if more:
        node.cells.insert(-3, function | {"id": "more", "source": more})
    node.metadata["language_info"] = {"name": "python", "version": python}
    (folder / f"{name}.ipynb").write_text(json.dumps(node))


def solution():
    mend = next(one for one in PAGE.exercises if one.kind == "Mend")
    return "\n".join(block.text for block in mend.solution if block.code)


@needs_sandbox
@pytest.mark.slow
def test_ten_submissions(tmp_path):
    """Right, wrong, empty, crashing, endless, bombs, network, deleting, copied, another Python."""
    mend, number = solution(), LABS["lab2"].numbers[0]
    right = {name: number.right(name)[0] for name in ("ada", "eve", "fay", "gil", "hal", "jon")}
    kept = tmp_path / "kept"
    kept.write_text("here")
    folder = tmp_path / "in"
    folder.mkdir()
    bomb = "import os, threading\nwhile True:\n    os.fork()"
    doomed = [str(ROOT), str(cache_folder()), str(tmp_path), "/usr", str(Path.home())]
    delete = f"import shutil\nfor place in {doomed}: shutil.rmtree(place, ignore_errors=True)"
    newer = mend.replace(
        "    count", "    try: pass\n    except ValueError, TypeError: pass\n    count"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        call = f"import socket\nsocket.create_connection({server.getsockname()}, 2)"
        handed_in(folder, "ada", "ada", right["ada"], mend)
        handed_in(folder, "ben", "ben", 0.2)
        (folder / "cem.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4}')
        handed_in(folder, "dia", "dia", 0.2, mend, "import os\nos.kill(os.getpid(), 11)")
        handed_in(folder, "eve", "eve", right["eve"], mend + "\nwhile True: pass")
        handed_in(folder, "fay", "fay", right["fay"], mend, bomb)
        handed_in(folder, "gil", "gil", right["gil"], mend, call)
        handed_in(folder, "hal", "hal", right["hal"], mend, delete)
        handed_in(folder, "ian", "ada", right["ada"], mend)
        handed_in(folder, "jon", "jon", right["jon"], newer, python="3.14.0")
        begin = time.monotonic()
        arguments = [str(folder), "--to", str(tmp_path / "out"), "--cell-seconds", "60"]
        assert main(arguments) == 0
        assert time.monotonic() - begin < 300
        with pytest.raises(TimeoutError):
            server.accept()
    rows = {row["id"]: row for row in csv.DictReader((tmp_path / "out/grades.csv").open())}
    points = {name: float(row["points"]) for name, row in rows.items()}
    full, own = 10, 2
    assert points == {
        **dict.fromkeys(("ada", "eve", "fay", "gil", "hal"), full),
        **dict.fromkeys(("ben", "cem", "dia"), 0),
        **{"ian": full - own, "jon": own},
    }
    said = {name: row["notes"] for name, row in rows.items()}
    assert said["ada"].startswith("the same answers, letter by letter, as ian")
    assert "cell" not in said["ada"]
    assert "empty" in said["cem"]
    assert "did not come to its end" in said["dia"]
    assert "TimeoutError: it takes longer than 60 seconds" in said["eve"]
    assert "PermissionError" in said["fay"]
    assert "Network is unreachable" in said["gil"] or "Connection refused" in said["gil"]
    assert "of 'ada'" in said["ian"]
    assert "gone is right for ada" in said["ian"]
    assert "written with Python 3.14.0" in said["jon"]
    assert {path.stem for path in (tmp_path / "out").glob("*.html")} == rows.keys()
    assert kept.read_text() == "here"
    assert (ROOT / "book/lab2.md").is_file()
    assert any((cache_folder() / "models").iterdir())


def run(*cells, seconds=10):
    return confined.run(list(cells), ["x"], {"one": 1, "two": 2}, ASK, cell_seconds=seconds)


@needs_sandbox
def test_what_a_notebook_answers_comes_back_as_data():
    found = run("%matplotlib inline\nx = 0.5", "1 / 0", "def f(n):\n    return [n, x]")
    assert found.values == {"x": 0.5}
    assert found.replies == {"one": [1, 0.5], "two": [2, 0.5]}
    assert found.errors == ["cell 2: ZeroDivisionError: division by zero"]
    assert found.ended
    found = run(
        "x = 1", "def f(n):\n    if n == 1: raise SystemExit\n    while True: pass", seconds=1
    )
    assert found.failed["one"].startswith("SystemExit")
    assert "longer than 1 seconds" in found.failed["two"]


@needs_sandbox
def test_threads_are_allowed_and_processes_are_not():
    thread = "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()\nx = 1"
    assert run(thread).values == {"x": 1}
    for start in (
        "os.fork()",
        "os.posix_spawn('/usr/bin/true', ['true'], {})",
        "__import__('subprocess').run(['/usr/bin/true'])",
        "__import__('ctypes').CDLL(None, use_errno=True).syscall(57) != -1 or 1 / 0",
    ):
        assert run(f"import os\n{start}\nx = 1").values == {}, start


@needs_sandbox
def test_neither_hidden_tests_nor_others_files_are_seen(tmp_path):
    (tmp_path / "ben.ipynb").write_text("his answers")
    assert run(f"x = open({str(tmp_path / 'ben.ipynb')!r}).read()").values == {}
    assert run("import course.grading.labs\nx = 1").values == {}
    assert run(
        f"import os\nx = len(os.listdir({str(Path(confined.__file__).parent)!r}))"
    ).values == {"x": 0}
    assert run("import course.variants\nx = 1").values == {"x": 1}
    assert run("import os\nx = os.environ['HOME']").values == {"x": "/tmp"}


@needs_sandbox
def test_a_forged_reply_is_judged_like_any_other():
    """A notebook that writes where our replies go and ends itself gains nothing by it."""
    lab = LABS["lab2"]
    forged = [{"question": test.name, "value": [["torch.bool", [[True]]]]} for test in lab.tests]
    text = "".join(f"{json.dumps(line)}\n" for line in [*forged, {"ended": True}, [], {"cell": {}}])
    cell = f"import os\nfor n in range(3, 64):\n    try: os.write(n, {text.encode()!r})\n"
    found = run(f"{cell}    except OSError: pass\nos._exit(0)")
    assert found.replies.keys() == {test.name for test in lab.tests}
    marks = [_test(test, test.draw(Random(1)), found) for test in lab.tests]
    assert [mark.points for mark in marks] == [0, 0, 0]
    assert all(mark.why for mark in marks)


def test_lines_that_are_no_reply_are_left_out():
    lines = (b"[" * 10**5, b"\xff\xfe", b"null", b'{"cell": "1", "error": 3}', b'{"name": 1}')
    assert confined._read(b"\n".join(lines)) == confined.Answers()


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("ada", "no json", "no notebook of Jupyter"),
        ("ada", "[]", "no notebook of Jupyter"),
        ("ada", '{"cells": [{"cell_type": "code"}]}', "no notebook of Jupyter"),
        ("ada", '{"cells": [], "metadata": {}}', "empty"),
        ("=cmd|x", '{"cells": []}', "the id is none"),
        ("ada", "[" * 10**6, "no notebook of Jupyter"),
    ],
)
def test_what_is_no_notebook_is_refused_in_one_line(name, text, part, tmp_path):
    path = tmp_path / "some.ipynb"
    path.write_text(text)
    with pytest.raises(InputError, match=part):
        submissions.read(name, path)


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "ada.ipynb").symlink_to("/etc/hostname")
    ((student, path),) = submissions.found(tmp_path)
    with pytest.raises(InputError, match="one file"):
        submissions.read(student, path)


def test_a_folder_for_each_student_does_too(tmp_path):
    (tmp_path / "ada").mkdir()
    handed_in(tmp_path / "ada", "my lab", "ada", 0.1)
    ((student, path),) = submissions.found(tmp_path)
    read = submissions.read(student, path)
    assert (read.student, read.page, read.python) == ("ada", "lab2", "3.11.9")
    assert len(read.answers) == 2
    ran = "\n".join(read.code)
    assert "labs.share_gone" not in ran  # checks and shows are not run again
    assert "print(" not in ran
    assert "def four_bits" in ran


def test_pages_and_table_hold_no_script_and_no_formula():
    mark = Mark("gone", 0, 2, "<script>")
    grade = Grade("ada", "lab2", (mark,), ("says </html>",))
    assert "<script" not in report.page(grade)
    assert "&lt;/html&gt;" in report.page(grade)
    (row,) = csv.DictReader(io.StringIO(report.table([grade])))
    assert row["lab2: gone"] == "0"
    assert report._safe("../../=x") == ".._.._=x".replace("=", "_")


def test_without_a_sandbox_or_a_folder_nothing_is_graded(monkeypatch, tmp_path, capsys):
    assert main([str(tmp_path), "--lab", "lab9"]) == 2
    assert "there are lab1, lab2, lab3" in capsys.readouterr().err
    monkeypatch.setattr(sandbox, "require", sandbox.require.__wrapped__)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="Bubblewrap is not installed"):
        graded(tmp_path, "secret")


def test_texts_are_many_enough():
    assert len(set(TEXTS)) >= 4
