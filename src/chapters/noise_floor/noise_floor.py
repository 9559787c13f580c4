"""How far does a model deviate from itself, when only the way of computing it changes?"""

import sys
from collections.abc import Callable
from functools import cache

import pandas as pd
import torch
from tqdm import tqdm

from chapters.noise_floor.double import float64_throughout, load_float64
from chapters.noise_floor.readings import Reading, Text, alone, together, token_by_token
from chapters.noise_floor.side_by_side import Condition, View, compare
from helpers.decoding import end_tokens, greedy, refuse_too_long
from helpers.errors import InputError
from helpers.machine import threads
from helpers.models.load import LoadedModel, load, model_facts
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
    device = loaded.decoder.device
    ids, mask = tokenize((prompt,), loaded.tokenizer, parameters.chat_template, device)
    refuse_too_long(loaded.model, ids.shape[1] + parameters.max_new_tokens)
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
