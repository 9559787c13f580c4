"""What one does with a model of one's own: load, prune, look into it, write, score, save.

``from helpers import load, pruned, …`` gives the names of this module, each imported when it is
asked for. Everything takes what :func:`load` returns and works on models of every architecture
that :data:`helpers.models.LAYOUTS` lists. What is asked for and cannot be had raises
:class:`helpers.errors.InputError` with one line that says what would be right.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor

from helpers.capture import Pair
from helpers.capture.resume import states_between
from helpers.decoding import Sampler, end_tokens, likeliest, refuse_too_long, write
from helpers.errors import InputError, refused
from helpers.models.load import LoadedModel
from helpers.pruning import apply, checkpoint, selection
from helpers.pruning import drop as sublayers_of
from helpers.pruning.drop import Place
from helpers.pruning.methods import METHODS
from helpers.pruning.recipe import Recipe
from helpers.pruning.report import Report
from helpers.pruning.selection import DropTarget
from helpers.spaces import LENSES, Comparison, PairIndex, Space
from helpers.texts.calibration import Calibration, calibration_text
from helpers.texts.data import Prompt, tokenize

Lens = Literal["normed", "raw"]
METRICS = ("cosine", "angular", "parallel", "orthogonal", "kl")


def load(
    name: str, *, revision: str = "main", dtype: str = "float32", device: str = "auto"
) -> LoadedModel:
    """The model ``name``, ready to run and frozen, with ``model``, ``tokenizer`` and ``decoder``.

    ``name`` is ``smollm2-135m``, which comes with the book, a folder with ``config.json`` and
    safetensors, or a hub id. A folder that :func:`save` wrote has its dropped sublayers dropped
    again. ``dtype``: float32, bfloat16, float16 or float64; ``device``: auto, cpu, cuda, cuda:N,
    mps or spread (over all GPUs). Code from the hub is never run, pickled weights are never read.
    """
    return checkpoint.load_pruned(name, revision, dtype, device)


def calibration(
    model: LoadedModel,
    source: str = "embedded",
    samples: int = 32,
    length: int = 512,
    seed: int = 0,
) -> Calibration:
    """``samples`` windows of ``length`` tokens that methods may look at, drawn with ``seed``.

    ``source``: ``embedded`` (Wikipedia passages), ``c4`` or ``wikitext`` from the hub, or a
    ``.txt``, ``.json`` or ``.jsonl`` file.
    """
    known = model.decoder.embedded_tokens
    return calibration_text(model.tokenizer, source, samples, length, seed, known)


def prune(
    model: LoadedModel,
    method: str,
    amount: float | str = 0.5,
    *,
    text: Calibration | None = None,
    structure: str = "",
    targets: str = "all",
    seed: int = 0,
) -> Report:
    """Set weights of ``model`` to zero, for good, and return the account of what went.

    ``method``: a name in :data:`helpers.pruning.methods.METHODS`. ``amount``: a share such as
    0.5, or a pattern such as ``"2:4"``, which keeps 2 of every 4 inputs. ``text``: what calibrated
    methods look at, by default :func:`calibration`. ``structure``: empty for single weights,
    ``heads`` or ``neurons``. ``targets``: attention, mlp or all. ``seed`` is of the random control
    and of the default text. Layers are pruned in order, each on what the pruned ones below give.
    """
    recipe, used = _recipe(model, method, amount, text, structure, targets, seed)
    return apply.prune(model.decoder, recipe, used)


@contextmanager
def pruned(
    model: LoadedModel,
    method: str,
    amount: float | str = 0.5,
    *,
    text: Calibration | None = None,
    structure: str = "",
    targets: str = "all",
    seed: int = 0,
) -> Iterator[Report]:
    """As :func:`prune` inside the context; afterwards, also after an exception, the dense weights
    are back bit for bit."""
    recipe, used = _recipe(model, method, amount, text, structure, targets, seed)
    with apply.pruned(model.decoder, recipe, used) as report:
        yield report


def least_important(
    model: LoadedModel, target: DropTarget, count: int, text: Calibration | None = None
) -> tuple[Place, ...]:
    """The ``count`` sublayers that turn the residual stream least on calibration ``text``, least
    first: each a layer and ``"attention"`` or ``"mlp"``.

    ``target``: attention, mlp, block (both of a layer, counted once) or all.
    """
    used = text or calibration(model)
    return selection.select(model.decoder, used.ids, target, count)


def drop(model: LoadedModel, sublayers: Iterable[Place]) -> LoadedModel:
    """Take ``sublayers``, such as ``[(3, "mlp")]``, out of ``model.model`` for good: they add
    nothing, cost nothing, and their weights are released. Returns the view of what is left, in
    place of which ``model`` must not be used any more."""
    return replace(model, decoder=sublayers_of.drop(model.decoder, sublayers))


@contextmanager
def dropped(model: LoadedModel, sublayers: Iterable[Place]) -> Iterator[LoadedModel]:
    """As :func:`drop` inside the context, which gives the view of what is left; afterwards, also
    after an exception, the stock modules are back untouched."""
    with sublayers_of.dropped(model.decoder, sublayers) as rest:
        yield replace(model, decoder=rest)


def hidden_states(model: LoadedModel, texts: Sequence[str], *, chat: bool = False) -> Tensor:
    """The residual stream (L + 1, N, d) at the last token of each of N ``texts``, in the model's
    dtype: what each of L layers reads, and what the last one leaves, before the final norm.

    ``chat`` wraps each text in the tokenizer's chat template, ready for an answer.
    """
    between = states_between(model.decoder, *_tokens(model, texts, chat))
    return torch.stack([states[:, -1] for states in between])


@torch.inference_mode()
def compare(
    dense: Tensor,
    pruned: Tensor,
    model: LoadedModel,
    *,
    temperature: float = 1.0,
    lens: Lens = "normed",
) -> pd.DataFrame:
    """How far ``pruned`` states are from ``dense`` ones, both (S, N, d) as :func:`hidden_states`
    gives them, in the embedding, the logit and the probability space of ``model``'s head.

    One row for each state, text and space, with columns ``state`` (0 to S − 1), ``text`` (0 to
    N − 1), ``space``, ``cosine``, ``angular`` (1 − cos, without cancellation), ``parallel`` and
    ``orthogonal`` (parts of Δ = pruned − dense along and across dense, over its length), and
    ``kl``, KL(dense‖pruned) in nats (NaN outside the probability space); float64. ``lens``:
    through the final norm, as the model's output is made, or ``raw``. ``temperature`` divides the
    logits on the way to probabilities. Equal states deviate by exactly 0.
    """
    if dense.shape != pruned.shape or dense.dim() != 3:
        raise InputError(
            f"states of {tuple(dense.shape)} and {tuple(pruned.shape)} cannot be compared: both "
            "take the shape (states, texts, width)"
        )
    if 0 in dense.shape:
        raise InputError(
            f"states of {tuple(dense.shape)} are none: give at least one state and one text"
        )
    if dense.shape[2] != model.decoder.hidden_size:
        raise InputError(
            f"states of width {dense.shape[2]} are not of {model.name}: give the model that they "
            f"are of, or states of width {model.decoder.hidden_size}"
        )
    if lens not in LENSES:
        raise InputError(f"unknown lens {lens!r}: known are {', '.join(LENSES)}")
    if not isinstance(temperature, Real) or not 0 < temperature < inf:
        raise InputError(
            f"temperature={temperature!r} divides logits: give a finite number above 0"
        )
    decoder, count = model.decoder, len(dense)
    comparison = Comparison(decoder.head, decoder.final_norm, temperature)
    pairs = tuple(Pair(state, "mlp", state, count + state) for state in range(count))
    parts = []
    for text in range(dense.shape[1]):
        states = torch.cat([dense[:, text], pruned[:, text]]).to(decoder.device)
        index = PairIndex.of(pairs, states)
        seen = decoder.final_norm(states).to(states.device) if lens == "normed" else states
        found = comparison.through(lens, seen, decoder.head.logits(seen), index)
        for space in ("embedding", "logit", "probability"):
            metrics = found[Space(space, lens)]
            columns = {name: metrics[name].cpu() for name in METRICS if name in metrics}
            part = pd.DataFrame({"state": range(count), "text": text, "space": space} | columns)
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def generate(
    model: LoadedModel,
    prompts: Sequence[str],
    *,
    tokens: int = 64,
    temperature: float = 0.0,
    seed: int = 0,
    chat: bool = True,
) -> list[str]:
    """What ``model`` writes after each of the ``prompts``: at most ``tokens`` tokens.

    ``temperature`` 0 takes the likeliest token each time; above, tokens are drawn from
    softmax(z / temperature) with noise that depends on ``seed``, prompt and step alone, so that
    dense and pruned models draw from the same luck. ``chat`` wraps each prompt in the tokenizer's
    chat template; without it the model goes on with the prompt.
    """
    _refuse_below(1, tokens=tokens)
    _refuse_below(0, seed=seed)
    if not isinstance(temperature, Real) or not 0 <= temperature < inf:
        raise InputError(
            f"temperature={temperature!r} cannot be drawn at: give 0, which takes the likeliest "
            "token, or a finite number above 0"
        )
    ids, mask = _tokens(model, prompts, chat)
    refuse_too_long(model.model, ids.shape[1] + tokens, "tokens")
    drawn = Sampler([(seed, prompt) for prompt in prompts], temperature) if temperature else None
    ends = end_tokens(model.model, model.tokenizer)
    written = write(model.decoder, ids, mask, tokens, ends, drawn or likeliest, model.name)
    return [model.tokenizer.decode(each, skip_special_tokens=True) for each in written]


@dataclass(frozen=True)
class Score:
    """A score on a task: ``value`` is the mean over ``n`` questions, from 0 to 1, with the
    standard error ``stderr`` (None of one question); ``chance`` is what guessing scores. ``items``
    has one row per question, with ``item`` (its id), ``answer`` and ``value``."""

    task: str
    metric: str
    value: float
    stderr: float | None
    n: int
    chance: float
    items: pd.DataFrame


def score(
    model: LoadedModel,
    task: str,
    *,
    items: int = 100,
    shots: int = 0,
    seed: int = 0,
    folder: str = "",
    max_answer_tokens: int = 0,
    batch_size: int = 16,
    run_code: bool = False,
    chat: bool = False,
) -> Score:
    """What ``model`` scores on ``items`` questions (0: all) of a ``task`` of lm-eval, as lm-eval
    asks and scores them.

    Known tasks are those of :data:`helpers.evaluation.tasks.TASKS`, among them boolq, mmlu, piqa,
    commonsense_qa and asdiv, whose questions come with the book. ``folder`` holds questions of
    one's own as ``TASK/SPLIT.jsonl``. Each question follows ``shots`` worked examples; ``seed``
    decides which questions and examples, the same for every model. A written answer has at most
    ``max_answer_tokens`` (0: as many as the task allows). ``run_code`` allows tasks such
    as humaneval, which run programs that the model writes, in a sandbox; without it they are
    refused. ``chat`` asks in the tokenizer's chat template, as lm-eval's ``apply_chat_template``.
    """
    with refused("scores need what the extra 'lab' leaves out", 'pip install ".[book]"'):
        from helpers.evaluation.harness import answer
        from helpers.evaluation.paired import standard_error
        from helpers.evaluation.shared_context import language_model
        from helpers.evaluation.tasks import TASKS, refuse_programs

    _refuse_below(0, items=items, shots=shots, max_answer_tokens=max_answer_tokens)
    _refuse_below(1, batch_size=batch_size)
    if task not in TASKS:
        raise InputError(f"unknown task {task!r}: known are {', '.join(TASKS)}")
    refuse_programs(TASKS[task], run_code)
    asked = language_model(model, batch_size)
    asked.template_switch = "chat"
    found = answer(
        *(asked, TASKS[task], items, shots, seed, folder),
        max_answer_tokens=max_answer_tokens,
        chat_template=chat,
    )
    values = found["value"]
    return Score(
        task=task,
        metric=TASKS[task].metric,
        value=float(values.mean()),
        stderr=standard_error(values),
        n=len(values),
        chance=float(found["chance"].mean()),
        items=found[["item", "answer", "value"]],
    )


def save(model: LoadedModel, folder: str | Path, **recipe: Any) -> None:
    """Write a pruned ``model`` as a folder that transformers and :func:`load` open, whole or not at
    all; one that is there already is refused. What was done may stand beside it as ``recipe``.

    Dropped sublayers are stored as zeros, which add nothing elsewhere, and are dropped again by
    :func:`load`.
    """
    checkpoint.save(model, Path(folder), recipe)


def _recipe(
    model: LoadedModel,
    method: str,
    amount: float | str,
    text: Calibration | None,
    structure: str,
    targets: str,
    seed: int,
) -> tuple[Recipe, Calibration | None]:
    """What is to be done, and the text that it needs; errors before any text is read."""
    ratio, pattern = (None, amount) if isinstance(amount, str) else (amount, "")
    recipe = Recipe(method, ratio, pattern, structure, targets, seed)
    if METHODS[method].calibrated and text is None:
        text = calibration(model, seed=seed)
    return recipe, text


def _refuse_below(least: int, **given: int) -> None:
    """:class:`InputError` for the first argument that is no whole number from ``least``."""
    for name, value in given.items():
        if not isinstance(value, Integral) or value < least:
            raise InputError(f"{name}={value!r} is not possible: give a whole number from {least}")


def _tokens(model: LoadedModel, texts: Sequence[str], chat: bool) -> tuple[Tensor, Tensor]:
    """Ids and mask (N, T), padded on the left, on the model's device."""
    if isinstance(texts, str) or not len(texts):
        raise InputError('no texts: it takes a list, such as ["Why is the sky blue?"]')
    prompts = tuple(Prompt("", "", text) for text in texts)
    device, known = model.model.device, model.decoder.embedded_tokens
    return tokenize(prompts, model.tokenizer, chat, device, known, switch="chat")
