"""Many figures as one small piece of JSON, from which `figures.js` rebuilds each plot.

Numbers keep five significant digits. What is equal in several places (steps, styles, layouts) is
stored once in a pool, and `{"$": index}` stands for it. Bands and the words about single points
are built by the script from the same numbers that are drawn.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

from reporting.figures.interactive import guide_trace, hover_title, line_trace, plot_layout
from reporting.figures.specification import Figure, Line
from reporting.figures.style import BAND_OPACITY

DIGITS = 5
_SHORT = 24  # characters of JSON that are not worth a place in the pool


def compact(figure: Figure) -> dict[str, Any]:
    """One figure: its layout, and for each panel its guides and lines with bare numbers."""
    panels = []
    for index, panel in enumerate(figure.panels):
        ordered = sorted(panel.lines, key=lambda line: not line.reported)
        panels.append(
            {
                "axis": str(index + 1) if index else "",
                "title": panel.title,
                "guides": [guide_trace(guide, look) for guide, look in panel.guides()],
                "lines": [_line(line) for line in ordered],
            }
        )
    return {"layout": plot_layout(figure), "panels": panels}


def _line(line: Line) -> dict[str, Any]:
    """The look of a line, and its numbers apart from it."""
    trace = line_trace(line)
    for name in ("x", "y", "customdata"):
        del trace[name]
    counts = list(line.n) if line.n is not None and not isinstance(line.n, int) else None
    return {
        "trace": trace,
        "name": line.label,
        "hover": escape(hover_title(line)),
        "value": escape(line.value),
        "cloud": line.mode == "points",
        "fill": line.look.faint(BAND_OPACITY) if line.banded else None,
        "x": rounded(line.x),
        "where": None if line.points is None else list(line.points),
        "y": rounded(line.mean),
        "low": None if line.low is None else rounded(line.low),
        "high": None if line.high is None else rounded(line.high),
        "n": counts[0] if counts and len(set(counts)) == 1 else counts,
    }


def rounded(values: Sequence[float]) -> list[float | int | None]:
    """Values at five significant digits, whole ones as integers, None where there is none."""
    found: list[float | int | None] = []
    for value in values:
        number = float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
        whole = number is not None and number == int(number) and abs(number) < 1e15
        found.append(int(number) if number is not None and whole else number)
    return found


def pooled(content: Any) -> dict[str, Any]:
    """`{"pool": [...], "content": ...}` in which equal parts of `content` are stored once.

    A pool entry may itself refer to entries before it. `unpooled` is the inverse.
    """
    seen: Counter[str] = Counter()
    texts: dict[int, str] = {}

    def count(part: Any) -> str:
        if isinstance(part, dict):
            text = "{" + ",".join(f"{_dump(k)}:{count(v)}" for k, v in part.items()) + "}"
        elif isinstance(part, list):
            flat = not any(isinstance(item, dict | list) for item in part)
            text = _dump(part) if flat else "[" + ",".join(count(item) for item in part) + "]"
        else:
            return _dump(part)
        seen[text] += 1
        texts[id(part)] = text
        return text

    count(content)
    pool: list[Any] = []
    places: dict[str, int] = {}

    def reduced(part: Any) -> Any:
        if not isinstance(part, dict | list):
            return part
        text = texts[id(part)]
        if text in places:
            return {"$": places[text]}
        small: Any = (
            {key: reduced(value) for key, value in part.items()}
            if isinstance(part, dict)
            else [reduced(item) for item in part]
        )
        if seen[text] < 2 or len(text) < _SHORT:
            return small
        places[text] = len(pool)
        pool.append(small)
        return {"$": places[text]}

    return {"content": reduced(content), "pool": pool}


def unpooled(packed: dict[str, Any]) -> Any:
    """The content of `pooled`, whole again; `figures.js` does the same."""

    def whole(part: Any) -> Any:
        if isinstance(part, list):
            return [whole(item) for item in part]
        if isinstance(part, dict):
            if set(part) == {"$"}:
                return whole(packed["pool"][part["$"]])
            return {key: whole(value) for key, value in part.items()}
        return part

    return whole(packed["content"])


def _dump(part: Any) -> str:
    return json.dumps(part, separators=(",", ":"), allow_nan=False)
