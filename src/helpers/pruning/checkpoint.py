"""Pruned models as folders: save one, load it again, recognize one that was pruned elsewhere."""

import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from helpers.errors import InputError
from helpers.models.architecture import Decoder
from helpers.models.load import LoadedModel, load
from helpers.models.stored import commonest
from helpers.pruning.drop import drop, dropped_in
from helpers.pruning.rounding import same_numbers

RECIPE_FILE = "pruning.json"


def save(pruned: LoadedModel, folder: Path, recipe: dict[str, Any]) -> None:
    """Write a pruned model as a normal Hugging Face folder, with ``recipe`` (JSON) beside it.

    Masked weights are stored as they are. Dropped sublayers are stored as zeros, which add
    nothing in plain transformers either, and named in the recipe file, so that
    :func:`load_pruned` really drops them. The folder appears whole or not at all; one that is
    there already raises :class:`InputError`.
    """
    if folder.exists():
        raise InputError(f"folder {folder} is there already: choose another, nothing was written")
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    places = dropped_in(pruned.decoder)
    described = {"dense": pruned.fingerprint, "dropped": places, "recipe": recipe}
    try:
        model: Any = pruned.model
        model.save_pretrained(work, state_dict=_with_zeros(pruned) if places else None)
        pruned.tokenizer.save_pretrained(work)
        (work / RECIPE_FILE).write_text(json.dumps(described, indent=1), encoding="utf-8")
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _with_zeros(pruned: LoadedModel) -> dict[str, Tensor]:
    """The model's weights, and zeros for those of dropped sublayers."""
    kind: Any = type(pruned.model)
    with torch.device("meta"):
        stock = kind(pruned.model.config)
    present = pruned.model.state_dict()
    absent = {
        name: torch.zeros(weight.shape, dtype=_dtype(pruned.model), device="cpu")
        for name, weight in stock.state_dict().items()
        if name not in present
    }
    return present | absent


def _dtype(model: Any) -> torch.dtype:
    return next(model.parameters()).dtype


def load_pruned(
    folder: str, revision: str = "main", dtype: str = "float32", device: str = "auto"
) -> LoadedModel:
    """A model that :func:`save` wrote, its dropped sublayers dropped again; or any other model."""
    loaded = load(folder, revision, dtype, device)
    gone = dropped_in(loaded.decoder)  # as its configuration says
    named = ((int(layer), kind) for layer, kind in read_recipe(folder).get("dropped", ()))
    places = tuple(place for place in named if place not in gone)
    return replace(loaded, decoder=drop(loaded.decoder, places)) if places else loaded


def read_recipe(folder: str) -> dict[str, Any]:
    """What the recipe file of a folder says; empty if it has none."""
    path = Path(folder) / RECIPE_FILE
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from None
    return dict(found) if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Differences:
    """What a checkpoint changed of its dense parent.

    ``table`` has one row per weight that differs: ``layer`` (−1 outside the layers), ``sublayer``
    (attention, mlp or other), ``weight``, ``size``, ``zeroed`` (share of the parent's non-zero
    entries that are zero now) and ``changed`` (share of its non-zero entries that are another
    number now). ``formats`` are those that most weights of the parent and the checkpoint are
    stored in, such as bfloat16; rounding from one to the other is no difference.
    """

    table: pd.DataFrame
    dropped: tuple[tuple[int, str], ...]
    formats: tuple[str, str]

    @property
    def summary(self) -> str:
        """One line in words, for the log and the page."""
        ours, theirs = self.formats
        rounded = f"stored in {theirs}, the model in {ours}" if ours != theirs else ""
        if self.table.empty:
            copy = f"a copy of the model, {rounded}" if rounded else "an exact copy of the model"
            return f"the checkpoint is {copy}"
        size = self.table["size"].sum()
        zeroed, changed = (
            (self.table[name] * self.table["size"]).sum() / size for name in ("zeroed", "changed")
        )
        parts = [f"{len(self.table)} weights differ"]
        if self.dropped:
            words = ", ".join(f"layer {layer} {kind}" for layer, kind in self.dropped)
            parts.append(f"sublayers without effect: {words}")
        parts.append(f"{zeroed:.1%} of their entries are zero now")
        parts.append(f"{changed:.1%} are other numbers")
        if rounded:
            parts.append(f"{rounded}: rounding is not counted")
        return "; ".join(parts)


