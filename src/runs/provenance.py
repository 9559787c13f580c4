"""Where does a number come from? Versions, commit, processor and memory, for a run's manifest."""

import platform
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path

RECORDED_PACKAGES = (
    "when-pruning-works",
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


def reset_peak_memory() -> None:
    """Count GPU memory from here; resident memory can only be counted from the process's start."""
    import torch

    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(index)


def peak_memory_bytes() -> int:
    """Largest memory held: over all GPUs where they are used, else resident, by the process."""
    import torch

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
