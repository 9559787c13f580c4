"""The experiments that exercises change: each a table, measured live or looked up.

``experiment("forms", pruned="Drop-2M")`` measures on the embedded model. Where that model does not
load, rows that were measured before stand in (``tables/NAME.csv``, written by
``python -m course.experiments``), for the values in the experiment's grid.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import helpers.api as api
from helpers.errors import InputError
from helpers.evaluation.asking import asked, last_states
from helpers.evaluation.probing import probe_rows
from helpers.models.known import EMBEDDED
from helpers.models.load import LoadedModel
from helpers.pruning.drop import Place
from helpers.pruning.masks import unstructured
from helpers.pruning.methods import magnitude, wanda
from helpers.pruning.selection import DropTarget
from helpers.texts.probes import Probe, probes

TEXTS = (
    "The capital of France is",
    "Water boils when it is",
    "Once upon a time there was",
    "The opposite of cold is",
    "Two plus two is",
    "The sun rises in the",
)
# In these the dense model lies above its floor in both forms, so there is something to lose.
FAMILIES = "capitals,kinds,languages,opposites,past_tense,plurals,reading"
QUESTIONS = 8  # of each
TOKENS = 32
LIKELIEST = 200
WINDOWS, WINDOW = 8, 256
DIGITS = 6
AMOUNTS = tuple(tenths / 10 for tenths in range(1, 10))
DROPPED = ("Drop-1M", "Drop-2M", "Drop-3M", "Drop-4M", "Drop-2A", "Drop-4A", "Drop-8A")
TARGETS: dict[str, DropTarget] = {"A": "attention", "M": "mlp", "B": "block"}


@dataclass(frozen=True)
class Experiment:
    """A function that measures, of a model and the grid's names, and the grid that is kept."""

    measure: Callable[..., pd.DataFrame]
    grid: dict[str, tuple[Any, ...]]


def experiment(name: str, **asked_for: Any) -> pd.DataFrame:
    """The rows of an experiment, such as ``experiment("spaces", pruned="Drop-2M")``.

    :class:`InputError` for a name or a value that there is not.
    """
    if name not in EXPERIMENTS:
        raise InputError(f"there is no experiment {name!r}: there are {', '.join(EXPERIMENTS)}")
    grid = EXPERIMENTS[name].grid
    if asked_for.keys() != grid.keys():
        raise InputError(f"experiment {name!r} takes {', '.join(grid) or 'nothing else'}")
    if model_here() is None:
        return stored(name, **asked_for)
    return _measured(name, tuple(asked_for.items())).copy()


@cache
def model_here() -> LoadedModel | None:
    """The embedded model, or None, saying once why it does not load."""
    try:
        return api.load(EMBEDDED, device="cpu")
    except (InputError, MemoryError) as error:
        print(
            f"Rows that were measured before stand in for the model, which does not load: {error}"
        )
        return None


def the_model() -> LoadedModel:
    """The embedded model, where it is known to load."""
    model = model_here()
    assert model is not None
    return model


def stored(name: str, **asked_for: Any) -> pd.DataFrame:
    """Rows of an experiment that were measured before; :class:`InputError` names the grid."""
    rows = _table(name)
    for key, value in asked_for.items():
        known = EXPERIMENTS[name].grid[key]
        if value not in known:
            raise InputError(f"without the model, {key} is one of {', '.join(map(str, known))}")
        rows = rows[rows[key] == value]
    return rows.drop(columns=list(asked_for)).reset_index(drop=True)


@cache
def _table(name: str) -> pd.DataFrame:
    file = resources.files("course").joinpath("tables", f"{name}.csv")
    with file.open(encoding="utf-8") as text:
        return pd.read_csv(text, keep_default_na=False, na_values={"kl": [""]})


@cache
def _measured(name: str, asked_for: tuple[tuple[str, Any], ...]) -> pd.DataFrame:
    with torch.inference_mode():
        return EXPERIMENTS[name].measure(the_model(), **dict(asked_for)).reset_index(drop=True)


