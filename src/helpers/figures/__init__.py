"""How does it look? One theme, one specification, two renderers, one function per kind of figure.

A notebook calls a figure function, such as `layer_profile`, and its cell shows the result. To
add a kind of figure, build a `Figure` from panels and lines and return `FigureOutput(figure)`.
"""

from helpers.figures.agreement import agreement
from helpers.figures.alternative import describe
from helpers.figures.chooser import chooser
from helpers.figures.dimensions import width_profile
from helpers.figures.html import FigureOutput
from helpers.figures.layers import (
    category_profile,
    importance_profile,
    layer_profile,
    magnitude_profile,
    variance_profile,
)
from helpers.figures.matrices import Matrix, matrices
from helpers.figures.noise import noise_profile
from helpers.figures.orders import error_orders, estimate_sizes
from helpers.figures.panel import softmax_panel
from helpers.figures.pipeline import Pipeline, pipeline
from helpers.figures.propagated import amplification, in_place_and_output
from helpers.figures.readouts import lens_profile, state_profile
from helpers.figures.series import step_series
from helpers.figures.specification import Figure, Line, Panel, Reference, cosine_range
from helpers.figures.style import QUANTITIES, SPACES, STYLES, Style, quantity_style, ramp, style_of
from helpers.figures.tables import HtmlOutput, badge, table
from helpers.figures.temperature import temperature_curves
from helpers.figures.tracking import estimate_scatter

__all__ = [
    "QUANTITIES",
    "SPACES",
    "STYLES",
    "Figure",
    "FigureOutput",
    "HtmlOutput",
    "Line",
    "Matrix",
    "Panel",
    "Pipeline",
    "Reference",
    "Style",
    "agreement",
    "amplification",
    "badge",
    "category_profile",
    "chooser",
    "cosine_range",
    "describe",
    "error_orders",
    "estimate_scatter",
    "estimate_sizes",
    "importance_profile",
    "in_place_and_output",
    "layer_profile",
    "lens_profile",
    "magnitude_profile",
    "matrices",
    "noise_profile",
    "pipeline",
    "quantity_style",
    "ramp",
    "softmax_panel",
    "state_profile",
    "step_series",
    "style_of",
    "table",
    "temperature_curves",
    "variance_profile",
    "width_profile",
]
