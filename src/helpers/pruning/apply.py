"""Score, mask, apply: prune a model in place, and take it back bit for bit."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from helpers.errors import InputError
from helpers.models.architecture import Decoder
from helpers.pruning import masks
from helpers.pruning.calibrate import walk
from helpers.pruning.methods import METHODS, Evidence
from helpers.pruning.recipe import Recipe
from helpers.pruning.report import Report
from helpers.pruning.statistics import STATISTICS, widest
from helpers.pruning.structured import COUNTED, STRUCTURES, find_groups, keep_groups, mask_of
from helpers.pruning.weights import LinearWeight, prunable
from helpers.texts.calibration import Calibration

Statistics = dict[str, Any]


@contextmanager
def pruned(
    decoder: Decoder,
    recipe: Recipe,
    calibration: Calibration | None = None,
    *,
    sequential: bool = True,
    token_budget: int | None = None,
    keep_masks: bool = False,
    progress: bool = True,
) -> Iterator[Report]:
    """Inside the context ``decoder``'s model is pruned in place; on leaving it, also by an
    exception, the dense weights are back bit for bit.

    ``sequential`` and ``token_budget`` as in :func:`helpers.pruning.calibrate.walk`. The dense
    copies wait in the host's memory. ``keep_masks`` keeps every mask in the report. Raises
    :class:`InputError` for a recipe that does not fit the model, before anything is changed.
    """
    applier = _Applier(decoder, recipe, calibration, keep_masks)
    try:
        applier.run(sequential, token_budget, progress)
        yield applier.report
    finally:
        applier.restore()


def prune(
    decoder: Decoder,
    recipe: Recipe,
    calibration: Calibration | None = None,
    *,
    sequential: bool = True,
    token_budget: int | None = None,
    keep_masks: bool = False,
    progress: bool = True,
    reversible: bool = True,
) -> Report:
    """As :func:`pruned`, for good. If it fails, the model is dense again.

    ``reversible=False`` does without the dense copies, and so without the memory they take; a
    failure half-way then leaves the lower layers pruned.
    """
    applier = _Applier(decoder, recipe, calibration, keep_masks, reversible)
    try:
        applier.run(sequential, token_budget, progress)
    except BaseException:
        applier.restore()
        raise
    return applier.report


@dataclass
class _Applier:
    """One pruning under way: the weights to prune, their dense copies, and the account."""

    decoder: Decoder
    recipe: Recipe
    calibration: Calibration | None
    keep_masks: bool
    reversible: bool = True
    dense: list[tuple[LinearWeight, Tensor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        recipe = self.recipe
        self.method = METHODS[recipe.method]
        if recipe.calibrated and self.calibration is None:
            raise InputError(f"method={recipe.method} needs calibration text")
        self.weights = prunable(self.decoder, STRUCTURES.get(recipe.structure, recipe.targets))
        for linear in self._all_weights():
            if recipe.pattern:
                masks.check_width(recipe.pattern, linear.matrix.shape[1], linear.where)
            if not bool(linear.matrix.isfinite().all()):
                raise InputError(f"{linear.where} holds weights that are NaN or infinite")
        self._refuse_nothing()
        used = self.calibration.description if self.calibration and recipe.calibrated else "none"
        self.report = Report(str(recipe), used, self.decoder.parameter_count)

    def _refuse_nothing(self) -> None:
        """:class:`InputError` if a share above 0 is asked for and not one of anything goes."""
        share = self.recipe.ratio
        largest = max(self._group_sizes(), default=0) if share else 0
        if not share or masks.removal_count(share, largest):
            return
        whole = COUNTED.get(self.recipe.structure) or f"weights of a {self.method.group}"
        advice = f"ask for at least 1/{largest}" if largest > 1 else "not all of them can go"
        raise InputError(
            f"{self.recipe} removes nothing: {share:g} of {largest} {whole} is less than one; "
            f"{advice}"
        )

    def _group_sizes(self) -> Iterator[int]:
        """How many there are to choose from, wherever a share of them is removed."""
        if self.recipe.structure:
            for linears in filter(None, self.weights):
                yield find_groups(self.decoder, linears, self.recipe.structure).count
        else:
            for linear in self._all_weights():
                rows, columns = linear.matrix.shape
                yield columns if self.method.group == "row" else rows * columns

    def _all_weights(self) -> Iterator[LinearWeight]:
        for linears in self.weights:
            yield from linears

    @torch.no_grad()
    def run(self, sequential: bool, token_budget: int | None, progress: bool) -> None:
        """Prune every layer, with or without calibration text."""
        description = f"Pruning: {self.recipe}"
        if not self.recipe.calibrated:
            hidden = None if progress else True
            for layer in tqdm(range(len(self.weights)), description, unit="layer", disable=hidden):
                self._prune_layer(layer, {})
            return
        assert self.calibration is not None
        walk(
            self.decoder,
            self.calibration,
            self._read_weights(),
            STATISTICS[self.method.statistic],
            self._prune_layer,
            sequential=sequential,
            token_budget=token_budget,
            description=description,
            progress=progress,
        )

    def _read_weights(self) -> tuple[tuple[LinearWeight, ...], ...]:
        """Weights whose inputs matter: with a structure only the output projections'."""
        if not self.recipe.structure:
            return self.weights
        structure = self.recipe.structure
        return tuple(
            (find_groups(self.decoder, linears, structure).output.linear,) if linears else ()
            for linears in self.weights
        )

    def _prune_layer(self, layer: int, statistics: Statistics) -> None:
        linears = self.weights[layer]
        if self.recipe.structure and linears:
            self._prune_groups(linears, statistics)
        else:
            for linear in linears:
                # the last weight that reads an input takes its statistic along
                seen = self._evidence(linear, statistics.pop(linear.name, None))
                weight, keep = self.method.remove(seen, self.recipe)
                self._write(linear, weight, keep, self._expected(linear))

    def _evidence(self, linear: LinearWeight, inputs: Any) -> Evidence:
        return Evidence(linear.matrix, inputs, self._generator(linear), linear.where)

    def _expected(self, linear: LinearWeight) -> int:
        """How many weights must go, from the sizes alone."""
        rows, columns = linear.matrix.shape
        if self.recipe.pattern:
            n, m = masks.parse_pattern(self.recipe.pattern)
            return rows * columns // m * (m - n)
        if self.method.group == "row":
            return rows * masks.removal_count(self.recipe.amount, columns)
        return masks.removal_count(self.recipe.amount, rows * columns)

    def _prune_groups(self, linears: tuple[LinearWeight, ...], statistics: Statistics) -> None:
        groups = find_groups(self.decoder, linears, self.recipe.structure)
        output = groups.output.linear
        assert self.method.score is not None
        if self.method.drawn:
            # one number per group, not a sum of many, which would hardly differ between groups
            blank = output.matrix.new_empty((1, groups.count))
            drawn = self.method.score(Evidence(blank, None, self._generator(output)))
            count = masks.removal_count(self.recipe.amount, groups.count)
            keep = masks.keep_highest(drawn, count)[0]
        else:
            score = self.method.score(self._evidence(output, statistics.get(output.name)))
            keep = keep_groups(score.sum(0, dtype=widest(score.device)), groups, self.recipe.amount)
        removed = masks.removal_count(self.recipe.amount, groups.count)
        for part in groups.parts:
            size = part.index.shape[1] * part.linear.matrix.shape[1 - part.axis]
            self._mask(part.linear, mask_of(part, keep), removed * size)

    def _mask(self, linear: LinearWeight, keep: Tensor, expected: int) -> None:
        self._write(linear, linear.matrix.masked_fill(~keep, 0), keep, expected)

    def _write(self, linear: LinearWeight, weight: Tensor, keep: Tensor, expected: int) -> None:
        self.report.add(linear, keep, expected)
        if self.keep_masks:
            self.report.masks[linear.layer, linear.name] = keep.cpu()
        if self.reversible:
            self.dense.append((linear, linear.module.weight.detach().to("cpu", copy=True)))
        linear.write(weight)

    def restore(self) -> None:
        """Write the dense copies back."""
        while self.dense:
            linear, weight = self.dense.pop()
            linear.module.weight.data.copy_(weight)

    def _generator(self, linear: LinearWeight) -> torch.Generator:
        """A generator of its own for each weight, so that what else is pruned changes nothing."""
        words = f"{self.recipe.seed}/{linear.layer}/{linear.name}"
        seed = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big") >> 1
        return torch.Generator(device="cpu").manual_seed(seed)
