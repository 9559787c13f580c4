"""*All results*: one page that draws every measurement of the grid.

The page holds a catalogue: kinds of measurement, what each can be drawn over, what tells its lines
apart, and in which file the numbers of a choice lie (:mod:`pages.numbers`).
"""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from pages import numbers
from pages.points import Grid, read_json
from reporting import overview
from reporting.figures.html import swatch
from reporting.figures.interactive import script_text
from reporting.figures.style import NEUTRAL, SPACES, Style, style_of
from reporting.figures.template import CLEAR, SYMBOLS, TEMPLATE
from reporting.overview import ANY, FAMILIES, Axis, Family
from runs import dataset
from runs.store import Measurement

NAMES = {  # of what tells lines apart
    "category": "prompt category",
    "family": "family of questions",
    "method": "what is removed",
    "dtype": "number format",
    "shown": "shown as",
}
METRICS = {  # in words with their unit, and the scale on which they are drawn
    "angular": ("angular deviation, 1 − cos (0 = unchanged)", "log"),
    "cosine": ("cosine similarity, dense to pruned (1 = unchanged)", "linear"),
    "kl": ("KL(dense ‖ pruned), nats", "log"),
    "kl_reversed": ("KL(pruned ‖ dense), nats", "log"),
    "orthogonal": ("‖Δ⊥‖ / ‖state‖", "log"),
    "orthogonal_from_pruned": ("‖Δ⊥‖ / ‖state‖, from pruned", "log"),
    "variance_uniform": ("Var(Δz), equal weights, squared logits", "log"),
    "variance_p": ("Var(Δz) under p, squared logits", "log"),
    "variance_r": ("Var(Δz) under r, squared logits", "log"),
    "perplexity": ("perplexity", "log"),
    "layer_error": ("relative error of a layer's output", "log"),
    "importance": ("1 − cos between what enters and what leaves", "log"),
    "acc": ("accuracy", "linear"),
    "acc_norm": ("accuracy by length", "linear"),
    "exact_match": ("exact matches", "linear"),
    "ndcg_at_10": ("nDCG@10", "linear"),
}
LINES = {  # what stands on one line each, unless the reader chooses otherwise
    "scores": ("task", "form", "metric"),
    "ladder": ("method", "amount"),
    "pruning": ("method",),
    "noise": ("condition",),
    "dimension": ("readout",),
    "importance": ("model",),
}
HUES = ("#8C52BE", "#B03A5B", "#946000", "#4E7D94", "#0072B2", "#009E73", "#D55E00", NEUTRAL)
MARKERS = ("circle", "triangle", "square", "diamond", "cross")
DASHES = ("", "7px,3px", "2px,3px", "9px,3px,2px,3px", "5px,2px")


def write(grid: Grid, folder: Path) -> str:
    """Write the files of numbers into ``folder``; the page, in Markdown."""
    folder.mkdir(parents=True)
    measured = _measured(grid)
    families = []
    for family in FAMILIES:
        own = [each for name in family.measurements for each in measured.get(name, [])]
        if found := _family(family, own, folder):
            families.append(found)
    drawn = {name for family in FAMILIES for name in family.measurements}
    content = {
        "profile": grid.profile.name,
        "families": families,
        "template": TEMPLATE.to_plotly_json(),
        "looks": _looks(),
    }
    return _page(grid, families, sorted(set(measured) - drawn), script_text(content))


def _measured(grid: Grid) -> dict[str, list[Measurement]]:
    """Every measurement that a run of the profile asked for, by its name."""
    manifests = [read_json(grid.folder / f"{run.name}.json") for run in grid.profile.runs]
    found: dict[str, list[Measurement]] = {}
    for one in dataset.asked_for(grid.folder.parent, manifests):
        found.setdefault(one.manifest["measurement"], []).append(one)
    return found


def _family(family: Family, measured: list[Measurement], folder: Path) -> dict[str, Any] | None:
    """The catalogue's entry, with the measurements that the numbers come from."""
    axes = []
    for axis in family.axes if measured else ():
        found = overview.curves(family, axis, measured)
        if not found.empty:
            axes.append(_axis(family, axis, found, folder))
    told: dict[str, Any] = {"name": family.name, "title": family.title, "value": family.value}
    told |= {"runs": [f"{one.folder.parent.name}/{one.run}" for one in measured]}
    return told | {"axes": axes} if axes else None


