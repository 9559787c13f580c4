"""Helpers of *When Pruning Works*: prune a language model, capture what it holds, compare.

Modules are layered; each imports only from those before it: ``errors``, ``parameters``,
``machine``, ``models``, ``data``, ``passages``, ``calibration``, ``pruning``, ``capture``,
``spaces``, ``theory``, ``readouts``, ``states``, ``derivations``, ``decoding``, ``source``, ``results``,
``measurements``, ``reported``, ``summaries``, ``claims``, ``costs``, ``background``, ``figures``, ``byhand``,
``chapter``, ``runner``.
"""

import warnings

__version__ = "0.1.0"

# progress bars are plain text here; their notebook form would be missing from the site
warnings.filterwarnings("ignore", message="IProgress not found")