def changed(model: LoadedModel, pruned: str) -> AbstractContextManager[LoadedModel]:
    """The model inside a context with ``pruned`` done to it: dense, or such as Drop-2M, the two
    MLPs that turn the residual stream least (A: attention, B: blocks)."""
    if pruned == "dense":
        return nullcontext(model)
    return api.dropped(model, _least(pruned))


@cache
def _least(pruned: str) -> tuple[Place, ...]:
    found = re.fullmatch(r"Drop-(\d+)([AMB])", pruned)
    if not found:
        raise InputError(f"pruned={pruned!r} is unknown: write dense, or such as Drop-2M, Drop-4A")
    return api.least_important(the_model(), TARGETS[found[2]], int(found[1]), _calibration())


@cache
def _calibration() -> Any:
    return api.calibration(the_model(), samples=WINDOWS, length=WINDOW)


def forms(model: LoadedModel, pruned: str) -> pd.DataFrame:
    """Each probe asked as a choice and in writing: ``item``, ``family``, ``form`` (choice,
    generation), ``right`` (0 or 1), and ``chance``, what guessing scores."""
    chosen = probes(FAMILIES, each=QUESTIONS)
    named = ("choice, prefix", "generation, prefix")
    with changed(model, pruned) as rest:
        rows = probe_rows(rest.decoder, model.tokenizer, chosen, True, forms=named)
    rows["form"] = rows["form"].str.removesuffix(", prefix")
    rows["right"] = rows["value"].astype(int)
    return rows[["item", "family", "form", "right", "chance"]]


def next_token(model: LoadedModel, text: str) -> pd.DataFrame:
    """The likeliest two hundred tokens after ``text``: ``token`` and ``logit``."""
    decoder = model.decoder
    states = api.hidden_states(model, [text])[-1]
    logits = decoder.head.logits(decoder.final_norm(states))[0].float()
    best = logits.topk(LIKELIEST)
    words = [model.tokenizer.decode([token]) for token in best.indices.tolist()]
    return pd.DataFrame({"token": words, "logit": best.values.double().numpy()})


def spaces(model: LoadedModel, pruned: str, temperature: float) -> pd.DataFrame:
    """How far the last states of six texts are from the dense ones: ``text`` (its number),
    ``space`` and ``deviation`` (1 − cos), with ``kl`` in nats in the probability space."""
    with changed(model, pruned) as rest:
        states = api.hidden_states(rest, TEXTS)[-1:]
    apart = api.compare(
        api.hidden_states(model, TEXTS)[-1:], states, model, temperature=temperature
    )
    return apart.rename(columns={"angular": "deviation"})[["text", "space", "deviation", "kl"]]


def without_one(model: LoadedModel, sublayer: str) -> pd.DataFrame:
    """One ``sublayer`` (attention or mlp) left out after the other: ``layer``, ``space`` and the
    mean ``deviation`` (1 − cos) over six texts at the model's last state."""
    dense, parts = api.hidden_states(model, TEXTS)[-1:], []
    for layer in range(len(model.decoder.layers)):
        with api.dropped(model, [(layer, sublayer)]) as rest:  # type: ignore[list-item]
            apart = api.compare(dense, api.hidden_states(rest, TEXTS)[-1:], model)
        means = apart.groupby("space", as_index=False, sort=False)["angular"].mean()
        parts.append(means.rename(columns={"angular": "deviation"}).assign(layer=layer))
    return pd.concat(parts)[["layer", "space", "deviation"]]


def written(model: LoadedModel, pruned: str) -> pd.DataFrame:
    """What is written after each of six texts, the likeliest token each time: ``text`` (its
    number), ``step``, ``token`` and the ``word`` that it stands for."""
    with changed(model, pruned) as rest:
        said = api.generate(rest, TEXTS, tokens=TOKENS, chat=False)
    rows = [
        {"text": text, "step": step, "token": token, "word": model.tokenizer.decode([token])}
        for text, words in enumerate(said)
        for step, token in enumerate(model.tokenizer(words, add_special_tokens=False)["input_ids"])
    ]
    return pd.DataFrame(rows)


