"""Does a program that a model wrote pass its tests? It runs where it can do no harm.

Bubblewrap (the `bwrap` command of Linux) starts a fresh interpreter with no network, no rights, no
files but the system's and the interpreter's, which it may only read, and a small empty folder in
memory. It starts no other process, sees none, and has limits of time and memory. Only whether the
program came to its end leaves the sandbox (:func:`passes`), or what it answers (:func:`answers`).

This keeps the machine from harm. It does not keep a program that looks for the one that runs it
from claiming to have passed.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
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
# Threads are processes of one flag; clone3 keeps its flags out of a filter's sight, and where it
# is said to be missing the C library does without.
CONFINED = """
import ctypes, os, platform, resource, struct, sys, types

def refuse_processes(threads):
    known = {
        "x86_64": (0xC000003E, (57, 58, 319), 435, 56),  # fork, vfork, memfd_create; clone3, clone
        "aarch64": (0xC00000B7, (279,), 435, 220),  # memfd_create; clone3, clone
    }
    if platform.machine() not in known:
        return
    processor, calls, clone3, clone = known[platform.machine()]
    allow, refuse, missing = (6, 0, 0, 0x7FFF0000), (6, 0, 0, 0x00050001), (6, 0, 0, 0x00050026)
    steps = [(0x20, 0, 0, 4), (0x15, 1, 0, processor), refuse]
    steps += [(0x20, 0, 0, 0), (0x35, 0, 1, 0x40000000), refuse]
    for call in calls:
        steps += [(0x15, 0, 1, call), refuse]
    steps += [(0x15, 0, 1, clone3), missing if threads else refuse]
    steps += [(0x15, 0, 3, clone), (0x20, 0, 0, 16), (0x45, 1, 0, 0x10000 if threads else 0)]
    steps += [refuse, allow]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    rules = ctypes.create_string_buffer(struct.pack("HL", len(steps), ctypes.addressof(code)))
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(38, 1, 0, 0, 0) or library.prctl(22, 2, rules, 0, 0):
        raise OSError(ctypes.get_errno(), "no filter")

def run(seconds, memory, size, files, threads):
    word = sys.stdin.readline().strip()
    program = sys.stdin.read()
    say, nothing = os.dup(1), os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    for what, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory << 20),
        (resource.RLIMIT_FSIZE, size << 20),
        (resource.RLIMIT_NOFILE, files),
        (resource.RLIMIT_NPROC, threads),
    ):
        resource.setrlimit(what, (most, most))
    refuse_processes(threads)
    module = sys.modules["program"] = types.ModuleType("program")
    if not word:
        module.say = say
    exec(compile(program, "program", "exec"), module.__dict__)
    os.write(say, word.encode())

numbers, sys.argv = map(int, sys.argv[1:]), ["program"]
run(*numbers)
"""


@dataclass(frozen=True)
class Limits:
    """What a program may use: ``seconds`` of computing, ``patience`` seconds by the clock until one
    that only waits is stopped, ``mebibytes`` of memory, ``file_mebibytes`` of a file, and of all
    files together, ``files`` open at a time, and ``threads`` (0: none but its own)."""

    seconds: int
    patience: int
    mebibytes: int
    file_mebibytes: int
    files: int = 64
    threads: int = 0


@dataclass(frozen=True)
class Sight:
    """What a program sees beside the standard library: files and folders to ``read``, those of them
    that it sees ``empty``, and variables of its ``environment``."""

    read: tuple[Path, ...] = ()
    empty: tuple[Path, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


def passes(program: str) -> bool:
    """Whether a Python program, with its tests at its end, runs through without an error, within
    the limits of this module. A program that ends itself before does not.

    Raises :class:`InputError` if there is no sandbox; nothing is run then.
    """
    word = secrets.token_hex(16)
    limits = Limits(SECONDS, PATIENCE, MEBIBYTES, FILE_MEBIBYTES)
    return _said(f"{word}\n{program}", limits, Sight(), len(word) + 1) == word.encode()


def answers(program: str, limits: Limits, sight: Sight) -> bytes:
    """What a Python program, confined as in :func:`passes`, writes to the file descriptor ``say``,
    which is a name of its own, until it ends or ``limits`` end it. It is the program's word:
    nothing in it may be believed that is not checked here.

    Raises :class:`InputError` if there is no sandbox; nothing is run then.
    """
    return _said(f"\n{program}", limits, sight, limits.file_mebibytes << 20)


def _said(told: str, limits: Limits, sight: Sight, most: int) -> bytes:
    """The first ``most`` bytes that come out of the sandbox, into which ``told`` goes."""
    numbers = limits.seconds, limits.mebibytes, limits.file_mebibytes, limits.files, limits.threads
    with tempfile.TemporaryFile() as said:
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [*_sandboxed(limits, sight), "-c", CONFINED, *map(str, numbers)],
                input=told.encode("utf-8", "replace"),
                stdout=said,
                stderr=subprocess.DEVNULL,
                timeout=limits.patience,
            )
        said.seek(0)
        return said.read(most)


@cache
def require() -> None:
    """Raises :class:`InputError` if programs cannot be run in a sandbox here, and says why."""
    if passes("assert 1 + 1 == 2") and not passes("assert 1 + 1 == 3"):
        return
    start = _sandboxed(Limits(SECONDS, PATIENCE, MEBIBYTES, FILE_MEBIBYTES), Sight())
    told = subprocess.run([*start, "-c", ""], capture_output=True, text=True).stderr.strip()
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


def _sandboxed(limits: Limits, sight: Sight) -> list[str]:
    """The start of a command that runs the interpreter under the virtual environment, with nothing
    but its standard library and what it is to see, apart from the machine."""
    interpreter = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    system = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache")
    own = {sys.base_prefix, os.path.realpath(sys.base_prefix)}
    size = str(limits.file_mebibytes << 20)
    read = [
        word
        for path in (*system, *sorted(own), *map(str, sight.read))
        for word in ("--ro-bind-try", path, path)
    ]
    hidden = [word for path in sight.empty for word in ("--tmpfs", str(path))]
    closed = [word for path in sight.empty for word in ("--remount-ro", str(path))]
    return [
        *(_bubblewrap(), "--unshare-user", "--unshare-all", "--cap-drop", "ALL"),
        *("--die-with-parent", "--new-session", "--clearenv"),
        *(word for name, value in sight.environment for word in ("--setenv", name, value)),
        *("--dev", "/dev", "--size", size, "--tmpfs", "/tmp"),
        *read,
        *hidden,
        *closed,
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"),
        *(str(interpreter), "-I", "-S", "-B"),
    ]
