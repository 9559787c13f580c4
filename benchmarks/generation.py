"""A dense and a pruned model that write side by side, beside two plain ``generate`` calls."""

from collections.abc import Iterator
from functools import partial

import torch

from benchmarks.harness import Result, compare
from helpers.models import load
from helpers.pruning.drop import drop
from helpers.texts.data import select_prompts, tokenize
from measurements.generation import Pairing

STEPS, MANY_STEPS = 64, 128
DROPPED = tuple((layer, "attention") for layer in range(20, 28))


def benchmarks() -> Iterator[Result]:
    """12 prompts, greedy, all measurements; eight attention sublayers dropped in the second.

    The plain way only writes both texts and measures nothing. ``free`` is what two plain calls
    do; ``free and forced`` decodes three times, since the pruned model also reads the dense text.
    """
    dense, other = (load("smollm2-135m", device="cpu") for _ in range(2))
    pruned = drop(other.decoder, DROPPED)  # type: ignore[arg-type]
    ids, mask = tokenize(select_prompts("all"), dense.tokenizer, True, "cpu")

    def paired(steps: int, forced: bool) -> None:
        pairing = Pairing(dense.decoder, pruned, ids, mask)
        pairing.run(steps, 1.0, forced)

    def plain(steps: int) -> None:
        for model in (dense.model, pruned.model):
            model.generate(  # type: ignore[operator]
                ids,
                attention_mask=mask,
                max_new_tokens=steps,
                min_new_tokens=steps,
                do_sample=False,
            )

    name = f"paired generation, {len(ids)} prompts × {{}} steps, {{}}"
    with torch.inference_mode():
        paired(1, False)  # weights are read from disk when they are first used
        cases = ((STEPS, False, 3), (MANY_STEPS, False, 1), (STEPS, True, 1))
        for steps, forced, repeats in cases:
            words = "free and forced" if forced else "free"
            yield compare(
                name.format(steps, words),
                partial(paired, steps, forced),
                partial(plain, steps),
                repeats=repeats,
            )
