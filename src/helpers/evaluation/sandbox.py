"""Does a program that a model wrote pass its tests? It runs where it can do no harm.

Bubblewrap (the `bwrap` command of Linux) starts a fresh interpreter with no network, no rights, no
files but the system's and the interpreter's, which it may only read, and a small empty folder in
memory. It starts no other process, sees none, and has limits of time and memory. Only whether the
program came to its end leaves the sandbox.

This keeps the machine from harm. It does not keep a program that looks for the one that runs it
from claiming to have passed.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from helpers.errors import InputError

SECONDS = 10  # of computing, for a program and its tests
PATIENCE = 30  # seconds by the clock until a program that only waits is stopped
MEBIBYTES = 1024  # of memory
FILE_MEBIBYTES = 16  # of a file, and of all files together

# Reads a word and a program on standard input, and says the word if the program came to its end.
# The filter refuses what starts processes (a limit on their number does not bind root) and files
# that are in no folder, on the two usual processors, and any call that is not made their way.
CONFINED = """
import ctypes, os, platform, resource, struct, sys, types

def refuse_processes():
    known = {
        "x86_64": (0xC000003E, (56, 57, 58, 435, 319)),  # clone, fork, vfork, clone3, memfd_create
        "aarch64": (0xC00000B7, (220, 435, 279)),  # clone, clone3, memfd_create
    }
    if platform.machine() not in known:
        return
    processor, calls = known[platform.machine()]
    count = len(calls)
    steps = [(0x20, 0, 0, 4), (0x15, 0, count + 3, processor), (0x20, 0, 0, 0)]
    steps += [(0x35, count + 1, 0, 0x40000000)]
    steps += [(0x15, count - place, 0, call) for place, call in enumerate(calls)]
    steps += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050001)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    rules = ctypes.create_string_buffer(struct.pack("HL", len(steps), ctypes.addressof(code)))
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(38, 1, 0, 0, 0) or library.prctl(22, 2, rules, 0, 0):
        raise OSError(ctypes.get_errno(), "no filter")

def run(seconds, memory, size):
    word = sys.stdin.readline().strip()
    program = sys.stdin.read()
    say, nothing = os.dup(1), os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    for what, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory << 20),
        (resource.RLIMIT_FSIZE, size << 20),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (most, most))
    refuse_processes()
    module = sys.modules["program"] = types.ModuleType("program")
    exec(compile(program, "program", "exec"), module.__dict__)
    os.write(say, word.encode())

numbers, sys.argv = map(int, sys.argv[1:]), ["program"]
run(*numbers)
"""


def passes(program: str) -> bool:
    """Whether a Python program, with its tests at its end, runs through without an error, within
    the limits of this module. A program that ends itself before does not.

    Raises :class:`InputError` if there is no sandbox; nothing is run then.
    """
    word = secrets.token_hex(16)
    limits = [str(limit) for limit in (SECONDS, MEBIBYTES, FILE_MEBIBYTES)]
    with tempfile.TemporaryFile() as said:
        try:
            subprocess.run(
                [*_sandboxed(), "-c", CONFINED, *limits],
                input=f"{word}\n{program}".encode("utf-8", "replace"),
                stdout=said,
                stderr=subprocess.DEVNULL,
                timeout=PATIENCE,
            )
        except subprocess.TimeoutExpired:
            return False
        said.seek(0)
        return said.read(len(word) + 1) == word.encode()


@cache
def require() -> None:
    """Raises :class:`InputError` if programs cannot be run in a sandbox here, and says why."""
    if passes("assert 1 + 1 == 2") and not passes("assert 1 + 1 == 3"):
        return
    told = subprocess.run([*_sandboxed(), "-c", ""], capture_output=True, text=True).stderr.strip()
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


def _sandboxed() -> list[str]:
    """The start of a command that runs the interpreter under the virtual environment, with nothing
    but its standard library, apart from the machine."""
    interpreter = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    system = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache")
    own = {sys.base_prefix, os.path.realpath(sys.base_prefix)}
    read = [word for path in (*system, *sorted(own)) for word in ("--ro-bind-try", path, path)]
    return [
        *(_bubblewrap(), "--unshare-user", "--unshare-all", "--cap-drop", "ALL"),
        *("--die-with-parent", "--new-session", "--clearenv"),
        *read,
        *("--dev", "/dev", "--size", str(FILE_MEBIBYTES << 20), "--tmpfs", "/tmp"),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"),
        *(str(interpreter), "-I", "-S", "-B"),
    ]
