"""What plans leave: a machine's speed, and what was predicted of runs before they started."""

import json
from pathlib import Path
from typing import Any

from helpers.machine import cache_folder
from runs.profiles import ROOT, Profile


def speeds() -> Path:
    """Where the speeds of this machine are kept, which outlast a book."""
    return cache_folder() / "speeds.json"


def predicted(profile: Profile, root: Path = ROOT) -> Path:
    """Where builds keep what they predicted of the runs that they then started: by the run's name
    ``minutes``, ``memory_gb`` and ``planned``, the time at which, in seconds since 1970."""
    return root / "_build" / f"{profile.name}.plan.json"


def read(path: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing if it is not there, or is not whole."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
