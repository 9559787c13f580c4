"""Tokens per second of greedy generation with more and more sublayers dropped."""

import time
from collections.abc import Iterator

import torch

from benchmarks.harness import Result
from helpers.models import load
from helpers.pruning.drop import Place, dropped
from helpers.texts.data import select_prompts, tokenize

TOKENS = 64
ROUNDS = 3


def benchmarks() -> Iterator[Result]:
    """Batch 4, 64 new tokens; the baseline is the dense model in the same rounds."""
    loaded = load("smollm2-135m", device="cpu")
    prompts = select_prompts("Gen1,Gen2,Gen3,Gen4")
    ids, mask = tokenize(prompts, loaded.tokenizer, True, "cpu")
    last = len(loaded.decoder.layers) - 2
    cases: dict[str, tuple[Place, ...]] = {"dense": ()}
    for kind in ("attention", "mlp"):
        for count in (4, 8, 16):
            places = tuple((last - number, kind) for number in range(count))
            cases[f"{count} {kind} dropped"] = places  # type: ignore[assignment]

    def generate(places: tuple[Place, ...]) -> float:
        with dropped(loaded.decoder, places), torch.inference_mode():
            begin = time.perf_counter()
            loaded.model.generate(  # type: ignore[operator]
                ids,
                attention_mask=mask,
                max_new_tokens=TOKENS,
                min_new_tokens=TOKENS,
                do_sample=False,
            )
            return time.perf_counter() - begin

    seconds = {name: [] for name in cases}  # type: dict[str, list[float]]
    for _ in range(ROUNDS):
        for name, places in cases.items():
            seconds[name].append(generate(places))
    dense = min(seconds["dense"])
    for name in list(cases)[1:]:
        ours = min(seconds[name])
        speed = len(prompts) * TOKENS / ours
        title = f"generation, {name} ({speed:.0f} tokens/s)"
        yield Result(title, ours, dense, dense / ours, None, 0.0)
