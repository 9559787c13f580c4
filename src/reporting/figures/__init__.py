"""How does it look? One line chart from a tidy frame, one look, two pictures of each figure.

A notebook calls `lines` (or `chooser`, `table`), and its cell shows the result: a plot by Plotly
where scripts run, and a picture by seaborn on paper and elsewhere. What `lines` cannot say is
built from panels and lines and returned as `FigureOutput.of(panels, data, ...)`.
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
from reporting.figures.tables import HtmlOutput, badge, by_name, folded, folded_tables, table

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
    "folded",
    "folded_tables",
    "lines",
    "quantity_style",
    "ramp",
    "setting_styles",
    "style_of",
    "table",
]