def _axis(family: Family, axis: Axis, found: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """What can be chosen of a family over one axis, and where the numbers are."""
    values = numbers.dimensions(found)
    names, kinds = numbers.kinds(found, values)
    usual = LINES.get(family.name, ("space",) if "space" in values else ("method",))
    lines = [name for name in usual if name in values]
    return {
        "name": axis.column,
        "label": axis.label,
        "whole": axis.whole,
        "log": axis.log,
        "dims": [_dimension(name, known) for name, known in values.items()],
        "lines": lines or names[:1],
        "kind_names": names,
        "kinds": kinds,
        "files": numbers.write(found, values, f"{family.name}-{axis.column}", folder),
        "points": len(found),
    }


def _dimension(name: str, values: list[str]) -> dict[str, Any]:
    label = NAMES.get(name, name.replace("_", " "))
    entry: dict[str, Any] = {"name": name, "label": label, "values": values}
    if name == "metric":
        entry["said"] = [METRICS.get(each, (each.replace("_", " "), "linear")) for each in values]
    return entry


def _looks() -> dict[str, Any]:
    """The spaces' own styles by name, and as many others as lines may need."""
    spaces = {space: style_of(space) for space in SPACES}
    spaces["logit, centred"] = Style(style_of("logit").colour, "square", "2px,3px", thin=True)
    others = []
    for place in range(len(HUES) * len(DASHES)):
        turn = place + place // len(HUES)
        marker, dash = MARKERS[turn % len(MARKERS)], DASHES[turn % len(DASHES)]
        others.append(Style(HUES[place % len(HUES)], marker, dash))
    named = {name: _look(style) for name, style in spaces.items()}
    return {"named": named, "others": [_look(style) for style in others]}


def _look(style: Style) -> dict[str, Any]:
    return {
        "line": {"color": style.colour, "width": style.width, "dash": style.dash or "solid"},
        "marker": {
            "symbol": SYMBOLS.get(style.marker, style.marker),
            "size": style.marker_size,
            "color": CLEAR if style.hollow else style.colour,
            "line": {"color": style.colour, "width": 1},
        },
        "swatch": swatch(style),
    }


def _page(grid: Grid, families: list[dict[str, Any]], elsewhere: list[str], content: str) -> str:
    rows = "\n".join(_told(family, axis) for family in families for axis in family["axes"])
    others = ", ".join(f"`{name}`" for name in elsewhere) or "none"
    return f"""# All results

Every measurement behind this book, profile *{grid.profile.name}*, in one figure: choose what was
measured, over what it is drawn, what the lines are, and which model, method, amount, space, metric,
task or category of prompts. The address keeps the choice: copy it to show somebody the same curves.

<figure class="book-figure all-results" id="fig-all-results">
<div class="results-choices" role="group" aria-label="What is drawn"></div>
<p class="figure-title" id="all-results-title" aria-live="polite">Nothing is drawn without scripts:
the table below says what there is.</p>
<ul class="figure-key"></ul>
<div class="figure-interactive" data-results role="group" aria-labelledby="all-results-title">
<script type="application/json">{content}</script></div>
<figcaption><p class="figure-note"></p>
<div class="figure-provenance"><details hidden><summary></summary><p></p></details>
<p><a class="figure-download" href="#all-results" hidden>plotted data</a></p></div>
</figcaption></figure>

Numbers are averaged within each prompt or question first, over its steps, and then over prompts.
Bands are 95% intervals that draw prompts anew; there is none with fewer than five prompts. Where
sublayers are put together, the median over them is taken within each prompt. Spaces, lenses, kinds
of sublayer, temperatures and ways of decoding are never averaged.

## What there is

<div class="book-table" tabindex="0"><table>
<thead><tr><th scope="col">measured</th><th scope="col">over</th><th scope="col">models</th>
<th scope="col">what is removed</th><th scope="col">points</th></tr></thead>
<tbody>
{rows}
</tbody></table></div>

Not drawn here, since they are texts, single items or matrices: {others}. Their chapters show them.
The tables themselves are Parquet files under `results/measurements/`; the
[data dictionary](data-dictionary.md) explains their columns.
"""


def _told(family: Mapping[str, Any], axis: Mapping[str, Any]) -> str:
    values = {one["name"]: [each for each in one["values"] if each != ANY] for one in axis["dims"]}
    models, removed = (escape(", ".join(values.get(name, ()))) for name in ("model", "method"))
    return (
        f"<tr><th scope='row'>{escape(family['title'])}</th><td>{escape(axis['label'])}</td>"
        f"<td>{models or ANY}</td><td>{removed or ANY}</td>"
        f"<td class='number'>{axis['points']:,}</td></tr>"
    )
