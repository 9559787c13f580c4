"""Which pruned models does a chapter compare with the dense one? Names, and parameters of each."""

from helpers.parameters import RunParameters

LETTERS = {"attention": "A", "mlp": "M", "block": "B"}
SETTING = ("method", "checkpoint", "target", "dropped", "sparsity")
WORDS = {"wanda": "Wanda", "sparsegpt": "SparseGPT", "magnitude": "Magnitude", "random": "Random"}


def setting_name(parameters: RunParameters) -> str:
    """What a whole pruned model is called: ``Drop-8A`` as in the paper, or ``Wanda 50%``."""
    if parameters.method == "drop":
        return f"Drop-{parameters.dropped}{LETTERS[parameters.target]}"
    if parameters.method == "checkpoint":
        return "Checkpoint"
    return f"{WORDS[parameters.method]} {parameters.sparsity:.0%}"


def settings(
    parameters: RunParameters, divisors: tuple[int, ...] = (1,)
) -> dict[str, RunParameters]:
    """The pruned models of a chapter by name, each as the parameters to measure it with.

    ``dropped`` attention sublayers, as many MLPs, and what ``method`` does to the weights (with
    ``method=drop``, nothing more). ``divisors`` asks for parts of ``dropped`` too: (2, 1) is half
    of it and all of it, as in the paper's Table 2; none is less than one sublayer.
    """
    counts = dict.fromkeys(max(1, parameters.dropped // divisor) for divisor in divisors)
    chosen = [
        {"method": "drop", "checkpoint": "", "target": target, "dropped": count}
        for target in ("attention", "mlp")
        for count in counts
    ]
    found = [parameters.model_copy(update=update) for update in chosen]
    if parameters.method != "drop":
        found.append(parameters)
    return {setting_name(one): one for one in found}
