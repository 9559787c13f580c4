"""Which run made a figure: one line for the reader, and a CSV file that carries the same facts."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

# What the reader sees first, in this order; other entries follow in the order given.
_FIRST = ("run", "model", "size", "method", "device", "dtype", "threads", "profile", "versions")
_LINK = re.compile(r"(https://|\.{0,2}/|#|[\w-])[^\s:]*")


def refuse_name(name: str) -> None:
    """Raise ValueError for a figure's `name` that cannot be part of an address."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError(f"figure name {name!r}: use lower-case letters, digits and hyphens")


def entries(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The facts as pairs of one-line texts; nested mappings become `a 1, b 2`."""
    known = [name for name in _FIRST if name in provenance]
    names = known + [name for name in provenance if name not in known and name != "notebook"]
    pairs = ((name, _plain(provenance[name])) for name in names)
    return [(_plain(name), value) for name, value in pairs if value]


def line(provenance: Mapping[str, Any], name: str, download: str = "") -> str:
    """The small print under a figure: the run's facts, its notebook, the link to its data.

    `download` is ready HTML. `provenance["notebook"]` is a relative or https address.
    """
    facts = entries(provenance)
    links = []
    notebook = str(provenance.get("notebook", ""))
    if notebook and _LINK.fullmatch(notebook):
        links.append(f'<a href="{escape(notebook)}">notebook of this figure</a>')
    links += [download] if download else []
    shown = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts)
    about = " · ".join(escape(value) for key, value in facts if key in ("run", "model", "size"))
    details = (
        f"<details><summary>Run: {about or escape(name)}</summary><dl>{shown}</dl></details>"
        if shown
        else ""
    )
    return f'<div class="figure-provenance">{details}<p>{" · ".join(links)}</p></div>'


def csv(frame: pd.DataFrame, name: str, title: str, provenance: Mapping[str, Any]) -> str:
    """The plotted values as CSV, after `# key: value` lines with the run's identity.

    Floats are written in full, so `pandas.read_csv(file, comment="#")` gives them back.
    """
    facts = [("figure", name), ("title", _plain(title)), *entries(provenance)]
    head = "".join(f"# {key}: {value}\n" for key, value in facts)
    return head + frame.to_csv(index=False, lineterminator="\n")


def download(frame: pd.DataFrame, name: str, title: str, provenance: Mapping[str, Any]) -> str:
    """A link that holds the CSV itself, so that it works offline and from a saved page."""
    file = file_name(name, provenance)
    content = base64.b64encode(csv(frame, name, title, provenance).encode()).decode()
    return (
        f'<a class="figure-download" download="{escape(file)}" '
        f'href="data:text/csv;base64,{content}">plotted data (CSV, {len(frame)} rows)</a>'
    )


def file_name(name: str, provenance: Mapping[str, Any]) -> str:
    """The name of the downloaded file, with the run in it."""
    run = re.sub(r"[^A-Za-z0-9._-]+", "-", str(provenance.get("run", ""))).strip("-")
    return f"{name}-{run}.csv" if run else f"{name}.csv"


def _plain(value: Any) -> str:
    """Any value as text on one line."""
    if isinstance(value, Mapping):
        value = ", ".join(f"{key} {item}" for key, item in value.items())
    return " ".join(str("" if value is None else value).split())
