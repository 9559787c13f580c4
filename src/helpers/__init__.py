"""Helpers of *When Pruning Works*: prune a language model, capture what it holds, compare.

Modules are layered; each imports only from those before it: ``errors``, ``parameters``,
``machine``, ``models``, ``data``, ``passages``, ``calibration``, ``pruning``, ``capture``,
``resume``, ``spaces``, ``theory``, ``projections``, ``panel_model``, ``readouts``, ``states``,
``derivations``, ``limits``, ``decoding``, ``readings``, ``source``, ``results``,
``measurements``, ``sweeps``, ``reported``, ``summaries``, ``claims``, ``noise``, ``noise_words``,
``estimates``, ``magnitudes``, ``step_frames``, ``analysis``, ``supplement``,
``supplement_claims``, ``validity``, ``temperature_summary``, ``reach``, ``interventions``,
``dimensions``, ``dimension_tables``, ``costs``, ``words``, ``background``, ``figures``,
``byhand``, ``chapter``, ``runner``.
"""

import warnings

__version__ = "0.1.0"

# progress bars are plain text here; their notebook form would be missing from the site
warnings.filterwarnings("ignore", message="IProgress not found")
