"""How far does a model deviate from itself, when only the way of computing it changes?"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from chapters.noise_floor.readings import (
    Reading,
    Text,
    alone,
    float64_throughout,
    load_float64,
    logits_float64,
    together,
    token_by_token,
)
from helpers.capture import Pair
from helpers.decoding import end_tokens, greedy, refuse_too_long
from helpers.errors import InputError
from helpers.machine import threads
from helpers.models.head import Head
from helpers.models.load import LoadedModel, load, model_facts
from helpers.spaces import (
    Metrics,
    PairIndex,
    deviation,
    probability_metrics,
    projected_products,
    vector_products,
)
from helpers.texts.data import Prompt, select_prompts, tokenize
from runs.columns import COUNT, LENS, PROMPT, SPACE, STEP, TEXT, VALUE, Column
from runs.parameters import RunParameters
from runs.store import Measured, measurement

USES = (
    "model",
    "revision",
    "prompts",
    "chat_template",
    "max_new_tokens",
    "temperature",
    "seed",
)
REFERENCE = "reference"
EFFECTS = (REFERENCE, "bfloat16", "float16", "projection", "float64")  # other formats
TABLE = (
    Column(
        "condition",
        TEXT,
        "how the same model read the same tokens: reference (float32, one text at a time, one "
        "pass), again, batch (all texts, padded on the left), cached (token by token), "
        "one_thread, bfloat16, float16, projection (the reference's states, projected in "
        "float64), float64 (throughout)",
    ),
    Column(
        "quantity",
        TEXT,
        "noise: a state against the reference's; effect: the state with a sublayer against the "
        "state without it, in place, both as the condition holds them",
        ("noise", "effect"),
    ),
    PROMPT,
    STEP,
    Column("layer", COUNT, "layer, from 0; -1 for the model's output"),
    Column(
        "sublayer",
        TEXT,
        "the sublayer behind which the state stands",
        ("attention", "mlp", "model"),
    ),
    SPACE,
    LENS,
    Column(
        "metric",
        TEXT,
        "angular (1 − cosine), orthogonal (‖Δ⊥‖/‖h‖), kl (nats), top1 (1 where the likeliest "
        "token differs, else 0)",
        ("angular", "orthogonal", "kl", "top1"),
    ),
    VALUE,
)

KEPT = {
    "embedding": ("angular", "orthogonal"),
    "logit": ("angular", "orthogonal"),
    "probability": ("angular", "orthogonal", "kl", "top1"),
}
WHOLE = Pair(-1, "mlp", 0, 0)  # stands for the model's output: a state that no sublayer owns


@dataclass(frozen=True)
class View:
    """A head, and the precision in which states are projected through it."""

    head: Head
    double: bool = False

    def logits(self, states: Tensor) -> Tensor:
        """Logits (N, V) of states (N, d): float32, or float64 throughout."""
        return logits_float64(self.head, states) if self.double else self.head.logits(states)


@dataclass(frozen=True)
class Condition:
    """One way of reading the texts: its readings, how they are read out, and whether the effects
    of dropping are measured in it too."""

    name: str
    view: View
    readings: list[Reading]
    effects: bool


Way = Callable[[], tuple[View, list[Reading]]]


@measurement(*USES, by_threads=True, tables={"noise": TABLE})
def noise_floor(parameters: RunParameters) -> Measured:
    """Compare a dense model with itself, read in other ways and in other number formats.

    The float32 model writes up to ``max_new_tokens`` tokens after each prompt. From then on the
    tokens are fixed. The reference reads each text alone, in one pass, in float32; every
    condition reads the same tokens in another way. Beside the deviations from the reference
    stand the effects of dropping each sublayer in place, as each condition measures them.

    Table ``noise``. The facts name the conditions that were left out, and why.
    """
    torch.manual_seed(parameters.seed)
    loaded = load(parameters.model, parameters.revision, "float32", parameters.device)
    prompts = select_prompts(parameters.prompts)
    texts = [_written(loaded, prompt, parameters) for prompt in prompts]
    left_out: dict[str, str] = {}
    conditions = _read(loaded, texts, parameters, left_out)
    if REFERENCE in left_out:
        raise InputError(f"the float32 model cannot be measured: {left_out[REFERENCE]}")
    reference, *others = conditions
    for name, why in left_out.items():
        print(f"Left out {name}: {why}", file=sys.stderr)
    frames = []
    for text, prompt in enumerate(tqdm(prompts, "Comparing readings", unit="text")):
        found = compare(reference, [reference, *others], text, parameters.temperature)
        frames.append(found.assign(prompt=prompt.id))
    facts = {
        "model": model_facts(loaded),
        "threads": torch.get_num_threads(),
        "prompts": len(texts),
        "positions": sum(text.steps for text in texts),
        "left_out": left_out,
    }
    return Measured({"noise": _table(frames)}, facts)


def _written(loaded: LoadedModel, prompt: Prompt, parameters: RunParameters) -> Text:
    """The prompt with what the model itself writes after it, read alone."""
    decoder, chat = loaded.decoder, parameters.chat_template
    ids, mask = tokenize((prompt,), loaded.tokenizer, chat, decoder.device, decoder.embedded_tokens)
    refuse_too_long(loaded.model, ids.shape[1] + parameters.max_new_tokens, "max_new_tokens")
    ends = end_tokens(loaded.model, loaded.tokenizer)
    steps = greedy(loaded.model, ids, mask, parameters.max_new_tokens, ends)
    return Text(ids[0], [int(step.tokens) for step in steps])


def _read(
    loaded: LoadedModel, texts: list[Text], parameters: RunParameters, left_out: dict[str, str]
) -> list[Condition]:
    """Every condition, the reference first; ``left_out`` gets those that are missing, and why."""
    conditions = []
    ways = _ways(loaded, texts, parameters)
    left_out |= _without_threads(loaded)
    wanted = {name: way for name, way in ways.items() if name not in left_out}
    bar = tqdm(wanted.items(), unit="way")
    for name, way in bar:
        bar.set_description(f"Reading {len(texts)} texts: {name}")
        try:
            view, readings = way()
        except torch.OutOfMemoryError:
            left_out[name] = "the device has too little memory for it"
            continue
        if all(reading.finite for reading in readings):
            conditions.append(Condition(name, view, readings, name in EFFECTS))
        else:
            left_out[name] = "numbers overflow in this format"
    return conditions


def _ways(loaded: LoadedModel, texts: list[Text], parameters: RunParameters) -> dict[str, Way]:
    """The conditions by name, each read when it is called."""
    decoder, view = loaded.decoder, View(loaded.decoder.head)
    place = parameters.model, parameters.revision

    @cache
    def double() -> LoadedModel:
        return load_float64(*place, parameters.device)

    def on_one_thread() -> list[Reading]:
        with threads(1):
            return alone(decoder, texts)

    def narrow(dtype: str) -> tuple[View, list[Reading]]:
        other = load(*place, dtype, parameters.device)
        return View(other.decoder.head), alone(other.decoder, texts)

    def throughout() -> tuple[View, list[Reading]]:
        with float64_throughout():
            return View(double().decoder.head, double=True), alone(double().decoder, texts)

    reference = alone(decoder, texts)
    return {
        REFERENCE: lambda: (view, reference),
        "again": lambda: (view, alone(decoder, texts)),
        "batch": lambda: (view, together(decoder, texts)),
        "cached": lambda: (view, token_by_token(decoder, texts)),
        "one_thread": lambda: (view, on_one_thread()),
        "bfloat16": lambda: narrow("bfloat16"),
        "float16": lambda: narrow("float16"),
        "projection": lambda: (View(double().decoder.head, double=True), reference),
        "float64": throughout,
    }


def _without_threads(loaded: LoadedModel) -> dict[str, str]:
    """Why there is no run on another number of threads, where there is none."""
    if loaded.decoder.device.type != "cpu":
        return {"one_thread": "the model ran on a GPU, where the CPU's threads do no sums"}
    if torch.get_num_threads() == 1:
        return {"one_thread": "this run was granted one thread, so there is no other number"}
    return {}


def _table(frames: list[pd.DataFrame]) -> pd.DataFrame:
    table = pd.concat(frames, ignore_index=True)
    return table[table["quantity"].eq("effect") | table["condition"].ne(REFERENCE)]


@torch.inference_mode()
def compare(
    reference: Condition, others: list[Condition], text: int, temperature: float
) -> pd.DataFrame:
    """How far each condition lies from the reference at every step of one text.

    Quantity ``noise``: each sublayer's state (raw lens) and the model's output (normed lens,
    layer −1) against the same state of the reference. Quantity ``effect``: a condition's state
    against its own state before the sublayer, in place. All products are summed in float64, and
    equal logits deviate by exactly 0. ``top1`` is 1 where the likeliest token differs.
    """
    frames = []
    mine = reference.readings[text]
    for step in range(len(mine.output)):
        for lens in ("raw", "normed"):
            held, pairs = _at(mine, step, lens)
            z = reference.view.logits(held)
            for other in others:
                theirs, _ = _at(other.readings[text], step, lens)
                both = torch.cat([z, other.view.logits(theirs).to(z.device)])
                theirs = theirs.to(held.device)
                effects = other.effects and lens == "raw"
                found = _metrics(held, theirs, both, pairs, effects, temperature)
                labels = {"condition": other.name, "lens": lens, "step": step}
                frames.append(_frame(found, pairs, effects).assign(**labels))
    return pd.concat(frames, ignore_index=True)


def _at(reading: Reading, step: int, lens: str) -> tuple[Tensor, tuple[Pair, ...]]:
    """States of one step, and which of them the sublayers own: all of them, or the output."""
    if lens == "raw":
        return reading.states[:, step], reading.pairs
    return reading.output[step][None], (WHOLE,)


def _metrics(
    mine: Tensor,
    theirs: Tensor,
    z: Tensor,
    pairs: tuple[Pair, ...],
    effects: bool,
    temperature: float,
) -> dict[str, Metrics]:
    """Metrics by space: K deviations of theirs (S, d) from mine and, if wanted, K effects in
    theirs. ``z`` (2S, V) holds the logits of both, mine first."""
    dense = torch.tensor([pair.dense for pair in pairs], device=z.device)
    pruned = torch.tensor([pair.pruned for pair in pairs], device=z.device)
    count = len(mine)
    number = torch.arange(count, device=z.device)
    row = torch.where((z[:count] == z[count:]).all(-1), number, number + count)
    before, after = dense, row[dense]
    products = vector_products(mine[dense], theirs[dense])
    if effects:
        before, after = torch.cat([before, after]), torch.cat([after, row[pruned]])
        more = vector_products(theirs[dense], theirs[pruned])
        hh, hd, dd = (torch.cat(parts) for parts in zip(products, more, strict=True))
        products = hh, hd, dd
    index = PairIndex(before, after, before == after)
    top = z.argmax(-1)
    return {
        "embedding": deviation(*products),
        "logit": deviation(*projected_products(z, index, False)),
        "probability": probability_metrics(z, index, temperature)
        | {"top1": (top[before] != top[after]).double()},
    }


def _frame(found: dict[str, Metrics], pairs: tuple[Pair, ...], effects: bool) -> pd.DataFrame:
    """One row per number: K noises, then K effects, of each space and metric."""
    kinds = [(space, metric) for space, metrics in KEPT.items() for metric in metrics]
    values = torch.stack([found[space][metric] for space, metric in kinds]).cpu().numpy()
    quantities = ["noise", "effect"] if effects else ["noise"]
    owners = [
        (quantity, pair.layer, "model" if pair is WHOLE else pair.kind)
        for quantity in quantities
        for pair in pairs
    ]
    names = ("quantity", "layer", "sublayer")
    columns = {
        name: np.tile(np.array(column), len(kinds))
        for name, column in zip(names, zip(*owners, strict=True), strict=True)
    }
    columns["space"] = np.repeat([space for space, _ in kinds], len(owners))
    columns["metric"] = np.repeat([metric for _, metric in kinds], len(owners))
    return pd.DataFrame(columns | {"value": values.reshape(-1)})
