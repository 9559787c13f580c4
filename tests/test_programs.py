"""Programs that models write: what a sandbox lets them do, and that tests tell right from wrong."""

import json
import re
import resource
import socket
import time
from pathlib import Path

import pytest

from helpers.errors import InputError
from helpers.evaluation import harness, programs, sandbox
from helpers.evaluation.asked_tasks import asked_task
from helpers.evaluation.tasks import TASKS, documents, first
from measurements.scores import task_items
from runs.parameters import validate
from runs.wanted_tasks import wanted_tasks

DATA = Path(__file__).parents[2] / "shared" / "data"


def no_sandbox():
    """Why there is no sandbox here, or nothing."""
    try:
        sandbox.require()
    except InputError as error:
        return str(error)
    return ""


NO_SANDBOX = no_sandbox()
confined = pytest.mark.skipif(bool(NO_SANDBOX), reason=NO_SANDBOX or "there is a sandbox")


@confined
def test_a_program_passes_if_it_comes_to_its_end():
    assert sandbox.passes("def double(x):\n    return 2 * x\nassert double(2) == 4")
    assert sandbox.passes("import collections, math, re\nprint('ß' * 100_000)")
    for wrong in ("assert False", "1 / 0", "def f(:", "raise SystemExit", "\0"):
        assert not sandbox.passes(wrong)


@confined
@pytest.mark.parametrize(
    "end",
    ["import sys; sys.exit(0)", "import os; os._exit(0)", "quit()", "exec('raise SystemExit')"],
)
def test_a_program_that_ends_itself_has_not_passed_its_tests(end):
    assert not sandbox.passes(f"{end}\nassert False")


@confined
def test_programs_without_end_are_stopped(monkeypatch):
    monkeypatch.setattr(sandbox, "SECONDS", 1)
    monkeypatch.setattr(sandbox, "PATIENCE", 4)
    begin = time.perf_counter()
    assert not sandbox.passes("while True: pass")
    assert not sandbox.passes("import time; time.sleep(100)")
    assert not sandbox.passes("import signal, os; signal.pause()")
    assert time.perf_counter() - begin < 60


@confined
def test_memory_has_a_limit():
    assert sandbox.passes("some = bytearray(100 << 20)")
    assert not sandbox.passes("most = bytearray(2000 << 20)")


@confined
def test_no_host_is_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        call = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2)"
        assert not sandbox.passes(call)
        with pytest.raises(TimeoutError):
            server.accept()


