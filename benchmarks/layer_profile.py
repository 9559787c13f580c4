"""The layer profile of Sections 5 and 6 beside the plain way: one vector, one metric at a time."""

import sys
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.harness import Result, compare
from helpers.capture import Pair, capture
from helpers.decoding import greedy
from helpers.errors import InputError
from helpers.models import LoadedModel, load
from helpers.models.load import check_exists
from helpers.spaces import Comparison
from helpers.texts.data import select_prompts, tokenize
from measurements.deviations import with_estimates

STEPS = 32
MANY_STEPS = 512
PLAIN_STEPS = 2  # of the 32: the plain way takes the same time at each
SIZES = (1, 2, 3)  # thirds of the steps, or of the layers, for the fits
SECOND, SECOND_STEPS = "qwen2.5-coder-0.5b", 16
LARGE = ("7B", 28, 3584, 152_064)  # name, layers, width, vocabulary


def benchmarks() -> Iterator[Result]:
    """All metrics of all sublayers, embedded model, one prompt, both lenses."""
    loaded = load("smollm2-135m", device="cpu")
    chains, pairs = states_of_one_prompt(loaded)
    decoder = loaded.decoder
    comparison = Comparison(decoder.head, decoder.final_norm, 1.0)
    comparison.chain(chains[0], pairs)  # Gram matrices are made once per model
    weight = decoder.head.projection

    def ours(steps: int = STEPS, layers: int = len(decoder.layers)) -> None:
        for chain in chains[:steps]:
            found = comparison.chain(chain[: 2 * layers + 1], pairs[: 2 * layers])
            with_estimates(found, 1.0)

    def plain() -> None:
        for chain in chains[:PLAIN_STEPS]:
            for lens in (chain, decoder.final_norm(chain)):
                for pair in pairs:
                    plain_metrics(weight, lens[pair.dense], lens[pair.pruned])

    def bare_products(steps: int = STEPS, layers: int = len(decoder.layers)) -> None:
        product = torch.empty(2 * (2 * layers + 1), len(weight))
        for chain in chains[:steps]:
            states = chain[: 2 * layers + 1]
            torch.mm(torch.cat([states, decoder.final_norm(states)]), weight.T, out=product)

    def whole() -> None:
        for states in states_of_steps(loaded, MANY_STEPS):
            with_estimates(comparison.chain(states, pairs), 1.0)

    name = f"layer profile, {len(pairs)} sublayers × {{}} steps × 2 lenses"
    with torch.inference_mode():
        share = PLAIN_STEPS / STEPS
        yield compare(name.format(STEPS), ours, plain, bare_products, baseline_share=share)
        yield compare(f"{name.format(MANY_STEPS)}, with generation", whole, repeats=1)
        by_steps: list[tuple[int, Result]] = []
        by_layers: list[tuple[int, Result]] = []
        for third in SIZES:
            steps = STEPS * third // max(SIZES)
            layers = len(decoder.layers) * third // max(SIZES)
            for found, size in (
                (by_steps, {"steps": steps}),
                (by_layers, {"layers": layers}),
            ):
                words = ", ".join(f"{count} {what}" for what, count in size.items())
                result = compare(
                    f"layer profile, {words}",
                    partial(ours, **size),
                    floor=partial(bare_products, **size),
                )
                found.append((next(iter(size.values())), result))
                yield result
    print(f"    in steps: {fit(by_steps)}; in layers: {fit(by_layers)}")
    yield prediction(by_layers[-1][1], len(chains[0]), weight.shape)
    yield from second_model()


def second_model() -> Iterator[Result]:
    """The same beside the bare product on a model with three times the vocabulary, where its file
    is there."""
    try:
        check_exists(SECOND)
    except InputError as error:
        print(f"    left out: {error}", file=sys.stderr)
        return
    loaded = load(SECOND, device="cpu")
    decoder = loaded.decoder
    comparison, weight = Comparison(decoder.head, decoder.final_norm, 1.0), decoder.head.projection
    with torch.inference_mode():
        chains, pairs = states_of_one_prompt(loaded, SECOND_STEPS)
        comparison.chain(chains[0], pairs)
        product = torch.empty(2 * len(chains[0]), len(weight))

        def ours() -> None:
            for chain in chains:
                with_estimates(comparison.chain(chain, pairs), 1.0)

        def bare_products() -> None:
            for chain in chains:
                torch.mm(torch.cat([chain, decoder.final_norm(chain)]), weight.T, out=product)

        yield compare(
            f"layer profile, {SECOND}, {len(pairs)} sublayers × {SECOND_STEPS} steps × 2 lenses",
            ours,
            floor=bare_products,
        )


def fit(found: list[tuple[int, Result]]) -> str:
    """The line through seconds against size, in words."""
    sizes = torch.tensor([float(size) for size, _ in found], dtype=torch.float64)
    seconds = torch.tensor([result.ours_s for _, result in found], dtype=torch.float64)
    columns = torch.stack([torch.ones_like(sizes), sizes], dim=1)
    start, slope = torch.linalg.lstsq(columns, seconds[:, None]).solution[:, 0].tolist()
    off = ((columns @ torch.tensor([start, slope]).double() - seconds) / seconds).abs().max()
    return f"{start:.2f} s + {1000 * slope:.0f} ms each, at most {100 * float(off):.0f}% off"


def prediction(result: Result, states: int, shape: torch.Size) -> Result:
    """What a large model takes on this machine: the product grows with width × vocabulary, the
    passes with the vocabulary, both with the number of states."""
    assert result.floor_s is not None
    size, layers, width, vocabulary = LARGE
    depth = (2 * layers + 1) / states
    wider = vocabulary / shape[0]
    product = result.floor_s * depth * wider * width / shape[1]
    passes = (result.ours_s - result.floor_s) * depth * wider
    words = f"{size}, {layers} layers, width {width}, vocabulary {vocabulary}"
    name = f"predicted: {words}, {STEPS} steps"
    return Result(name, product + passes, None, None, product, 0.0)


def states_of_steps(loaded: LoadedModel, steps: int) -> Iterator[Tensor]:
    """Captured states (S, d) of greedy steps on one prompt, as they come."""
    ids, mask = tokenize(select_prompts("Math2"), loaded.tokenizer, True, "cpu")
    with capture(loaded.decoder) as trace:
        for _ in greedy(loaded.model, ids, mask, steps):
            yield trace.states.tensor[:, 0, 0].clone()


def states_of_one_prompt(
    loaded: LoadedModel, steps: int = STEPS
) -> tuple[list[Tensor], tuple[Pair, ...]]:
    """Captured states (S, d) of greedy steps on one prompt, and what they compare."""
    ids, mask = tokenize(select_prompts("Math2"), loaded.tokenizer, True, "cpu")
    with capture(loaded.decoder) as trace:
        next(greedy(loaded.model, ids, mask, 1))
    return list(states_of_steps(loaded, steps)), trace.states.pairs


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
    delta = other - z
    r = p * p / (p * p).sum()
    found += [(weights * (delta - (weights * delta).sum()).square()).sum() for weights in (p, r)]
    found += [delta.var(correction=0)]
    return [float(value) for value in found]
