"""Importance against a plain loop over samples, layers and positions in float64."""

import math
from dataclasses import fields
from importlib import import_module

import pytest
import torch
from conftest import ARCHITECTURES, LAYERS, VOCABULARY, tiny_model

from helpers.errors import InputError
from helpers.models import Decoder
from helpers.pruning.drop import dropped
from helpers.pruning.importance import (
    Importance,
    angular_distance,
    importance,
    one_minus_cosine,
    summed,
)
from helpers.pruning.selection import (
    blocks,
    contiguous,
    iterative,
    least,
    listed,
    one_shot,
    scores,
    select,
    units,
)

importance_module = import_module("helpers.pruning.importance")  # not the function


def calibration(sequences=5, length=7, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, VOCABULARY, (sequences, length), generator=generator)


def cosine(x, y):
    """One pair of vectors, in Python's own arithmetic."""
    x, y = x.tolist(), y.tolist()
    dot = math.fsum(a * b for a, b in zip(x, y, strict=True))
    return dot / math.sqrt(math.fsum(a * a for a in x) * math.fsum(b * b for b in y))


def keep(held, place):
    """A hook that keeps a module's output (T, d) on one sample."""

    def hook(_module, _args, output):
        value = output[0] if isinstance(output, tuple) else output
        held[place] = value.reshape(-1, value.shape[-1])

    return hook


def naive(model, decoder, ids):
    """Mean 1 − cos per sublayer, with and without the residual, and per block, and the angular
    distances; one sample at a time, every sublayer called by hand on Hugging Face's own states."""
    found = {name: [[] for _ in range(LAYERS)] for name in ("attention", "mlp", "block")}
    bare = {name: [[] for _ in range(LAYERS)] for name in ("attention", "mlp")}
    distances = torch.zeros(LAYERS + 1, LAYERS + 1, dtype=torch.float64)
    for row in ids:
        updates, norms, last = {}, {}, {}
        handles = []
        for part in decoder.sublayers:
            place = (part.layer, part.kind)

            handles.append(part.norm.register_forward_hook(keep(norms, place)))
            handles.append(part.last.register_forward_hook(keep(updates, place)))
        handles.append(decoder.layers[-1].register_forward_hook(keep(last, "output")))
        states = model(input_ids=row[None], output_hidden_states=True).hidden_states
        states = [*(state[0] for state in states[:-1]), last["output"]]
        for handle in handles:
            handle.remove()
        for layer in range(LAYERS):
            x = states[layer]
            middle = x + updates[layer, "attention"]
            start = x if decoder.parallel else middle
            moves = {
                "attention": (x, middle),
                "mlp": (start, start + updates[layer, "mlp"]),
                "block": (x, states[layer + 1]),
            }
            for name, (before, after) in moves.items():
                for position in range(len(row)):
                    found[name][layer].append(1 - cosine(before[position], after[position]))
                    if name != "block":
                        pair = norms[layer, name][position], updates[layer, name][position]
                        bare[name][layer].append(1 - cosine(*pair))
        for one in range(LAYERS + 1):
            for other in range(LAYERS + 1):
                inside = max(-1, min(1, cosine(states[one][-1], states[other][-1])))
                distances[one, other] += math.acos(inside) / math.pi / len(ids)

    def mean(lists):
        values = [math.fsum(values) / len(values) for values in lists]
        return torch.tensor(values, dtype=torch.float64)

    parts = {name: mean(lists) for name, lists in found.items()}
    without = {name: mean(lists) for name, lists in bare.items()}
    return Importance(**parts, distance=distances), Importance(
        **parts | without, distance=distances
    )


def assert_close(ours, expected):
    for name in (one.name for one in fields(Importance)):
        torch.testing.assert_close(
            getattr(ours, name), getattr(expected, name), rtol=1e-5, atol=1e-6, msg=name
        )


@torch.inference_mode()
def test_importance_equals_the_plain_loop(architecture):
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    ids = calibration()
    expected, expected_bare = naive(model, decoder, ids)
    assert_close(importance(decoder, ids, batch_size=2), expected)
    assert_close(importance(decoder, ids, residual=False, batch_size=2), expected_bare)


