"""How does it look? One theme, one specification, two renderers, one function per kind of figure.

A notebook calls a figure function, such as `layer_profile`, and its cell shows the result. To
add a kind of figure, build a `Figure` from panels and lines and return `FigureOutput(figure)`.
"""

from helpers.figures.agreement import agreement
from helpers.figures.alternative import describe
from helpers.figures.chooser import chooser
from helpers.figures.collapse import collapse_plane
from helpers.figures.curves import DIAGONAL, curves
from helpers.figures.dimensions import width_profile
from helpers.figures.folded import folded_tables
from helpers.figures.html import FigureOutput
from helpers.figures.ladder import candidate_ladder
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
from helpers.figures.outputs import option_chooser, option_outputs, reported_options
from helpers.figures.paired_probes import paired_probes
from helpers.figures.panel import softmax_panel
from helpers.figures.pipeline import Pipeline, pipeline
from helpers.figures.prompts import prompt_profile
from helpers.figures.propagated import amplification, in_place_and_output
from helpers.figures.readouts import lens_profile, state_profile
from helpers.figures.score_curves import KEPT, score_curves
from helpers.figures.score_matrix import score_matrix
from helpers.figures.series import step_series
from helpers.figures.specification import Figure, Line, Panel, Reference, cosine_range
from helpers.figures.style import QUANTITIES, SPACES, STYLES, Style, quantity_style, ramp, style_of
from helpers.figures.subsets import band_profile, gap_curves
from helpers.figures.tables import HtmlOutput, badge, table
from helpers.figures.temperature import temperature_curves
from helpers.figures.texts import Question, Text, texts
from helpers.figures.tracking import estimate_scatter
from helpers.figures.writing import around_parting, survival_curves, unpruned_level

__all__ = [
    "DIAGONAL",
    "KEPT",
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
    "Question",
    "Reference",
    "Style",
    "Text",
    "agreement",
    "amplification",
    "around_parting",
    "badge",
    "band_profile",
    "candidate_ladder",
    "category_profile",
    "chooser",
    "collapse_plane",
    "cosine_range",
    "curves",
    "describe",
    "error_orders",
    "estimate_scatter",
    "estimate_sizes",
    "folded_tables",
    "gap_curves",
    "importance_profile",
    "in_place_and_output",
    "layer_profile",
    "lens_profile",
    "magnitude_profile",
    "matrices",
    "noise_profile",
    "option_chooser",
    "option_outputs",
    "paired_probes",
    "pipeline",
    "prompt_profile",
    "quantity_style",
    "ramp",
    "reported_options",
    "score_curves",
    "score_matrix",
    "softmax_panel",
    "state_profile",
    "step_series",
    "style_of",
    "survival_curves",
    "table",
    "temperature_curves",
    "texts",
    "unpruned_level",
    "variance_profile",
    "width_profile",
]