def differences(dense: LoadedModel, checkpoint: LoadedModel) -> Differences:
    """Compare a checkpoint with its parent, weight by weight, before anything is measured.

    Raises :class:`InputError` if the checkpoint is no pruned version of the parent: another
    architecture, weight of another shape, or tokenizer.
    """
    _refuse_stranger(dense, checkpoint)
    ours = dict(dense.model.named_parameters())
    theirs = dict(checkpoint.model.named_parameters())
    gone = dropped_in(checkpoint.decoder)
    places = _places(dense.decoder)
    rows = []
    for name, weight in ours.items():
        layer, sublayer = places.get(name, (-1, "other"))
        other = theirs.get(name)
        if other is None and (layer, sublayer) not in gone:
            raise InputError(f"the checkpoint has no weight {name}: it is no pruned version")
        if other is not None and other.shape != weight.shape:
            raise InputError(
                f"the checkpoint is no pruned version of the model: {name} has shape "
                f"{tuple(other.shape)}, not {tuple(weight.shape)}"
            )
        found = (1.0, 0.0)
        if other is not None:
            stored = _format(dense, name), _format(checkpoint, name)
            found = _compare(weight, other, same_numbers(weight, other, stored))
        if any(found):
            short = name.rsplit(".", 2)[-2]
            rows.append((layer, sublayer, short, weight.numel(), *found))
    columns = ["layer", "sublayer", "weight", "size", "zeroed", "changed"]
    table = pd.DataFrame(rows, columns=columns)
    return Differences(
        table, gone or _without_effect(checkpoint.decoder), (_formats(dense), _formats(checkpoint))
    )


def _format(loaded: LoadedModel, name: str) -> torch.dtype:
    """The format that a weight is stored in, or the one it has where that is not known."""
    return loaded.stored.get(name) or loaded.model.get_parameter(name).dtype


def _formats(loaded: LoadedModel) -> str:
    usual = commonest(_format(loaded, name) for name, _ in loaded.model.named_parameters())
    return str(usual).removeprefix("torch.")


def _compare(weight: Tensor, other: Tensor, same: Tensor) -> tuple[float, float]:
    """Shares of the non-zero entries that are zero now, and that are another number now."""
    zero = other.to(weight.device) == 0
    count = max(int((weight != 0).sum()), 1)
    return int((zero & ~same).sum()) / count, int((~zero & ~same).sum()) / count


def refuse_other_head(dense: LoadedModel, checkpoint: LoadedModel) -> None:
    """:class:`InputError` if a checkpoint's head holds other numbers: logits of both models are
    compared through one head, which pruning leaves as it is."""
    pairs = [(one.decoder.head.weight, one.decoder.head.bias) for one in (dense, checkpoint)]
    names = [
        {id(weight): name for name, weight in one.model.named_parameters()}
        for one in (dense, checkpoint)
    ]
    for own, other in zip(*pairs, strict=True):
        if own is None or other is None:
            same = own is other
        else:
            stored = _format(dense, names[0][id(own)]), _format(checkpoint, names[1][id(other)])
            same = bool(same_numbers(own, other, stored).all())
        if not same:
            raise InputError(
                "the checkpoint changed the LM head (or the embedding tied to it): give one that "
                "was pruned between embedding and head"
            )


def _refuse_stranger(dense: LoadedModel, checkpoint: LoadedModel) -> None:
    for what, ours, theirs in (
        ("architecture", *(_config(one).model_type for one in (dense, checkpoint))),
        ("number of layers", *(len(one.decoder.layers) for one in (dense, checkpoint))),
        ("width", *(one.decoder.hidden_size for one in (dense, checkpoint))),
        ("vocabulary size", *(one.decoder.vocabulary_size for one in (dense, checkpoint))),
    ):
        if ours != theirs:
            raise InputError(
                f"the checkpoint is no pruned version of the model: its {what} is {theirs}, "
                f"not {ours}"
            )
    if dense.tokenizer.get_vocab() != checkpoint.tokenizer.get_vocab():
        raise InputError(
            "the checkpoint has another tokenizer than the model: give the folder of a model "
            "that was pruned from it"
        )


def _config(loaded: LoadedModel) -> Any:
    return loaded.model.config


def _places(decoder: Decoder) -> dict[str, tuple[int, str]]:
    """Layer and sublayer of each parameter name."""
    by_identity = {id(weight): name for name, weight in decoder.model.named_parameters()}
    return {
        by_identity[id(weight)]: (sublayer.layer, sublayer.kind)
        for sublayer in decoder.sublayers
        for weight in (*sublayer.weights("norm"), *sublayer.weights("body"))
    }


def _without_effect(decoder: Decoder) -> tuple[tuple[int, str], ...]:
    """Sublayers whose weights, norms apart, are all zero: they add nothing."""
    return tuple(
        (sublayer.layer, sublayer.kind)
        for sublayer in decoder.sublayers
        if sublayer.weights("body") and not any(w.any() for w in sublayer.weights("body"))
    )
