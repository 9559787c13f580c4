"""Which pruned models does a chapter compare with the dense one? Names, and parameters of each."""

import re

from helpers.errors import InputError
from helpers.pruning.methods import METHODS
from helpers.quantization.methods import BITS, QUANTIZERS
from runs.parameters import RunParameters

LETTERS = {"attention": "A", "mlp": "M", "block": "B"}
DENSE, CHECKPOINT, PLUS = "Dense", "Checkpoint", " + "
OFFERED = tuple(map(str, BITS))
DROPPED = re.compile(r"drop-(\d{1,4})([amb])", re.IGNORECASE)
WEIGHTS = re.compile(r"(.+) (?:(\d{1,2}(?:\.\d+)?)%|([1-9]\d*:[1-9]\d*))")
_DENSE: dict[str, object] = {
    "method": "drop",
    "checkpoint": "",
    "target": "attention",
    "dropped": 0,
    "pattern": "",
    "quantizer": "",
}


def setting_name(parameters: RunParameters) -> str:
    """What a whole pruned model is called: ``Drop-8A`` as in the paper, ``Wanda 50%`` or
    ``Wanda 2:4``, ``RTN 4`` with so many bits, ``Wanda 50% + RTN 4``; ``Dense`` if nothing was
    done to it."""
    quantized = _quantized(parameters)
    if quantized and not parameters.whole:
        return f"{setting_name(parameters.model_copy(update={'quantizer': ''}))}{PLUS}{quantized}"
    if parameters.whole:
        return quantized or DENSE
    if parameters.method == "drop":
        return f"Drop-{parameters.dropped}{LETTERS[parameters.target]}"
    if parameters.method == "checkpoint":
        return CHECKPOINT
    share = parameters.pattern or f"{100 * parameters.sparsity:g}%"
    return f"{METHODS[parameters.method].title} {share}"


def _quantized(parameters: RunParameters) -> str:
    """``RTN 4``, ``NF4``; empty if nothing is quantized."""
    if not parameters.quantizer:
        return ""
    bits = f" {parameters.bits}" if parameters.simulated else ""
    return f"{QUANTIZERS[parameters.quantizer].title}{bits}"


def named(parameters: RunParameters, names: str) -> dict[str, RunParameters]:
    """The pruned models of a list of ``names``, separated by commas, each as the parameters to
    measure it with, in their order; the inverse of :func:`setting_name`.

    ``Checkpoint`` is the run's own. Raises :class:`InputError` for a name that is none.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise InputError(f"pruned={names!r} names no model: it takes {_examples()}")
    found = [parameters.model_copy(update=_setting(parameters, name)) for name in wanted]
    return {setting_name(one): one for one in found}


def dense(parameters: RunParameters) -> RunParameters:
    """The parameters of the dense model, whatever is pruned."""
    return parameters.model_copy(update=_DENSE)


def _setting(parameters: RunParameters, name: str) -> dict[str, object]:
    """What a name changes of the parameters."""
    first, plus, second = name.rpartition(PLUS)
    if found := _quantizer(second):
        removed = _setting(parameters, first) if plus else _DENSE
        if removed.get("quantizer"):
            raise InputError(f"{name!r} quantizes twice: it takes a pruned model + a quantizer")
        return removed | found
    if name.casefold() == DENSE.casefold():
        return _DENSE
    if name.casefold() == CHECKPOINT.casefold() and parameters.method == "checkpoint":
        return {"quantizer": ""}
    if match := DROPPED.fullmatch(name):
        target = next(kind for kind, letter in LETTERS.items() if letter == match[2].upper())
        return _DENSE | {"target": target, "dropped": int(match[1])}
    match, methods = WEIGHTS.fullmatch(name), _methods()
    if match and match[1].casefold() in methods:
        method, share, pattern = methods[match[1].casefold()], match[2], match[3] or ""
        if pattern:
            kept, among = map(int, pattern.split(":"))
            if kept >= among:
                raise InputError(f"pattern {pattern} keeps all: a smaller first number removes")
        chosen = {"sparsity": float(share) / 100} if share else {}
        own = {"method": method, "checkpoint": "", "pattern": pattern, "quantizer": ""}
        return own | chosen
    raise InputError(f"unknown pruned model {name!r}: known are {_examples()}")


def _quantizer(name: str) -> dict[str, object]:
    """What ``RTN 4`` or ``NF4`` changes; empty for any other name."""
    title, _, bits = name.partition(" ")
    for method, one in QUANTIZERS.items():
        if one.title.casefold() != title.casefold():
            continue
        if one.packed:
            if bits:
                raise InputError(f"{name!r}: {one.title} has {one.bits} bits and takes no number")
            return {"quantizer": method}
        if bits not in OFFERED:
            raise InputError(f"{name!r}: {one.title} takes one of {', '.join(OFFERED)} bits")
        return {"quantizer": method, "bits": int(bits)}
    return {}


def _methods() -> dict[str, str]:
    """Names in the registry by title and by name, in small letters."""
    found: dict[str, str] = {}
    for name, method in METHODS.items():
        for word in (name.casefold(), method.title.casefold()):
            if found.setdefault(word, name) != name:
                raise ValueError(f"two methods are called {word!r}: {found[word]} and {name}")
    return found


def _examples() -> str:
    titles = ", ".join(method.title for method in METHODS.values())
    quantizers = ", ".join(one.title for one in QUANTIZERS.values())
    return (
        "names such as Dense, Drop-8A, Drop-2M, Drop-1B, or a method with a share or a pattern, "
        f"such as Wanda 50% or SparseGPT 2:4, or a quantizer, such as RTN 4, NF4 or Wanda 50% + "
        f"RTN 4; methods are {titles}, quantizers {quantizers}"
    )


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
