"""A figure as an SVG picture, for print and for readers without scripts.

It is drawn by seaborn, without the global state of pyplot. Text and axes take the colour of the
surrounding page (`currentColor`), and the same figure gives the same bytes. One unit of the
picture is one pixel at its natural width.
"""

from __future__ import annotations

import io
import math
import re
from html import escape
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure as Canvas

from reporting.figures.layout import AXIS_TITLE, HEADER, PANEL_HEIGHT, TICKS, Axes, laid_out
from reporting.figures.specification import Figure, Line
from reporting.figures.template import (
    BAND_OPACITY,
    CLOUD_OPACITY,
    INK,
    MARKERS,
    TEXT,
    seaborn_style,
)

WIDTH = 540.0


def svg(figure: Figure) -> str:
    """The picture as one `<svg>` element with `role="img"`, ready to stand inside a page."""
    with matplotlib.rc_context(seaborn_style(figure.name)):
        output = io.StringIO()
        canvas = _draw(figure)
        FigureCanvasSVG(canvas)
        canvas.savefig(output, format="svg", transparent=True, metadata={"Date": None})
    return _inline(output.getvalue(), figure)


def _draw(figure: Figure) -> Canvas:
    layout, bottom = laid_out(figure), TICKS + AXIS_TITLE
    left, height = layout.left, layout.height
    canvas = Canvas(figsize=(WIDTH / 72, height / 72), dpi=72)
    canvas.subplots_adjust(
        left=left / WIDTH,
        right=1 - layout.right / WIDTH,
        bottom=bottom / height,
        top=1 - HEADER / height,
        hspace=layout.gap / PANEL_HEIGHT,
    )
    drawn = canvas.subplots(len(layout.axes), 1, squeeze=False)[:, 0]
    for axes, each in zip(drawn, layout.axes, strict=True):
        axes.set(xscale=each.panel.x_scale, yscale=each.panel.y_scale)
        for axis, marks in ((axes.xaxis, each.x_ticks), (axes.yaxis, each.y_ticks)):
            axis.set_ticks([], minor=True)
            axis.set_ticks([value for value, _ in marks], [text for _, text in marks])
        axes.set(xlim=each.x_range, ylim=each.y_range)
        for guide, look in each.panel.guides():
            axes.plot(guide.x, guide.y, color=look.colour, lw=look.width, ls=_dashes(look))
        for line in each.panel.ordered:
            (_cloud if line.cloud else _line)(axes, line)
            _ground(axes, line, each.y_range[0])
        axes.set(xlabel=each.x_title, ylabel="")
        _words(axes, each, left)
    return canvas


def _words(axes: Any, each: Axes, left: float) -> None:
    """The heading, the labels at the lines' ends and the texts beside points."""
    beside: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False}
    heading = beside | {"xycoords": "axes fraction"}
    axes.annotate(each.panel.title, (0, 1), (-left, 24), fontweight="bold", **heading)
    axes.annotate(each.panel.y_label, (0, 1), (-left, 8), **heading)
    beside |= {"va": "center"}
    for label in each.end_labels:
        place, style = (label.x, label.y), label.style
        axes.annotate(style.glyph, place, (5, label.up), color=style.colour, **beside)
        axes.annotate(label.text, place, (20, label.up), **beside)
    for call in each.callouts:
        axes.annotate(
            call.text,
            (call.x, call.y),
            (call.across, call.up),
            fontsize=TEXT - 1,
            ha="left" if call.across > 0 else "right",
            arrowprops={"arrowstyle": "-", "color": call.style.colour, "linewidth": 0.9},
            **beside,
        )


