"""A figure as the data of a Plotly plot, which `figures.js` draws.

Panels are stacked in one column and share their ranges, so the plot works at 390 px. Colours of
the text are absent on purpose: the script takes them from the theme. Sizes are in pixels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from typing import Any

from reporting.figures.callouts import Callout, callouts
from reporting.figures.labels import (
    PANEL_HEIGHT,
    end_labels,
    label_room,
    tick_room,
    ticks_of,
    titled_axes,
)
from reporting.figures.scales import Range, Tick, placed, short
from reporting.figures.specification import Figure, Line, Panel, Reference
from reporting.figures.style import BAND_OPACITY, CLOUD_OPACITY, GRID_COLOUR, Style

HEADER, TICKS, AXIS_TITLE = 46.0, 30.0, 26.0
LEFT = 40
_SYMBOLS = {"none": "circle", "triangle": "triangle-up", "cross": "x-thin"}


def payload(figure: Figure) -> str:
    """`{"data": [...], "layout": {...}}` as strict JSON that is safe inside a script element."""
    return script_text(plot(figure))


def script_text(content: Any) -> str:
    """Any content as strict JSON, without a letter that could end the script element."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def plot(figure: Figure) -> dict[str, Any]:
    """The traces and the layout that Plotly expects, as plain lists and dictionaries."""
    traces: list[dict[str, Any]] = []
    for index, panel in enumerate(figure.panels):
        suffix = str(index + 1) if index else ""
        axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
        ordered = sorted(panel.lines, key=lambda line: not line.reported)
        traces += [guide_trace(guide, look) | axes for guide, look in panel.guides()]
        traces += [_band(line) | axes for line in ordered if line.banded]
        traces += [line_trace(line) | axes for line in ordered]
    return {"data": traces, "layout": plot_layout(figure)}


def plot_layout(figure: Figure) -> dict[str, Any]:
    """The axes, the headings and the texts beside lines and points."""
    titled = titled_axes(figure)
    height = sum(HEADER + PANEL_HEIGHT + TICKS + AXIS_TITLE * title for title in titled)
    left = round(tick_room(figure, LEFT, 7.4))
    layout: dict[str, Any] = {
        "height": round(height),
        "margin": {"l": left, "r": round(label_room(figure, 7.4)), "t": 0, "b": 0},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "dragmode": False,
        "hovermode": "closest",
        "font": {"size": 13},
        "annotations": [],
    }
    top = height
    for index, panel in enumerate(figure.panels):
        suffix = str(index + 1) if index else ""
        upper, lower = top - HEADER, top - HEADER - PANEL_HEIGHT
        top = lower - TICKS - AXIS_TITLE * titled[index]
        x_ticks, y_ticks = ticks_of(figure, panel)
        layout[f"xaxis{suffix}"] = _axis(figure.x_range(panel), panel.x_scale, x_ticks) | {
            "anchor": f"y{suffix}"
        }
        layout[f"yaxis{suffix}"] = _axis(figure.y_range(panel), panel.y_scale, y_ticks) | {
            "anchor": f"x{suffix}",
            "domain": [round(lower / height, 5), round(upper / height, 5)],
        }
        if titled[index]:
            title = {"text": escape(panel.x_label), "standoff": 6, "font": {"size": 13}}
            layout[f"xaxis{suffix}"]["title"] = title
        heading = f"<b>{escape(panel.title)}</b><br>{escape(panel.y_label)}"
        layout["annotations"].append(
            _note(heading, x=0, xref="paper", xanchor="left", xshift=-left, align="left")
            | {"y": round(upper / height, 5), "yref": "paper", "yanchor": "bottom", "yshift": 4}
        )
        limits = layout[f"yaxis{suffix}"]["range"]
        for label in end_labels(figure, panel):
            text = f'<span style="color:{label.style.colour}">{label.style.glyph}</span> '
            # exactly the end of the axis: beyond it, Plotly would hide the label
            x, y = layout[f"xaxis{suffix}"]["range"][1], placed(label.y, panel.y_scale)
            layout["annotations"].append(
                _note(text + escape(label.text), x=x, xref=f"x{suffix}", xanchor="left")
                | {"y": _round(y, limits), "yref": f"y{suffix}", "yanchor": "middle", "xshift": 4}
                | {"name": "end-label"}
            )
        layout["annotations"] += [_call(each, panel, suffix) for each in callouts(figure, panel)]
    return layout


def _axis(limits: Range, scale: str, marks: Sequence[Tick]) -> dict[str, Any]:
    axis: dict[str, Any] = {
        "range": _span([placed(value, scale) for value in limits]),
        "fixedrange": True,
        "gridcolor": GRID_COLOUR,
        "linecolor": GRID_COLOUR,
        "showline": True,
        "zeroline": False,
        "nticks": 6,
    }
    if scale == "log":
        axis["type"] = "log"
    if marks:
        del axis["nticks"]
        axis |= {"tickmode": "array", "tickangle": 0}
        axis |= {"tickvals": [value for value, _ in marks], "ticktext": [text for _, text in marks]}
    return axis


