"""Which measurements does a run take, in which order? What each notebook asks for, before it runs.

A measurement that takes others comes after them. What depends on what a measurement finds is
answered for a model that is not at its floor, so that a plan is not too short.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from helpers.evaluation import search_sets
from helpers.models.known import EMBEDDED
from helpers.pruning.methods import METHODS
from runs.parameters import RunParameters
from runs.planning.sizes import size_of
from runs.settings import dense, named, settings
from runs.wanted_tasks import each_task

ROTATED = "+rotated"  # behind the name of a model
RATIOS = (0.25, 0.5, 0.75)  # of Wanda, where one layer is thinned at a time


class Step(NamedTuple):
    """One measurement by its name, and the parameters that it is taken with."""

    name: str
    parameters: RunParameters


Steps = Iterator[Step]


def steps(chapter: str, run: RunParameters, floors: Collection[str] = ()) -> Steps:
    """What a run of the ``chapter`` takes; of a chapter that is not known here, nothing.

    ``floors`` names tasks that the model is known to do no better than by guessing: they are asked
    of the dense model once, and of no pruned one. Raises :class:`helpers.errors.InputError` for a
    name of a task, of a retrieval set or of a pruned model that is none.
    """
    usual = run.score_dtype or run.dtype
    for step in CHAPTERS.get(chapter, lambda _: iter(()))(run):
        one = step.parameters
        once = one.dense and one.dtype == usual
        if step.name != "task_items" or one.tasks not in floors or once:
            yield step


def _with(run: RunParameters, **changes: Any) -> RunParameters:
    return run.model_copy(update=changes)


def pruned(name: str, run: RunParameters) -> Steps:
    """A measurement of a pruned model, after what says which weights or sublayers go."""
    if run.method == "drop" and run.dropped:
        yield Step("ranking", run)
    elif run.prunes_weights and METHODS[run.method].only_masks:
        yield Step("masks", run)
    yield Step(name, run)


def _task_scores(run: RunParameters) -> Steps:
    parts = each_task(run).values()
    for one in parts:
        yield Step("task_items", dense(one))
    if not run.dense:
        for one in parts:
            yield from pruned("task_items", one)
    yield Step("scores", run)


def _probe_scores(run: RunParameters) -> Steps:
    yield Step("probe_items", dense(run))
    if not run.dense:
        yield from pruned("probe_items", run)
    yield Step("probe_scores", run)


def _retrieval_scores(run: RunParameters) -> Steps:
    chosen = search_sets.names(run.collections, run.task_folder)
    parts = [_with(run, collections=name) for name in chosen]
    yield from (Step("retrieval_items", dense(one)) for one in parts)
    if not run.dense:
        yield from (Step("retrieval_items", one) for one in parts)
    yield Step("retrieval_scores", run)


def _scored(run: RunParameters) -> Steps:
    for one in named(run, run.pruned).values():
        yield from _task_scores(one)
        yield from _probe_scores(one)


def _inconsistent_effects(run: RunParameters) -> Steps:
    asks = _with(run, dtype=run.score_dtype or run.dtype)
    models = {"Dense": dense(asks)} | named(asks, run.pruned)
    search = _with(asks, model=run.encoder, revision="main")
    for one in models.values():
        yield from _task_scores(one)
    for one in models.values():
        yield from _probe_scores(one)
    for one in ({"Dense": dense(search)} | named(search, run.pruned_encoder)).values():
        yield from _retrieval_scores(one)
    for dtype in ("float32", "bfloat16"):
        for one in each_task(dense(asks)).values():
            yield Step("task_items", _with(one, dtype=dtype))
    drops = _with(run, method="drop", checkpoint="")
    for one in dict.fromkeys((drops, run)):
        yield from _pruned_texts(one)
    yield from _pruned_texts(_with(drops, sampling=True))


def _quantization(run: RunParameters) -> Steps:
    turned = _with(run, model=f"{run.model}{ROTATED}")
    yield from _probe_scores(dense(turned))
    for one in named(turned, run.pruned).values():
        yield from pruned("weight_store", one)
        yield from pruned("generation", one)
        yield from _probe_scores(one)
    for one in (run, turned):
        yield Step("grid_errors", one)
    yield Step("rotation_check", run)
    for one in named(run, run.pruned).values():
        if not one.many_bits:
            yield from pruned("weight_store", one)
            yield from pruned("generation", one)


def _pruned_texts(run: RunParameters) -> Steps:
    models = [run]
    if run.method == "drop":
        models = [*settings(run, (1,) if run.sampling else (2, 1)).values()]
    for one in models:
        yield from (step for step in pruned("", one) if step.name)
    yield Step("pruned_texts", run)


def _profiles(run: RunParameters) -> Steps:
    """Every sublayer removed, and each thinned by Wanda."""
    yield Step("layer_profile", run)
    shorter = min(run.sweep_steps, run.max_new_tokens)
    for ratio in RATIOS:
        thinned = {"method": "wanda", "sparsity": ratio, "max_new_tokens": shorter}
        yield Step("layer_profile", _with(run, **thinned))


def _validity(run: RunParameters) -> Steps:
    yield from _profiles(run)
    yield Step("estimate_quality", run)


def _representation(run: RunParameters) -> Steps:
    yield Step("layer_profile", run)
    panel = _with(run, model=EMBEDDED, revision="main", prompts="Math2")
    yield Step("example_state", panel)


def _writing(run: RunParameters) -> list[RunParameters]:
    """The pruned models whose texts Section 7 compares with the dense one's."""
    return [
        one
        for one in settings(run, (4, 1)).values()
        if one.method != "drop" or one.target == "mlp" or one.dropped == run.dropped
    ]


