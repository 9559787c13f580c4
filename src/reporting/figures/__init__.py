"""How does it look? One theme, one specification, two renderers, one function per kind of figure.

A notebook calls a figure function, such as `layer_profile`, and its cell shows the result. To
add a kind of figure, build a `Figure` from panels and lines and return `FigureOutput(figure)`.
"""

from reporting.figures.alternative import describe
from reporting.figures.chooser import chooser
from reporting.figures.html import FigureOutput
from reporting.figures.lines import lines
from reporting.figures.specification import Figure, Line, Panel, Reference, cosine_range
from reporting.figures.style import (
    QUANTITIES,
    SPACES,
    STYLES,
    Style,
    quantity_style,
    ramp,
    setting_styles,
    style_of,
)
from reporting.figures.tables import HtmlOutput, badge, by_name, folded_tables, table

__all__ = [
    "QUANTITIES",
    "SPACES",
    "STYLES",
    "Figure",
    "FigureOutput",
    "HtmlOutput",
    "Line",
    "Panel",
    "Reference",
    "Style",
    "badge",
    "by_name",
    "chooser",
    "cosine_range",
    "describe",
    "folded_tables",
    "lines",
    "quantity_style",
    "ramp",
    "setting_styles",
    "style_of",
    "table",
]
