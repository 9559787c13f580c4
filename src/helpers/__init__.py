"""What can be done to a language model? Load, prune, look into it, compare, write, score, save.

``from helpers import load, pruned, hidden_states, compare`` is all that a first look takes. The
public names, each documented by ``help(helpers.NAME)``, or all of them by ``help(helpers.api)``:

    load             a model by name, folder or hub id
    calibration      text that methods may look at
    prune            set weights to zero, for good
    pruned           the same inside a context, undone after it
    least_important  the sublayers that do least
    drop             take sublayers out, for good
    dropped          the same inside a context, undone after it
    hidden_states    what each layer reads at the last token of each text
    compare          how far apart two of these are in the three spaces
    generate         what the model writes
    score            what it scores on a task
    save             a pruned model as a folder
    Score            what ``score`` gives
    InputError       raised for what cannot be had, with what would be right

Behind them stand eight doors: ``models`` (which network, and where are its
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
