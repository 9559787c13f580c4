"""Which measurements does a run take, in which order? What each notebook asks for, before it runs.

A measurement that takes others comes after them. What depends on what a measurement finds is
answered for a model that is not at its floor, so that a plan is not too short.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from helpers.evaluation import search_sets
from helpers.evaluation.tasks import TASKS
from helpers.models.known import EMBEDDED
from helpers.pruning.methods import METHODS
from runs.parameters import RunParameters
from runs.planning.sizes import size_of
from runs.settings import dense, named, settings
from runs.wanted_tasks import each_task

ROTATED = "+rotated"  # behind the name of a model
RATIOS = (0.25, 0.5, 0.75)  # of Wanda, where one layer is thinned at a time
AS_GIVEN = {  # chapters whose measurements take the run's own parameters
    "pruning-by-hand": ("weight_corner", "pruning_quality"),
    "03-background": ("readouts",),
    "05-hierarchical-effects": ("layer_profile",),
    "a-perturbation": ("example_state",),
    "b-kl-divergence": ("example_state",),
    "c-angular-deviation": ("example_state",),
    "published-numbers": ("example_state",),
    "dimension": ("dimension",),
    "e-prompts": ("prompt_lengths",),
    "h-temperature": ("temperatures",),
    "propagation": ("propagation",),
    "use-it-on-your-model": ("in_the_notebook",),  # not stored: taken anew in each run
}


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
    for step in _taken(chapter, run):
        one = step.parameters
        once = one.dense and one.dtype == usual
        if step.name != "task_items" or one.tasks not in floors or once:
            yield step


def _taken(chapter: str, run: RunParameters) -> Steps:
    asks = _with(run, dtype=run.score_dtype or run.dtype)  # as scores are taken
    search = _with(asks, model=run.encoder, revision="main")
    turned = _with(run, model=f"{run.model}{ROTATED}")
    yield from (Step(name, run) for name in AS_GIVEN.get(chapter, ()))
    match chapter:
        case "01-introduction" | "g-more-models":
            for one in named(run, run.pruned).values():
                yield from _task_scores(one)
                yield from _probe_scores(one)
        case "04-inconsistent-effects":
            for one in _compared(asks):
                yield from _task_scores(one)
            for one in _compared(asks):
                yield from _probe_scores(one)
            for one in (dense(search), *named(search, run.pruned_encoder).values()):
                yield from _retrieval_scores(one)
            for name, one in each_task(dense(asks)).items():
                if TASKS[name].kind == "multiple_choice":
                    for dtype in ("float32", "bfloat16"):
                        yield Step("task_items", _with(one, dtype=dtype))
            drops = _with(run, method="drop", checkpoint="")
            for one in (*dict.fromkeys((drops, run)), _with(drops, sampling=True)):
                yield from _pruned_texts(one)
        case "06-representation-analysis":
            yield Step("layer_profile", run)
            panel = _with(run, model=EMBEDDED, revision="main", prompts="Math2")
            yield Step("example_state", panel)
        case "07-multi-scale-effects":
            shorter = {"sampling": True, "max_new_tokens": run.sweep_steps}
            yield from _each("generation", _writing(run))
            yield Step("other_words", run)
            yield from _each("generation", [_with(one, **shorter) for one in _writing(run)])
            yield from _each("generation", [_with(one, prompts="Table2") for one in _writing(run)])
            yield from _each("options", _writing(run))
        case "08-effective-pruning":
            for one in _compared(asks):
                yield from pruned("ladder", one)
                yield from pruned("probe_items", one)
            yield from _each("generation", _writing(run))
        case "d-error-propagation":
            size = size_of(run.model, run.revision)
            if run.layer < 0 and size:  # as deep as the paper's example, layer 12 of 28
                run = _with(run, layer=size.layers * 12 // 28)
            for name in ("attention_paths", "decomposition"):
                yield from _each(name, settings(run).values())
        case "decisions":
            models = [*settings(run, (4, 1)).values()]
            yield from _each("generation", models)
            mildest = next(one for one in models if one.method == "drop" and one.target == "mlp")
            yield from _each("rescue", dict.fromkeys((mildest, models[-1])))
        case "f-quantization":
            yield from _probe_scores(dense(turned))
            for one in named(turned, run.pruned).values():
                yield from pruned("weight_store", one)
                yield from pruned("generation", one)
                yield from _probe_scores(one)
                yield from _task_scores(one)
            for one in (run, turned):
                yield Step("grid_errors", one)
            yield Step("rotation_check", run)
            for one in named(run, run.pruned).values():
                if not one.many_bits:
                    yield from pruned("weight_store", one)
                    yield from pruned("generation", one)
        case "i-supplementary" | "validity":  # every sublayer removed, and each thinned by Wanda
            yield Step("layer_profile", run)
            fewer = min(run.sweep_steps, run.max_new_tokens)
            for ratio in RATIOS:
                thinned = {"method": "wanda", "sparsity": ratio, "max_new_tokens": fewer}
                yield Step("layer_profile", _with(run, **thinned))
            if chapter == "validity":
                yield Step("estimate_quality", run)
        case "ladder":
            yield from _each("ladder", _compared(run))
        case "noise-floor":
            yield Step("noise_floor", run)
            for dtype in ("float32", "bfloat16"):
                yield Step("layer_profile", _with(run, dtype=dtype))
        case "probes":
            for one in _compared(run):
                yield from _probe_scores(one)
        case "should-i-prune":
            for one in named(asks, run.pruned).values():
                yield from pruned("running_cost", one)
                if one.quantizer:
                    one = _with(one, model=turned.model)
                else:
                    yield from _task_scores(one)
                yield from _probe_scores(one)
                yield from _each("ladder", (dense(one), one))
            for one in named(search, run.pruned_encoder).values():
                yield from _retrieval_scores(one)
            yield from _each("generation", _writing(run))
            yield Step("probe_items", dense(asks))
            if run.model != EMBEDDED:
                small = _with(dense(asks), model=EMBEDDED, revision="main")
                yield Step("probe_items", small)
                yield Step("running_cost", small)
        case "subspace":
            yield from _each("subspaces", settings(run, (4, 1)).values())


def _with(run: RunParameters, **changes: Any) -> RunParameters:
    return run.model_copy(update=changes)


def _compared(run: RunParameters) -> list[RunParameters]:
    """The dense model and each pruned one."""
    return [dense(run), *named(run, run.pruned).values()]


def _writing(run: RunParameters) -> list[RunParameters]:
    """The pruned models whose texts Section 7 compares with the dense one's."""
    return [
        one
        for one in settings(run, (4, 1)).values()
        if one.method != "drop" or one.target == "mlp" or one.dropped == run.dropped
    ]


def pruned(name: str, run: RunParameters) -> Steps:
    """A measurement of a pruned model, after what says which weights or sublayers go."""
    if run.method == "drop" and run.dropped:
        yield Step("ranking", run)
    elif run.prunes_weights and METHODS[run.method].only_masks:
        yield Step("masks", run)
    yield Step(name, run)


def _each(name: str, models: Iterable[RunParameters]) -> Steps:
    return (step for one in models for step in pruned(name, one))


def _task_scores(run: RunParameters) -> Steps:
    parts = each_task(run).values()
    yield from (Step("task_items", dense(one)) for one in parts)
    if not run.dense:
        yield from _each("task_items", parts)
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


def _pruned_texts(run: RunParameters) -> Steps:
    models = [run]
    if run.method == "drop":
        models = [*settings(run, (1,) if run.sampling else (2, 1)).values()]
    yield from (step for step in _each("", models) if step.name)
    yield Step("pruned_texts", run)
