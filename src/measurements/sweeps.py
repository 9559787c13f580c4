"""The same measurement under several settings: one sublayer removed, or thinned by Wanda."""

from measurements.layer_profile import layer_profile
from runs.parameters import RunParameters
from runs.store import Measurement

RATIOS = (0.25, 0.5, 0.75)
SET_HERE = ("method", "checkpoint", "sparsity")
USES = (*(name for name in layer_profile.uses if name not in SET_HERE), "sweep_steps")
REMOVED = "removed"


def thinned(ratio: float) -> str:
    """``Wanda 50%``: the name of a setting."""
    return f"Wanda {ratio:.0%}"


def sweep(parameters: RunParameters) -> dict[str, Measurement]:
    """Layer profiles by setting: each sublayer removed, which Section 5 measures too, and each
    pruned by Wanda at ``RATIOS``, with ``sweep_steps`` steps for each prompt."""
    found = {REMOVED: layer_profile(parameters)}
    for ratio in RATIOS:
        steps = min(parameters.sweep_steps, parameters.max_new_tokens)
        setting = {"method": "wanda", "sparsity": ratio, "max_new_tokens": steps}
        found[thinned(ratio)] = layer_profile(parameters.model_copy(update=setting))
    return found
