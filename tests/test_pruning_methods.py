"""Every method on every architecture against naive loops, and the reversible interface."""

import copy
import math
import sys
import weakref
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import LAYERS, VOCABULARY, tiny_model
from test_pruning_masks import naive_keep

from helpers.errors import InputError
from helpers.models import Decoder
from helpers.pruning import Calibration, Recipe, Report, prunable, prune, pruned
from helpers.pruning.calibrate import walk
from helpers.pruning.methods import METHODS, Evidence, Method
from helpers.pruning.sparsegpt import hessian_factor, layer_error, sparsegpt
from helpers.pruning.statistics import SquaredNorms

torch.set_num_threads(1)

DAMPING = 0.01


def calibration(samples: int = 5, length: int = 12) -> Calibration:
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(3, VOCABULARY, (samples, length), generator=generator)
    return Calibration(ids, "random tokens", 3)


def on_a_grid(model: torch.nn.Module) -> torch.nn.Module:
    """Weights rounded to few values, so that most tie."""
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.data = (parameter.data * 6).round() / 6
    model.tie_weights()
    return model


def bits(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone().view(torch.int32) for name, value in model.state_dict().items()}


def assert_same_bits(model: torch.nn.Module, before: dict[str, torch.Tensor]) -> None:
    after = bits(model)
    assert all(torch.equal(after[name], value) for name, value in before.items())


# -- naive references: NumPy float64, one sample, one layer, one column at a time --------------


def naive_inputs(model: torch.nn.Module, linears: Any, ids: torch.Tensor) -> dict[str, np.ndarray]:
    """What enters each linear, (tokens, columns), from whole forward passes of one sample each."""
    seen: dict[str, list[np.ndarray]] = {linear.name: [] for linear in linears}
    handles = [
        linear.module.register_forward_hook(
            lambda _module, arguments, _output, name=linear.name: seen[name].append(
                arguments[0].reshape(-1, arguments[0].shape[-1]).double().numpy()
            )
        )
        for linear in linears
    ]
    for row in ids:
        model(input_ids=row[None])
    for handle in handles:
        handle.remove()
    return {name: np.concatenate(parts) for name, parts in seen.items()}


def naive_elimination(hessian: np.ndarray) -> list[np.ndarray]:
    """The inverse Hessian of the columns that remain at each step, by Gaussian elimination
    (SparseGPT, Equation 4), each padded to full size."""
    hessian = hessian.copy()
    dead = np.diag(hessian) == 0
    hessian[dead, dead] = 1
    hessian += DAMPING * np.mean(np.diag(hessian)) * np.eye(len(hessian))
    inverse = np.linalg.inv(hessian)
    steps = []
    for column in range(len(hessian)):
        steps.append(inverse.copy())
        inverse -= np.outer(inverse[:, column], inverse[column]) / inverse[column, column]
    return steps


def naive_sparsegpt(
    weight: np.ndarray, hessian: np.ndarray, ratio: float, pattern: str, block: int = 128
) -> tuple[np.ndarray, np.ndarray]:
    """Optimal Brain Surgeon, one column at a time: no Cholesky factor, no lazy batch."""
    steps = naive_elimination(hessian)
    weight = weight.copy()
    weight[:, np.diag(hessian) == 0] = 0
    rows, columns = weight.shape
    diagonal = np.array([step[j, j] for j, step in enumerate(steps)])
    keep = np.ones_like(weight, dtype=bool)
    removed = 0
    for column in range(columns):
        if pattern:
            n, m = map(int, pattern.split(":"))
            if column % m == 0:
                for row in range(rows):
                    part = slice(column, column + m)
                    saliency = weight[row, part] ** 2 / diagonal[part]
                    keep[row, part] = naive_keep(saliency.tolist(), m - n)
        elif column % block == 0:
            end = min(column + block, columns)
            saliency = weight[:, column:end] ** 2 / diagonal[column:end]
            count = math.floor(Fraction(str(ratio)) * rows * end) - removed
            removed += count
            flat = naive_keep(saliency.flatten().tolist(), count)
            keep[:, column:end] = np.array(flat).reshape(rows, end - column)
        inverse = steps[column]
        for row in range(rows):
            if not keep[row, column]:
                step = weight[row, column] / inverse[column, column]
                weight[row, column:] -= step * inverse[column, column:]
                weight[row, column] = 0
    return weight, keep


