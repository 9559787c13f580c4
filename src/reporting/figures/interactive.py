"""A figure as a Plotly figure, which `figures.js` draws.

Panels are stacked in one column and share their ranges, so the plot works at 390 px. Where there is
room, `figures.js` puts them side by side; `meta` tells it the pixels of a panel and of its words.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from reporting.figures.layout import AXIS_TITLE, HEADER, PANEL_HEIGHT, TICKS, Axes, laid_out
from reporting.figures.scales import placed, short
from reporting.figures.specification import Figure, Line
from reporting.figures.style import Style
from reporting.figures.template import BAND_OPACITY, CLEAR, CLOUD_OPACITY, SYMBOLS, TEMPLATE, TEXT


def _escaped(text: str) -> str:
    """For Plotly, which knows the entities of <, > and &, and not that of a quotation mark."""
    return escape(text, quote=False)


def script_text(content: Any) -> str:
    """Any content as strict JSON in which nothing can end the script element that holds it."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return re.sub(r"<(?=!--|/?script)", r"\\u003c", text, flags=re.IGNORECASE)


def plot(figure: Figure) -> dict[str, Any]:
    """The traces and the layout that Plotly draws, as plain lists and dictionaries."""
    layout = laid_out(figure)
    rows = len(layout.axes)
    between = layout.gap / layout.inner if rows > 1 else 0
    made = make_subplots(rows=rows, cols=1, vertical_spacing=between)
    margin = {"l": layout.left, "r": layout.right, "t": HEADER, "b": TICKS + AXIS_TITLE}
    notes: list[dict[str, Any]] = []
    for row, axes in enumerate(layout.axes, 1):
        panel = axes.panel
        traces = [_guide(guide.x, guide.y, guide.label, look) for guide, look in panel.guides()]
        traces += [_band(line) for line in panel.ordered if line.banded]
        traces += [_line(line, panel.title) for line in panel.ordered]
        traces += [_ground(line, axes.y_range[0]) for line in panel.ordered if line.grounded]
        made.add_traces(traces, rows=row, cols=1)
        made.update_xaxes(
            _axis(axes.x_range, panel.x_scale, axes.x_ticks, axes.x_title), row=row, col=1
        )
        made.update_yaxes(_axis(axes.y_range, panel.y_scale, axes.y_ticks), row=row, col=1)
        notes += _notes(axes, "" if row == 1 else str(row), layout.left)
    meta = {"panel": PANEL_HEIGHT, "above": HEADER, "below": TICKS + AXIS_TITLE}
    made.update_layout(
        template=TEMPLATE,
        margin=margin,
        height=layout.height,
        annotations=notes,
        meta=meta | {"words": round(layout.words)},
    )
    return made.to_plotly_json()


def _axis(limits: Iterable[float], scale: str, marks: Any, title: str = "") -> dict[str, Any]:
    values, texts = zip(*marks, strict=True) if marks else ((), ())
    named = {"title": {"text": _escaped(title)}} if title else {}
    span = numbers((placed(limit, scale) for limit in limits), digits=10)
    return {"type": scale, "range": span, "tickvals": values, "ticktext": texts} | named


def _notes(axes: Axes, suffix: str, left: float) -> Iterable[dict[str, Any]]:
    """The heading, the labels at the lines' ends and the texts beside points."""
    panel = axes.panel
    yield {
        "text": f"<b>{_escaped(panel.title)}</b><br>{_escaped(panel.y_label)}",
        **{"x": 0, "xref": f"x{suffix} domain", "xshift": -left},
        **{"y": 1, "yref": f"y{suffix} domain", "yanchor": "bottom", "yshift": 7},
    }
    for label in [*axes.end_labels, *axes.callouts]:
        x, y = numbers([placed(label.x, panel.x_scale), placed(label.y, panel.y_scale)], digits=10)
        colour, text = label.style.colour, _escaped(label.text)
        note = {"x": x, "y": y, "xref": f"x{suffix}", "yref": f"y{suffix}"}
        if label.across:
            yield note | {
                "text": text,
                **{"ax": label.across, "ay": -label.up, "showarrow": True, "arrowhead": 0},
                **{"arrowwidth": 1, "arrowcolor": colour, "standoff": 5, "borderpad": 1},
                **{"xanchor": "left" if label.across > 0 else "right", "font": {"size": TEXT - 1}},
            }
        else:
            glyph = f'<span style="color:{colour}">{label.style.glyph}</span>'
            shift = {"xshift": 4, "yshift": label.up}
            yield note | {"name": "end-label", "text": f"{glyph} {text}"} | shift


def _guide(x: Iterable[float], y: Iterable[float], label: str, look: Style) -> go.Scatter:
    return go.Scatter(
        mode="lines", name=label, x=numbers(x), y=numbers(y), line=_stroke(look), hoverinfo="skip"
    )


