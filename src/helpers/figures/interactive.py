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

from helpers.figures.labels import PANEL_HEIGHT, end_labels, label_room, titled_axes
from helpers.figures.specification import Figure, Line
from helpers.figures.style import BAND_OPACITY, GRID_COLOUR

HEADER, TICKS, AXIS_TITLE = 46.0, 30.0, 26.0
LEFT = 40


def payload(figure: Figure) -> str:
    """`{"data": [...], "layout": {...}}` as strict JSON that is safe inside a script element."""
    text = json.dumps(plot(figure), allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def plot(figure: Figure) -> dict[str, Any]:
    """The traces and the layout that Plotly expects, as plain lists and dictionaries."""
    titled = titled_axes(figure)
    height = sum(HEADER + PANEL_HEIGHT + TICKS + AXIS_TITLE * title for title in titled)
    layout: dict[str, Any] = {
        "height": round(height),
        "margin": {"l": LEFT, "r": round(label_room(figure, 7.4)), "t": 0, "b": 0},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "dragmode": False,
        "hovermode": "closest",
        "font": {"size": 13},
        "annotations": [],
    }
    traces: list[dict[str, Any]] = []
    top = height
    for index, panel in enumerate(figure.panels):
        suffix = str(index + 1) if index else ""
        upper, lower = top - HEADER, top - HEADER - PANEL_HEIGHT
        top = lower - TICKS - AXIS_TITLE * titled[index]
        layout[f"xaxis{suffix}"] = _axis(figure.x_range(panel)) | {"anchor": f"y{suffix}"}
        layout[f"yaxis{suffix}"] = _axis(figure.y_range(panel)) | {
            "anchor": f"x{suffix}",
            "domain": [round(lower / height, 5), round(upper / height, 5)],
        }
        if titled[index]:
            title = {"text": escape(panel.x_label), "standoff": 6, "font": {"size": 13}}
            layout[f"xaxis{suffix}"]["title"] = title
        heading = f"<b>{escape(panel.title)}</b><br>{escape(panel.y_label)}"
        layout["annotations"].append(
            _note(heading, x=0, xref="paper", xanchor="left", xshift=-LEFT, align="left")
            | {"y": round(upper / height, 5), "yref": "paper", "yanchor": "bottom", "yshift": 4}
        )
        for label in end_labels(figure, panel):
            text = f'<span style="color:{label.style.colour}">{label.style.glyph}</span> '
            layout["annotations"].append(
                _note(text + escape(label.text), x=label.x, xref=f"x{suffix}", xanchor="left")
                | {"y": round(label.y, 5), "yref": f"y{suffix}", "yanchor": "middle", "xshift": 4}
                | {"name": "end-label"}
            )
        axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
        ordered = sorted(panel.lines, key=lambda line: not line.reported)
        traces += [_band(line) | axes for line in ordered if line.banded]
        traces += [_trace(line) | axes for line in ordered]
    return {"data": traces, "layout": layout}


def _axis(limits: tuple[float, float]) -> dict[str, Any]:
    return {
        "range": [round(limits[0], 6), round(limits[1], 6)],
        "fixedrange": True,
        "gridcolor": GRID_COLOUR,
        "linecolor": GRID_COLOUR,
        "showline": True,
        "zeroline": False,
        "nticks": 6,
    }


def _note(text: str, **place: Any) -> dict[str, Any]:
    return {"text": text, "showarrow": False, **place}


def _trace(line: Line) -> dict[str, Any]:
    look = line.look
    fill = "rgba(0,0,0,0)" if look.hollow else look.colour
    return {
        "type": "scatter",
        "mode": "lines" if look.marker == "none" else "lines+markers",
        "name": line.label,
        "meta": {"reported": line.reported},
        "x": _numbers(line.x),
        "y": _numbers(line.mean),
        "line": {"color": look.colour, "width": look.width, "dash": look.dash or "solid"},
        "marker": {
            "symbol": "circle" if look.marker == "none" else look.marker,
            "size": 5 if look.hollow else 6,
            "color": fill,
            "line": {"color": look.colour, "width": 1},
        },
        "customdata": [_hover(line, index) for index in range(len(line.x))],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _band(line: Line) -> dict[str, Any]:
    """The band as closed polygons, one for each run of points that has both edges."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    run: list[tuple[float, float, float]] = []
    edges = zip(line.x, line.low or (), line.high or (), strict=True)
    for x, low, high in [*edges, (math.nan, math.nan, math.nan)]:
        if math.isfinite(low) and math.isfinite(high):
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
    """What is shown about one point: where it is, mean, low, high and n."""
    plain = line.label.startswith("reported") or not line.reported
    title = line.label if plain else f"{line.label} (reported)"
    where = line.points[index] if line.points else f"x = {line.x[index]:.3g}"
    rows = [f"<b>{escape(title)}</b>", escape(where), f"mean {line.mean[index]:.3g}"]
    if line.low and line.high:
        rows.append(f"low {line.low[index]:.3g}, high {line.high[index]:.3g}")
    if line.n is not None and not isinstance(line.n, int):
        rows.append(f"n = {line.n[index]}")
    return "<br>".join(rows)


def _numbers(values: Sequence[float]) -> list[float | None]:
    """Values at six significant digits, with None where there is none."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]
