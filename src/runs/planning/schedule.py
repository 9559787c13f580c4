"""How long do several runs take together?"""

import heapq
import math

from runs.needs import needs
from runs.profiles import Profile


def at_once(profile: Profile, cores: int, gpus: int) -> int:
    """How many runs of a profile go side by side on a machine."""
    one = needs(profile, profile.runs[0], cores=cores, gpus=gpus)
    return max(1, gpus // one.gpus if one.gpus else cores // one.cores)


def together(minutes: list[float], at_once: int) -> float:
    """Minutes until the last of runs ends, if ``at_once`` of them run side by side and whoever is
    idle takes the next. A run that is not known, nan, counts nothing.

    >>> together([3.0, 1.0, 1.0, 2.0], 2)
    4.0
    """
    ends = [0.0] * max(1, at_once)
    for each in minutes:
        if not math.isnan(each):
            heapq.heapreplace(ends, ends[0] + each)
    return max(ends)


def duration(minutes: float) -> str:
    """``14 min``, ``3.5 hours``."""
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} hours"
