"""A figure as a Plotly figure, which `figures.js` draws.

Panels are stacked in one column and share their ranges, so the plot works at 390 px.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from html import escape
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from reporting.figures.labels import callouts, end_labels, margins, ticks_of, titled_axes
from reporting.figures.scales import placed
from reporting.figures.specification import Figure, Line, Panel
from reporting.figures.style import Style
from reporting.figures.template import (
    AXIS_TITLE,
    BAND_OPACITY,
    CLEAR,
    CLOUD_OPACITY,
    HEADER,
    PANEL_HEIGHT,
    SYMBOLS,
    TEMPLATE,
    TEXT,
    TICKS,
)


def payload(figure: Figure) -> str:
    """`{"data": [...], "layout": {...}}` as strict JSON that is safe inside a script element."""
    return script_text(plot(figure))


def script_text(content: Any) -> str:
    """Any content as strict JSON, without a letter that could end the script element."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def plot(figure: Figure) -> dict[str, Any]:
    """The traces and the layout that Plotly draws, as plain lists and dictionaries."""
    count, titled = len(figure.panels), titled_axes(figure)
    gap = HEADER + TICKS + AXIS_TITLE * any(titled[:-1])
    inner = count * PANEL_HEIGHT + (count - 1) * gap
    made = make_subplots(rows=count, cols=1, vertical_spacing=gap / inner if count > 1 else 0)
    left, right = margins(figure)
    margin = {"l": round(left), "r": round(right), "t": HEADER, "b": TICKS + AXIS_TITLE}
    made.update_layout(
        template=TEMPLATE, margin=margin, height=round(inner + HEADER + TICKS + AXIS_TITLE)
    )
    for row, (panel, title) in enumerate(zip(figure.panels, titled, strict=True), 1):
        _axes(made, figure, panel, row, title)
        traces = [_guide(guide.x, guide.y, guide.label, look) for guide, look in panel.guides()]
        traces += [_band(line) for line in panel.ordered if line.banded]
        traces += [_line(line, panel.title) for line in panel.ordered]
        for trace in traces:
            made.add_trace(trace, row=row, col=1)
        _words(made, figure, panel, row, left)
    return made.to_plotly_json()


def _axes(made: go.Figure, figure: Figure, panel: Panel, row: int, titled: bool) -> None:
    marks = dict(zip("xy", ticks_of(figure, panel), strict=True))
    limits = {"x": figure.x_range(panel), "y": figure.y_range(panel)}
    scales = {"x": panel.x_scale, "y": panel.y_scale}
    for axis, update in (("x", made.update_xaxes), ("y", made.update_yaxes)):
        update(
            type=scales[axis],
            range=numbers((placed(limit, scales[axis]) for limit in limits[axis]), digits=10),
            tickvals=[value for value, _ in marks[axis]],
            ticktext=[text for _, text in marks[axis]],
            row=row,
            col=1,
        )
    if titled:
        made.update_xaxes(title_text=escape(panel.x_label), row=row, col=1)


def _words(made: go.Figure, figure: Figure, panel: Panel, row: int, left: float) -> None:
    """The heading, the labels at the lines' ends and the texts beside points."""
    suffix = "" if row == 1 else str(row)
    axes = {"xref": f"x{suffix}", "yref": f"y{suffix}"}
    made.add_annotation(
        text=f"<b>{escape(panel.title)}</b><br>{escape(panel.y_label)}",
        **{"x": 0, "xref": f"x{suffix} domain", "xshift": -round(left)},
        **{"y": 1, "yref": f"y{suffix} domain", "yanchor": "bottom", "yshift": 4},
    )
    for label in end_labels(figure, panel):
        text = f'<span style="color:{label.style.colour}">{label.style.glyph}</span> '
        # exactly the end of the axis: beyond it, Plotly would hide the label
        x = getattr(made.layout, f"xaxis{suffix}").range[1]
        (y,) = numbers([placed(label.at, panel.y_scale)], digits=10)
        made.add_annotation(
            text=text + escape(label.text), name="end-label", x=x, y=y, xshift=4, **axes
        )
    x_range = [placed(limit, panel.x_scale) for limit in figure.x_range(panel)]
    y_range = [placed(limit, panel.y_scale) for limit in figure.y_range(panel)]
    for call in callouts(figure, panel):
        x, y = placed(call.x, panel.x_scale), placed(call.y, panel.y_scale)
        rise = (placed(call.at, panel.y_scale) - y) / (y_range[1] - y_range[0]) * PANEL_HEIGHT
        early = x < sum(x_range) / 2
        made.add_annotation(
            text=escape(call.text),
            **axes | {"x": x, "y": y, "ax": 22 if early else -22, "ay": -round(rise, 1)},
            **{"xanchor": "left" if early else "right", "showarrow": True, "arrowhead": 0},
            **{"arrowwidth": 1, "arrowcolor": call.style.colour, "standoff": 5, "borderpad": 1},
            font={"size": TEXT - 1},
        )


def _guide(x: Iterable[float], y: Iterable[float], label: str, look: Style) -> go.Scatter:
    return go.Scatter(
        mode="lines",
        name=label,
        x=numbers(x),
        y=numbers(y),
        line={"color": look.colour, "width": look.width, "dash": look.dash or "solid"},
        hoverinfo="skip",
    )


def _line(line: Line, panel: str) -> go.Scatter:
    look = line.look
    marker: dict[str, Any] = {
        "symbol": SYMBOLS.get(look.marker, look.marker),
        "size": look.marker_size,
        "color": CLEAR if look.hollow else look.colour,
        "line": {"color": look.colour, "width": 1.4 if look.size else 1},
    }
    if line.mode == "points":
        called = line.calls if line.calls and any(line.calls) else None
        marker["opacity"] = (
            [1.0 if text else CLOUD_OPACITY for text in called] if called else CLOUD_OPACITY
        )
    elif line.markers > 0:
        marker["maxdisplayed"] = line.markers
    trace = go.Scatter(
        mode="markers" if line.mode == "points" else "lines+markers" if line.markers else "lines",
        name=line.label,
        meta={"panel": panel, "reported": line.reported},
        x=numbers(line.x),
        y=numbers(line.mean),
        line={"color": look.colour, "width": look.width, "dash": look.dash or "solid"},
        marker=marker,
        hovertemplate=_hover(line),
    )
    told = line.says or line.points
    if told:
        trace.text = [escape(text, quote=False) for text in told]
    if line.low or line.n:
        columns = line.frame[["low", "high", "n"]].astype(float)
        trace.customdata = [numbers(row) for row in columns.itertuples(index=False)]
    return trace


def _hover(line: Line) -> str:
    """What is shown about one point: where it is, mean, low, high and n."""
    plain = line.label.startswith("reported") or not line.reported
    rows = [f"<b>{escape(line.label if plain else f'{line.label} (reported)')}</b>"]
    if line.says or line.points:
        rows.append("%{text}")
    if not line.says:
        x = "x = %{x:.3~g}"
        value = f"{escape(line.value)} %{{y:.3~g}}"
        if line.mode == "points":
            rows.append(f"{x}, y = %{{y:.3~g}}")
        else:
            rows += [value] if line.points else [x, value]
        if line.low:
            rows.append("low %{customdata[0]:.3~g}, high %{customdata[1]:.3~g}")
        if line.n:
            rows.append("n = %{customdata[2]}")
    return "<br>".join(rows) + "<extra></extra>"


def _band(line: Line) -> go.Scatter:
    """The band as closed outlines, one for each run of points that has both edges."""
    frame = line.frame[["x", "low", "high"]].astype(float)
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
