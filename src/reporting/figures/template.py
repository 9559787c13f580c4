"""One look for both renderers: the template of Plotly's figures and the style of seaborn's."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import seaborn as sns

TEXT = 13  # pixels
BAND_OPACITY, CLOUD_OPACITY = 0.17, 0.55
CLEAR = "rgba(0,0,0,0)"
GRID = 0.28  # opacity of the grid's grey
INK = "#010203"  # stands for the colour of the page's text while matplotlib draws
SYMBOLS = {"none": "circle", "triangle": "triangle-up", "cross": "x-thin"}
MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle": "^", "cross": "x", "none": ""}

_GRID = f"rgba(128,128,128,{GRID})"
_AXIS = {
    "fixedrange": True,
    "gridcolor": _GRID,
    "linecolor": _GRID,
    "showline": True,
    "zeroline": False,
    "tickangle": 0,
    "title": {"standoff": 6, "font": {"size": TEXT}},
}
# Colours of the text are absent on purpose: `figures.js` takes them from the theme.
TEMPLATE = go.layout.Template(
    layout={
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "showlegend": False,
        "dragmode": False,
        "hovermode": "closest",
        "font": {"size": TEXT},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "annotationdefaults": {"showarrow": False, "align": "left", "xanchor": "left"},
    }
)


def seaborn_style(salt: str) -> dict[str, Any]:
    """The settings of matplotlib for a picture without a ground, the same bytes at every run."""
    return sns.axes_style("whitegrid") | {
        "axes.edgecolor": (0.5, 0.5, 0.5, GRID),
        "axes.labelcolor": INK,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "font.family": ["sans-serif"],
        "font.size": TEXT,
        "grid.color": (0.5, 0.5, 0.5, GRID),
        "path.simplify": False,
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "text.color": INK,
        "text.parse_math": False,
        "text.usetex": False,
        "xtick.color": INK,
        "xtick.labelsize": TEXT - 1,
        "ytick.color": INK,
        "ytick.labelsize": TEXT - 1,
    }