@pytest.mark.parametrize("residual", [True, False])
def test_the_batch_split_changes_nothing(architecture, residual):
    decoder = Decoder.of(tiny_model(architecture))
    ids = calibration()
    whole = importance(decoder, ids, residual, batch_size=len(ids))
    for size in (1, 2, 3, 100):
        split = importance(decoder, ids, residual, batch_size=size)
        assert_close(split, whole)
        for target in ("attention", "mlp", "block", "all"):
            every = len(units(target, LAYERS))
            assert one_shot(split, target, every) == one_shot(whole, target, every)


def test_one_forward_pass_for_everything_and_no_hook_stays():
    model = tiny_model("llama")
    calls = []
    handle = model.model.register_forward_hook(lambda *_: calls.append(1))
    model.lm_head.register_forward_hook(lambda *_: pytest.fail("the head ran"))
    importance(Decoder.of(model), calibration(5), batch_size=2)
    assert len(calls) == 3
    handle.remove()
    assert not any(module._forward_hooks for module in model.model.modules())


def test_states_are_not_kept():
    """What is alive at once does not grow with depth: at most one batch of hidden states per
    hook that waits for its sublayer or block to end."""
    decoder = Decoder.of(tiny_model("llama"))
    meter = importance_module._Meter(decoder, residual=True)
    with torch.inference_mode(), meter.installed():
        decoder.model.model(input_ids=calibration())
        assert sum(value.numel() for value in meter.sums.values()) == 3 * LAYERS
        assert [tuple(edge.shape) for edge in meter.edges] == [(5, 32)] * (LAYERS + 1)
        meter.end_batch()
        assert not meter.edges


def test_sublayers_that_are_gone_turn_nothing():
    decoder = Decoder.of(tiny_model("gemma2"))
    with dropped(decoder, blocks([1])) as remaining:
        measured = importance(remaining, calibration())
    assert measured.attention[1] == measured.mlp[1] == measured.block[1] == 0
    assert measured.distance[1, 2] == 0
    assert (measured.attention[[0, 2, 3]] > 0).all()


def test_pure_functions_at_their_corners():
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(one_minus_cosine(x, x), torch.zeros(4, dtype=torch.float64))
    assert torch.equal(angular_distance(x, x), torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(angular_distance(x, -x), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(one_minus_cosine(x, -3 * x), torch.full((4,), 2.0).double())
    assert one_minus_cosine(x, 0 * x).tolist() == [1.0] * 4
    right = angular_distance(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0]))
    assert right.item() == pytest.approx(0.5, abs=1e-12)
    tiny = torch.tensor([1.0, 1e-9], dtype=torch.float64)
    angle = angular_distance(torch.tensor([1.0, 0.0], dtype=torch.float64), tiny)
    assert angle.item() * math.pi == pytest.approx(1e-9, rel=1e-6)


def test_the_sum_over_blocks_of_rows_is_the_sum(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 3, 11, 6, generator=generator)
    expected = one_minus_cosine(x, y).sum()
    for block in (1, 24, 10**6):
        monkeypatch.setattr(importance_module, "BLOCK", block)
        torch.testing.assert_close(summed(x, y), expected, rtol=1e-14, atol=0)


def measured_by_hand(attention, mlp, block=(0.0, 0.0, 0.0)):
    attention, mlp, block = (
        torch.tensor(values, dtype=torch.float64) for values in (attention, mlp, block)
    )
    return Importance(attention, mlp, block, torch.zeros(len(attention) + 1, len(attention) + 1))


def test_the_least_important_go_first_and_ties_by_lower_index():
    measured = measured_by_hand([0.3, 0.1, 0.3], [0.1, 0.2, 0.1], [0.5, 0.5, 0.4])
    assert one_shot(measured, "attention", 2) == ((1, "attention"), (0, "attention"))
    assert one_shot(measured, "mlp", 2) == ((0, "mlp"), (2, "mlp"))
    assert one_shot(measured, "all", 3) == ((0, "mlp"), (1, "attention"), (2, "mlp"))
    assert one_shot(measured, "block", 2) == blocks([2, 0])
    assert one_shot(measured, "all", 0) == ()
    assert least(torch.tensor([1.0, 0.0, 1.0, 0.0]), 4) == [1, 3, 0, 2]


