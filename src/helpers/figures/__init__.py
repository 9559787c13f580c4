"""How does it look? One theme, one specification, two renderers, one function per kind of figure.

A notebook calls a figure function, such as `layer_profile`, and its cell shows the result. To
add a kind of figure, build a `Figure` from panels and lines and return `FigureOutput(figure)`.
"""

from helpers.figures.alternative import describe
from helpers.figures.html import FigureOutput
from helpers.figures.layers import (
    category_profile,
    importance_profile,
    layer_profile,
)
from helpers.figures.matrices import Matrix, matrices
from helpers.figures.specification import Figure, Line, Panel, cosine_range
from helpers.figures.style import SPACES, STYLES, Style, ramp, style_of
from helpers.figures.tables import HtmlOutput, badge, table

__all__ = [
    "SPACES",
    "STYLES",
    "Figure",
    "FigureOutput",
    "HtmlOutput",
    "Line",
    "Matrix",
    "Panel",
    "Style",
    "badge",
    "category_profile",
    "cosine_range",
    "describe",
    "importance_profile",
    "layer_profile",
    "matrices",
    "ramp",
    "style_of",
    "table",
]
