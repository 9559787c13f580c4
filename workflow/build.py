"""What `make book` runs: the workflow of one profile, one build at a time.

Several builds may be started at once; the later ones wait and then find nothing to do. A build
that was killed leaves no lock behind: the system releases it with the process. A run that fails
stops no other, and the book is built with what is there.

The runs run on this machine, or where an executor plugin of Snakemake sends them
(``--executor slurm``); the site is built here. What stands after ``--`` goes to Snakemake as it is.
"""

import argparse
import fcntl
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from helpers import machine
from helpers.errors import InputError
from runs import needs, outcome, profiles, progress, published
from runs.planning.schedule import at_once
from runs.profiles import Profile, Run
from runs.stopping import Stopped, stoppable

ROOT = Path(__file__).resolve().parent.parent
OWN = (".yaml", ".yml")  # how the name of a file with a profile of one's own ends


def main() -> int:
    """Build one profile on the whole machine; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--profile", default="default", help=f"{', '.join(profiles.known())}, or a file PATH.yaml"
    )
    parser.add_argument("--cores", type=int, default=0, help="of this, or of another machine")
    parser.add_argument("--from", dest="folder", default="", help="where PATH.yaml is seen from")
    parser.add_argument("--only-runs", action="store_true", help="the runs, without the site")
    parser.add_argument("--executor", default="local", help="local, slurm, kubernetes, …")
    parser.add_argument("--gpus", type=int, default=0, help="of another machine")
    parser.add_argument("snakemake", nargs="*", help="options of Snakemake's own, after --")
    given = parser.parse_args()
    try:
        profile = profiles.read(seen_from(given.profile, given.folder))
        words = command(profile, given)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    os.chdir(ROOT)
    begin = time.perf_counter()
    try:
        with stoppable(), build_lock() as lock:
            for line in published.take_in(Path("book") / "published"):
                print(line, flush=True)
            side_by_side = at_once(profile, given.cores or cores(), len(machine.visible_gpus()))
            seen = progress.Progress(profile, ROOT, side_by_side)
            with progress.planned(profile, Path("_build") / f"{profile.name}.plan.log"):
                code = build(profile, words, lock, seen.line)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Stopped as request:
        with suppress(OSError):  # the terminal may be closed
            print(f"{request}: finished chapters are kept", file=sys.stderr, flush=True)
        return request.code
    if code == 0:
        what = "All runs are there" if given.only_runs else "The book is up to date"
        print(f"{what} ({time.perf_counter() - begin:.0f} s)")
    return code


def seen_from(name: str, folder: str) -> str:
    """The profile's file as seen from where it was asked for, if it is not seen from here."""
    there = Path(folder) / Path(name).expanduser()
    return str(there) if name.endswith(OWN) and not Path(name).is_file() else name


@contextmanager
def build_lock() -> Iterator[int]:
    """The descriptor of a file that one build at a time holds."""
    folder = Path("_build")
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another build of the book to end …", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def build(profile: Profile, words: list[str], lock: int, line: Callable[[], str]) -> int:
    """Run Snakemake, and again without what has failed, until it has nothing left to try; the
    exit code, 1 if a run failed. A ``line`` says how far it is."""
    log = Path("_build") / f"{profile.name}.log"
    for each in profile.runs:
        outcome.mark_of(notebook(profile, each)).unlink(missing_ok=True)
    failed: set[str] = set()
    while True:
        begun = {each.name: last_said(profile, each) for each in profile.runs}
        code = run(words, lock, log, line)
        marked = {each.name for each in profile.runs if has_failed(profile, each, begun, code)}
        if code == 0 or marked <= failed:
            break
        failed = marked
    if failed:
        logs = Path("results") / profile.name / "logs"
        said = f"{len(failed)} of {len(profile.runs)} runs failed, each with a log in {logs}"
        print(f"error: {said}", file=sys.stderr)
    if code:
        faults = [line for line in log.read_text(errors="replace").splitlines() if "rror" in line]
        last = next((line for line in faults if line.startswith("error: ")), "Snakemake failed")
        print(f"{last} (log: {log})", file=sys.stderr)
    return 1 if failed else code