@pytest.mark.parametrize("target", ["attention", "mlp", "block", "all"])
@pytest.mark.parametrize("architecture", ["llama", "gemma2", "gpt_neox", "opt"])
def test_iterative_is_ranking_again_by_hand(architecture, target):
    model = tiny_model(architecture)
    decoder = Decoder.of(model)
    ids = calibration()
    chosen, left = (), list(units(target, LAYERS))
    for _ in range(3):
        with dropped(decoder, chosen) as remaining:
            values = scores(importance(remaining, ids), target).tolist()
        everything = units(target, LAYERS)
        best = min(left, key=lambda unit: values[everything.index(unit)])
        left.remove(best)
        chosen += best
    assert select(decoder, ids, target, 3, "iterative") == chosen
    first = select(decoder, ids, target, 1)
    assert chosen[: len(first)] == first


def test_iterative_measures_once_per_drop_and_can_drop_everything():
    decoder = Decoder.of(tiny_model("llama"))
    seen = []

    def measure(without):
        seen.append(without)
        with dropped(decoder, without) as remaining:
            return importance(remaining, calibration())

    chosen = iterative(measure, "all", 2 * LAYERS, LAYERS)
    assert sorted(chosen) == sorted(listed(LAYERS, block=range(LAYERS)))
    assert seen == [chosen[:number] for number in range(2 * LAYERS)]


def test_contiguous_takes_the_nearest_ends(architecture):
    decoder = Decoder.of(tiny_model(architecture))
    ids = calibration()
    distance = importance(decoder, ids).distance
    for count in range(1, LAYERS + 1):
        starts = range(LAYERS - count + 1)
        start = min(starts, key=lambda one: distance[one, one + count].item())
        expected = blocks(range(start, start + count))
        assert select(decoder, ids, "block", count, "contiguous") == expected
    assert contiguous(importance(decoder, ids), 0) == ()


def test_a_published_list():
    assert listed(4, attention=[3, 1], mlp=[2]) == (
        (3, "attention"),
        (1, "attention"),
        (2, "mlp"),
    )
    assert listed(4, block=[2]) == ((2, "attention"), (2, "mlp"))
    with pytest.raises(InputError, match="no layer 7 to drop: the model has layers 0 to 3"):
        listed(4, mlp=[7])
    with pytest.raises(InputError, match="layer 2 mlp is named twice"):
        listed(4, mlp=[2], block=[2])


@pytest.mark.parametrize(
    ("target", "count", "procedure", "message"),
    [
        (
            "attention",
            5,
            "one_shot",
            "5 attention sublayers cannot be dropped: the model has 4; ask for 0 to 4",
        ),
        (
            "block",
            5,
            "iterative",
            "5 blocks cannot be dropped: the model has 4; ask for 0 to 4",
        ),
        ("all", 9, "one_shot", "9 sublayers cannot be dropped: the model has 8; ask for 0 to 8"),
        (
            "mlp",
            -1,
            "one_shot",
            "-1 mlp sublayers cannot be dropped: the model has 4; ask for 0 to 4",
        ),
        ("head", 1, "one_shot", "unknown target 'head': known are attention, mlp, block, all"),
        (
            "block",
            1,
            "twice",
            "unknown procedure 'twice': known are one_shot, iterative, contiguous",
        ),
        (
            "mlp",
            1,
            "contiguous",
            "procedure contiguous drops blocks: it takes target=block, not mlp",
        ),
    ],
)
def test_bad_input_is_one_line_and_nothing_runs(target, count, procedure, message):
    model = tiny_model("llama")
    model.model.register_forward_hook(lambda *_: pytest.fail("the model ran"))
    with pytest.raises(InputError) as caught:
        select(Decoder.of(model), calibration(), target, count, procedure)
    assert str(caught.value) == message


def test_bad_calibration_is_one_line():
    model = tiny_model("llama")
    decoder = Decoder.of(model)
    for ids in (torch.zeros(0, 8, dtype=torch.long), torch.zeros(3, 0, dtype=torch.long)):
        with pytest.raises(InputError, match="calibration text is empty"):
            importance(decoder, ids)
    with pytest.raises(InputError, match="batch size 0 is not allowed"):
        importance(decoder, calibration(), batch_size=0)
    decoder.sublayers[5].body.down_proj.weight.fill_(torch.nan)
    with pytest.raises(InputError, match="layer 2 mlp are not finite"):
        importance(decoder, calibration())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.gpu
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_on_an_accelerator(architecture):
    model = tiny_model(architecture)
    expected = importance(Decoder.of(model), calibration())
    ours = importance(Decoder.of(model.cuda()), calibration().cuda())
    for name in (one.name for one in fields(Importance)):
        torch.testing.assert_close(
            getattr(ours, name), getattr(expected, name), rtol=1e-3, atol=1e-4
        )