def ladder(model: LoadedModel, pruned: str) -> pd.DataFrame:
    """Where each capital's first token stands among all tokens: ``item``, ``rank`` (from 1), and
    how many tokens there are (``vocabulary``)."""
    chosen = probes("capitals")
    found = [_first(model, probe) for probe in chosen]
    with changed(model, pruned) as rest:
        states = last_states(rest.decoder, [[one.context] for one in found])[:, 0]
        logits = model.decoder.head.logits(states).float()
    rows = [
        {"item": probe.id, "rank": int((row > row[one.tokens[0]]).sum()) + 1}
        for probe, one, row in zip(chosen, found, logits, strict=True)
        if one.tokens[0] is not None
    ]
    return pd.DataFrame(rows).assign(vocabulary=logits.shape[-1])


def _first(model: LoadedModel, probe: Probe) -> Any:
    answers = [probe.answer, *(one for one in probe.options if one != probe.answer)]
    return asked(model.tokenizer, probe.question, probe.prefix, answers, True)


def one_matrix(model: LoadedModel, method: str) -> pd.DataFrame:
    """What pruning one matrix, the down-projection of the middle layer's MLP, does to its output:
    ``amount`` of weights that go and ``error``, the distance of the output from the dense one over
    its length, on calibration text."""
    mlp: Any = model.decoder.layers[len(model.decoder.layers) // 2].mlp
    layer = mlp.down_proj
    seen: list[torch.Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].flatten(0, 1)))
    try:
        model.model(_calibration().ids[:2])
    finally:
        hook.remove()
    inputs, weight = seen[0].double(), layer.weight.double()
    dense = inputs @ weight.T
    norms = inputs.norm(dim=0)
    scores = magnitude(weight) if method == "magnitude" else wanda(weight, norms)
    rows = []
    for amount in AMOUNTS:
        keep = unstructured(scores, amount, "layer" if method == "magnitude" else "row")
        error = (inputs @ (weight * keep).T - dense).norm() / dense.norm()
        rows.append({"amount": amount, "error": float(error)})
    return pd.DataFrame(rows)


EXPERIMENTS = {
    "forms": Experiment(forms, {"pruned": ("dense", *DROPPED)}),
    "next_token": Experiment(next_token, {"text": TEXTS[:3]}),
    "spaces": Experiment(
        spaces, {"pruned": ("Drop-2M", "Drop-4A"), "temperature": (0.5, 1.0, 2.0, 4.0)}
    ),
    "without_one": Experiment(without_one, {"sublayer": ("attention", "mlp")}),
    "written": Experiment(written, {"pruned": ("dense", *DROPPED)}),
    "ladder": Experiment(ladder, {"pruned": ("dense", *DROPPED)}),
    "one_matrix": Experiment(one_matrix, {"method": ("magnitude", "wanda")}),
}


def measured(name: str) -> pd.DataFrame:
    """Every row of an experiment's grid, measured now; the values asked for are columns."""
    grid, parts = EXPERIMENTS[name].grid, []
    for values in product(*grid.values()):
        asked_for = dict(zip(grid, values, strict=True))
        parts.append(_measured(name, tuple(asked_for.items())).assign(**asked_for))
    return pd.concat(parts)[[*grid, *(column for column in parts[0] if column not in grid)]]


def main(names: Sequence[str] = ()) -> None:
    """Measure the experiments ``names``, or all, and write what stands in for the model."""
    for name in names or EXPERIMENTS:
        path = Path(__file__).parent / "tables" / f"{name}.csv"
        measured(name).to_csv(path, index=False, float_format=f"%.{DIGITS}g", lineterminator="\n")
        print(f"Wrote {path}")


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
