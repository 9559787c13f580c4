"""A model against itself: float64 throughout, ways of reading, and what is made of their noise."""

import math
import os

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import tiny_model
from torch.utils._python_dispatch import TorchDispatchMode

from chapters.noise_floor import story
from chapters.noise_floor.measure import Condition, View, compare, noise_floor
from chapters.noise_floor.readings import (
    Reading,
    Text,
    alone,
    float64_throughout,
    load_float64,
    logits_float64,
    together,
    token_by_token,
)
from helpers import machine
from helpers.capture import Pair
from helpers.models.architecture import Decoder
from helpers.models.head import Head
from helpers.models.load import load
from measurements.layer_profile import layer_profile
from reporting import figures
from runs.parameters import validate

SHORT = {"prompts": "MC2,Math1,Gen4", "max_new_tokens": 2, "device": "cpu"}


def texts():
    """Prompts of different lengths, one with fewer steps than the others."""
    generator = torch.Generator().manual_seed(3)
    prompts = [torch.randint(3, 300, (length,), generator=generator) for length in (7, 11, 4)]
    written = [[5, 9, 4], [8], [30, 31, 32]]
    return [Text(*pair) for pair in zip(prompts, written, strict=True)]


def llama_by_hand(folder, ids):
    """The states of a Llama before and after every sublayer, (2L + 1, T, d), written out in
    float64 from the stored weights alone."""
    loaded = load(str(folder), device="cpu")
    config = loaded.model.config
    weights = {name: tensor.double() for name, tensor in loaded.model.state_dict().items()}
    heads, groups = config.num_attention_heads, config.num_key_value_heads
    size = config.hidden_size // heads
    base = config.rope_parameters["rope_theta"]
    angles = torch.tensor(
        [[t * base ** (-2 * i / size) for i in range(size // 2)] for t in range(len(ids))],
        dtype=torch.float64,
    )

    def norm(x, name):
        return weights[name] * x / (x.square().mean(-1, keepdim=True) + config.rms_norm_eps).sqrt()

    def turn(x):
        first, second = x.chunk(2, dim=-1)
        cos, sin = angles.cos(), angles.sin()
        return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)

    x = weights["model.embed_tokens.weight"][ids]
    states = [x]
    for layer in range(config.num_hidden_layers):
        part = f"model.layers.{layer}."
        n = norm(x, part + "input_layernorm.weight")
        q, k, v = (n @ weights[f"{part}self_attn.{name}_proj.weight"].T for name in "qkv")
        out = []
        for head in range(heads):
            mine = slice(head * size, (head + 1) * size)
            group = head * groups // heads
            theirs = slice(group * size, (group + 1) * size)
            score = turn(q[:, mine]) @ turn(k[:, theirs]).T / size**0.5
            later = torch.ones_like(score).triu(1).bool()
            out.append(score.masked_fill(later, -torch.inf).softmax(-1) @ v[:, theirs])
        x = x + torch.cat(out, dim=-1) @ weights[f"{part}self_attn.o_proj.weight"].T
        states.append(x)
        n = norm(x, part + "post_attention_layernorm.weight")
        gate, up = (n @ weights[f"{part}mlp.{name}_proj.weight"].T for name in ("gate", "up"))
        x = x + (torch.nn.functional.silu(gate) * up) @ weights[f"{part}mlp.down_proj.weight"].T
        states.append(x)
    return torch.stack(states), norm(x, "model.norm.weight")


def test_float64_agrees_with_the_model_written_out(tiny_folder):
    text = texts()[0]
    states, output = llama_by_hand(tiny_folder, text.tokens[0])
    double = load_float64(str(tiny_folder), device="cpu")
    with float64_throughout():
        (read,) = alone(double.decoder, [text])
    expected = states[:, -text.steps :]
    torch.testing.assert_close(read.states, expected, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(read.output, output[-text.steps :], rtol=1e-11, atol=1e-12)
    (plain,) = alone(load(str(tiny_folder), "main", "float64", "cpu").decoder, [text])
    assert (plain.states - expected).abs().max() > 1e-9, "float64 weights alone would have done"


class Formats(TorchDispatchMode):
    """Collects the formats of all floating-point tensors that are computed."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                self.seen.add(value.dtype)
        return result


def test_nothing_is_rounded_to_float32_on_the_way(architecture):
    model = tiny_model(architecture).double()
    with Formats() as formats, float64_throughout():
        (read, *_) = alone(Decoder.of(model), texts())
        logits_float64(Decoder.of(model).head, read.output)
    assert formats.seen == {torch.float64}


def test_all_ways_of_reading_hold_the_same_states(architecture):
    """Up to rounding, padding and caches change nothing, and the output is the model's own."""
    model = tiny_model(architecture).double()
    decoder = Decoder.of(model)
    with float64_throughout(), torch.inference_mode():
        reference = alone(decoder, texts())
        for read in (together(decoder, texts()), token_by_token(decoder, texts())):
            for mine, theirs in zip(reference, read, strict=True):
                assert mine.pairs == theirs.pairs
                torch.testing.assert_close(mine.states, theirs.states, rtol=1e-9, atol=1e-10)
                torch.testing.assert_close(mine.output, theirs.output, rtol=1e-9, atol=1e-10)
        for text, mine in zip(texts(), reference, strict=True):
            assert mine.output.shape[0] == mine.states.shape[1] == text.steps
            logits = model(input_ids=text.tokens).logits[0, -text.steps :]
            own = logits_float64(decoder.head, mine.output)
            torch.testing.assert_close(own, logits, rtol=1e-9, atol=1e-9)
    assert not decoder.final_norm._forward_hooks


def by_hand(first, second, temperature):
    """Metrics of two logit vectors, and of two states, with nothing but sums in float64."""
    cosine = float(first @ second / (first.norm() * second.norm()))
    alpha = float(first @ (second - first) / (first @ first))
    across = float((second - first - alpha * first).norm() / first.norm())
    p, q = ((z / temperature).softmax(-1) for z in (first, second))
    kl = float((p * (p / q).log()).sum())
    return cosine, across, kl, p, q


@pytest.mark.parametrize("double", [False, True])
def test_comparison_agrees_with_sums_by_hand(double):
    torch.manual_seed(0)
    pairs = (Pair(0, "attention", 1, 0), Pair(0, "mlp", 2, 1))
    mine = Reading(torch.randn(3, 2, 8), pairs, torch.randn(2, 8))
    theirs = Reading(
        mine.states + 0.05 * torch.randn(3, 2, 8), pairs, mine.output + 0.05 * torch.randn(2, 8)
    )
    first, second = Head(torch.randn(40, 8)), Head(torch.randn(40, 8).double())
    second = Head((first.weight + 0.01 * second.weight).to(torch.float32))
    views = View(first), View(second, double)
    reference = Condition("reference", views[0], [mine], True)
    other = Condition("other", views[1], [theirs], True)
    found = compare(reference, [reference, other], 0, temperature=0.7)
    assert not found["value"].isna().any()
    keys = ["condition", "quantity", "lens", "step", "layer", "sublayer", "space", "metric"]
    assert not found.duplicated(keys).any()
    found = found.set_index(keys)["value"].sort_index()
    assert (found["reference", "noise"] == 0).all()
    assert (found["reference", "effect"].xs("angular", level="metric") > 0).all()

    project = logits_float64 if double else Head.logits
    for step in range(2):
        cases = [
            ("noise", "raw", 0, kind, mine.states[at, step], theirs.states[at, step])
            for at, kind in ((1, "attention"), (2, "mlp"))
        ]
        cases += [("noise", "normed", -1, "model", mine.output[step], theirs.output[step])]
        cases += [
            ("effect", "raw", 0, kind, theirs.states[at, step], theirs.states[at - 1, step])
            for at, kind in ((1, "attention"), (2, "mlp"))
        ]
        for quantity, lens, layer, kind, h, g in cases:
            head = Head.logits(first, h[None]) if quantity == "noise" else project(second, h[None])
            z, y = head[0].double(), project(second, g[None])[0].double()
            value = found["other", quantity, lens, step, layer, kind]
            cosine, across, _, _, _ = by_hand(h.double(), g.double(), 1.0)
            assert value["embedding", "angular"] == pytest.approx(1 - cosine, rel=1e-8)
            assert value["embedding", "orthogonal"] == pytest.approx(across, rel=1e-8)
            # a float32 product of one row is rounded otherwise than that of many
            close = 1e-8 if double and quantity == "effect" else 1e-4
            cosine, across, kl, p, q = by_hand(z, y, 0.7)
            assert value["logit", "angular"] == pytest.approx(1 - cosine, rel=close)
            assert value["logit", "orthogonal"] == pytest.approx(across, rel=close)
            assert value["probability", "kl"] == pytest.approx(kl, rel=close)
            cosine, across, _, _, _ = by_hand(p, q, 1.0)
            assert value["probability", "angular"] == pytest.approx(1 - cosine, rel=close)
            assert value["probability", "orthogonal"] == pytest.approx(across, rel=close)
            assert value["probability", "top1"] == float(z.argmax() != y.argmax())


def test_projection_with_bias_and_cap_in_float64():
    torch.manual_seed(0)
    head = Head(torch.randn(20, 6), torch.randn(20), cap=3.0)
    states = torch.randn(4, 6)
    linear = states.double().numpy() @ head.weight.double().numpy().T + head.bias.double().numpy()
    found = logits_float64(head, states).numpy()
    np.testing.assert_allclose(found, 3 * np.tanh(linear / 3), rtol=1e-13)


def test_threads_come_back_also_after_an_exception():
    before = torch.get_num_threads()

    def fail():
        with machine.threads(before + 1):
            assert torch.get_num_threads() == before + 1
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert torch.get_num_threads() == before


@pytest.fixture(scope="module")
def measured(tiny_folder, tmp_path_factory):
    """The measurement of a tiny model that was granted one thread."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WHEN_PRUNING_WORKS_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            patch.setenv(name, "1")
        places = {"model": str(tiny_folder), "results": str(tmp_path_factory.mktemp("results"))}
        return noise_floor(validate(SHORT | places))


def test_same_run_again_is_exactly_zero(measured):
    table = measured.table("noise")
    again = table[table["condition"].eq("again")]
    assert len(again)
    assert (again["value"] == 0).all()
    same = table["condition"].eq("projection") & table["quantity"].eq("noise")
    same &= table["space"].eq("embedding")
    assert same.any()
    assert (table.loc[same, "value"] == 0).all()


def test_every_condition_is_there_and_ordered_by_its_digits(measured):
    table = measured.table("noise")
    assert story.present(table) == [name for name in story.CONDITIONS if name != "one_thread"]
    assert list(measured.manifest["facts"]["left_out"]) == ["one_thread"]
    floor = story.floor(table).set_index(["condition", "space"])["median"]
    for space in story.SPACES:
        assert floor["bfloat16", space] > 3 * floor["float16", space]
        assert floor["float16", space] > 1e3 * floor["float64", space] > 0
        assert floor["float64", space] < 1e-9
    assert (floor["batch"] < 1e-9).all()
    assert (floor["cached"] < 1e-9).all()


def test_effects_are_those_of_the_layer_profile(measured, tiny_folder, tmp_path):
    """The same effects, measured by the other measurement: batched, cached, its own products."""
    places = {"model": str(tiny_folder), "results": str(tmp_path)}
    profile = layer_profile(validate(SHORT | places)).table("deviations", lens="raw")
    kept = ~profile["centred"] & profile["quantity"].eq("measured")
    profile = profile[kept & profile["metric"].isin(["angular", "kl"])]
    keys = ["prompt", "step", "layer", "sublayer", "space", "metric"]
    effects = measured.table("noise", condition="reference")
    assert set(effects["quantity"]) == {"effect"}
    both = profile.merge(effects, on=keys, suffixes=("_profile", "_noise"))
    assert len(both) == 3 * 2 * 8 * 4  # prompts, steps, sublayers, numbers of each
    np.testing.assert_allclose(both["value_noise"], both["value_profile"], rtol=1e-4, atol=1e-9)


def test_one_thread_is_measured_where_more_are_granted(tiny_folder, tmp_path, monkeypatch):
    before = torch.get_num_threads()
    for name in ("WHEN_PRUNING_WORKS_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "2")
    monkeypatch.setenv("WHEN_PRUNING_WORKS_CACHE", str(tmp_path))  # its lock, not the machine's
    places = {"model": str(tiny_folder), "results": str(tmp_path), "prompts": "MC2"}
    try:
        measured = noise_floor(validate(SHORT | places))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    rows = measured.table("noise", condition="one_thread", quantity="noise")
    assert len(rows)
    assert rows["value"].max() < 1e-3
    assert measured.manifest["facts"]["left_out"] == {}
    assert measured.manifest["facts"]["threads"] == 2
    assert os.environ["OMP_NUM_THREADS"] == "2"


def small_table():
    """Noise 0.01 and 0.03 beside effects 0.02 and 1.0, in every space."""
    rows = []
    for space in story.SPACES:
        for step, (own, effect) in enumerate(((0.01, 0.02), (0.03, 1.0))):
            place = {"prompt": "MC1", "step": step, "layer": 0, "sublayer": "mlp", "space": space}
            common = place | {"lens": "raw", "metric": "angular"}
            rows += [
                common | {"condition": "bfloat16", "quantity": "noise", "value": own},
                common | {"condition": "reference", "quantity": "effect", "value": effect},
                common | {"condition": "bfloat16", "quantity": "effect", "value": 1.1 * effect},
            ]
        output = {"prompt": "MC1", "step": 0, "layer": -1, "sublayer": "model", "space": space}
        output |= {"lens": "normed", "condition": "bfloat16", "quantity": "noise"}
        rows.append(output | {"metric": "angular", "value": 0.5})
    output |= {"metric": "top1", "space": "probability"}
    rows.append(output | {"value": 1.0})
    return pd.DataFrame(rows)


def test_floor_on_a_table_small_enough_to_see():
    floor = story.floor(small_table())
    row = floor.iloc[0]
    assert list(floor["space"]) == list(story.SPACES)
    assert (row["median"], row["largest"], row["output_largest"]) == (0.02, 0.03, 0.5)
    assert (row["effect"], row["drowned"], row["n"]) == (0.51, 0.5, 2)
    changed = story.changed_effects(small_table())
    bfloat16 = changed[changed["condition"] == "bfloat16"]
    assert bfloat16["median"].to_numpy() == pytest.approx(0.1)
    top = story.top_changes(small_table())
    assert top.loc["bfloat16"].tolist() == [1, 1]


def test_words_tell_exact_from_tiny():
    table = story.floor(small_table()).head(1)
    shown = story.floor_table(table.assign(median=1e-30, largest=1e-20)).iloc[0]
    assert (shown["median"], shown["dropping / noise"]) == ("< 10⁻¹⁶", "> 5.1×10¹⁵")
    shown = story.floor_table(table.assign(median=0.0, largest=0.0)).iloc[0]
    assert (shown["median"], shown["dropping / noise"]) == ("0", "no noise")
    assert shown["KL, median"] == "–"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (3.14e-13, "3.1×10⁻¹³"),
        (0.0521, "0.052"),
        (1234.5, "1234"),
        (math.nan, "–"),
    ],
)
def test_short_numbers(value, text):
    assert story.text(value) == text


def test_the_largest_of_some_conditions_in_the_probability_space():
    floor = story.floor(small_table())
    assert story.probability(floor, "largest", "bfloat16", "cached") == "0.03"
    assert story.probability(floor, "largest", "cached") == "–"


def test_figure_leaves_out_what_has_no_place_on_a_log_scale(measured):
    frame = story.layer_noise(measured.table("noise"))
    assert story.CONDITIONS["again"] not in set(frame["series"])
    words = {"name": "noise", "title": "t", "caption": "c", "provenance": {}}
    axes = {"x_label": "x", "y_label": "y", "y_scale": "log", "y_range": story.drawn_range(frame)}
    for panel in figures.lines(frame, **words, **axes).figure.panels:
        assert panel.lines[0].label == story.DROPPING
        assert len({line.look.dash for line in panel.lines[1:]}) == len(panel.lines) - 1
        drawn = [value for line in panel.lines for value in line.mean if not math.isnan(value)]
        assert min(drawn) > 0
