"""A dense and a pruned model that write side by side, beside two plain ``generate`` calls."""

from collections.abc import Iterator

import torch

from benchmarks.harness import Result, compare
from helpers.data import select_prompts, tokenize
from helpers.measurements.generation import Pairing
from helpers.models import load
from helpers.pruning.drop import drop

STEPS, MANY_STEPS = 64, 256
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
        for forced, words in ((False, "free"), (True, "free and forced")):
            yield compare(
                name.format(STEPS, words),
                lambda forced=forced: paired(STEPS, forced),  # type: ignore[misc]
                lambda: plain(STEPS),
            )
        yield compare(
            name.format(MANY_STEPS, "free"),
            lambda: paired(MANY_STEPS, False),
            lambda: plain(MANY_STEPS),
            repeats=1,
        )