def notebook(profile: Profile, one: Run) -> Path:
    """Where a run's executed notebook goes, from the project's folder."""
    return Path("results") / profile.name / f"{one.name}.ipynb"


def last_said(profile: Profile, one: Run) -> int:
    """When a run last wrote into its log; 0 if it never has."""
    with suppress(OSError):
        return outcome.log_of(notebook(profile, one)).stat().st_mtime_ns
    return 0


def has_failed(profile: Profile, one: Run, begun: dict[str, int], code: int) -> bool:
    """Whether a run has failed. One that has begun and left nothing was ended from outside, and
    cannot say so itself."""
    output = notebook(profile, one)
    if outcome.failed(output):
        return True
    if code == 0 or output.with_suffix(".json").exists():
        return False
    if last_said(profile, one) == begun[one.name]:
        return False
    told = "it was ended from outside: killed, out of memory, or over its time limit"
    outcome.mark_failed(output, one.chapter, told, attempts=2, seconds=0, code=1)
    print(f"error: {one.name}: {told} (log: {outcome.log_of(output)})", flush=True)
    return True


def run(words: list[str], lock: int, log: Path, line: Callable[[], str]) -> int:
    """Run Snakemake, what it says about itself going to the log; its exit code. A request to end
    goes to it and all that it has started, as Ctrl-C does, which is what it heeds. The lock goes
    with it too, so that a killed parent does not free it early."""
    with log.open("w") as said:
        snakemake = subprocess.Popen(
            words,
            pass_fds=(lock,),
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            errors="replace",
        )
    try:
        return progress.follow(snakemake, line)
    except Stopped:
        os.killpg(snakemake.pid, signal.SIGINT)
        snakemake.wait()
        raise


def cores() -> int:
    """Cores that this process may use, where the system tells, else all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def command(profile: Profile, given: argparse.Namespace) -> list[str]:
    """Snakemake's command line. Our own lock replaces its lock, which a killed run leaves
    behind; reruns follow files and parameters, not the wording of a rule."""
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile"),
        *("--nolock", "--rerun-incomplete", "--rerun-triggers", "mtime", "params"),
        "--keep-going",
        *(here(given) if given.executor == "local" else elsewhere(given.executor)),
        *given.snakemake,
        *("--config", f"profile={profile.path}"),
        *(() if given.executor == "local" else (f"cores={given.cores or 4}", f"gpus={given.gpus}")),
        *("--", "runs" if given.only_runs else "site"),
    ]


def here(given: argparse.Namespace) -> list[str]:
    """Options for runs on this machine, no more at a time than there is room for."""
    room = (f"mem_mb={needs.memory_mb()}", f"gpu={len(machine.visible_gpus())}")
    return ["--cores", str(given.cores or cores()), "--resources", *room]


def elsewhere(executor: str) -> list[str]:
    """Options for runs on other machines, which see this folder too, a little later perhaps."""
    if not importlib.util.find_spec(f"snakemake_executor_plugin_{executor.replace('-', '_')}"):
        raise InputError(
            f"executor {executor!r} is not installed: use local, or pip install "
            f"snakemake-executor-plugin-{executor}"
        )
    options = ["--executor", executor, "--jobs", "100", "--latency-wait", "60"]
    return options + (slurm_options() if executor == "slurm" else [])


def slurm_options() -> list[str]:
    """Without an accounting database only ``squeue`` knows what became of a job, and accounts
    mean nothing."""
    try:
        show = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True)
    except FileNotFoundError:
        raise InputError("no Slurm here: start the build where sbatch and scontrol are") from None
    if show.returncode:
        raise InputError(f"Slurm does not answer: {show.stderr.strip().splitlines()[-1]}")
    kept = re.search(r"AccountingStorageType\s*=\s*accounting_storage/slurmdbd", show.stdout)
    return [] if kept else ["--slurm-status-command", "squeue", "--slurm-no-account"]


if __name__ == "__main__":
    sys.exit(main())
