"""A figure as an SVG picture, for print and for readers without scripts.

It is drawn by matplotlib through its objects, without the global state of pyplot. Text and axes
take the colour of the surrounding page (`currentColor`), and the same figure gives the same
bytes. One unit of the picture is one pixel at its natural width.
"""

from __future__ import annotations

import io
import math
import re
from html import escape
from typing import Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

from reporting.figures.callouts import callouts
from reporting.figures.labels import (
    PANEL_HEIGHT,
    end_labels,
    label_room,
    tick_room,
    ticks_of,
    titled_axes,
)
from reporting.figures.scales import Tick
from reporting.figures.specification import Figure, Line, Panel
from reporting.figures.style import BAND_OPACITY, CLOUD_OPACITY

WIDTH = 540.0
HEADER, TICKS, AXIS_TITLE = 44.0, 24.0, 24.0
LEFT = 34.0
TEXT = 13.0

_INK = "#010203"  # stands for currentColor while matplotlib draws
_GRID = (0.5, 0.5, 0.5, 0.28)
_MARKERS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle": "^",
    "cross": "x",
    "none": "",
}


def svg(figure: Figure) -> str:
    """The picture as one `<svg>` element with `role="img"`, ready to stand inside a page."""
    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": figure.name,
        "font.family": "sans-serif",
        "font.size": TEXT,
        "text.parse_math": False,
        "text.usetex": False,
        "path.simplify": False,
    }
    with matplotlib.rc_context(settings):
        canvas = _draw(figure)
        FigureCanvasSVG(canvas)
        output = io.StringIO()
        canvas.savefig(output, format="svg", transparent=True, metadata={"Date": None})
    return _inline(output.getvalue(), figure)


def _draw(figure: Figure) -> Canvas:
    titled = titled_axes(figure)
    height = sum(HEADER + PANEL_HEIGHT + TICKS + AXIS_TITLE * title for title in titled)
    left, right = tick_room(figure, LEFT, 7.6), label_room(figure, 7.0)
    canvas = Canvas(figsize=(WIDTH / 72, height / 72), dpi=72)
    top = height
    for panel, title in zip(figure.panels, titled, strict=True):
        lower = top - HEADER - PANEL_HEIGHT
        box = (left / WIDTH, lower / height, (WIDTH - left - right) / WIDTH, PANEL_HEIGHT / height)
        _panel(canvas.add_axes(box), figure, panel, title, left)
        top = lower - TICKS - AXIS_TITLE * title
    return canvas


def _panel(axes: Any, figure: Figure, panel: Panel, titled: bool, left: float) -> None:
    axes.set_xscale(panel.x_scale)
    axes.set_yscale(panel.y_scale)
    axes.set_xlim(figure.x_range(panel))
    axes.set_ylim(figure.y_range(panel))
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    x_ticks, y_ticks = ticks_of(figure, panel)
    _ticks(axes.xaxis, x_ticks, 5)
    _ticks(axes.yaxis, y_ticks, 6)
    axes.tick_params(colors=_INK, length=0, labelsize=TEXT - 1)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_GRID)
    for guide, look in panel.guides():
        dashes = [length / look.width for length in look.dashes]
        style = (0, dashes) if dashes else "-"
        axes.plot(guide.x, guide.y, color=look.colour, linewidth=look.width, linestyle=style)
    ordered = sorted(panel.lines, key=lambda line: not line.reported)
    for line in ordered:
        _line(axes, line)
    heading: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    heading |= {"color": _INK, "annotation_clip": False}
    axes.annotate(panel.title, (0, 1), (-left, 24), fontweight="bold", **heading)
    axes.annotate(panel.y_label, (0, 1), (-left, 8), **heading)
    if titled:
        axes.set_xlabel(panel.x_label, color=_INK, labelpad=5)
    for label in end_labels(figure, panel):
        beside: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False}
        beside |= {"va": "center"}
        place = (label.x, label.y)
        axes.annotate(label.style.glyph, place, (5, 0), color=label.style.colour, **beside)
        axes.annotate(label.text, place, (20, 0), color=_INK, **beside)
    for call in callouts(figure, panel):
        axes.annotate(
            call.text,
            (call.x, call.y),
            (call.right, call.up),
            textcoords="offset points",
            color=_INK,
            fontsize=TEXT - 1,
            ha="left" if call.right > 0 else "right",
            va="center",
            arrowprops={"arrowstyle": "-", "color": call.style.colour, "linewidth": 0.9},
        )


