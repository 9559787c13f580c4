"""The layer profile of Section 5 beside the plain way: one vector, one metric at a time."""

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.harness import Result, compare
from helpers.capture import Pair, capture
from helpers.data import select_prompts, tokenize
from helpers.decoding import greedy
from helpers.models import LoadedModel, load
from helpers.spaces import Comparison

STEPS = 32
PLAIN_STEPS = 2  # of the 32: the plain way takes the same time at each


def benchmarks() -> Iterator[Result]:
    """All metrics of all sublayers, embedded model, one prompt, 32 steps, both lenses."""
    loaded = load("smollm2-135m", device="cpu")
    chains, pairs = states_of_one_prompt(loaded)
    decoder = loaded.decoder
    comparison = Comparison(decoder.head, decoder.final_norm, 1.0)
    comparison.chain(chains[0], pairs)  # Gram matrices are made once per model
    weight = decoder.head.projection
    product = torch.empty(len(chains[0]), len(weight))

    def ours() -> None:
        for chain in chains:
            comparison.chain(chain, pairs)

    def plain() -> None:
        for chain in chains[:PLAIN_STEPS]:
            for lens in (chain, decoder.final_norm(chain)):
                for pair in pairs:
                    plain_metrics(weight, lens[pair.dense], lens[pair.pruned])

    def bare_products() -> None:
        for chain in chains:
            for _lens in range(2):
                torch.mm(chain, weight.T, out=product)

    name = f"layer profile, {len(pairs)} sublayers × {STEPS} steps × 2 lenses"
    with torch.inference_mode():
        yield compare(name, ours, plain, bare_products, baseline_share=PLAIN_STEPS / STEPS)


def states_of_one_prompt(loaded: LoadedModel) -> tuple[list[Tensor], tuple[Pair, ...]]:
    """Captured states (S, d) of 32 greedy steps on one prompt, and what they compare."""
    ids, mask = tokenize(select_prompts("Math2"), loaded.tokenizer, True, "cpu")
    with capture(loaded.decoder) as trace:
        chains = [
            trace.states.tensor[:, 0, 0].clone() for _ in greedy(loaded.model, ids, mask, STEPS)
        ]
    return chains, trace.states.pairs


def plain_metrics(weight: Tensor, dense: Tensor, pruned: Tensor) -> list[float]:
    """Two float32 matrix–vector products, full softmaxes, and a pass for each metric, as the
    definitions read; the same numbers as ours for one sublayer and lens."""
    z, other = weight @ dense, weight @ pruned
    p, q = z.softmax(-1), other.softmax(-1)
    found = []
    for a, b in ((dense, pruned), (z, other), (z - z.mean(), other - other.mean()), (p, q)):
        found += [torch.cosine_similarity(a, b, dim=0), 1 - torch.cosine_similarity(a, b, dim=0)]
        for base, far in ((a, b), (b, a)):
            delta = far - base
            along = (base @ delta) / (base @ base)
            found += [along, (delta - along * base).norm() / base.norm()]
    log_p, log_q = z.log_softmax(-1), other.log_softmax(-1)
    found += [(p * (log_p - log_q)).sum(), (q * (log_q - log_p)).sum()]
    return [float(value) for value in found]
