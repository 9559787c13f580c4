"""The whole pruned model that chapters ask for, beside what the pruning library gives by hand."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.errors import InputError
from helpers.models import load
from helpers.pruning import Recipe, prune
from helpers.pruning.drop import dropped_in
from helpers.pruning.importance import importance
from helpers.pruning.selection import select
from helpers.texts.calibration import calibration_text
from measurements import pruned_model
from measurements.pruned_model import pruned_counterpart
from measurements.ranking import ranking, stored_importance
from runs.parameters import validate
from runs.settings import settings

SMALL = {"calibration_samples": 2, "calibration_length": 32, "device": "cpu"}


def asked(tiny_folder, **values):
    return validate(SMALL | {"model": str(tiny_folder)} | values)


@pytest.fixture
def dense(tiny_folder):
    pruned_model.LAST.key = None
    return load(str(tiny_folder), device="cpu")


def text(parameters, dense):
    return calibration_text(dense.tokenizer, "embedded", 2, 32, parameters.seed)


@pytest.mark.parametrize("target", ["attention", "mlp", "block"])
def test_dropped_sublayers_are_those_that_selection_ranks_lowest(tiny_folder, dense, target):
    parameters = asked(tiny_folder, target=target, dropped=2)
    pruned, words = pruned_counterpart(parameters, dense)
    wanted = select(dense.decoder, text(parameters, dense).ids, target, 2)
    assert set(dropped_in(pruned)) == set(wanted)
    assert all(str(layer) in words for layer, _ in wanted)
    assert not dropped_in(dense.decoder)


@pytest.mark.parametrize("method", ["magnitude", "wanda", "sparsegpt", "random"])
@pytest.mark.parametrize("pattern", ["", "2:4"])
def test_weights_are_those_that_pruning_by_hand_leaves(tiny_folder, dense, method, pattern):
    parameters = asked(tiny_folder, method=method, sparsity=0.5, pattern=pattern)
    pruned, words = pruned_counterpart(parameters, dense)
    assert words.startswith(f"{method} {pattern or 0.5} of all")
    by_hand = load(str(tiny_folder), device="cpu")
    recipe = Recipe(method, None if pattern else 0.5, pattern)
    prune(by_hand.decoder, recipe, text(parameters, dense), reversible=False)
    ours = dict(pruned.model.named_parameters())
    changed = 0
    for name, weight in by_hand.model.named_parameters():
        assert torch.equal(weight, ours[name])
        changed += not torch.equal(weight, dict(dense.model.named_parameters())[name])
    assert changed


def test_what_is_kept_is_never_another_one(tiny_folder, dense):
    """Asked again, the same model; asked for something else, not the one that is kept."""
    half, first = asked(tiny_folder, method="wanda"), {}
    for name, parameters in {
        "half": half,
        "less": half.model_copy(update={"sparsity": 0.25}),
        "seed": half.model_copy(update={"seed": 1}),
        "size": half.model_copy(update={"method": "magnitude"}),
        "pattern": half.model_copy(update={"pattern": "2:4"}),
        "changed": half.model_copy(update={"method": "sparsegpt"}),
        "changed less": half.model_copy(update={"method": "sparsegpt", "sparsity": 0.25}),
    }.items():
        pruned, words = pruned_counterpart(parameters, dense)
        again, same_words = pruned_counterpart(parameters, dense)
        assert same_words == words
        for one, other in zip(pruned.model.parameters(), again.model.parameters(), strict=True):
            assert torch.equal(one, other)
        first[name] = torch.cat([weight.flatten() for weight in pruned.model.parameters()])
    names = list(first)
    for place, name in enumerate(names):
        for other in names[place + 1 :]:
            assert not torch.equal(first[name], first[other])
    whole = asked(tiny_folder, dropped=1)
    other = whole.model_copy(update={"seed": 3, "calibration_samples": 3})
    ranked = [stored_importance(ranking(each)).attention for each in (whole, other)]
    assert not torch.equal(*ranked)


def test_a_stored_ranking_is_what_importance_measures(tiny_folder, dense):
    parameters = asked(tiny_folder, dropped=1)
    found = stored_importance(ranking(parameters))
    measured = importance(dense.decoder, text(parameters, dense).ids)
    for part in ("attention", "mlp", "block"):
        assert torch.equal(getattr(found, part), getattr(measured, part))


def test_another_model_or_number_format_is_never_served(tiny_folder, dense, tmp_path):
    """The same recipe on other weights, and in another dtype."""
    half, found = asked(tiny_folder, method="magnitude"), []
    other = tmp_path / "other"
    shutil.copytree(tiny_folder, other)
    weights = load_file(other / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"] *= 2
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    for update in ({}, {"model": str(other)}, {"dtype": "bfloat16"}):
        parameters = half.model_copy(update=update)
        loaded = load(parameters.model, "main", parameters.dtype, "cpu")
        pruned, _ = pruned_counterpart(parameters, loaded)
        found.append(pruned.layers[1].mlp.up_proj.weight)
    assert found[2].dtype == torch.bfloat16
    kept = found[0] != 0
    assert torch.equal(found[1][kept], 2 * found[0][kept])


def test_checkpoint_with_another_head_is_refused(tiny_folder, dense, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "other")
    place = tmp_path / "other" / "model.safetensors"
    weights = load_file(place)
    name = next(key for key in ("lm_head.weight", "model.embed_tokens.weight") if key in weights)
    weights[name][0] += 1
    save_file(weights, place, metadata={"format": "pt"})
    folder = asked(tiny_folder, method="checkpoint", checkpoint=str(place.parent))
    with pytest.raises(InputError, match="changed the LM head"):
        pruned_counterpart(folder, dense)


def test_too_many_are_refused_before_the_model_runs(tiny_folder, dense):
    with pytest.raises(InputError, match="9 attention sublayers cannot be dropped"):
        pruned_counterpart(asked(tiny_folder, dropped=9), dense)
    assert pruned_model.LAST.key is None


def test_settings_name_each_pruned_model_once(tiny_folder):
    run = asked(tiny_folder, method="wanda", dropped=8)
    assert list(settings(run)) == ["Drop-8A", "Drop-8M", "Wanda 50%"]
    names = ["Drop-4A", "Drop-8A", "Drop-4M", "Drop-8M", "Wanda 50%"]
    assert list(settings(run, (2, 1))) == names
    few = settings(run.model_copy(update={"dropped": 1}), (4, 2, 1))
    assert list(few) == ["Drop-1A", "Drop-1M", "Wanda 50%"]
    assert list(settings(run.model_copy(update={"method": "drop"}))) == ["Drop-8A", "Drop-8M"]
    folder = run.model_copy(update={"method": "checkpoint", "checkpoint": "x"})
    assert settings(folder)["Checkpoint"] == folder
    assert not any(one.checkpoint for one in settings(folder).values() if one.method == "drop")