def _span(limits: Sequence[float]) -> list[float]:
    """Both ends at six digits after the point, or more where the span is tiny."""
    return [_round(value, limits, 6) for value in limits]


def _round(value: float, limits: Sequence[float], digits: int = 5) -> float:
    """A position, rounded to what can be seen on an axis with these limits."""
    tiny = -math.floor(math.log10(limits[1] - limits[0]))
    return round(value, digits + max(0, tiny - 1))


def _note(text: str, **place: Any) -> dict[str, Any]:
    return {"text": text, "showarrow": False, **place}


def _call(call: Callout, panel: Panel, suffix: str) -> dict[str, Any]:
    """The text beside a point, with a thin line to it."""
    return {
        "text": escape(call.text),
        "x": placed(call.x, panel.x_scale),
        "y": placed(call.y, panel.y_scale),
        "xref": f"x{suffix}",
        "yref": f"y{suffix}",
        "ax": call.right,
        "ay": round(-call.up, 1),
        "xanchor": "left" if call.right > 0 else "right",
        "yanchor": "middle",
        "showarrow": True,
        "arrowhead": 0,
        "arrowwidth": 1,
        "arrowcolor": call.style.colour,
        "standoff": 5,
        "borderpad": 1,
        "font": {"size": 12},
    }


def guide_trace(guide: Reference, look: Style) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": guide.label,
        "x": _numbers(guide.x),
        "y": _numbers(guide.y),
        "line": {"color": look.colour, "width": look.width, "dash": look.dash or "solid"},
        "hoverinfo": "skip",
    }


def line_trace(line: Line) -> dict[str, Any]:
    look = line.look
    fill = "rgba(0,0,0,0)" if look.hollow else look.colour
    size = look.marker_size
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines+markers" if line.markers else "lines",
        "name": line.label,
        "meta": {"reported": line.reported},
        "x": _numbers(line.x),
        "y": _numbers(line.mean),
        "line": {"color": look.colour, "width": look.width, "dash": look.dash or "solid"},
        "marker": {
            "symbol": _SYMBOLS.get(look.marker, look.marker),
            "size": int(size) if size == int(size) else size,
            "color": fill,
            "line": {"color": look.colour, "width": 1.4 if look.size else 1},
        },
        "customdata": [_hover(line, index) for index in range(len(line.x))],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    if line.markers > 0:
        trace["marker"]["maxdisplayed"] = line.markers
    if line.mode == "points":
        trace["mode"] = "markers"
        if line.calls and any(line.calls):
            strong = [1.0 if text else CLOUD_OPACITY for text in line.calls]
            trace["marker"]["opacity"] = strong
        else:
            trace["marker"]["opacity"] = CLOUD_OPACITY
    return trace


def _band(line: Line) -> dict[str, Any]:
    """The band as closed polygons, one for each run of points that has both edges."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    run: list[tuple[float, float, float]] = []
    edges = zip(line.x, line.low or (), line.high or (), strict=True)
    for x, low, high in [*edges, (math.nan, math.nan, math.nan)]:
        if math.isfinite(x) and math.isfinite(low) and math.isfinite(high):
            run.append((x, low, high))
            continue
        if run:
            outline = [(x, low) for x, low, _ in run] + [(x, high) for x, _, high in run[::-1]]
            xs += [*([None] if xs else []), *_numbers([x for x, _ in outline])]
            ys += [*([None] if ys else []), *_numbers([y for _, y in outline])]
        run = []
    return {
        "type": "scatter",
        "mode": "lines",
        "x": xs,
        "y": ys,
        "fill": "toself",
        "fillcolor": line.look.faint(BAND_OPACITY),
        "line": {"width": 0},
        "hoverinfo": "skip",
    }


def _hover(line: Line, index: int) -> str:
    """What is shown about one point: where it is, mean, low, high and n; nothing if missing."""
    if not math.isfinite(line.mean[index]):
        return ""
    where = line.points[index] if line.points else f"x = {short(line.x[index])}"
    rows = [f"<b>{escape(hover_title(line))}</b>", escape(where)]
    if line.says:
        return "<br>".join([*rows, escape(line.says[index])])
    if line.mode == "points":
        rows.append(f"x = {short(line.x[index])}, y = {short(line.mean[index])}")
    else:
        rows.append(f"{escape(line.value)} {short(line.mean[index])}")
    if line.low and line.high and math.isfinite(line.low[index] + line.high[index]):
        rows.append(f"low {short(line.low[index])}, high {short(line.high[index])}")
    if line.n is not None and not isinstance(line.n, int):
        rows.append(f"n = {line.n[index]}")
    return "<br>".join(rows)


def hover_title(line: Line) -> str:
    """The line's name, which says so if the line was reported."""
    plain = line.label.startswith("reported") or not line.reported
    return line.label if plain else f"{line.label} (reported)"


def _numbers(values: Sequence[float]) -> list[float | None]:
    """Values at six significant digits, with None where there is none."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]
