"""What `make book` runs: the workflow of one profile, one build at a time.

Several builds may be started at once; the later ones wait and then find nothing to do. A build
that was killed leaves no lock behind: the system releases it with the process.
"""

import argparse
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run Snakemake on the whole machine; its exit code."""
    profiles = sorted(path.stem for path in (ROOT / "workflow" / "profiles").glob("*.yaml"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="default", help=f"one of {', '.join(profiles)}")
    parser.add_argument("--cores", type=int, default=cores())
    given = parser.parse_args()
    if given.profile not in profiles:
        print(
            f"error: unknown profile {given.profile!r}: known are {', '.join(profiles)}",
            file=sys.stderr,
        )
        return 2
    begin = time.perf_counter()
    (ROOT / "_build").mkdir(exist_ok=True)
    with (ROOT / "_build" / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another build of the book to end …", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        # the lock goes with Snakemake too, so that a killed parent does not free it early
        run = subprocess.run(
            command(given.profile, given.cores), cwd=ROOT, pass_fds=(lock.fileno(),)
        )
        code = run.returncode
    if code == 0:
        print(f"The book is up to date ({time.perf_counter() - begin:.0f} s)")
    return code


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
        *("--nolock", "--rerun-incomplete", "--rerun-triggers", "mtime", "params", "input"),
        *("--quiet", "all"),
    ]


if __name__ == "__main__":
    sys.exit(main())
