"""Does a program that a model wrote pass its tests? It runs where it can do no harm.

Bubblewrap (the `bwrap` command of Linux) starts a fresh interpreter with no network, no files but
the interpreter's own, which it may only read, an empty folder in memory, no other process in sight,
and limits of time and memory. Only whether the program came to its end leaves the sandbox.
"""

import secrets
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from helpers.errors import InputError

SECONDS = 10  # of computing, for a program and its tests
PATIENCE = 30  # seconds by the clock until a program that only waits is stopped
MEBIBYTES = 1024  # of memory

# Runs the program on standard input, and says the last argument if it came to its end.
CONFINED = """
import os, resource, sys
seconds, memory, word = int(sys.argv[1]), int(sys.argv[2]) << 20, sys.argv[3]
program = sys.stdin.read()
say, nothing = os.dup(1), os.open(os.devnull, os.O_RDWR)
for stream in (0, 1, 2):
    os.dup2(nothing, stream)
for what, most in (
    (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, memory), (resource.RLIMIT_NPROC, 0)
):
    resource.setrlimit(what, (most, most))
sys.argv = ["program"]
exec(compile(program, "program", "exec"), {"__name__": "program"})
os.write(say, word.encode())
"""


def passes(program: str) -> bool:
    """Whether a Python program, with its tests at its end, runs through without an error, within
    :data:`SECONDS` and :data:`MEBIBYTES`. A program that ends itself before does not.

    Raises :class:`InputError` if there is no sandbox; nothing is run then.
    """
    word = secrets.token_hex(16)
    arguments = [str(SECONDS), str(MEBIBYTES), word]
    command = [_bubblewrap(), *_walls(), *_interpreter(), "-c", CONFINED, *arguments]
    try:
        found = subprocess.run(
            command,
            input=program.encode("utf-8", "replace"),
            capture_output=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return False
    return found.stdout == word.encode()


@cache
def require() -> None:
    """Raises :class:`InputError` if programs cannot be run in a sandbox here, and says why."""
    if passes("assert 1 + 1 == 2") and not passes("assert 1 + 1 == 3"):
        return
    command = [_bubblewrap(), *_walls(), *_interpreter(), "-c", "pass"]
    told = subprocess.run(command, capture_output=True, text=True).stderr.strip()
    reason = told.splitlines()[-1] if told else "no program ran through"
    raise InputError(
        f"the sandbox for programs does not start here ({reason}): this system must let Bubblewrap "
        "make user namespaces, or leave out tasks that are answered by programs"
    )


def _bubblewrap() -> str:
    found = shutil.which("bwrap")
    if found is None:
        raise InputError(
            "programs that a model writes run only in a sandbox, and Bubblewrap is not installed: "
            "install the Linux package bubblewrap, or leave out tasks that are answered by programs"
        )
    return found


def _walls() -> list[str]:
    """What separates the sandbox from the machine."""
    system = ["/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache"]
    read = [word for path in system for word in ("--ro-bind-try", path, path)]
    return [
        *("--unshare-all", "--die-with-parent", "--new-session", "--clearenv"),
        *read,
        *("--ro-bind", sys.base_prefix, sys.base_prefix),
        *("--dev", "/dev", "--size", str(16 << 20), "--tmpfs", "/tmp", "--chdir", "/tmp"),
    ]


def _interpreter() -> list[str]:
    """The interpreter under the virtual environment, with nothing but its standard library."""
    found = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    return [str(found), "-I", "-S", "-B"]