def _multi_scale(run: RunParameters) -> Steps:
    models = _writing(run)
    for one in models:
        yield from pruned("generation", one)
    yield Step("other_words", run)
    for one in models:
        yield from pruned("generation", _with(one, sampling=True, max_new_tokens=run.sweep_steps))
    for one in models:
        yield from pruned("generation", _with(one, prompts="Table2"))
    for one in models:
        yield from pruned("options", one)


def _decisions(run: RunParameters) -> Steps:
    models = [*settings(run, (4, 1)).values()]
    for one in models:
        yield from pruned("generation", one)
    mildest = next(one for one in models if one.method == "drop" and one.target == "mlp")
    for one in dict.fromkeys((mildest, models[-1])):
        yield from pruned("rescue", one)


def _propagation_of_errors(run: RunParameters) -> Steps:
    size = size_of(run.model, run.revision)
    if run.layer < 0 and size:  # as deep as the paper's example, layer 12 of 28
        run = _with(run, layer=size.layers * 12 // 28)
    models = settings(run).values()
    for name in ("attention_paths", "decomposition"):
        for one in models:
            yield from pruned(name, one)


def _noise(run: RunParameters) -> Steps:
    yield Step("noise_floor", run)
    for dtype in ("float32", "bfloat16"):
        yield Step("layer_profile", _with(run, dtype=dtype))


def _subspaces(run: RunParameters) -> Steps:
    for one in settings(run, (4, 1)).values():
        yield from pruned("subspaces", one)


def _probes(run: RunParameters) -> Steps:
    for one in ({"Dense": dense(run)} | named(run, run.pruned)).values():
        yield from _probe_scores(one)


def _ladder(run: RunParameters) -> Steps:
    for one in ({"Dense": dense(run)} | named(run, run.pruned)).values():
        yield from pruned("ladder", one)


def _effective_pruning(run: RunParameters) -> Steps:
    asks = _with(run, dtype=run.score_dtype or run.dtype)
    for one in (dense(asks), *named(asks, run.pruned).values()):
        yield from pruned("ladder", one)
        yield from pruned("probe_items", one)
    for one in _writing(run):
        yield from pruned("generation", one)


def _should_i_prune(run: RunParameters) -> Steps:
    asks = _with(run, dtype=run.score_dtype or run.dtype)
    for one in named(asks, run.pruned).values():
        yield from pruned("running_cost", one)
        if one.quantizer:
            one = _with(one, model=f"{run.model}{ROTATED}")
        else:
            yield from _task_scores(one)
        yield from _probe_scores(one)
        for each in (dense(one), one):
            yield from pruned("ladder", each)
    search = _with(asks, model=run.encoder, revision="main")
    for one in named(search, run.pruned_encoder).values():
        yield from _retrieval_scores(one)
    for one in _writing(run):
        yield from pruned("generation", one)
    for name in dict.fromkeys((run.model, EMBEDDED)):
        one = dense(asks) if name == run.model else _with(dense(asks), model=name, revision="main")
        yield Step("probe_items", one)
        if name != run.model:
            yield Step("running_cost", one)


def _only(*names: str) -> Callable[[RunParameters], Steps]:
    return lambda run: (Step(name, run) for name in names)


CHAPTERS: dict[str, Callable[[RunParameters], Steps]] = {
    "01-introduction": _scored,
    "pruning-by-hand": _only("weight_corner", "pruning_quality"),
    "03-background": _only("readouts"),
    "04-inconsistent-effects": _inconsistent_effects,
    "05-hierarchical-effects": _only("layer_profile"),
    "06-representation-analysis": _representation,
    "07-multi-scale-effects": _multi_scale,
    "08-effective-pruning": _effective_pruning,
    "a-perturbation": _only("example_state"),
    "b-kl-divergence": _only("example_state"),
    "c-angular-deviation": _only("example_state"),
    "d-error-propagation": _propagation_of_errors,
    "decisions": _decisions,
    "dimension": _only("dimension"),
    "e-prompts": _only("prompt_lengths"),
    "g-more-models": _scored,
    "h-temperature": _only("temperatures"),
    "i-supplementary": _profiles,
    "f-quantization": _quantization,
    "ladder": _ladder,
    "noise-floor": _noise,
    "probes": _probes,
    "propagation": _only("propagation"),
    "published-numbers": _only("example_state"),
    "should-i-prune": _should_i_prune,
    "subspace": _subspaces,
    "use-it-on-your-model": _only("in_the_notebook"),  # not stored: taken anew in each run
    "validity": _validity,
}