def _line(axes: Any, line: Line) -> None:
    look = line.look
    if line.banded:
        band = {"color": look.colour, "alpha": BAND_OPACITY, "linewidth": 0}
        axes.fill_between(line.x, line.low, line.high, **band)
    if line.end is None:  # seaborn fails where there is nothing to draw
        return
    sns.lineplot(
        x=line.x,
        y=line.mean,
        units=np.isnan(line.mean).cumsum(),  # a missing value breaks the line
        estimator=None,
        sort=False,
        legend=False,
        ax=axes,
        color=look.colour,
        linewidth=look.width * 0.85,
        linestyle=_dashes(look),
        dash_capstyle="butt",
        markevery=_every(axes, line),
        marker=MARKERS[look.marker],
        markersize=_size(line),
        markeredgecolor=look.colour,
        markeredgewidth=1.2 if look.size else 0.9,
        markerfacecolor="none" if look.hollow else look.colour,
    )


def _cloud(axes: Any, line: Line) -> None:
    """Markers without a line; those that are called out stand out."""
    look = line.look
    strong = [1.0 if text else CLOUD_OPACITY for text in line.called]
    points = pd.DataFrame({"x": line.x, "y": line.mean, "opacity": strong}).dropna()
    alpha = {"alpha": points["opacity"].tolist()}
    if look.marker == "cross":
        colours = alpha | {"color": look.colour}
    elif look.hollow:  # an array of opacities needs as many fills
        edges = [to_rgba(look.colour, opacity) for opacity in points["opacity"]]
        colours = {"edgecolor": edges, "facecolor": "none"}
    else:
        colours = alpha | {"edgecolor": look.colour, "facecolor": look.colour}
    sns.scatterplot(
        points,
        x="x",
        y="y",
        legend=False,
        ax=axes,
        marker=MARKERS[look.marker],
        s=_size(line) ** 2,
        linewidth=0.9,
        **colours,
    )


def _ground(axes: Any, line: Line, low: float) -> None:
    """Marks at the lower edge of a logarithmic axis: points without a place on it."""
    x = [line.x[at] for at in line.grounded]
    hollow = {"color": line.look.colour, "markerfacecolor": "none", "markersize": 5}
    axes.plot(x, [low] * len(x), marker="v", ls="", clip_on=False, **hollow)


def _every(axes: Any, line: Line) -> tuple[int, int] | None:
    """Which points of a long line carry a marker; lines of one panel take turns."""
    if line.markers <= 0:
        return None
    step = math.ceil(len(line.x) / line.markers)
    return (len(axes.lines) * step // 3 % step, step)


def _dashes(look: Any) -> Any:
    """The dash pattern in matplotlib's terms, which counts in line widths."""
    return (0, [length / look.width for length in look.dashes]) if look.dashes else "-"


def _size(line: Line) -> float:
    """Marker size in pixels of the picture; a diamond is wider than it says."""
    look = line.look
    if look.size:
        return look.size * (0.7 if look.marker == "diamond" else 0.8)
    return 4.0 if look.marker == "diamond" else 4.6


def _inline(document: str, figure: Figure) -> str:
    """Make a stand-alone SVG document fit to stand in a page beside others."""
    text = document[document.index("<svg") :].strip()
    for part in (r"<metadata>.*?</metadata>", r"<style[^>]*>.*?</style>", r"<!--.*?-->"):
        text = re.sub(rf"{part}\s*", "", text, flags=re.DOTALL)
    (box,) = re.findall(r'<svg[^>]*viewBox="([^"]*)"', text)
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'class="figure-picture" role="img" aria-label="{escape(figure.alt)}" '
        f'viewBox="{box}" width="100%" '
        f'style="max-width:{round(WIDTH * 1.1)}px;height:auto;stroke-linejoin:round">'
    )
    text = re.sub(r"<svg.*?>", lambda _: opening, text, count=1, flags=re.DOTALL)
    text = re.sub(r' id="[a-z0-9.]+_\d+"', "", text)
    for reference in ('\\bid="', 'href="#', r"url\(#"):
        text = re.sub(reference, lambda found: f"{found.group()}{figure.name}-", text)
    text = re.sub(r"font-family: [^;\"]*(; )?", "", text)  # the typeface is the page's
    return text.replace(INK, "currentColor")
