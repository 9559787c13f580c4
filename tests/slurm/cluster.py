"""A real Slurm on this machine: munge, a controller and one node, on the loopback address.

Everything lies in one folder and on ports of its own, but for the link by which Slurm's programs
find their settings (``SLURM_CONF`` does not reach jobs that Snakemake starts inside jobs). One at a
time on a machine; it ends with the context, and what one that was killed has left is ended by the
next. No accounting database: what became of a job is known from ``squeue``.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock

SETTINGS_HERE = Path("/run/slurm/conf")  # where they are looked for after SYSTEM_SETTINGS
SYSTEM_SETTINGS = Path("/etc/slurm/slurm.conf")
STARTED = "started.pids"
DAEMONS = ("munged", "slurmctld", "slurmd")
NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "srun")
PATIENCE = 30  # seconds that a daemon may take to start or end

SETTINGS = """
ClusterName=book
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0
MinJobAge=7200
KillWait={grace}
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory}
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why no Slurm can be had here; empty if it can."""
    if os.geteuid() != 0:
        return "Slurm's daemons need root"
    if SYSTEM_SETTINGS.exists() or (SETTINGS_HERE.exists() and not SETTINGS_HERE.is_symlink()):
        return "this machine belongs to another Slurm"
    lacking = [name for name in NEEDED if not shutil.which(name, path=_path())]
    return f"apt-get install slurm-wlm munge: {', '.join(lacking)} not found" if lacking else ""


@contextmanager
def cluster(folder: Path, cores: int) -> Iterator[None]:
    """Inside, ``sbatch`` and its like reach a cluster of one node with so many ``cores``.
    ``folder`` is made; its path must be short enough for a socket's name."""
    for part in ("state", "spool"):
        (folder / part).mkdir(parents=True)
    folder.chmod(0o755)
    values = {
        "host": socket.gethostname().partition(".")[0],
        "folder": folder,
        "cores": cores,
        "memory": psutil.virtual_memory().total // 2**20,
        "grace": 5,  # seconds from SIGTERM to SIGKILL for a job that is over its time
    }
    ports = dict(zip(("controller", "daemon"), _free_ports(2), strict=True))
    (folder / "slurm.conf").write_text(SETTINGS.format(**values, **ports))
    with FileLock("/run/lock/slurm-of-tests.lock"):
        _clear()
        SETTINGS_HERE.parent.mkdir(exist_ok=True)
        SETTINGS_HERE.symlink_to(folder)
        try:
            _munge(folder)
            for name in ("slurmctld", "slurmd"):
                _start([name, "-D", "-f", str(folder / "slurm.conf")], folder)
            _until(_idle, folder, "the node is not ready")
            yield
        finally:
            subprocess.run(["scancel", "--user=root"], check=False)
            _clear()


def _clear() -> None:
    """End the daemons that :data:`SETTINGS_HERE` leads to, and all that they have started."""
    if not SETTINGS_HERE.is_symlink():
        return
    pids = SETTINGS_HERE / STARTED
    for number in reversed(pids.read_text().split() if pids.exists() else []):
        with suppress(psutil.NoSuchProcess):
            daemon = psutil.Process(int(number))
            if daemon.name() in DAEMONS:
                family = daemon.children(recursive=True)
                daemon.terminate()
                for each in psutil.wait_procs([daemon, *family], timeout=PATIENCE)[1]:
                    each.kill()
    SETTINGS_HERE.unlink()


def _munge(folder: Path) -> None:
    """Munge, whose key is made here, at a socket of its own."""
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    places = {
        "key-file": key,
        "socket": folder / "munge.socket",
        "pid-file": folder / "munge.pid",
        "seed-file": folder / "munge.seed",
        "log-file": folder / "munge.log",
    }
    options = [f"--{name}={path}" for name, path in places.items()]
    _start(["munged", "--foreground", "--force", "--num-threads=2", *options], folder)
    _until(places["socket"].exists, folder, "munged does not start")


def _start(command: list[str], folder: Path) -> None:
    environment = os.environ | {"PATH": _path()}
    with (folder / f"{command[0]}.said").open("wb") as said, (folder / STARTED).open("a") as pids:
        daemon = subprocess.Popen(
            command, env=environment, stdout=said, stderr=said, start_new_session=True
        )
        print(daemon.pid, file=pids)


def _idle() -> bool:
    asked = subprocess.run(["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True)
    return asked.stdout.strip() == "idle"


def _until(holds: Callable[[], bool], folder: Path, otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            logs = "\n".join(
                f"{path.name}: {path.read_text(errors='replace')[-2000:]}"
                for pattern in ("*.log", "*.said")
                for path in sorted(folder.glob(pattern))
            )
            raise RuntimeError(f"{otherwise} after {PATIENCE} s\n{logs}")
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _path() -> str:
    """Where programs are looked for; daemons often lie where only root looks."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
