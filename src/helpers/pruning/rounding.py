"""Are two weights the same number, each rounded to the format that it is stored in?"""

import torch
from torch import Tensor


def same_numbers(ours: Tensor, theirs: Tensor, stored: tuple[torch.dtype, torch.dtype]) -> Tensor:
    """Where two weights of one shape are the same: a bool for each entry.

    In one format that means equal. In two it means that some number is rounded to ``ours`` in the
    one and to ``theirs`` in the other: they are no further apart than half a step of each. What
    is too small for float16 and 0 in it is the same, too.
    """
    theirs = theirs.to(ours.device)
    equal = ours == theirs
    if stored[0] == stored[1]:
        return equal
    wide = torch.promote_types(torch.promote_types(ours.dtype, theirs.dtype), torch.float32)
    steps = [
        # loaded in a third format, it may have been rounded again
        torch.maximum(_step(weight.to(wide), kind), _step(weight.to(wide), weight.dtype))
        for weight, kind in zip((ours, theirs), stored, strict=True)
    ]
    return equal | ((ours.to(wide) - theirs.to(wide)).abs() <= (steps[0] + steps[1]) / 2)


def _step(values: Tensor, kind: torch.dtype) -> Tensor:
    """Distance from each of ``values`` to the next larger magnitude in a format."""
    facts = torch.finfo(kind)
    exponent = values.abs().clamp(min=facts.smallest_normal).frexp().exponent - 1
    return torch.ldexp(torch.full_like(values, facts.eps), exponent)