def naive_mask(recipe: Recipe, weight: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Magnitude or Wanda, element by element and group by group."""
    rows, columns = weight.shape
    score = [[abs(weight[i, j]) for j in range(columns)] for i in range(rows)]
    if recipe.method == "wanda":
        norm = [math.sqrt(math.fsum(x[:, j] ** 2)) for j in range(columns)]
        score = [[score[i][j] * norm[j] for j in range(columns)] for i in range(rows)]
    if recipe.pattern:
        n, m = map(int, recipe.pattern.split(":"))
        return np.array(
            [
                [kept for k in range(0, columns, m) for kept in naive_keep(row[k : k + m], m - n)]
                for row in score
            ]
        )
    ratio = Fraction(str(recipe.ratio))
    if recipe.method == "wanda":
        return np.array([naive_keep(row, math.floor(ratio * columns)) for row in score])
    flat = naive_keep([value for row in score for value in row], math.floor(ratio * rows * columns))
    return np.array(flat).reshape(rows, columns)


def naive_masks(
    model: torch.nn.Module, recipe: Recipe, ids: torch.Tensor, sequential: bool = True
) -> tuple[dict[tuple[int, str], np.ndarray], torch.nn.Module]:
    """The whole procedure on a copy of ``model``: its masks and the pruned copy."""
    dense, copied = copy.deepcopy(model), copy.deepcopy(model)
    found = {}
    for layer in range(LAYERS):
        source = copied if sequential else dense
        inputs = naive_inputs(source, prunable(Decoder.of(source))[layer], ids)
        for linear in prunable(Decoder.of(copied))[layer]:
            weight, x = linear.matrix.double().numpy(), inputs[linear.name]
            if recipe.method == "sparsegpt":
                new, keep = naive_sparsegpt(weight, x.T @ x, recipe.ratio or 0, recipe.pattern)
            else:
                keep = naive_mask(recipe, weight, x)
                new = np.where(keep, weight, 0)
            linear.write(torch.from_numpy(new))
            found[layer, linear.name] = keep
    return found, copied


def assert_equals_naive(
    model: torch.nn.Module, recipe: Recipe, sequential: bool = True, budget: int = 24
) -> None:
    used = calibration()
    expected, copied = naive_masks(model, recipe, used.ids, sequential)
    decoder = Decoder.of(model)
    with pruned(
        decoder, recipe, used, sequential=sequential, token_budget=budget, keep_masks=True
    ) as report:
        assert report.masks.keys() == expected.keys()
        for where, keep in report.masks.items():
            assert np.array_equal(keep.numpy(), expected[where]), (recipe, where)
        for name, value in copied.state_dict().items():
            torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-3, atol=1e-4)


# -- masks of every method and pattern ---------------------------------------------------------


@pytest.mark.parametrize("amount", [{"ratio": 0.5}, {"ratio": 0.37}, {"pattern": "2:4"}])
@pytest.mark.parametrize("method", ["magnitude", "wanda"])
def test_masks_equal_the_naive_ones(architecture, method, amount):
    assert_equals_naive(tiny_model(architecture), Recipe(method, **amount))


@pytest.mark.parametrize("amount", [{"ratio": 0.37}, {"pattern": "2:4"}])
def test_sparsegpt_equals_the_naive_one(architecture, amount):
    assert_equals_naive(tiny_model(architecture), Recipe("sparsegpt", **amount))


@pytest.mark.parametrize("method", ["magnitude", "wanda", "sparsegpt"])
def test_masks_equal_the_naive_ones_where_weights_tie(method):
    for amount in ({"ratio": 0.6}, {"pattern": "4:8"}):
        assert_equals_naive(on_a_grid(tiny_model("llama")), Recipe(method, **amount))


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("method", ["wanda", "sparsegpt"])
def test_masks_equal_the_naive_ones_with_tied_embeddings(architecture, method):
    model = tiny_model(architecture, tie_word_embeddings=True)
    embedding = model.get_input_embeddings().weight
    assert embedding is model.get_output_embeddings().weight
    before = embedding.clone()
    assert_equals_naive(model, Recipe(method, 0.5))
    assert torch.equal(embedding, before)


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "gpt_neox"])
@pytest.mark.parametrize("method", ["wanda", "sparsegpt"])
def test_inputs_from_the_dense_model(architecture, method):
    assert_equals_naive(tiny_model(architecture), Recipe(method, 0.5), sequential=False)


def test_random_removes_exactly_and_follows_its_seed():
    decoder = Decoder.of(tiny_model("qwen2"))

    def masks_of(**changes: Any) -> Report:
        with pruned(decoder, Recipe("random", 0.3, **changes), keep_masks=True) as report:
            return report

    first, again, other = masks_of(seed=1), masks_of(seed=1), masks_of(seed=2)
    part = masks_of(seed=1, targets="mlp")
    for where, keep in first.masks.items():
        assert torch.equal(keep, again.masks[where])
        assert not torch.equal(keep, other.masks[where])
        assert (~keep).sum() == math.floor(Fraction("0.3") * keep.numel())
    # what else is pruned changes nothing
    assert all(torch.equal(keep, first.masks[where]) for where, keep in part.masks.items())


def test_a_method_of_ones_own_prunes_as_a_loop_does(architecture, monkeypatch):
    """|W| times the rank of the input's norm: one entry in the registry, and nothing else."""

    def ranked(seen: Evidence) -> torch.Tensor:
        return seen.weight.abs() * (1 + seen.inputs.norms.argsort(stable=True).argsort())

    monkeypatch.setitem(METHODS, "ranked", Method("Ranked", ranked, group="row", statistic="norms"))
    model, used = tiny_model(architecture), calibration()
    copied = copy.deepcopy(model)
    expected = {}
    for layer in range(LAYERS):
        linears = prunable(Decoder.of(copied))[layer]
        inputs = naive_inputs(copied, linears, used.ids)
        for linear in linears:
            norm = [math.sqrt(math.fsum(x**2)) for x in inputs[linear.name].T]
            rank = {
                column: 1 + place for place, column in enumerate(np.argsort(norm, kind="stable"))
            }
            keep = np.array(
                [
                    naive_keep([abs(w) * rank[j] for j, w in enumerate(row)], 3 * len(row) // 10)
                    for row in linear.matrix.tolist()
                ]
            )
            linear.write(linear.matrix * torch.from_numpy(keep))
            expected[layer, linear.name] = keep
    with pruned(Decoder.of(model), Recipe("ranked", 0.3), used, keep_masks=True) as report:
        assert report.masks.keys() == expected.keys()
        for where, keep in report.masks.items():
            assert np.array_equal(keep.numpy(), expected[where]), where


@pytest.mark.parametrize("budget", [1, 36, 10_000])
def test_batches_change_nothing(budget):
    assert_equals_naive(tiny_model("mistral"), Recipe("wanda", 0.5), budget=budget)


# -- SparseGPT's own ---------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 5, 8, 128])
@pytest.mark.parametrize("amount", [{"ratio": 0.43}, {"pattern": "2:4"}, {"pattern": "1:3"}])
def test_sparsegpt_in_blocks_equals_column_by_column(block, amount):
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((60, 24)), rng.standard_normal((7, 24))
    x[:, 5] = 0  # a dead input
    hessian = x.T @ x
    factor = hessian_factor(torch.from_numpy(hessian), DAMPING)
    new, keep = sparsegpt(torch.from_numpy(weight), factor, **amount, block=block)
    pattern = amount.get("pattern", "")
    expected, mask = naive_sparsegpt(weight, hessian, amount.get("ratio", 0), pattern, block)
    assert np.array_equal(keep.numpy(), mask)
    np.testing.assert_allclose(new.numpy(), expected, rtol=1e-9, atol=1e-12)
    assert not new[:, 5].any()


def test_sparsegpt_does_not_depend_on_the_hessians_factor():
    torch.manual_seed(0)
    x, weight = torch.randn(60, 16).double(), torch.randn(5, 16)
    one, two = (sparsegpt(weight, hessian_factor(c * x.T @ x), 0.5) for c in (1, 2))
    assert torch.equal(one[1], two[1])
    torch.testing.assert_close(one[0], two[0])


def test_layer_error_equals_its_definition_and_sparsegpt_lowers_it():
    torch.manual_seed(0)
    x = torch.randn(80, 32).double() @ torch.randn(32, 32).double()
    weight, hessian = torch.randn(10, 32).double(), x.T @ x
    new, keep = sparsegpt(weight, hessian_factor(hessian), 0.5)
    error = torch.linalg.matrix_norm(weight @ x.T - new @ x.T)
    torch.testing.assert_close(layer_error(weight, new, hessian), error)
    assert error < layer_error(weight, weight.masked_fill(~keep, 0), hessian)


def test_hessian_that_is_not_positive_definite_names_the_damping():
    x = torch.ones(1, 4).double()
    with pytest.raises(InputError, match=r"layer 3's q_proj.*damping=0.0: raise damping") as caught:
        hessian_factor(x.T @ x - torch.eye(4), 0.0, "layer 3's q_proj")
    assert "\n" not in str(caught.value)


# -- structured --------------------------------------------------------------------------------

OUTPUTS = {
    "attention": ("o_proj", "dense", "out_proj", "c_proj"),
    "mlp": ("down_proj", "dense_4h_to_h", "fc2", "c_proj"),
}


@pytest.mark.parametrize("structure", ["heads", "neurons"])
@pytest.mark.parametrize("method", ["magnitude", "wanda"])
def test_structure_equals_silencing_the_same_columns_by_hand(architecture, method, structure):
    """Whole groups go, the lowest by a naive score, and nothing else does: the pruned model
    equals a dense one with only the output projection's columns zeroed."""
    model, used = tiny_model(architecture), calibration()
    kind = {"heads": "attention", "neurons": "mlp"}[structure]
    by_hand = copy.deepcopy(model)
    config: Any = model.config
    removed = 0
    for linears in prunable(Decoder.of(by_hand), kind):
        output = next(linear for linear in linears if linear.role in OUTPUTS[kind])
        x = naive_inputs(by_hand, [output], used.ids)[output.name]
        weight = output.matrix
        width = weight.shape[1]
        groups = width
        if structure == "heads":
            groups = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = width // groups
        totals = []
        for group in range(groups):
            total = 0.0
            for column in range(group * size, (group + 1) * size):
                norm = math.sqrt(math.fsum(x[:, column] ** 2)) if method == "wanda" else 1.0
                total += sum(abs(float(w)) * norm for w in weight[:, column])
            totals.append(total)
        for group, kept in enumerate(naive_keep(totals, groups // 2)):
            if not kept:
                weight[:, group * size : (group + 1) * size] = 0
        removed += sum(linear.matrix.numel() for linear in linears) // 2
    expected = by_hand(input_ids=used.ids).logits
    with pruned(Decoder.of(model), Recipe(method, 0.5, structure=structure), used) as report:
        torch.testing.assert_close(model(input_ids=used.ids).logits, expected, rtol=1e-4, atol=1e-4)
        assert report.removed == removed
        assert report.sparsity == 0.5


def test_random_structure_removes_whole_groups():
    decoder = Decoder.of(tiny_model("llama"))
    recipe = Recipe("random", 0.25, structure="neurons")
    with pruned(decoder, recipe, keep_masks=True) as report:
        for layer in range(LAYERS):
            down = report.masks[layer, "mlp.down_proj"]
            gone = ~down.any(0)
            assert gone.sum() == down.shape[1] // 4
            for name in ("gate_proj", "up_proj"):
                assert torch.equal(~report.masks[layer, f"mlp.{name}"].any(1), gone)


# -- the interface -----------------------------------------------------------------------------

EVERY_RECIPE = [
    Recipe("magnitude", 0.5),
    Recipe("random", pattern="2:4"),
    Recipe("wanda", 0.5),
    Recipe("sparsegpt", pattern="2:4"),
    Recipe("wanda", 0.5, structure="heads"),
    Recipe("magnitude", 0.5, structure="neurons"),
]


@pytest.mark.parametrize("recipe", EVERY_RECIPE, ids=str)
def test_dense_weights_come_back_bit_for_bit(architecture, recipe):
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    linear = prunable(decoder)[0][0]
    linear.matrix[0, 0] = -0.0
    before = bits(model)

    def fail_inside() -> None:
        with pruned(decoder, recipe, calibration()):
            now = bits(model)
            assert any(not torch.equal(now[name], value) for name, value in before.items())
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail_inside()
    assert_same_bits(model, before)
    with pruned(decoder, recipe, calibration()):
        pass
    assert_same_bits(model, before)
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert not any("forward" in vars(layer) for layer in decoder.layers)


def enter_pruned(*arguments: Any) -> None:
    with pruned(*arguments):
        pass


@pytest.mark.parametrize("with_interface", [enter_pruned, prune])
def test_dense_weights_come_back_after_a_failure_half_way(with_interface):
    model = tiny_model("llama")
    decoder = Decoder.of(model)
    decoder.sublayers[4].norm.weight[3] = float("nan")
    before = bits(model)
    message = r"enter layer 2's self_attn\.q_proj are not finite"
    with pytest.raises(InputError, match=message) as caught:
        with_interface(decoder, Recipe("sparsegpt", 0.5), calibration())
    assert "\n" not in str(caught.value)
    assert_same_bits(model, before)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_prune_stays():
    model = tiny_model("llama")
    report = prune(Decoder.of(model), Recipe("magnitude", 0.5))
    zeros = sum(
        int((linear.matrix == 0).sum()) for layer in prunable(Decoder.of(model)) for linear in layer
    )
    assert zeros == report.removed


def test_prune_without_dense_copies_is_the_same():
    models = [tiny_model("llama"), tiny_model("llama")]
    for model, reversible in zip(models, (True, False), strict=True):
        prune(Decoder.of(model), Recipe("wanda", 0.5), calibration(), reversible=reversible)
    assert_same_bits(models[0], bits(models[1]))


@pytest.mark.parametrize("targets", ["attention", "mlp"])
def test_targets(architecture, targets):
    decoder = Decoder.of(tiny_model(architecture))
    with pruned(decoder, Recipe("wanda", 0.5, targets=targets), calibration()) as report:
        assert set(report.table["sublayer"]) == {targets}


def test_embeddings_and_head_stay(architecture):
    model = tiny_model(architecture)
    listed = {id(linear.module) for layer in prunable(Decoder.of(model)) for linear in layer}
    assert id(model.get_output_embeddings()) not in listed
    every = {
        id(module)
        for module in model.modules()
        if type(module).__name__ in {"Linear", "Conv1D"}
        and module is not model.get_output_embeddings()
    }
    assert listed == every


def test_weight_that_two_layers_share_is_listed_once_and_restored():
    model = tiny_model("llama")
    decoder = Decoder.of(model)
    decoder.layers[1].mlp.up_proj.weight = decoder.layers[0].mlp.up_proj.weight
    before = bits(model)
    with pruned(decoder, Recipe("wanda", 0.5), calibration()) as report:
        assert len(report.table) == 7 * LAYERS - 1
    assert_same_bits(model, before)


def test_weight_tied_to_the_embeddings_is_refused():
    model = tiny_model("llama", vocab_size=48)
    decoder = Decoder.of(model)
    decoder.layers[1].mlp.up_proj.weight = model.get_input_embeddings().weight
    with pytest.raises(InputError, match=r"layer 1's mlp\.up_proj shares its weight"):
        prune(decoder, Recipe("magnitude", 0.5))


def test_report_counts_the_masks():
    model = on_a_grid(tiny_model("llama"))  # zeros of its own, which do not count
    decoder = Decoder.of(model)
    with pruned(decoder, Recipe("wanda", 0.3), calibration()) as report:
        table = report.table
    assert (table["removed"] == table["rows"] * (table["columns"] * 3 // 10)).all()
    assert (table["kept"] + table["removed"] == table["rows"] * table["columns"]).all()
    assert report.removed == table["removed"].sum()
    assert report.parameters_kept == decoder.parameter_count - report.removed
    assert report.calibration == "random tokens, 5 × 12 tokens, seed 3"
    assert report.recipe == "wanda 0.3 of all"


def test_count_that_is_not_exact_raises():
    report = Report("", "", 0)
    linear = prunable(Decoder.of(tiny_model("llama")))[0][0]
    with pytest.raises(RuntimeError, match="0 weights removed, not 1"):
        report.add(linear, torch.ones_like(linear.matrix, dtype=torch.bool), 1)


def test_inputs_that_are_shared_are_summed_once_and_layers_stop_early():
    made, ran = [], []
    decoder = Decoder.of(tiny_model("llama"))

    def new(columns: int, device: torch.device) -> SquaredNorms:
        made.append(SquaredNorms(columns, device))
        return made[-1]

    down = decoder.layers[-1].mlp.down_proj
    handle = down.register_forward_hook(lambda *_: ran.append(1))
    walk(decoder, calibration(), prunable(decoder), new, lambda _layer, _statistics: None)
    handle.remove()
    assert len(made) == 4 * LAYERS  # into q = k = v, into o, into gate = up, into down
    assert not ran


def test_one_layers_statistics_at_a_time():
    decoder = Decoder.of(tiny_model("llama"))
    earlier: list[weakref.ref[Any]] = []

    def note(_layer: int, statistics: Any) -> None:
        assert not any(reference() for reference in earlier)
        earlier[:] = [weakref.ref(statistic) for statistic in statistics.values()]

    walk(decoder, calibration(), prunable(decoder), SquaredNorms, note)
    assert len(earlier) == 7


# -- bad input, one line each ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"method": "snip", "ratio": 0.5}, "method='snip'.*random"),
        ({"method": "wanda", "ratio": 1.0}, "ratio=1.0 is not allowed"),
        ({"method": "wanda"}, "either a ratio"),
        ({"method": "wanda", "ratio": 0.5, "pattern": "2:4"}, "either a ratio"),
        ({"method": "wanda", "pattern": "5:4"}, "at most M"),
        ({"method": "wanda", "ratio": 0.5, "targets": "lm_head"}, "never pruned"),
        ({"method": "wanda", "ratio": 0.5, "targets": "embeddings"}, "never pruned"),
        ({"method": "wanda", "ratio": 0.5, "targets": "norms"}, "targets are attention, mlp, all"),
        ({"method": "wanda", "ratio": 0.5, "structure": "blocks"}, "heads or neurons"),
        (
            {"method": "wanda", "ratio": 0.5, "structure": "heads", "targets": "mlp"},
            "part of the attention",
        ),
        ({"method": "wanda", "pattern": "2:4", "structure": "heads"}, "not a pattern"),
        ({"method": "sparsegpt", "ratio": 0.5, "structure": "heads"}, "no structured form"),
        ({"method": "sparsegpt", "ratio": 0.5, "damping": -1}, "damping=-1"),
    ],
)
def test_recipes_that_are_refused(recipe, message):
    with pytest.raises(InputError, match=message) as caught:
        Recipe(**recipe)
    assert "\n" not in str(caught.value)


def refused(decoder: Decoder, recipe: Recipe, used: Calibration | None, message: str) -> None:
    before = bits(decoder.model)
    with pytest.raises(InputError, match=message) as caught:
        prune(decoder, recipe, used)
    assert "\n" not in str(caught.value)
    assert_same_bits(decoder.model, before)


def test_what_does_not_fit_the_model_is_refused_before_anything_changes():
    decoder = Decoder.of(tiny_model("llama"))
    wanda = Recipe("wanda", 0.5)
    refused(decoder, Recipe("magnitude", pattern="2:5"), None, "5 does not divide its 32 inputs")
    refused(decoder, wanda, None, "needs calibration text")
    refused(decoder, wanda, calibration(1, 300), "longer than the model's 256 positions")
    foreign = Calibration(torch.full((1, 4), VOCABULARY), "foreign", 0)
    refused(decoder, wanda, foreign, "make the calibration with the model's own tokenizer")
    decoder.model.train()
    refused(decoder, wanda, calibration(), "training mode")


@pytest.mark.parametrize("method", ["magnitude", "sparsegpt"])
def test_weights_that_are_no_numbers_are_named(method):
    decoder = Decoder.of(tiny_model("llama"))
    decoder.layers[1].mlp.up_proj.weight[2, 3] = float("nan")
    message = r"layer 1's mlp\.up_proj holds weights that are NaN"
    refused(decoder, Recipe(method, 0.5), calibration(), message)


def test_sublayers_that_take_no_part_are_passed_by_or_named():
    """As after dropping layer 1's MLP."""
    model = tiny_model("llama")
    stale = Decoder.of(model)
    for projection in ("gate_proj", "up_proj", "down_proj"):
        setattr(model.model.layers[1].mlp, projection, torch.nn.Identity())
    model.model.layers[1].mlp.forward = torch.zeros_like
    for recipe in (Recipe("wanda", 0.5), Recipe("wanda", 0.5, structure="neurons")):
        with pruned(Decoder.of(model), recipe, calibration()) as report:
            table = report.table
        assert table[(table["layer"] == 1) & (table["sublayer"] == "mlp")].empty
    model.model.layers[2].self_attn.forward = lambda hidden_states, **_: (hidden_states, None)
    refused(
        stale, Recipe("wanda", 0.5), calibration(), r"layer 2's self_attn\.q_proj takes no part"
    )


# -- devices -----------------------------------------------------------------------------------

FACTORIES = (
    *("arange", "empty", "eye", "full", "linspace", "ones", "rand", "randint", "randn"),
    *("randperm", "scalar_tensor", "tensor", "zeros"),
)


def test_every_new_tensor_says_its_device(monkeypatch):
    folder = str(Path(sys.modules[walk.__module__].__file__ or "").parent)
    calls: list[tuple[str, bool]] = []

    def watched(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            frame = sys._getframe(1)
            if frame.f_code.co_filename.startswith(folder):
                where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} torch.{name}"
                calls.append((where, "device" in keywords))
            return original(*arguments, **keywords)

        return call

    for name in FACTORIES:
        monkeypatch.setattr(torch, name, watched(name, getattr(torch, name)))
    for architecture in ("llama", "phi3", "gpt2"):
        decoder = Decoder.of(tiny_model(architecture))
        for recipe in (*EVERY_RECIPE, Recipe("random", 0.5, structure="heads")):
            with pruned(decoder, recipe, calibration()):
                pass
    assert calls
    assert not [where for where, says_device in calls if not says_device]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("recipe", EVERY_RECIPE, ids=str)
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_masks_on_a_gpu_equal_those_on_the_cpu(architecture, recipe):
    """But for near ties, which another order of summation may turn."""
    model = tiny_model(architecture)
    with pruned(Decoder.of(model), recipe, calibration(), keep_masks=True) as here:
        pass
    with pruned(Decoder.of(model.to("cuda")), recipe, calibration(), keep_masks=True) as there:
        pass
    for where, keep in here.masks.items():
        assert (keep != there.masks[where]).float().mean() < 0.005
