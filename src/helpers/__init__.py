"""What can be done to a language model? Load, prune, look into it, compare, write, score, save.

``from helpers import load, pruned, hidden_states, compare`` is all that a first look takes; see
:mod:`helpers.api`. Behind it stand eight doors: ``models`` (which network, and where are its
parts), ``texts`` (what it reads), ``pruning`` (what is removed), ``capture`` (what it holds),
``spaces`` (how far apart two states are), ``theory`` (what the theorems say), ``decoding`` (how it
writes) and ``evaluation`` (what it scores). Importing the package imports none of them.
"""

import warnings

from helpers.lazy import lazily

__version__ = "0.1.0"
__getattr__, __all__ = lazily(__file__)

# progress bars are plain text here; their notebook form would be missing from the site
warnings.filterwarnings("ignore", message="IProgress not found")
