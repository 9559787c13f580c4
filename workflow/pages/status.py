"""The *Status* page: what became of every run of the profile, what it took, and what made it."""

from html import escape
from typing import Any

import pandas as pd

from pages.points import Grid
from runs import status

COSTS = {  # columns of the table, by their heading
    "minutes": "minutes",
    "planned_minutes": "minutes, planned",
    "memory_gb": "memory, GB",
    "planned_memory_gb": "memory, GB, planned",
}
MADE_BY = ["processor", "threads", "python", "torch", "transformers", "commit"]


def page(grid: Grid) -> str:
    """The page, in Markdown."""
    found = status.status(grid.profile, grid.folder.parents[1])
    counts = ", ".join(f"{count} {state}" for state, count in found["state"].value_counts().items())
    costs = [name for name in COSTS if found[name].notna().any()]
    rows = "\n".join(_row(row, costs) for row in found.to_dict("records"))
    heads = "".join(
        f"<th scope='col'>{name}</th>" for name in ("run", "state", *map(COSTS.get, costs))
    )
    return f"""# Status

Profile *{grid.profile.name}*: {grid.profile.about or "a profile of one's own"}.
Runs: {counts}. As they were when this site was built; `make status` tells how they are now.

## Runs

What was planned stands beside what was taken where a plan was made. Measurements that several runs
share count for the run that took them first.

<div class="book-table status-table" tabindex="0"><table>
<thead><tr>{heads}<th scope='col'>finished (UTC)</th></tr></thead>
<tbody>
{rows}
</tbody></table></div>

## Machines and versions

{_machines(found)}
"""


def _row(row: dict[str, Any], costs: list[str]) -> str:
    """One run, and under it why it failed."""
    cells = "".join(f"<td class='number'>{_number(row[name])}</td>" for name in costs)
    state = escape(row["state"])
    finished = _text(row["finished"]).replace("T", " ")[:16]
    told = (
        f"<tr id='{row['run']}'>"
        f"<th scope='row'><a href='../notebooks/{row['run']}.html'>{escape(row['run'])}</a></th>"
        f"<td><span class='run-state state-{state.replace(' ', '-')}'>{state}</span></td>"
        f"{cells}<td>{finished}</td></tr>"
    )
    if row["state"] == status.FAILED:
        said = f"{_text(row['error'])} Log: <code>{_text(row['log'])}</code>"
        told += f"\n<tr><td class='why' colspan='{3 + len(costs)}'>{said}</td></tr>"
    return told


def _machines(found: pd.DataFrame) -> str:
    """What the finished runs were made by, each different one once."""
    done = found.dropna(subset=["python"])
    if done.empty:
        return "No run is done."
    groups = done.fillna("unknown").groupby(MADE_BY, sort=False)["run"].agg(["size"]).reset_index()
    heads = "".join(f"<th scope='col'>{name}</th>" for name in ("runs", *MADE_BY))
    rows = "\n".join(
        f"<tr><td class='number'>{row['size']}</td>"
        + "".join(f"<td>{_text(row[name])}</td>" for name in MADE_BY)
        + "</tr>"
        for row in groups.to_dict("records")
    )
    return (
        f'<div class="book-table" tabindex="0"><table>\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _number(value: Any) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.1f}"


def _text(value: Any) -> str:
    return "–" if value is None or pd.isna(value) else escape(str(value))
