"""The numbers of *All results* as files: each holds the lines of a few choices, and is small.

A file is a script that hands its numbers to ``all-results.js``, since a page that is opened from a
disk may not read other files.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from reporting.overview import ANY, NUMBERS

LARGEST = 400_000  # bytes of one file, of which a choice needs one or two
POINT = 26  # bytes that a point takes, more or less
SPLIT = ("model", "metric", "category", "family", "method", "space", "lens", "quantity")
PANELS = ("sublayer", "unit")  # drawn one above the other rather than chosen
GROUPS = ("category", "family")  # all kinds of numbers have all of them
ORDERS = {  # of values that have one; the first is chosen unless the reader chooses
    "metric": ("angular", "cosine", "kl"),
    "space": ("embedding", "logit", "logit, centred", "probability"),
    "lens": ("normed", "raw"),
    "quantity": ("measured", "exact", "theorem", "bounded", "effect"),
    "shown": ("score", "change from dense"),
    "candidates": ("random", "matched", "kind", "vocabulary"),
    "form": ("generation, prefix",),
    "sublayer": ("attention", "mlp", "block", "model"),
    "category": ("all",),
    "family": ("all",),
}


def dimensions(found: pd.DataFrame) -> dict[str, list[str]]:
    """What tells the lines of :func:`reporting.overview.curves` apart, each with its values in the
    order in which they are offered."""
    names = [name for name in found if name not in ("x", *NUMBERS)]
    names.sort(key=lambda name: SPLIT.index(name) if name in SPLIT else len(SPLIT))
    return {name: _ordered(name, found[name]) for name in names}


def kinds(found: pd.DataFrame, values: dict[str, list[str]]) -> tuple[list[str], list[list[int]]]:
    """Which values occur together, groups apart: names, and rows of places among the values. The
    first row is what is shown first: by the order of values, then what has the most points."""
    names = [name for name in values if name not in (*PANELS, *GROUPS)]
    counts = _coded(found, values).groupby(names, sort=True).size().reset_index(name="points")
    known = [name for name in ORDERS if name in names]
    rest = [name for name in names if name not in known]
    order = counts.assign(points=-counts["points"]).sort_values([*known, "points", *rest])
    return names, order[names].to_numpy().tolist()


def write(
    found: pd.DataFrame, values: dict[str, list[str]], name: str, folder: Path
) -> list[dict[str, Any]]:
    """Write files of numbers; of each its name, and the places that all its lines share."""
    rows = _coded(found, values).sort_values([*values, "x"])
    split = [each for each in SPLIT if each in values]
    files: list[dict[str, Any]] = []
    for at, part in _parts(rows, split, {}):
        files.append({"at": at, "file": f"{name}-{len(files)}"})
        _store(part, list(values), folder / f"{name}-{len(files) - 1}.js")
    return files


def _coded(found: pd.DataFrame, values: dict[str, list[str]]) -> pd.DataFrame:
    """Places among the values in place of these."""
    codes = {name: pd.Categorical(found[name], known).codes for name, known in values.items()}
    return pd.DataFrame({**codes, **{name: found[name] for name in ("x", *NUMBERS)}})


def _ordered(name: str, column: pd.Series) -> list[str]:
    known = [each for each in ORDERS.get(name, ()) if (column == each).any()]
    rest = [each for each in dict.fromkeys(column) if each not in known]
    plain = [each.removesuffix("%") for each in rest if each != ANY]
    if all(each.replace(".", "", 1).replace("e-", "").isdigit() for each in plain):
        sizes = {each: ("%" in each, float(each.removesuffix("%"))) for each in rest if each != ANY}
        more = name not in ("amount", "size", "temperature")  # steps and windows: most first
        rest = [*sorted(sizes, key=lambda each: sizes[each], reverse=more), *[ANY] * (ANY in rest)]
    if name == "method":
        rest.sort(key=lambda each: not each.endswith("dropped"))
    return known + rest


def _parts(
    rows: pd.DataFrame, names: Sequence[str], at: dict[str, int]
) -> Iterator[tuple[dict[str, int], pd.DataFrame]]:
    """Parts small enough for a file each: by model and metric, and further where need be."""
    small = len(rows) * POINT < LARGEST
    if not names or (small and names[0] not in ("model", "metric")):
        yield at, rows
        return
    for value, part in rows.groupby(names[0], sort=True):
        yield from _parts(part, names[1:], at | {names[0]: int(value)})


def _store(rows: pd.DataFrame, names: list[str], path: Path) -> None:
    """Lines as ``[places among the values, number of the list of x, means, lows, highs, n]``."""
    places: list[list[float]] = []
    lines = []
    for key, part in rows.groupby(names, sort=True):
        x = part["x"].tolist()
        if x not in places:
            places.append(x)
        counts = part["n"].fillna(0).astype(int).tolist()
        n = counts[0] if len(set(counts)) == 1 else counts
        numbers = [_short(part[column]) for column in ("mean", "low", "high")]
        lines.append([list(map(int, key)), places.index(x), *numbers, n])
    content = json.dumps({"x": places, "lines": lines}, separators=(",", ":"))
    path.write_text(f'bookResults("{path.stem}",{content});\n', encoding="utf-8")


def _short(values: pd.Series) -> list[float | None] | int:
    """Numbers at four digits that count; 0 in place of a list that has none."""
    if values.isna().all():
        return 0
    return [None if pd.isna(value) else float(f"{value:.4g}") for value in values]