@confined
def test_files_are_neither_read_nor_written(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("kept")
    home = str(Path.home())
    assert not sandbox.passes(f"open({str(secret)!r}).read()")
    assert not sandbox.passes(f"open({str(secret)!r}, 'w').write('lost')")
    assert not sandbox.passes("open('/usr/left-here', 'w')")
    assert secret.read_text() == "kept"
    assert not Path("/usr/left-here").exists()
    assert sandbox.passes(f"import os\nassert {home!r} not in os.environ.values()")
    assert sandbox.passes("import os\nassert not set(os.environ) - {'PWD', 'LC_CTYPE'}")
    assert sandbox.passes("open('own', 'w').write('x')\nassert open('own').read() == 'x'")
    assert not sandbox.passes("open('large', 'wb').write(bytes(64 << 20))")
    assert sandbox.passes("import os\nassert os.listdir('/tmp') == []")


@confined
@pytest.mark.parametrize("name", ["/here", "/dev/shm/here", "/usr/here", "/tmp/../here"])
def test_nothing_but_a_small_folder_is_written(name):
    assert not sandbox.passes(f"open({name!r}, 'w')")
    assert not sandbox.passes("import os\nos.memfd_create('x')")
    assert sandbox.passes("import os\nopen(os.devnull, 'w').write('x')")


@confined
def test_no_right_is_left_to_open_the_walls():
    """Also where the tests are run by root."""
    mount = "ctypes.CDLL(None, use_errno=True).mount(b'none', b'/usr', None, 32 | 4096, None)"
    assert sandbox.passes(f"import ctypes\nassert {mount} == -1\nassert ctypes.get_errno() == 1")
    assert sandbox.passes("import os\nassert not os.access('/usr', os.W_OK)")


@confined
@pytest.mark.parametrize(
    "start",
    [
        "import os\nchild = os.fork()\nif not child: os._exit(0)\nos.waitpid(child, 0)",
        "import threading\nthreading.Thread(target=print).start()",
        "import subprocess\nsubprocess.run(['/usr/bin/true'])",
        "import os\nos.posix_spawn('/usr/bin/true', ['true'], {})",
    ],
)
def test_no_process_is_started(start):
    assert not sandbox.passes(start)


@confined
def test_what_a_program_says_does_not_fill_the_memory():
    flood = "import os\nfor _ in range(4000): os.write({}, bytes(1 << 20))"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for stream in range(8):
        sandbox.passes(flood.format(stream))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 100 << 10  # kibibytes


@confined
def test_annotations_are_resolved_in_the_program():
    shape = "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: 'int' = 1\n"
    assert sandbox.passes(f"from __future__ import annotations\n{shape}assert A().x == 1")


@confined
def test_other_processes_are_out_of_sight():
    assert sandbox.passes("import os\nassert os.getppid() <= 2 and os.getpid() <= 3")
    assert not sandbox.passes("import os\nos.listdir('/proc')")


def test_without_a_sandbox_nothing_is_run(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for refuses in (lambda: sandbox.passes("pass"), sandbox.require.__wrapped__):
        with pytest.raises(InputError, match="install the Linux package bubblewrap") as caught:
            refuses()
        assert "\n" not in str(caught.value)


def test_a_sandbox_that_does_not_start_says_why(monkeypatch, tmp_path):
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sandbox, "_bubblewrap", lambda: str(broken))
    with pytest.raises(InputError, match=r"does not start here \(bwrap: No permissions\)"):
        sandbox.require.__wrapped__()


def test_programs_are_run_only_when_asked_for(tmp_path):
    with pytest.raises(InputError, match=r"humaneval runs programs .* give run_code=True"):
        wanted_tasks(validate({"tasks": "piqa,humaneval"}))
    chosen = wanted_tasks(validate({"tasks": "piqa,humaneval", "run_code": True}))
    assert [task.name for task in chosen] == ["piqa", "humaneval"]
    with pytest.raises(InputError, match="give run_code=True"):
        task_items(validate({"tasks": "humaneval", "results": str(tmp_path)}))


def test_a_run_without_a_sandbox_ends_before_a_model_is_loaded(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox.require.cache_clear()
    values = {"tasks": "humaneval", "run_code": True, "results": str(tmp_path)}
    monkeypatch.setattr("measurements.scores.evaluated_model", None)
    with pytest.raises(InputError, match="Bubblewrap is not installed"):
        task_items(validate(values))


def _judge(name, doc, written):
    program, _ = programs.PROGRAMS[name]
    return sandbox.passes(program(doc, written))


@confined
def test_solutions_of_humaneval_pass_and_others_do_not():
    found = first(documents(TASKS["humaneval"]), 24, 0, TASKS["humaneval"])
    assert all(_judge("humaneval", doc, doc["solution"]) for doc in found)
    assert not any(_judge("humaneval", doc, "    return None\n") for doc in found)


@confined
@pytest.mark.slow
def test_every_solution_of_humaneval_passes():
    found = documents(TASKS["humaneval"])
    assert [doc["id"] for doc in found if not _judge("humaneval", doc, doc["solution"])] == []


@confined
@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="no folder ../shared/data with real files")
def test_every_solution_of_mbpp_passes():
    found = documents(TASKS["mbpp"], str(DATA))
    assert [doc["id"] for doc in found if not _judge("mbpp", doc, doc["solution"])] == []
    assert not any(_judge("mbpp", doc, "") for doc in found[:40])


MBPP = {
    "text": "Write a function to double a number.",
    "code": "def double(x):\n    return 2 * x",
    "test_list": [f"assert double({number}) == {2 * number}" for number in range(3)],
    "test_setup_code": "",
}


@pytest.fixture
def mbpp_folder(tmp_path):

    folder = tmp_path / "tasks" / "mbpp"
    folder.mkdir(parents=True)
    rows = [MBPP | {"text": f"{MBPP['text']} {number}"} for number in range(5)]
    (folder / "test.json").write_text(json.dumps(rows))
    return str(tmp_path / "tasks")


@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_what_is_run_is_what_lm_eval_runs(name, mbpp_folder):
    """Its own reference, rendered by its own template, behind the same answer."""
    import lm_eval.tasks
    from lm_eval.utils import apply_template

    base = Path(lm_eval.tasks.__file__).parent / name
    manager = lm_eval.tasks.TaskManager(include_path=str(base), include_defaults=False)
    reference = manager.task_index[name].cfg["doc_to_target"]
    doc = documents(TASKS[name], mbpp_folder)[0]
    written = doc["solution"]
    before = doc["prompt"] if name == "humaneval" else ""
    theirs = f"{before}{written}\n{apply_template(reference, doc)}"
    ours = programs.PROGRAMS[name][0](doc, written)
    assert re.sub(r"\n+", "\n", ours).strip() == re.sub(r"\n+", "\n", theirs).strip()


def test_worked_examples_hold_their_solutions(mbpp_folder):
    asked = asked_task(TASKS["mbpp"], 1, 2, 0, mbpp_folder)
    asked.build_all_requests()
    prompt, how = asked.instances[0].args
    assert prompt.count("[BEGIN]\ndef double(x):\n    return 2 * x\n[DONE]") == 2
    assert prompt.endswith("assert double(2) == 4\n[BEGIN]\n")
    assert how["until"] == ["[DONE]"]


@confined
def test_scores_of_programs(mbpp_folder):
    """A model that writes the solution, a wrong one, nothing, and one without end of file."""
    from lm_eval.api.model import LM

    answers = [
        "def double(x):\n    return x + x",
        "def double(x):\n    return x",
        "",
        "def double(",
    ]

    class Writes(LM):
        def generate_until(self, requests, **_):
            places = [int(re.search(r"number\. (\d)", one.args[0])[1]) for one in requests]
            return [answers[place % 4] for place in places]

        loglikelihood = loglikelihood_rolling = None  # nobody asks it to choose

    found = harness.answer(Writes(), TASKS["mbpp"], 0, 0, 0, mbpp_folder).sort_values("item")
    assert found["value"].tolist() == [1.0, 0.0, 0.0, 0.0, 1.0]
    assert set(found["chance"]) == {0.0}
    assert set(found["metric"]) == {"pass_at_1"}
    assert found["answer"].tolist()[1] == answers[1]


@confined
def test_a_tiny_model_is_asked(tiny_folder, tmp_path, mbpp_folder):
    values = {"model": str(tiny_folder), "device": "cpu", "tasks": "mbpp", "items": 2}
    values |= {"method": "drop", "dropped": 0, "results": str(tmp_path), "batch_size": 2}
    values |= {"task_folder": mbpp_folder, "run_code": True}
    found = task_items(validate(values))
    assert found.table("items")["value"].tolist() == [0.0, 0.0]
    assert found.manifest["facts"]["source"] == {"mbpp": "files in a local folder"}
    with pytest.raises(InputError, match="answers of up to 1024 tokens, and the model reads 512"):
        task_items(validate(values | {"tasks": "humaneval"}))