def _stroke(look: Style) -> dict[str, Any]:
    return {"color": look.colour, "width": look.width, "dash": look.dash or "solid"}


def _line(line: Line, panel: str) -> go.Scatter:
    look = line.look
    marker: dict[str, Any] = {
        "symbol": SYMBOLS.get(look.marker, look.marker),
        "size": look.marker_size,
        "color": CLEAR if look.hollow else look.colour,
        "line": {"color": look.colour, "width": 1.4 if look.size else 1},
    }
    if line.cloud:
        opacity = [1.0 if text else CLOUD_OPACITY for text in line.calls or ()]
        marker["opacity"] = opacity or CLOUD_OPACITY
    elif line.markers > 0:
        marker["maxdisplayed"] = line.markers
    told = line.says or line.points
    nothing = [math.nan] * len(line.x)
    more = list(zip(line.n or nothing, line.low or nothing, line.high or nothing, strict=True))
    known = [math.isfinite(low + high) for _, low, high in more]
    width = 3 if any(known) else 1
    customdata: list[list[Any]] = [numbers(each[:width]) for each in more]
    edges = "low %{customdata[1]:.3~g}, high %{customdata[2]:.3~g}" if any(known) else ""
    drawn = [both for both, y in zip(known, line.mean, strict=True) if math.isfinite(y)]
    if edges and not all(drawn):
        edges = "%{customdata[3]}"  # in words, since some points have none
        for row, both, (_, low, high) in zip(customdata, known, more, strict=True):
            row.append(f"low {short(low)}, high {short(high)}" if both else "no low and high")
    return go.Scatter(
        mode="markers" if line.cloud else "lines+markers" if line.markers else "lines",
        name=line.label,
        meta={"panel": panel, "reported": line.reported} | _grounded(line),
        x=numbers(line.x),
        y=numbers(line.mean),
        line=_stroke(look),
        marker=marker,
        text=[_escaped(text) for text in told] if told else None,
        customdata=customdata if line.n or edges else None,
        hovertemplate=_hover(line, edges),
    )


def _grounded(line: Line) -> dict[str, Any]:
    """What the downloaded values hold where the axis has no place, by number of the point."""
    return (
        {"grounded": {str(at): mean for at, mean in line.grounded.items()}} if line.grounded else {}
    )


def _ground(line: Line, low: float) -> go.Scatter:
    """Marks at the lower edge of a logarithmic axis: points without a place on it."""
    told = [
        "<br>".join([*([_escaped(line.points[at])] if line.points else []), short(mean)])
        for at, mean in line.grounded.items()
    ]
    return go.Scatter(
        mode="markers",
        x=numbers(line.x[at] for at in line.grounded),
        y=numbers(low for _ in line.grounded),
        marker={"symbol": "triangle-down-open", "size": 8, "color": line.look.colour},
        cliponaxis=False,
        text=told,
        hovertemplate=f"<b>{_escaped(line.label)}</b><br>%{{text}}<extra></extra>",
    )


def _hover(line: Line, edges: str) -> str:
    """What is shown about one point: where it is, mean, `edges` and n."""
    plain = line.label.startswith("reported") or not line.reported
    rows = [f"<b>{_escaped(line.label if plain else f'{line.label} (reported)')}</b>"]
    if line.says:
        rows += ["%{text}"]
    else:
        rows += ["%{text}"] if line.points else []
        rows += ["x = %{x:.3~g}"] if line.cloud or not line.points else []
        rows += [f"{'y =' if line.cloud else _escaped(line.value)} %{{y:.3~g}}"]
        rows += [edges] if edges else []
        rows += ["n = %{customdata[0]}"] if line.n else []
    return "<br>".join(rows) + "<extra></extra>"


def _band(line: Line) -> go.Scatter:
    """The band as closed outlines, one for each run of points that has both edges."""
    frame = pd.DataFrame({"x": line.x, "low": line.low, "high": line.high})
    missing = frame.isna().any(axis=1)
    x: list[float] = []
    y: list[float] = []
    for _, run in frame[~missing].groupby(missing.cumsum()[~missing]):
        x += [*run["x"], *run["x"][::-1], math.nan]
        y += [*run["low"], *run["high"][::-1], math.nan]
    return go.Scatter(
        mode="lines",
        x=numbers(x[:-1]),
        y=numbers(y[:-1]),
        fill="toself",
        fillcolor=line.look.faint(BAND_OPACITY),
        line={"width": 0},
        hoverinfo="skip",
    )


def numbers(values: Iterable[float], digits: int = 6) -> list[float | int | None]:
    """Values at so many significant digits, whole ones as integers, None where there is none."""
    rounded = (float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values)
    return [
        int(each) if each is not None and each.is_integer() and abs(each) < 1e15 else each
        for each in rounded
    ]