def _ticks(axis: Any, marks: list[Tick], most: int) -> None:
    if marks:
        axis.set_major_locator(FixedLocator([value for value, _ in marks]))
        axis.set_major_formatter(FixedFormatter([text for _, text in marks]))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(most))


def _line(axes: Any, line: Line) -> None:
    look = line.look
    if line.mode == "points":
        _cloud(axes, line)
        return
    if line.banded:
        axes.fill_between(
            line.x, line.low, line.high, color=look.colour, alpha=BAND_OPACITY, linewidth=0
        )
    dashes = [length / look.width for length in look.dashes]
    axes.plot(
        line.x,
        line.mean,
        color=look.colour,
        linewidth=look.width * 0.85,
        linestyle=(0, dashes) if dashes else "-",
        dash_capstyle="butt",
        marker=_MARKERS[look.marker],
        markersize=_size(line),
        markeredgewidth=1.2 if look.size else 0.9,
        markerfacecolor="none" if look.hollow else look.colour,
        markevery=_every(axes, line),
        clip_on=True,
    )


def _cloud(axes: Any, line: Line) -> None:
    """Markers without a line; those that are called out stand out."""
    look = line.look
    called = line.calls or ("",) * len(line.x)
    for strong in (False, True):
        chosen = [bool(text) == strong for text in called]
        if any(chosen):
            axes.plot(
                [x for x, taken in zip(line.x, chosen, strict=True) if taken],
                [y for y, taken in zip(line.mean, chosen, strict=True) if taken],
                color=look.colour,
                linestyle="",
                marker=_MARKERS[look.marker],
                markersize=_size(line),
                markeredgewidth=0.9,
                markerfacecolor="none" if look.hollow else look.colour,
                alpha=1.0 if strong else CLOUD_OPACITY,
            )


def _size(line: Line) -> float:
    """Marker size in pixels of the picture; a diamond is wider than it says."""
    look = line.look
    if look.size:
        return look.size * (0.7 if look.marker == "diamond" else 0.8)
    return 4.0 if look.marker == "diamond" else 4.6


def _every(axes: Any, line: Line) -> tuple[int, int] | None:
    """Which points of a long line carry a marker; lines of one panel take turns."""
    if line.markers <= 0:
        return None
    step = math.ceil(len(line.x) / line.markers)
    return (len(axes.lines) * step // 3 % step, step)


def _inline(document: str, figure: Figure) -> str:
    """Make a stand-alone SVG document fit to stand in a page beside others."""
    text = document[document.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<style[^>]*>.*?</style>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]*)"', text)
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'class="figure-picture" role="img" aria-label="{escape(figure.alt)}" '
        f'viewBox="{box.group(1) if box else ""}" width="100%" '
        f'style="max-width:{round(WIDTH * 1.1)}px;height:auto;stroke-linejoin:round">'
    )
    text = re.sub(r"<svg.*?>", lambda _: opening, text, count=1, flags=re.DOTALL)
    text = re.sub(r' id="[a-z0-9.]+_\d+"', "", text)
    prefix = f"{figure.name}-"
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r'href="#', f'href="#{prefix}', text)
    text = text.replace("url(#", f"url(#{prefix}")
    text = re.sub(r"font: (\d+ |bold )?([\d.]+px) [^;\"]*", _font, text)
    return text.replace(_INK, "currentColor")


def _font(match: re.Match[str]) -> str:
    """Keep the size and the weight, and leave the typeface to the page."""
    weight = f"font-weight: {match.group(1).strip()}; " if match.group(1) else ""
    return f"{weight}font-size: {match.group(2)}"
