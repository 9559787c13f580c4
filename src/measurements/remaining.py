"""How much of a model is left after pruning? The number in the paper's #Params row."""

from torch import Tensor

from helpers.errors import InputError
from helpers.models.architecture import Decoder
from helpers.pruning.weights import prunable


def remaining_parameters(decoder: Decoder, dense: Decoder | None = None) -> int:
    """Parameters of ``decoder`` that remain, tied ones counted once.

    A dropped sublayer counts nothing, nor does its norm; nor does a weight of 0 in a linear of
    any sublayer, unless the same weight is 0 in ``dense`` too, where that is given: some are by
    chance, in a model whose weights lie on a grid. Table 1 counts alike, without the LM head:
    with eight attention sublayers dropped 7.1B of Mistral-7B become 6.8B, with eight MLPs 5.7B.
    """
    before = {} if dense is None else _weights(dense)
    zeros = 0
    for place, weight in _weights(decoder).items():
        zero = weight == 0
        if place in before:
            zero &= before[place].to(weight.device) != 0
        zeros += int(zero.sum())
    return decoder.parameter_count - zeros


def _weights(decoder: Decoder) -> dict[tuple[int, str], Tensor]:
    """The linears' weights (outputs, inputs) by layer and name."""
    try:
        layers = prunable(decoder)
    except InputError:  # packed or offloaded: no weight of it can have been set to 0
        return {}
    return {(linear.layer, linear.name): linear.matrix for layer in layers for linear in layer}
