"""One line that says how far a build is: what is done, what runs now, how long it still takes.

Reads what runs leave: their manifests, their logs, in which the last bar says what they do, the
folder in which a run works while it does, and what was planned of them.
"""

import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from runs.planning import kept
from runs.planning.schedule import duration, together
from runs.profiles import Profile, Run

BAR = re.compile(r"([^\r\n|]{1,80}?):\s+\d+%\|")  # as tqdm draws one
TAIL = 4096  # bytes of a log in which its last bar is looked for
SLOWEST, FASTEST = 3.0, 0.5  # how far what has ended may change what is left
PATIENCE = 5.0  # seconds until a build is planned
MOVING, PLAIN = 1.0, 60.0  # seconds between two lines on a terminal, and elsewhere


@dataclass
class Progress:
    """A build of a profile that begins now, below the folder ``root``, so many runs ``at_once``;
    :meth:`line` says how far it is."""

    profile: Profile
    root: Path
    at_once: int
    begin: float = field(default_factory=time.time)
    began: dict[str, float] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where runs leave their files."""
        return self.root / "results" / self.profile.name

    def line(self) -> str:
        """``7 of 23 · 04 inconsistent effects, asking Drop-4M · about 14 min left``, without the
        last part as long as nothing is planned."""
        planned = {
            name: one["minutes"]
            for name, one in kept.read(kept.predicted(self.profile, self.root)).items()
            if one["planned"] >= self.begin
        }
        ended = {run.name: took for run in self.profile.runs if (took := self._took(run, planned))}
        running = [run for run in self.profile.runs if run.name not in ended and self._runs(run)]
        parts = [f"{len(ended)} of {len(self.profile.runs)}"]
        if running:
            parts.append(self._doing(max(running, key=lambda run: _changed(self._log(run)))))
        if len(ended) == len(self.profile.runs):
            parts.append("building the site")
        elif planned:
            left = max(self._left(planned, ended, running), 1.0)
            parts.append(f"about {duration(left)} left")
        return " · ".join(parts)

    def _took(self, run: Run, planned: Iterable[str]) -> float | None:
        """Minutes that a run took, if it has ended and is not to be run anew."""
        for ending in (".json", ".failed.json"):
            path = self.folder / f"{run.name}{ending}"
            if (when := _changed(path)) and (when >= self.begin or run.name not in planned):
                return max(float(kept.read(path).get("seconds") or 0), 1.0) / 60
        return None

    def _runs(self, run: Run) -> bool:
        if not (self.folder / f".run-{run.name}.ipynb").is_dir():
            return False
        self.began.setdefault(run.name, time.time())
        return True

    def _left(
        self, planned: dict[str, float], ended: dict[str, float], running: Iterable[Run]
    ) -> float:
        """Minutes: what was planned, at the pace of what has ended, less what running ones had."""
        done = sum(planned[name] for name in planned.keys() & ended)
        took = sum(ended[name] for name in planned.keys() & ended)
        pace = min(max(took / done, FASTEST), SLOWEST) if done else 1.0
        had = {run.name: (time.time() - self.began[run.name]) / 60 for run in running}
        left = [
            max(pace * minutes - had.get(name, 0.0), 0.0)
            for name, minutes in planned.items()
            if name not in ended
        ]
        return together(sorted(left, reverse=True), self.at_once)

    def _doing(self, run: Run) -> str:
        title = run.chapter.replace("-", " ")
        if not run.first:
            title += f" ({', '.join(run.point.values())})"
        doing = last_bar(self._log(run))
        return f"{title}, {doing}" if doing else title

    def _log(self, run: Run) -> Path:
        return self.folder / "logs" / f"{run.name}.log"


def last_bar(log: Path) -> str:
    """What the last bar of a log stands for, such as ``asking the probes``; empty without one."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    found = BAR.findall(text)
    if not found:
        return ""
    words = re.sub(r", [a-z]+$", "", found[-1].strip())  # the unit that it counts
    return words[:1].lower() + words[1:]


@contextmanager
def planned(profile: Profile, log: Path) -> Iterator[None]:
    """Inside, what is left of the profile is planned once, by a process of its own that writes to
    ``log``: on a machine whose speed is not known before anything else runs there, else a little
    later, since a build that finds nothing to do is over before."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        with log.open("w") as said:
            words = [sys.executable, "-m", "runs", "plan", str(profile.path), "--keep"]
            started.append(subprocess.Popen(words, stdout=said, stderr=said))

    timer = threading.Timer(PATIENCE, start)
    timer.daemon = True
    try:
        if kept.speeds().is_file():
            timer.start()
        else:
            start()
            started[0].wait()
        yield
    finally:
        timer.cancel()
        if timer.is_alive():
            timer.join()
        for each in started:
            each.kill()
            each.wait()


def follow(process: subprocess.Popen[str], line: Callable[[], str]) -> int:
    """Show what a process says, and under it on a terminal a ``line`` that moves; elsewhere a line
    each minute. Returns its exit code when it has ended."""
    said: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def listen() -> None:
        for each in process.stdout or ():
            said.put(each)
        said.put(None)

    threading.Thread(target=listen, daemon=True).start()
    terminal = sys.stdout.isatty()
    every = MOVING if terminal else PLAIN
    due = time.monotonic() + every
    clear = "\r\x1b[2K" if terminal else ""
    while True:
        try:
            words = said.get(timeout=max(0.0, due - time.monotonic()))
        except queue.Empty:
            due = time.monotonic() + every
            words = ""
        if words is None:
            break
        shown = words if words else ("" if terminal else f"{line()}\n")
        with suppress(OSError):  # the terminal may be closed
            sys.stdout.write(clear + shown)
            if terminal:
                sys.stdout.write(line()[: shutil.get_terminal_size().columns - 1])
            sys.stdout.flush()
    with suppress(OSError):
        sys.stdout.write(clear)
        sys.stdout.flush()
    return process.wait()


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
