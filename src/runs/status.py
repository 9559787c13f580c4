"""What became of a profile's runs? One row for each: its state, its cost, and what made it."""

from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from runs import source
from runs.planning.kept import predicted, read
from runs.profiles import ROOT, Profile, Run

DONE, FAILED, OUTDATED, MISSING = "done", "failed", "out of date", "missing"
COLUMNS = {
    "run": "name of the run, of its files and its page",
    "chapter": "its notebook",
    "state": f"{DONE}; {FAILED}; {OUTDATED}, where its code or parameters changed; or {MISSING}",
    "minutes": "how long it took",
    "planned_minutes": "how long it was to take, as predicted before it started",
    "memory_gb": "largest memory that it held, in 10⁹ bytes",
    "planned_memory_gb": "as predicted",
    "finished": "when it ended, in UTC",
    "python": "version of Python",
    "torch": "version of torch",
    "transformers": "version of transformers",
    "processor": "what it ran on",
    "threads": "threads that it was granted",
    "commit": "commit of the book",
    "error": "of a failed run, what went wrong in one line",
    "log": "of a failed run, where its log is, from the project's folder",
}


def status(profile: Profile, root: Path = ROOT) -> pd.DataFrame:
    """The runs of a profile in their order, with :data:`COLUMNS`; what is not known is missing.

    Reads what runs and builds left below ``root`` only: no model, no network, nothing computed.
    """
    folder = root / "results" / profile.name
    planned = read(predicted(profile, root))
    rows = [_row(run, folder, planned.get(run.name, {})) for run in profile.runs]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def state(run: Run, folder: Path) -> str:
    """Whether the ``run`` is done, with its files in ``folder``; as Snakemake would see it."""
    if (folder / f"{run.name}.failed.json").is_file():
        return FAILED
    manifest = read(folder / f"{run.name}.json")
    if not manifest or not (folder / f"{run.name}.ipynb").is_file():
        return MISSING
    asked = run.parameters
    as_asked = all(
        value == getattr(asked, name, value)
        for name, value in manifest["parameters"].items()
        if name != "results"  # a place
    )
    same = as_asked and manifest.get("code") == _code(run.notebook)
    return DONE if same else OUTDATED


@cache
def _code(notebook: Path) -> str:
    return source.notebook_digest(notebook)


def _row(run: Run, folder: Path, planned: dict[str, Any]) -> dict[str, Any]:
    which = state(run, folder)
    found: dict[str, Any] = {"run": run.name, "chapter": run.chapter, "state": which}
    found |= {f"planned_{name}": planned.get(name) for name in ("minutes", "memory_gb")}
    if which == FAILED:
        failed = read(folder / f"{run.name}.failed.json")
        found |= {name: failed.get(name) for name in ("finished", "error", "log")}
        return found | {"minutes": _minutes(failed)}
    if which == MISSING:
        return found
    manifest = read(folder / f"{run.name}.json")
    peak = manifest.get("peak_memory_bytes")
    found |= {"minutes": _minutes(manifest), "memory_gb": peak and peak / 1e9}
    found |= {name: manifest["versions"].get(name) for name in ("python", "torch", "transformers")}
    kept = ("finished", "processor", "threads", "commit")
    return found | {name: manifest.get(name) for name in kept}


def _minutes(manifest: dict[str, Any]) -> float | None:
    seconds = manifest.get("seconds")
    return None if seconds is None else seconds / 60


def as_text(found: pd.DataFrame) -> str:
    """The table for a terminal, with what failed in a line of its own, and a last line of sums."""
    lines = [f"{'run':40} {'state':11} {'minutes':>8} {'planned':>8} {'GB':>5} {'planned':>8}"]
    for row in found.itertuples():
        numbers = f"{number(row.minutes):>8} {number(row.planned_minutes):>8}"
        memory = f"{number(row.memory_gb):>5} {number(row.planned_memory_gb):>8}"
        made = "" if pd.isna(row.torch) else f"  torch {row.torch}, {row.processor or '?'}"
        lines.append(f"{row.run:40} {row.state:11} {numbers} {memory}{made}")
        if row.state == FAILED:
            lines.append(f"  {row.error} (log: {row.log})")
    counts = found["state"].value_counts()
    lines.append(", ".join(f"{count} {name}" for name, count in counts.items()))
    return "\n".join(lines)


def number(value: Any) -> str:
    """One digit after the point; a dash for what is not known."""
    return "–" if value is None or pd.isna(value) else f"{value:.1f}"
