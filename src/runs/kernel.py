"""A notebook in a kernel of its own, which ends with the run however the run ends."""

import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import papermill
import zmq
from jupyter_client.manager import AsyncKernelManager
from traitlets.config import Config

GRACE = 10  # seconds that a measurement has to throw away what it has not finished
LONGEST = zmq.IPC_PATH_MAX_LEN - len("-5")  # of the name of a socket; there are five of them


def execute(
    start: Path, end: Path, values: dict[str, Any], variables: Mapping[str, str] | None = None
) -> Any:
    """The notebook ``start`` (.ipynb) with ``values``, run by papermill in this interpreter's
    kernel and written to ``end``, its progress bars on our standard error. The kernel's
    environment is ours with ``variables``.

    papermill works in a thread of its own, so that a request to end the run is heard here.
    """
    kernels: list[AsyncKernelManager] = []

    class Kernel(AsyncKernelManager):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            kernels.append(self)

        async def start_kernel(self, **settings: Any) -> None:  # type: ignore[override]
            environment = {**os.environ, **(variables or {})}
            await super().start_kernel(**{"env": environment} | settings)

        def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
            # an interrupt is our own line to tell, not the kernel's
            quiet = [*(extra_arguments or []), "--log-level=CRITICAL"]
            return [str(part) for part in super().format_kernel_cmd(quiet)]

    with _own_channels() as channels, ThreadPoolExecutor(1) as pool:
        run = pool.submit(
            papermill.execute_notebook,
            *(_escaped(start), _escaped(end)),
            parameters=values,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            stderr_file=sys.stderr,
            cwd=str(Path.cwd()),
            config=channels,
            kernel_manager_class=Kernel,
        )
        try:
            return run.result()
        finally:
            _end(run, kernels)


def _escaped(path: Path) -> str:
    """A path as papermill takes it, which reads braces as places for parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _end(run: Future[Any], kernels: list[AsyncKernelManager]) -> None:
    """Interrupt what still runs, and kill it if it does not end or outlives its run."""
    request, patience = signal.SIGINT, GRACE
    while not run.done():
        _ask(kernels, request)
        wait([run], timeout=patience)
        request, patience = signal.SIGKILL, 1
    _ask(kernels, signal.SIGKILL)


def _ask(kernels: list[AsyncKernelManager], request: signal.Signals) -> None:
    """Send a signal to the kernels that run, and to all that they have started."""
    for kernel in kernels:
        if kernel.has_kernel:
            with suppress(OSError, AttributeError):  # ended just now, or a system without groups
                os.killpg(kernel.provisioner.pid, request)  # type: ignore[union-attr]


@contextmanager
def _own_channels() -> Iterator[Config]:
    """Kernel settings with channels of this run's own: two runs that start together in one
    working directory would else choose the same names, and hear each other's messages.

    Files cannot be listened in on, ports can; but the name of a socket may not be long, so that
    ports are taken where the folder for temporary files has a long one.
    """
    with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
        channel = str(Path(folder) / "channel")
        files = os.name != "nt" and len(os.fsencode(channel)) <= LONGEST
        own = {"transport": "ipc", "ip": channel} if files else {"transport": "tcp"}
        yield Config(
            {"KernelManager": own | {"connection_file": str(Path(folder) / "kernel.json")}}
        )
