"""What `make book` runs: the workflow of one profile, one build at a time.

Several builds may be started at once; the later ones wait and then find nothing to do. A build
that was killed leaves no lock behind: the system releases it with the process.
"""

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from helpers.errors import InputError
from runs import profiles
from runs.stopping import Stopped, stoppable

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Build one profile on the whole machine; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--profile", default="default", help=f"{', '.join(profiles.known())}, or a file PATH.yaml"
    )
    parser.add_argument("--cores", type=int, default=cores())
    given = parser.parse_args()
    try:
        profiles.read(given.profile)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    begin = time.perf_counter()
    try:
        with stoppable(), build_lock() as lock:
            code = run(command(given.profile, given.cores), lock)
    except Stopped as request:
        with suppress(OSError):  # the terminal may be closed
            print(f"{request}: finished chapters are kept", file=sys.stderr, flush=True)
        return request.code
    if code == 0:
        print(f"The book is up to date ({time.perf_counter() - begin:.0f} s)")
    return code


@contextmanager
def build_lock() -> Iterator[int]:
    """The descriptor of a file that one build at a time holds."""
    (ROOT / "_build").mkdir(exist_ok=True)
    with (ROOT / "_build" / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another build of the book to end …", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def run(words: list[str], lock: int) -> int:
    """Run Snakemake; its exit code. A request to end goes to it and all that it has started, as
    Ctrl-C does, which is what it heeds. The lock goes with it too, so that a killed parent does
    not free it early."""
    snakemake = subprocess.Popen(words, cwd=ROOT, pass_fds=(lock,), start_new_session=True)
    try:
        return snakemake.wait()
    except Stopped:
        os.killpg(snakemake.pid, signal.SIGINT)
        snakemake.wait()
        raise


def cores() -> int:
    """Cores that this process may use, where the system tells, else all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def command(profile: str, cores: int) -> list[str]:
    """Snakemake's command line. Our own lock replaces its lock, which a killed run leaves
    behind; reruns follow files and parameters, not the wording of a rule."""
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile"),
        *("--cores", str(cores), "--config", f"profile={profile}"),
        *("--nolock", "--rerun-incomplete", "--rerun-triggers", "mtime", "params"),
        *("--quiet", "all"),
    ]


if __name__ == "__main__":
    sys.exit(main())
